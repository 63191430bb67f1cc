"""Serve a flow: `python examples/serve.py` is a deployment, a server and a warm host in one.

In another terminal: `stoker deployment run thumbnail/serve --param picture=cat.png --watch`.
Ctrl-C lets running flows end, and leaves nothing behind.
"""

from stoker import flow, task


@task(retries=2)
def shrink(picture: str) -> str:
    """Make a small picture."""
    return picture.replace(".", ".small.")


@flow(log_prints=True)
def thumbnail(picture: str, sizes: int = 1) -> list[str]:
    """Make a picture smaller, once for each size."""
    small = [shrink(picture) for _ in range(sizes)]
    print(*small)
    return small


if __name__ == "__main__":
    thumbnail.serve(__file__, parameters={"picture": "cat.png"}, limit=4)
