"""A user id for each run, where the host runs as root: it can neither signal nor read others.

Of root's powers it keeps those over files and ports, so that what the project's code and data
belong to makes no difference. See capabilities(7).
"""

import os
import pwd
from contextlib import suppress

from stoker.host import linux
from stoker.shortage import patiently

FIRST = 0x7000_0000
"""A run's user id is this and its process id: far above those that people and services have."""
MAX_PID = 1 << 22
"""Process ids are below it; see proc_sys_kernel(5)."""

CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, KILL, SETUID = 0, 1, 2, 3, 4, 5, 7
NET_BIND_SERVICE, NET_RAW = 10, 13

KEPT = (CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, NET_BIND_SERVICE, NET_RAW)
"""Capabilities that a run keeps, as far as its host has them."""
NEEDED = (DAC_OVERRIDE, FOWNER, KILL, SETUID)
"""Capabilities without which a host could not give such ids, end such runs and clear up."""

MAX_PROCESSES = 4096
"""Processes and threads that a run may have, where its own ``rlimits`` say nothing else."""


def names() -> dict[str, str]:
    """Return root's name and home as variables: nothing else tells them to what runs start."""
    try:
        entry = pwd.getpwuid(0)
    except KeyError:
        return {}
    return {"USER": entry.pw_name, "HOME": entry.pw_dir}


class OwnUser:
    """What children need to change their user id; made ahead, so that they have little to do.

    Args:
        held: The capabilities that this process has, as a set of bits.
    """

    def __init__(self, held: int) -> None:
        self._kept = [one for one in KEPT if held >> one & 1]
        self._capabilities = linux.capability_set(sum(1 << one for one in self._kept))

    def take(self) -> None:
        """Give this process a user id that no living process has.

        Raises:
            OSError: The kernel refuses a step.
        """
        uid = FIRST + os.getpid()
        linux.keep_capabilities()
        os.setresuid(uid, uid, uid)
        linux.set_capabilities(self._capabilities)
        for one in self._kept:
            linux.raise_ambient(one)
        # Else a program that is root's by its mode bits would have all of root's power again.
        linux.gain_no_privileges()
        # The kernel forbids dumps when ids change; the process could not read its own /proc.
        linux.allow_dumps()


def find() -> OwnUser | None:
    """Return how children of this process get user ids of their own; None where they cannot.

    They cannot where it is not root, lacks one of root's capabilities, or has no user ids left
    in its namespace. One attempt of a child tells, and why goes to standard error.
    """
    if os.geteuid() != 0:
        return None
    held = linux.effective_capabilities()
    lacking = [one for one in NEEDED if not held >> one & 1]
    if lacking:
        return _none(f"this host lacks the capabilities {lacking}")
    own_user = OwnUser(held)
    pid = patiently(os.fork, "fork")
    if pid == 0:
        code = 255
        try:
            own_user.take()
            code = 0
        except OSError as error:
            code = error.errno or 255
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        return _none(os.strerror(code) if code > 0 else f"signal {-code}")
    _bound_processes()
    _name_them()
    return own_user


def _none(why: str) -> None:
    with suppress(OSError):
        os.write(2, f"stoker: runs have no user ids of their own: {why}\n".encode())


def _bound_processes() -> None:
    """Bound what each child may start. It binds no process of root's."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    soft = MAX_PROCESSES if hard == resource.RLIM_INFINITY else min(MAX_PROCESSES, hard)
    resource.setrlimit(resource.RLIMIT_NPROC, (soft, hard))


def _name_them() -> None:
    """Let Python's own look-ups of name and home find root's: the system's list has no others."""
    look_up = pwd.getpwuid

    def getpwuid(uid: int, /) -> pwd.struct_passwd:
        own = FIRST < uid < FIRST + MAX_PID
        return look_up(0 if own else uid)

    pwd.getpwuid = getpwuid
