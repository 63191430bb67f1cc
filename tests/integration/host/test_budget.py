"""What the child of a synchronous flow has loaded."""

from pathlib import Path

import msgspec
import pytest

from stoker.domain.deployments import Code
from stoker.testing.fake_api import FakeApi

pytestmark = pytest.mark.anyio

TOO_DEAR = {
    "asyncio", "concurrent.futures.process", "http", "http.client", "ssl", "sqlite3", "pydantic",
    "rich", "click", "litestar", "websockets", "uvloop", "boto3", "multiprocessing", "subprocess",
    "email",
}  # fmt: skip


async def test_a_plain_flow_loads_little(api: FakeApi, make_host, project: Path) -> None:
    (project / "plain.py").write_text(
        "import sys\nfrom stoker import flow, task\n\n@task\ndef t():\n    return 1\n\n"
        "@flow\ndef f():\n    t()\n    return sorted(sys.modules)\n"
    )
    host = make_host(runner="stoker")
    await host.start()
    finished = await host.run(Code(path=str(project), file="plain.py"), "f")
    assert finished.result is not None, finished.state
    assert TOO_DEAR & set(msgspec.json.decode(finished.result.data)) == set()
