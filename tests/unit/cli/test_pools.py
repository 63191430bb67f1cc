"""``stoker work-pool`` and ``stoker work-queue``."""

import json

import pytest
from msgspec import structs

from stoker.domain.hosts import Host, HostState
from stoker.domain.pools import Machine, WarmKnobs, Worker, WorkPool, WorkQueue
from stoker.domain.templates import PROCESS_TEMPLATE, with_defaults
from stoker.wire.http import PoolDetail, Problem

POOL = WorkPool(id="1", name="p", warm=WarmKnobs(min=2, max=9), created=1.0)
DETAIL = PoolDetail(
    pool=POOL,
    queues=[WorkQueue(pool="p"), WorkQueue(pool="p", name="fast", priority=1, paused=True)],
    workers=[Worker(id="w", name="tidy-owl", pool="p", machine=Machine("box", "b"))],
    hosts=[Host(id="h1", pool="p", lane="l", state=HostState.UP)],
    running=3,
    queued=4,
)


@pytest.fixture(autouse=True)
def routes(api):
    api.answer("POST /api/work-pools", POOL, 201)
    api.answer("GET /api/work-pools", [DETAIL])
    api.answer("GET /api/work-pools/p", DETAIL)
    api.answer("PATCH /api/work-pools/p", POOL)
    for queue in ("fast", "slow"):
        api.routes[f"PUT /api/work-pools/p/queues/{queue}"] = lambda request: (
            200,
            {"pool": "p", "name": request.path.rpartition("/")[2], **request.json()},
        )


def test_create_sends_the_knobs_given_and_the_defaults(stoker, api):
    stoker("work-pool", "create", "p", "--min", "1", "--slots-per-host", "3", "--idle-timeout", "0")
    sent = api.requests[0].json()
    assert (sent["name"], sent["type"], sent["concurrency_limit"]) == ("p", "process", None)
    assert sent["warm"] == {
        "min": 1, "max": 4, "buffer": 0, "slots_per_host": 3, "idle_timeout": 0.0,
        "max_runs": None, "max_age": None, "max_memory_growth": 256.0,
    }  # fmt: skip
    assert sent["fence_after"] == 600.0


def test_create_sends_a_template_from_a_file(stoker, api, tmp_path):
    file = tmp_path / "template.json"
    file.write_text(json.dumps(PROCESS_TEMPLATE))
    stoker("work-pool", "create", "p", "--base-job-template", str(file))
    assert api.requests[0].json()["base_job_template"] == PROCESS_TEMPLATE


def test_defaults_of_the_template_are_set_one_by_one(stoker, api):
    stoker("work-pool", "create", "p", "--default", "max_memory=512", "--default", "python=/bin/py")
    properties = api.requests[0].json()["base_job_template"]["variables"]["properties"]
    assert properties["max_memory"]["default"] == 512
    assert properties["python"]["default"] == "/bin/py"
    assert properties["max_log"] == PROCESS_TEMPLATE["variables"]["properties"]["max_log"]


def test_a_default_changes_the_pool_s_own_template(stoker, api):
    changed = with_defaults(PROCESS_TEMPLATE, {"max_log": 1})
    api.answer(
        "GET /api/work-pools/p",
        structs.replace(DETAIL, pool=structs.replace(POOL, base_job_template=changed)),
    )
    stoker("work-pool", "update", "p", "--default", 'rlimits={"nofile": 64}')
    sent = api.requests[-1].json()
    assert sent.keys() == {"base_job_template"}
    properties = sent["base_job_template"]["variables"]["properties"]
    assert properties["max_log"]["default"] == 1
    assert properties["rlimits"]["default"] == {"nofile": 64}


@pytest.mark.parametrize(
    ("default", "problem"),
    [
        ("memory=1", "no variable 'memory'"),
        ("max_memory=lots", "max_memory is a number of MB"),
        ("private_working_dir=1", "private_working_dir"),
        ('rlimits={"files": 1}', "no rlimit 'files'"),
    ],
)
def test_a_default_that_is_impossible_is_an_error(stoker, api, default, problem):
    assert problem in stoker("work-pool", "create", "p", "--default", default, code=1).err
    assert not api.requests


def test_a_template_that_is_no_json_is_a_usage_error(stoker, api, tmp_path):
    file = tmp_path / "template.json"
    file.write_text("[")
    err = stoker("work-pool", "create", "p", "--base-job-template", str(file), code=2).err
    assert "is no JSON object" in err
    assert not api.requests


def test_the_type_is_one_that_exists(stoker):
    assert "'process'" in stoker("work-pool", "create", "p", "--type", "ecs", code=2).err


def test_a_name_that_is_taken_is_an_error(stoker, api):
    taken = Problem(error="Conflict", detail="there is a work pool 'p' already")
    api.answer("POST /api/work-pools", taken, 409)
    err = stoker("work-pool", "create", "p", code=1).err
    assert err == "Error: there is a work pool 'p' already\n"


def test_ls(stoker):
    lines = stoker("work-pool", "ls").out.splitlines()
    assert lines[0].split() == [
        "Name", "Type", "Status", "Running", "Waiting", "Limit", "Workers", "Hosts",
    ]  # fmt: skip
    assert lines[2].split() == ["p", "process", "ready", "3", "4", "1", "1"]


def test_ls_without_pools_says_what_to_do(stoker, api):
    api.answer("GET /api/work-pools", [])
    assert "stoker work-pool create" in stoker("work-pool", "ls").out
    assert stoker("work-pool", "ls", "--json").json == []


def test_ls_and_inspect_as_json_are_the_records(stoker):
    one = stoker("work-pool", "inspect", "p", "--json").json
    assert one["pool"]["warm"]["max"] == 9
    assert one["running"] == 3
    assert stoker("work-pool", "ls", "--json").json == [one]


def test_inspect_shows_queues_workers_and_hosts(stoker):
    out = stoker("work-pool", "inspect", "p").out
    for text in (
        "2 to 9, 8 slots each",
        "replaced when grown by 256 MB",
        "fast",
        "paused",
        "tidy-owl",
        "box",
        "h1",
    ):
        assert text in out


def test_inspect_says_what_its_runs_have_by_default(stoker, api):
    assert "Defaults" not in stoker("work-pool", "inspect", "p").out
    changed = with_defaults(PROCESS_TEMPLATE, {"max_memory": 512, "rlimits": {"nofile": 64}})
    pool = structs.replace(POOL, base_job_template=changed)
    api.answer("GET /api/work-pools/p", structs.replace(DETAIL, pool=pool))
    (line,) = [
        one
        for one in stoker("work-pool", "inspect", "p").out.splitlines()
        if one.startswith("Defaults")
    ]
    assert line.split(maxsplit=1)[1] == 'max_memory=512, rlimits={"nofile":64}'


def test_inspect_tells_hosts_of_one_run_from_others(stoker, api):
    assert "used once" not in stoker("work-pool", "inspect", "p").out
    hosts = [structs.replace(host, once=True) for host in DETAIL.hosts]
    api.answer("GET /api/work-pools/p", structs.replace(DETAIL, hosts=hosts))
    assert "1, used once" in stoker("work-pool", "inspect", "p").out


def test_update_changes_only_what_is_given(stoker, api):
    stoker("work-pool", "update", "p", "--max", "5")
    assert api.requests[-1].json() == {"warm": {"max": 5}}
    stoker("work-pool", "update", "p", "--fence-after", "60")
    assert api.requests[-1].json() == {"fence_after": 60.0}


def test_knobs_of_recycling_are_numbers_or_none(stoker, api):
    options = ("--max-runs", "20", "--max-age", "none", "--max-memory-growth", "1.5")
    stoker("work-pool", "update", "p", *options)
    warm = {"max_runs": 20, "max_age": None, "max_memory_growth": 1.5}
    assert api.requests[-1].json() == {"warm": warm}
    for options in (("--max-runs", "0"), ("--max-age", "x"), ("--max-memory-growth", "0")):
        assert options[0] in stoker("work-pool", "update", "p", *options, code=2).err


def test_update_without_an_option_is_a_usage_error(stoker, api):
    assert "nothing to change" in stoker("work-pool", "update", "p", code=2).err


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (("pause", "p"), {"paused": True}),
        (("resume", "p"), {"paused": False}),
        (("set-concurrency-limit", "p", "20"), {"concurrency_limit": 20}),
        (("clear-concurrency-limit", "p"), {"concurrency_limit": None}),
        (("update", "p", "--concurrency-limit", "0"), {"concurrency_limit": 0}),
    ],
)
def test_changes_of_one_thing(stoker, api, arguments, sent):
    stoker("work-pool", *arguments)
    assert api.requests[-1].json() == sent


def test_a_limit_is_no_negative_number(stoker):
    stoker("work-pool", "set-concurrency-limit", "p", "many", code=2)
    for command in (("work-pool", "set-concurrency-limit"), ("concurrency-limit", "create")):
        assert "'LIMIT': -1" in stoker(*command, "p", "-1", code=2).err


def test_delete(stoker, api):
    stoker("work-pool", "delete", "p")
    assert (api.requests[-1].method, api.requests[-1].path) == ("DELETE", "/api/work-pools/p")


def test_the_default_template_needs_no_server(stoker, monkeypatch):
    monkeypatch.delenv("STOKER_API_URL")
    assert stoker("work-pool", "get-default-base-job-template").json == PROCESS_TEMPLATE


def test_a_queue_is_created(stoker, api):
    stoker("work-queue", "create", "slow", "-p", "p", "--priority", "7", "--limit", "2")
    assert api.requests[-1].json() == {"priority": 7, "paused": False, "concurrency_limit": 2}


def test_a_queue_is_not_created_over_another(stoker, api):
    assert "work-queue set" in stoker("work-queue", "create", "fast", "-p", "p", code=1).err
    assert {request.method for request in api.requests} == {"GET"}


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (("resume",), {"priority": 1, "paused": False, "concurrency_limit": None}),
        (("set", "--limit", "4"), {"priority": 1, "paused": True, "concurrency_limit": 4}),
        (("set", "--priority", "9"), {"priority": 9, "paused": True, "concurrency_limit": None}),
    ],
)
def test_a_change_of_a_queue_keeps_the_rest(stoker, api, arguments, sent):
    stoker("work-queue", arguments[0], "fast", "-p", "p", *arguments[1:])
    assert api.requests[-1].json() == sent


def test_an_unknown_queue_is_said_with_those_that_exist(stoker):
    err = stoker("work-queue", "pause", "slow", "-p", "p", code=1).err
    assert "has no queue 'slow'; it has: default, fast" in err


def test_queues_are_listed(stoker):
    assert [q["name"] for q in stoker("work-queue", "ls", "--json").json] == ["default", "fast"]
    lines = stoker("work-queue", "ls", "-p", "p").out.splitlines()
    assert lines[3].split() == ["p", "fast", "1", "paused"]
