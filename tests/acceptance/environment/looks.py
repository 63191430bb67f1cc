"""What a process is like that was given an environment: as a flow, and as a script."""

import ctypes
import json
import locale
import os
import shutil
import subprocess
import sys
import time
from typing import Any

from stoker import flow

try:
    import beside  # pyright: ignore[reportMissingImports] # Only some find it.
except ImportError:
    beside = None


def look() -> dict[str, Any]:
    """Say what the variables of the test have changed."""
    return {
        "environ": {name: os.environ.get(name) for name in json.loads(os.environ["LOOK_AT"])},
        "of_children": _of_children(),
        "time": [*time.tzname, *time.localtime(0)[:6], time.strftime("%Z", time.localtime(0))],
        "locale": [locale.setlocale(locale.LC_CTYPE), locale.getpreferredencoding(False)],
        "encoding": [sys.getfilesystemencoding(), sys.flags.utf8_mode, _open_encoding()],
        "path": [one for one in sys.path if one != os.path.dirname(__file__)],
        "beside": getattr(beside, "NAME", None),
        "home": os.path.expanduser("~"),
        "tool": [shutil.which("tool"), _run("tool")],
        "hash": hash("stoker") if os.environ.get("PYTHONHASHSEED", "0") != "0" else None,
        "optimize": sys.flags.optimize,
        "library": _finds_library("libstokertest.so"),
        "malloc": _fresh_memory(),
    }


def _of_children() -> Any:
    script = "import json, os, sys; print(json.dumps([os.environ.get(n) for n in sys.argv[1:]]))"
    names = json.loads(os.environ["LOOK_AT"])
    return json.loads(subprocess.check_output([sys.executable, "-Ic", script, *names]))


def _open_encoding() -> str:
    with open(os.devnull) as file:
        return file.encoding


def _run(command: str) -> str | None:
    try:
        return subprocess.check_output([command], text=True)
    except OSError:
        return None


def _finds_library(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _fresh_memory() -> bool:
    """Whether memory is filled with the pattern of MALLOC_PERTURB_ before it is given out."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    memory = libc.malloc(4000)
    found = ctypes.string_at(memory, 4000)
    libc.free(memory)
    return found == b"\x5a" * 4000


@flow
def looks() -> dict[str, Any]:
    """See `look`."""
    return look()


if __name__ == "__main__":
    print(json.dumps(look()))
