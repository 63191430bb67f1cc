"""Identifiers: UUIDs of version 7 (RFC 9562), so that ids sort by the time they were made."""

import os

TICKS = 4_096_000
"""Steps of a second that an id can tell apart."""

_last = [0]
"""The tick of this process's last id."""


def new_id(at: float) -> str:
    """Return a fresh UUIDv7 as text; later ones of a process sort after earlier ones.

    The 12 bits after the milliseconds hold their fraction (RFC 9562, section 6.2, method 3), or
    one more than the last id's where time has not moved on, or went back by less than a second.

    Args:
        at: The time it carries, in seconds since the epoch.

    Example:
        >>> len(new_id(1_700_000_000.0))
        36
        >>> new_id(1_700_000_001.0) < new_id(1_700_000_001.0)
        True
    """
    tick = int(at * TICKS)
    if tick <= _last[0] < tick + TICKS:
        tick = _last[0] + 1
    _last[0] = tick
    noise = int.from_bytes(os.urandom(8), "big") & 0x3FFF_FFFF_FFFF_FFFF
    value = (tick >> 12 << 80) | (0x7 << 76) | ((tick & 0xFFF) << 64) | (0b10 << 62) | noise
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def first_id(at: float) -> str:
    """Return a text that sorts before all ids of a time, and after those of earlier ones.

    Example:
        >>> new_id(1_700_000_000.0) < first_id(1_700_000_005.0) < new_id(1_700_000_005.0)
        True
    """
    text = f"{max(0, int(at * 1000)):012x}"
    return f"{text[:8]}-{text[8:]}"
