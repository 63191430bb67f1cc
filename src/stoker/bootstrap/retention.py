"""What the settings let be forgotten, and how files are."""

import logging
from collections.abc import Sequence
from pathlib import Path

from stoker.services.operations.pruning import Ages
from stoker.settings import Settings

logger = logging.getLogger("stoker.server")


def ages_of(settings: Settings) -> Ages:
    """What is old enough to be pruned."""
    return Ages(
        runs=_seconds(settings.retention_runs),
        logs=_seconds(settings.retention_logs),
        events=_seconds(settings.retention_events),
    )


def _seconds(days: float | None) -> float | None:
    return None if days is None else days * 86_400.0


def forget_results(settings: Settings, files: Sequence[str]) -> None:
    """Delete results that lie in files of their own; what cannot be deleted is said."""
    for name in files:
        path = settings.home / "results" / Path(name).name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("the result %s cannot be deleted: %s", path, error)
