"""What a child does to itself, right before its run starts, so that it keeps to its limits."""

import os

from stoker.domain.errors import Invalid
from stoker.domain.limits import RunLimits


def confine(limits: RunLimits, tmp: str) -> None:
    """Set resource limits and the working directory of this process.

    Args:
        limits: The run's.
        tmp: Its temporary folder.

    Raises:
        Invalid: A resource limit is above what the host itself may have.
        OSError: The kernel refuses.
    """
    if limits.private_working_dir:
        folder = os.path.join(tmp, "work")
        os.mkdir(folder, 0o700)
        os.chdir(folder)
    for name, value in limits.rlimits.items():
        _set(name, value)


def _set(name: str, value: int) -> None:
    import resource  # Most runs have none, and no zygote needs the module.

    which: int = getattr(resource, f"RLIMIT_{name.upper()}")
    _, most = resource.getrlimit(which)
    if most not in (resource.RLIM_INFINITY, value) and value > most:
        raise Invalid(
            f"the rlimit {name!r} of {value} is above the {most} that its host allows; lower it, "
            "or raise the hard limit of the worker"
        )
    # At the hard limit of processor time the kernel kills with no word why; at the soft one a
    # second before, the signal says it.
    last = value + 1 if which == resource.RLIMIT_CPU and most != value else value
    resource.setrlimit(which, (value, last))
