"""Task runners: where the submitted tasks of a flow run."""

from stoker.engine.pool import TaskPool, ThreadPool

DEFAULT_WORKERS = 32
"""Threads of a flow run's submitted tasks, where nothing else is said."""


class ThreadPoolTaskRunner:
    """Runs submitted tasks in threads of the flow's process.

    Args:
        max_workers: Tasks that run at a time. A task that waits for another one does not count.

    Raises:
        ValueError: ``max_workers`` is below 1.

    Example:
        ```python
        @flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
        def crawl() -> None: ...
        ```
    """

    def __init__(self, max_workers: int | None = None) -> None:
        if max_workers is not None and max_workers < 1:
            raise ValueError(f"max_workers must be 1 or more, not {max_workers}")
        self.max_workers = DEFAULT_WORKERS if max_workers is None else max_workers

    def open(self) -> TaskPool:
        """Return the pool for one flow run; its threads begin with its work."""
        return ThreadPool(self.max_workers)
