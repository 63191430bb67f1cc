"""What one run may use of its host."""

from collections.abc import Mapping
from typing import Any, cast

from msgspec import Struct, field

from stoker.domain.errors import Invalid

MEGABYTE = 1_000_000
RLIMITS = ("as", "core", "cpu", "data", "fsize", "memlock", "nofile", "nproc", "stack")
"""Names of resource limits, as getrlimit(2) has them behind ``RLIMIT_``."""
RLIMIT_TOP = 2**62
"""The highest value of one."""


class RunLimits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one run may use; it binds all the run's processes together.

    Attributes:
        max_memory: Megabytes (of 1,000,000 bytes) of memory, above which the run is ended; None
            for no limit of its own.
        max_log: Megabytes of log, after which the log is cut.
        rlimits: Resource limits of each of its processes by their name in getrlimit(2), in the
            kernel's units: bytes, seconds or a number.
        private_working_dir: Whether it starts in an empty folder of its own.
    """

    max_memory: float | None = None
    max_log: float = 10.0
    rlimits: dict[str, int] = field(default_factory=dict[str, int])
    private_working_dir: bool = False


DEFAULTS = RunLimits()
RUN_KEYS = frozenset(RunLimits.__struct_fields__)
"""Parts of a job configuration that belong to a run alone, and to no process before it."""

VARIABLES: dict[str, dict[str, Any]] = {
    "max_memory": {
        "type": ["number", "null"],
        "title": "Memory in MB",
        "description": "A run whose processes hold more is ended. No limit by default.",
        "default": None,
    },
    "max_log": {
        "type": "number",
        "title": "Log in MB",
        "description": "The log of a run is cut there, and says so.",
        "default": 10,
    },
    "rlimits": {
        "type": "object",
        "title": "Resource limits",
        "description": "Of each process of a run, by their names in getrlimit(2).",
        "default": {},
        "additionalProperties": {"type": "integer", "minimum": 0},
    },
    "private_working_dir": {
        "type": "boolean",
        "title": "Private working directory",
        "description": "Runs start in an empty folder of their own, which is removed afterwards.",
        "default": False,
    },
}
"""The variables of a base job template that set them."""


def limits_of(configuration: Mapping[str, Any]) -> RunLimits:
    """Return the limits that a job configuration sets; what it leaves out has its default.

    Raises:
        Invalid: One of them is impossible.

    Example:
        >>> limits_of({"max_memory": 512, "rlimits": {"nofile": 256}})
        RunLimits(max_memory=512, max_log=10.0, rlimits={'nofile': 256}, private_working_dir=False)
    """
    given = {key: configuration[key] for key in RUN_KEYS if configuration.get(key) is not None}
    memory = given.get("max_memory")
    if memory is not None and not (_is_number(memory) and memory > 0):
        raise Invalid(f"max_memory is a number of MB above 0, or null for no limit: not {memory!r}")
    log = given.get("max_log", 0)
    if not (_is_number(log) and log >= 0):
        raise Invalid(f"max_log is a number of MB, 0 or more: not {log!r}")
    if not isinstance(given.get("private_working_dir", False), bool):
        raise Invalid(f"private_working_dir is true or false: not {given['private_working_dir']!r}")
    _check_rlimits(given.get("rlimits", {}))
    # What is as it is by default is left out of every job.
    return RunLimits(**{key: one for key, one in given.items() if one != getattr(DEFAULTS, key)})


def _check_rlimits(rlimits: object) -> None:
    if not isinstance(rlimits, dict):
        raise Invalid(f"rlimits is an object of names and numbers: not {rlimits!r}")
    for name, value in cast(dict[object, object], rlimits).items():
        if name not in RLIMITS:
            raise Invalid(f"there is no rlimit {name!r}; there are: {', '.join(RLIMITS)}")
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= RLIMIT_TOP:
            raise Invalid(f"the rlimit {name!r} is a whole number, 0 or more: not {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value < float("inf")
