"""A flow that imports nothing but Stoker: an empty zygote."""

from stoker import flow


@flow
def nothing() -> None:
    """Do nothing."""
