"""Requests that are wrong: each is answered with a 4xx that names the field and what is allowed."""

import http.client
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stoker.testing import Harness

RUNS, POOLS = "/api/flow-runs", "/api/work-pools"
JSON = "application/json"
DEEP = b'{"deployment":"a/b","parameters":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001
HUGE = b'{"deployment":"' + b"x" * (65 << 20) + b'"}'

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)
"""What schemathesis checks of every answer."""

ONLY_FIXED = "negative_data_rejection"
"""Made up at random: a number in place of a query's text counts as wrong, though it is text."""

PHASES = {"fixed": ("coverage", "12"), "fresh": ("fuzzing", "10")}
"""Phases and examples for each operation, by the kind of the seed."""


@pytest.fixture(scope="module")
def stoker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """A server with a pool and a deployment, and no worker."""
    folder = tmp_path_factory.mktemp("requests")
    file = folder / "flows.py"
    file.write_text("from stoker import flow\n@flow\ndef good(n: int = 1) -> int:\n    return n\n")
    # An automation that was made up may call somebody: nobody is there.
    proxies = ["http_proxy", "https_proxy", "all_proxy"]
    nobody = dict.fromkeys(proxies, "http://127.0.0.1:9")
    with Harness(folder / "home", environ=nobody) as shared:
        shared.start_server()
        shared.create_pool("default")
        shared.deploy(file)
        yield shared


def ask(
    stoker: Harness, method: str, path: str, body: Any = None, kind: str = JSON
) -> tuple[int, dict[str, Any]]:
    """Send a request; return the status and what JSON the answer is."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    connection = http.client.HTTPConnection("127.0.0.1", int(stoker.url.rpartition(":")[2]))
    try:
        connection.request(method, path, data, {"Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", RUNS, b"{", 400, "truncated"),
        ("POST", RUNS, b"", 422, "body is empty.*deployment, idempotency_key"),
        ("POST", RUNS, b"null", 422, "body: Expected `object`"),
        ("POST", RUNS, b"[]", 422, "body: Expected `object`"),
        ("POST", RUNS, {"deployment": 5}, 422, "deployment: Expected `str`"),
        ("POST", RUNS, {"deployment": "good/test", "paramters": {}}, 422, "paramters.*parameters"),
        ("POST", RUNS, {"deployment": "good/test", "timeout": -1}, 422, "timeout: 0 or more"),
        ("POST", RUNS, b'{"deployment":"good/test","timeout":NaN}', 400, "malformed"),
        ("POST", RUNS, b'{"deployment":"good/test","timeout":Infinity}', 400, "malformed"),
        ("POST", RUNS, b'{"deployment":"good/test","timeout":1e999}', 400, "out of range"),
        ("POST", RUNS, b'{"deployment":"a\\u0000/b"}', 422, "deployment: .*NUL"),
        ("POST", RUNS, b'{"deployment":"\\ud800/b"}', 400, "truncated|surrogate"),
        ("POST", RUNS, b'{"deployment":"\xff/b"}', 400, "UTF-8"),
        ("POST", RUNS, DEEP, 400, "nested too deeply"),
        ("POST", RUNS, HUGE, 413, "64 MB"),
        ("POST", f"{RUNS}/batch", {"runs": [{"deployment": "x", "a": 1}]}, 422, r"runs\.0\.a: "),
        ("GET", f"{RUNS}?limit=-1", None, 422, "limit: .*>= 1"),
        ("GET", f"{RUNS}?limit=100000", None, 422, "limit: .*<= 1000"),
        ("GET", f"{RUNS}?limit=x", None, 422, "limit: Expected `int`"),
        ("GET", f"{RUNS}?states=x", None, 422, "states: .*query parameter; .*limit.*state"),
        ("GET", f"{RUNS}?wanted=RUNNING", None, 422, "wanted: "),
        ("GET", f"{RUNS}/no-id?x=1", None, 422, "x: .*none here"),
        ("POST", f"{RUNS}?timeout=1", {"deployment": "good/test"}, 422, "timeout: .*none here"),
        ("GET", "/api/events?foo=1", None, 422, "foo: .*after.*kind"),
        ("GET", f"/api/events?{'x' * 5000}=1", None, 422, "x: "),
        ("GET", "/api/backfills?flow=f", None, 422, "flow: .*there are deployment"),
        ("GET", "/api/rollups?from=0", None, 422, "from: .*there are first, last"),
        ("GET", f"/api/rollups?last={10**24}", None, 422, "last: .*10000000"),
        ("GET", "/api/rollups?first=-1", None, 422, "first: .*>= 0"),
        ("GET", f"{POOLS}?limit=1", None, 422, "limit: .*none here"),
        ("GET", "/api/health?x=1", None, 422, "x: .*none here"),
        ("GET", f"{RUNS}?before=elsewhere", None, 422, "before: "),
        ("GET", f"{RUNS}?before=%00", None, 422, "NUL"),
        ("GET", f"{RUNS}?state=LOST", None, 422, "state: .*LOST"),
        ("GET", f"{RUNS}/no-id", None, 404, "no flow run 'no-id'"),
        ("GET", f"{RUNS}/%00", None, 422, "NUL"),
        ("GET", f"{RUNS}/no-id/logs?after=-1", None, 422, "after: .*>= 0"),
        ("GET", f"{RUNS}/no-id/logs?after={10**30}", None, 422, "after: "),
        ("GET", f"{RUNS}/no-id/wait?timeout=nan", None, 422, "timeout: "),
        (
            "POST",
            POOLS,
            {"name": "x", "concurrency_limit": -1},
            422,
            "concurrency limit is 0 or more",
        ),
        (
            "POST",
            POOLS,
            {"name": "x", "concurrency_limit": 10**30},
            422,
            "concurrency_limit: .*most",
        ),
        ("POST", POOLS, {"name": "x", "fence_after": -1}, 422, "fence_after must be"),
        ("POST", POOLS, {"name": "x", "warm": {"min": -1}}, 422, "min.* 0 or more"),
        ("POST", POOLS, {"name": "x", "warm": {"mn": 1}}, 422, r"warm\.mn: .*\bmin\b"),
        ("POST", POOLS, {"name": "x", "type": "cloud"}, 422, "cloud.*process"),
        ("POST", POOLS, {"name": "a/b"}, 422, "'a/b' cannot name a work pool"),
        ("POST", POOLS, {"name": "a\n"}, 422, "cannot name a work pool"),
        ("POST", POOLS, {"name": "x" * 100_000}, 422, "1 to 200 characters"),
        ("PUT", f"{POOLS}/default/queues/q", {"priority": -1}, 422, "priority is 1"),
        ("PUT", f"{POOLS}/default/queues/q", {"priority": 10**30}, 422, "priority: .*most"),
        ("PUT", f"{POOLS}/default/queues/q", {"priority": 1.5}, 422, "priority: Expected `int`"),
        ("PATCH", f"{POOLS}/default", {"name": "other"}, 422, "name: .*concurrency_limit"),
        ("DELETE", f"{POOLS}/none", None, 404, "no work pool 'none'"),
        ("POST", "/api/scripts", {"host_id": "x"}, 422, "pid"),
        ("POST", "/api/reports", {"frames": [7]}, 422, "frames"),
        ("TRACE", RUNS, None, 405, "Not Allowed"),
        ("GET", "/api/none", None, 404, "Not Found"),
    ],
)
def test_what_is_wrong_is_named(
    stoker: Harness, method: str, path: str, body: Any, status: int, words: str
) -> None:
    got, problem = ask(stoker, method, path, body)
    assert got == status
    assert problem.keys() == {"error", "detail"}
    assert re.search(words, problem["detail"]), problem
    assert len(problem["detail"]) < 1000


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data"])
def test_a_body_that_is_no_json_by_its_own_word(stoker: Harness, kind: str) -> None:
    status, problem = ask(stoker, "POST", RUNS, {"deployment": "good/test"}, kind)
    assert status == 415
    assert "application/json" in problem["detail"]
    status, _ = ask(
        stoker, "POST", RUNS, {"deployment": "good/test"}, "application/json; charset=x"
    )
    assert status == 201


@pytest.mark.parametrize("seed", PHASES)
def test_the_whole_api_as_it_is_documented(stoker: Harness, seed: str, tmp_path: Path) -> None:
    """No answer is a 5xx, and each is as the OpenAPI document says."""
    number = secrets.randbelow(10**9) if seed == "fresh" else 4
    phase, examples = PHASES[seed]
    command = [str(Path(sys.executable).with_name("schemathesis")), "run"]
    command += [f"{stoker.url}/api/docs/openapi.json", "--checks", ",".join(CHECKS)]
    command += ["--exclude-checks", ONLY_FIXED] if seed == "fresh" else []
    command += ["--phases", phase, "--max-examples", examples, "--seed", str(number)]
    # These hold a request as long as they are asked to.
    command += ["--exclude-path-regex", "/(wait|stream|logs)$"]
    command += ["--request-timeout", "10", "--no-color", "--continue-on-failure"]
    environ = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path / "hypothesis")}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=110, check=False, env=environ, cwd=tmp_path
    )
    assert done.returncode == 0, f"seed {number}\n{done.stdout[-8000:]}{done.stderr[-2000:]}"
    assert "Traceback" not in (stoker.server.output() if stoker.server else "")
