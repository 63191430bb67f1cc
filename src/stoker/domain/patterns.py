"""Patterns with ``*``: how names of events and labels are matched."""

from collections.abc import Iterable


def fits(text: str, pattern: str) -> bool:
    """Whether a text is as a pattern says; ``*`` stands for anything, also nothing.

    It takes time linear in the text: the first place where a part fits is as good as any later.

    Example:
        >>> fits("flow-run.Failed", "flow-run.*"), fits("flow-run.Failed", "flow-run")
        (True, False)
    """
    first, *parts = pattern.split("*")
    if not parts:
        return text == pattern
    last = parts.pop()
    end = len(text) - len(last)
    if end < len(first) or not (text.startswith(first) and text.endswith(last)):
        return False
    place = len(first)
    for part in parts:
        place = text.find(part, place, end)
        if place < 0:
            return False
        place += len(part)
    return True


def fits_any(text: str, patterns: Iterable[str]) -> bool:
    """Whether a text fits one of some patterns."""
    return any(fits(text, pattern) for pattern in patterns)


def wanted(values: Iterable[str], patterns: Iterable[str], *, every: bool) -> bool:
    """Whether a label's values are as its patterns say. One with ``!`` before must fit none.

    Args:
        values: What the label has.
        patterns: What is wanted.
        every: Whether each pattern must fit a value (tags), in place of any of them.

    Example:
        >>> wanted(["prod", "eu"], ["prod", "!test*"], every=True)
        True
        >>> wanted(["etl"], ["load", "e*"], every=False)
        True
    """
    have = list(values)
    plain: list[str] = []
    for pattern in patterns:
        if not pattern.startswith("!"):
            plain.append(pattern)
        elif any(fits(value, pattern[1:]) for value in have):
            return False
    found = (any(fits(value, pattern) for value in have) for pattern in plain)
    return (all(found) if every else any(found)) if plain else True
