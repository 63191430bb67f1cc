"""Base job templates: what overrides what, and what makes a lane."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.domain.deployments import ISOLATIONS, Deployment
from stoker.domain.errors import Invalid
from stoker.domain.limits import RunLimits, limits_of
from stoker.domain.pools import WorkPool
from stoker.domain.templates import (
    PROCESS_TEMPLATE,
    code_of,
    lane_of,
    resolve,
    with_defaults,
)

TEMPLATE = {
    "variables": {
        "properties": {
            "env": {"type": "object", "default": {"A": "pool", "B": "pool"}},
            "memory": {"type": "integer", "default": 512},
            "image": {"type": "string", "default": "base"},
            "label": {"type": "string"},
            "extra": {"default": {"x": 1}},
        }
    },
    "job_configuration": {
        "env": "{{ env }}",
        "memory": "{{memory}}",
        "text": "{{ image }} of {{ memory }} for {{ label }}",
        "nested": {"list": ["{{ extra }}", 7, "{{ label }}"]},
        "fixed": True,
    },
}


def deployment(**fields) -> Deployment:
    return Deployment(
        id="d",
        name="d",
        flow_name="f",
        entrypoint="src/flows.py:etl",
        path="/p",
        pool="p",
        **fields,
    )


def test_defaults_fill_the_configuration_and_keep_their_types():
    found = resolve(TEMPLATE, {"label": "me"})
    assert found["memory"] == 512
    assert found["text"] == "base of 512 for me"
    assert found["nested"] == {"list": [{"x": 1}, 7, "me"]}
    assert found["fixed"] is True


def test_job_variables_replace_and_env_merges():
    found = resolve(TEMPLATE, {"memory": 1024, "env": {"B": "own", "C": "own"}, "extra": {"y": 2}})
    assert found["memory"] == 1024
    assert found["env"] == {"A": "pool", "B": "own", "C": "own"}
    assert found["nested"]["list"][0] == {"y": 2}


def test_resolving_changes_neither_template_nor_variables():
    variables = {"env": {"A": "own"}}
    resolve(TEMPLATE, variables)["env"]["Z"] = "?"
    assert TEMPLATE["variables"]["properties"]["env"]["default"] == {"A": "pool", "B": "pool"}
    assert variables == {"env": {"A": "own"}}


def test_an_unknown_variable_is_named_with_those_there_are():
    with pytest.raises(Invalid, match=r"no variable 'imgae', 'zz'; it has: env, memory, image"):
        resolve(TEMPLATE, {"zz": 1, "imgae": "x"})
    with pytest.raises(Invalid, match="it has: none"):
        resolve({}, {"zz": 1})


@pytest.mark.parametrize(
    "variables",
    [
        {"env": "A=1"},
        {"env": None},
        {"memory": "much"},
        {"memory": True},
        {"image": 5},
    ],
)
def test_a_variable_of_another_type_than_the_template_says_is_refused(variables):
    (name,) = variables
    with pytest.raises(Invalid, match=f"variable '{name}' must be"):
        resolve(TEMPLATE, variables)


@pytest.mark.parametrize(
    "template",
    [
        {"variables": []},
        {"variables": {"properties": []}},
        {"variables": {"properties": {"a": 1}}},
        {"job_configuration": []},
    ],
)
def test_a_template_of_another_shape_is_refused(template):
    with pytest.raises(Invalid, match="base job template"):
        resolve(template, {})


TEXT = st.text(st.characters(exclude_characters="\0"), max_size=5)
NAME = st.text(st.characters(exclude_characters="\0="), min_size=1, max_size=5)


@given(st.dictionaries(NAME, TEXT), TEXT, TEXT)
def test_what_belongs_to_the_code_makes_no_lane(env, python, working_dir):
    pool = WorkPool(id="p", name="p")
    variables = {"env": env, "python": python, "working_dir": working_dir}
    own = lane_of(pool, resolve(PROCESS_TEMPLATE, variables))
    assert own == lane_of(pool, resolve(PROCESS_TEMPLATE, {}))


def test_infrastructure_and_type_of_pool_make_the_lane():
    pool, other = WorkPool(id="p", name="p"), WorkPool(id="q", name="q")
    lane = lane_of(pool, resolve(TEMPLATE, {}))
    assert lane == lane_of(other, resolve(TEMPLATE, {"env": {"A": "1"}}))
    assert lane != lane_of(pool, resolve(TEMPLATE, {"memory": 1024}))
    other.type = "docker"
    assert lane != lane_of(other, resolve(TEMPLATE, {}))


def test_a_lane_is_the_same_whatever_the_order_of_keys():
    pool = WorkPool(id="p", name="p")
    assert lane_of(pool, {"a": 1, "b": {"c": 2, "d": 3}}) == lane_of(
        pool, {"b": {"d": 3, "c": 2}, "a": 1}
    )


def test_the_code_is_what_a_zygote_imports():
    code = code_of(deployment(), resolve(PROCESS_TEMPLATE, {"env": {"N": 1}, "working_dir": "/w"}))
    assert (code.path, code.file, code.env) == ("/p", "src/flows.py", {"N": "1"})
    assert (code.python, code.working_dir) == ("", "/w")


def test_code_of_another_import_environment_is_another_zygote():
    one, two, same = (
        code_of(deployment(), resolve(PROCESS_TEMPLATE, {"env": env}))
        for env in ({"A": "1"}, {"A": "2"}, {"A": "1"})
    )
    assert one.key == same.key
    assert one.key != two.key


def test_limits_are_the_run_s_and_make_neither_lane_nor_zygote():
    pool = WorkPool(id="p", name="p")
    variables = {
        "max_memory": 512.5,
        "max_log": 0,
        "rlimits": {"nofile": 64, "cpu": 0},
        "private_working_dir": True,
    }
    plain, limited = resolve(PROCESS_TEMPLATE, {}), resolve(PROCESS_TEMPLATE, variables)
    assert lane_of(pool, plain) == lane_of(pool, limited)
    assert code_of(deployment(), plain).key == code_of(deployment(), limited).key
    assert limits_of(plain) == RunLimits()
    assert limits_of(limited) == RunLimits(**variables)


def test_a_run_may_lift_the_limit_of_its_pool():
    template = with_defaults(PROCESS_TEMPLATE, {"max_memory": 512})
    assert limits_of(resolve(template, {})).max_memory == 512
    assert limits_of(resolve(template, {"max_memory": None})).max_memory is None


def test_a_user_of_its_own_is_another_zygote():
    pool = WorkPool(id="p", name="p")
    own, shared = resolve(PROCESS_TEMPLATE, {}), resolve(PROCESS_TEMPLATE, {"own_user": False})
    assert code_of(deployment(), own).own_user
    assert not code_of(deployment(), shared).own_user
    assert code_of(deployment(), own).key != code_of(deployment(), shared).key
    assert lane_of(pool, own) == lane_of(pool, shared)


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"max_memory": 0}, "max_memory is a number of MB above 0"),
        ({"max_memory": True}, "max_memory is a number of MB above 0"),
        ({"max_memory": float("inf")}, "max_memory is a number"),
        ({"max_log": -1}, "max_log is a number of MB, 0 or more"),
        ({"max_log": "much"}, "'max_log' must be of type number"),
        ({"rlimits": [1]}, "'rlimits' must be of type object"),
        ({"rlimits": {"files": 1}}, "no rlimit 'files'; there are: as, core, cpu"),
        ({"rlimits": {"nofile": -1}}, "the rlimit 'nofile' is a whole number"),
        ({"rlimits": {"nofile": 1.5}}, "the rlimit 'nofile' is a whole number"),
        ({"rlimits": {"cpu": True}}, "the rlimit 'cpu' is a whole number"),
        ({"rlimits": {"as": 2**63}}, "the rlimit 'as' is a whole number"),
        ({"private_working_dir": 1}, "'private_working_dir' must be of type boolean"),
    ],
)
def test_a_limit_that_is_impossible_is_refused(variables, problem):
    with pytest.raises(Invalid, match=problem):
        resolve(PROCESS_TEMPLATE, variables)


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"env": {"A=B": "1"}}, "'A=B' cannot name an environment variable"),
        ({"env": {"": "1"}}, "'' cannot name an environment variable"),
        ({"env": {"A\0": "1"}}, "cannot name an environment variable"),
        ({"env": {"A": "1\0"}}, "'A' has a NUL in its value"),
        ({"env": {"A": True}}, "'A' must be text, a number, or null for none at all, not True"),
        ({"env": {"A": ["x"]}}, "'A' must be text"),
        ({"python": "/bin/python\0"}, "python has a NUL"),
        ({"working_dir": "/w\0"}, "working_dir has a NUL"),
    ],
)
def test_what_no_process_can_have_is_refused(variables, problem):
    with pytest.raises(Invalid, match=problem):
        resolve(PROCESS_TEMPLATE, variables)


def test_what_a_run_sets_is_checked_though_the_template_has_no_use_for_it():
    template = {"variables": {"properties": {"env": {}}}, "job_configuration": {}}
    with pytest.raises(Invalid, match="NUL in its value"):
        resolve(template, {"env": {"A": "\0"}})


def test_null_takes_a_variable_away():
    found = resolve(TEMPLATE, {"env": {"A": None}})
    assert code_of(deployment(), found).env == {"A": None, "B": "pool"}


def test_a_template_whose_environment_is_none_is_refused():
    with pytest.raises(Invalid, match="env must be of type object"):
        resolve({"job_configuration": {"env": "A=1"}}, {})


def test_runs_that_share_no_host_have_a_lane_of_their_own():
    pool = WorkPool(id="", name="p")
    configuration = resolve(PROCESS_TEMPLATE, {})
    shared, own = (lane_of(pool, configuration, isolation) for isolation in ISOLATIONS)
    assert shared == lane_of(pool, configuration) != own
