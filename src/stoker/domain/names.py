"""Readable names for runs and workers."""

import os

# fmt: off
ADJECTIVES = [
    "amber", "ashen", "bold", "brave", "bright", "brisk", "calm", "clear", "copper", "crimson",
    "deft", "eager", "early", "fair", "fiery", "fleet", "gentle", "glowing", "golden", "grand",
    "hardy", "hasty", "honest", "humble", "ivory", "jolly", "keen", "kind", "lively", "lucid",
    "lucky", "mellow", "mild", "nimble", "noble", "olive", "patient", "plucky", "prime", "proud",
    "quick", "quiet", "rapid", "ready", "ruby", "russet", "sable", "scarlet", "sharp", "silent",
    "silver", "smoky", "snug", "solid", "spry", "steady", "stout", "sturdy", "sunny", "swift",
    "tawny", "tidy", "vivid", "warm", "wise",
]
NOUNS = [
    "alder", "badger", "beacon", "bellows", "birch", "bison", "boiler", "cedar", "cinder", "coal",
    "comet", "condor", "coral", "crane", "dolphin", "eagle", "ember", "falcon", "fern", "finch",
    "firebox", "flame", "forge", "fox", "furnace", "gecko", "grate", "hawk", "hazel", "hearth",
    "heron", "ibex", "ibis", "kestrel", "kiln", "lantern", "lark", "lynx", "maple", "marten",
    "mole", "moth", "oak", "orca", "osprey", "otter", "owl", "panther", "piston", "poplar",
    "puffin", "raven", "robin", "rowan", "seal", "spark", "sparrow", "stoat", "stork", "swan",
    "tapir", "torch", "valve", "wren",
]
# fmt: on


def readable_name() -> str:
    """Return a random adjective and noun.

    Example:
        >>> "-" in readable_name()
        True
    """
    first, second = os.urandom(2)
    return f"{ADJECTIVES[first % len(ADJECTIVES)]}-{NOUNS[second % len(NOUNS)]}"
