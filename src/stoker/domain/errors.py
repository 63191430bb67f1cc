"""Errors that a user sees. Each says what went wrong and what to do about it."""


class StokerError(Exception):
    """Base of every error that Stoker raises on purpose.

    Attributes:
        status: The HTTP status with which the API answers it.
    """

    status = 500


class NotFound(StokerError):
    """Something that was named does not exist."""

    status = 404


class Conflict(StokerError):
    """The request does not fit the present state (a stale report, a name already taken)."""

    status = 409


class Outrun(Conflict):
    """Somebody else changed a record since it was read: what was to be done can be tried again."""


class FlowPauseTimeout(StokerError):
    """A flow run was paused, and nobody resumed it in time."""

    status = 409


class Invalid(StokerError):
    """The request is wrong in itself: unknown parameters, impossible values."""

    status = 422


class Unauthorized(StokerError):
    """No API key, or a wrong one."""

    status = 401


class Forbidden(StokerError):
    """The caller may not do this, whatever it shows."""

    status = 403


class Unavailable(StokerError):
    """The server, or something that it needs, cannot be reached: nothing was done."""

    status = 503


class OutcomeUnknown(Unavailable):
    """What was asked may have been done, or not: look before you ask for it again."""

    status = 504
