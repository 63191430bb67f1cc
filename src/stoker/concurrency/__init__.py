"""Named concurrency limits: how many of something happen at a time, or how often.

The limits are made by `stoker global-concurrency-limit create`; a name without a limit limits
nothing, unless ``strict``. `stoker.concurrency.sync` and `stoker.concurrency.asyncio` have the same
under Prefect's names.
"""

from stoker.concurrency._limits import (
    AcquireConcurrencySlotTimeoutError,
    ConcurrencySlotAcquisitionError,
    arate_limit,
    concurrency,
    rate_limit,
)

__all__ = [
    "AcquireConcurrencySlotTimeoutError",
    "ConcurrencySlotAcquisitionError",
    "arate_limit",
    "concurrency",
    "rate_limit",
]
