"""A server that cannot do its work lives on, and says that it is not ready."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from stoker.domain.errors import Unavailable
from stoker.testing import Harness, harness


def ask(stoker: Harness, path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(stoker.url + path, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_a_full_disk_is_told(tmp_path: Path, disk: Callable[..., Any]) -> None:
    full = disk(tmp_path / "home", 4)
    with harness(tmp_path / "home", pool=None) as stoker:
        assert ask(stoker, "/api/ready") == (200, {"ready": True, "problems": []})
        full.fill()
        deadline = time.monotonic() + 20
        number = 0
        while (found := ask(stoker, "/api/ready"))[0] == 200:
            # What the log of writes has allocated already is used up first.
            number += 1
            with suppress(Unavailable):
                stoker.create_pool(f"p{number}")
            assert time.monotonic() < deadline, "it says that it is ready"
        status, body = found
        assert status == 503
        assert any("its disk is full" in problem for problem in body["problems"]), body
        assert ask(stoker, "/api/health")[0] == 200
        full.free()
        while ask(stoker, "/api/ready")[0] != 200:
            assert time.monotonic() < deadline + 20, "it does not get ready again"
            time.sleep(0.05)
