"""Identifiers: UUIDs of version 7 (RFC 9562), so that ids sort by the time they were made."""

import os


def new_id(at: float) -> str:
    """Return a fresh UUIDv7 as text.

    Args:
        at: The time it carries, in seconds since the epoch.

    Example:
        >>> len(new_id(1_700_000_000.0))
        36
        >>> new_id(1.0) < new_id(2.0)
        True
    """
    millis = int(at * 1000) & 0xFFFF_FFFF_FFFF
    noise = int.from_bytes(os.urandom(10), "big")
    value = (
        (millis << 80)
        | (0x7 << 76)
        | ((noise >> 68 & 0xFFF) << 64)
        | (0b10 << 62)
        | (noise & 0x3FFF_FFFF_FFFF_FFFF)
    )
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
