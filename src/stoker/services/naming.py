"""What things may be called."""

import re

from stoker.domain.errors import Invalid

NAME = re.compile(r"[^\s/%&><\x00-\x1f][^/%&><\x00-\x1f]{0,199}")
"""Names that survive a path of the API: Prefect's rule, and no control characters."""


def check_name(name: str, what: str) -> None:
    """Refuse a name that cannot be part of a path.

    Raises:
        Invalid: It cannot.
    """
    if not NAME.fullmatch(name):
        raise Invalid(
            f"{name[:200]!r} cannot name a {what}: 1 to 200 characters, none of / % & > < or a "
            "control character such as a line break, no space in front"
        )
