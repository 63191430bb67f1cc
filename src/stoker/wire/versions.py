"""Peers of different versions: which version they speak, and what one of them does not know.

Each says the oldest and the newest version that it speaks, and both speak the newest that they have
in common. Within a version, fields are only added, with defaults, and messages that the other does
not know are none of its business.
"""

from typing import get_args

import msgspec
from msgspec import Struct

WIRE_VERSION = 1
"""The newest version that is spoken; grows with each change that an older peer must know of."""

OLDEST_VERSION = 1
"""The oldest one that is spoken too: that of the previous minor version of Stoker."""


def common_version(newest: int, oldest: int) -> int | None:
    """Return the version to speak with a peer, or None where there is none.

    Args:
        newest: The newest that the peer speaks.
        oldest: The oldest that it speaks; 0 for no other than the newest.

    Example:
        >>> common_version(WIRE_VERSION + 1, WIRE_VERSION) == WIRE_VERSION
        True
        >>> common_version(WIRE_VERSION + 1, 0) is None
        True
    """
    version = min(newest, WIRE_VERSION)
    return version if version >= max(oldest or newest, OLDEST_VERSION) else None


class _Tagged(Struct):
    """What all messages have."""

    type: str


_tag = msgspec.msgpack.Decoder(_Tagged).decode


def tags_of(messages: object) -> frozenset[str]:
    """Return the tags of a union of messages."""
    return frozenset(one.__struct_config__.tag for one in get_args(messages))


def unknown_tag(data: bytes, known: frozenset[str]) -> str | None:
    """Return the tag of a message that only a newer peer knows; None for any other.

    Example:
        >>> unknown_tag(msgspec.msgpack.encode({"type": "sing"}), frozenset({"hello"}))
        'sing'
    """
    try:
        tag = _tag(data).type
    except msgspec.MsgspecError:
        return None
    return None if tag in known else tag
