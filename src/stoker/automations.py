"""Automations: do something when events come, or do not. Prefect 3's names.

https://docs.prefect.io/v3/concepts/automations
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from stoker.domain.automation import triggers
from stoker.domain.automation.actions import (
    Action,
    CallWebhook,
    CancelFlowRun,
    PauseAutomation,
    PauseDeployment,
    PauseSchedule,
    PauseWorkPool,
    PauseWorkQueue,
    ResumeAutomation,
    ResumeDeployment,
    ResumeSchedule,
    ResumeWorkPool,
    ResumeWorkQueue,
    RunDeployment,
    SendNotification,
)
from stoker.domain.automation.automations import Automation as Record
from stoker.domain.automation.triggers import (
    FlowRunStateTrigger,
    LateRunTrigger,
    PoolUnhealthyTrigger,
    Posture,
    Trigger,
)

if TYPE_CHECKING:
    from stoker.client.http import Api

__all__ = [
    "Automation",
    "CallWebhook",
    "CancelFlowRun",
    "EventTrigger",
    "FlowRunStateTrigger",
    "LateRunTrigger",
    "PauseAutomation",
    "PauseDeployment",
    "PauseSchedule",
    "PauseWorkPool",
    "PauseWorkQueue",
    "PoolUnhealthyTrigger",
    "Posture",
    "ResumeAutomation",
    "ResumeDeployment",
    "ResumeSchedule",
    "ResumeWorkPool",
    "ResumeWorkQueue",
    "RunDeployment",
    "SendNotification",
]


def EventTrigger(
    *,
    expect: str | Iterable[str] = (),
    match: Mapping[str, str | Sequence[str]] | None = None,
    posture: Posture | str = Posture.REACTIVE,
    threshold: int = 1,
    within: timedelta | float = 0.0,
    after: str | Iterable[str] = (),
    for_each: str | Iterable[str] = (),
) -> triggers.EventTrigger:
    """Return a trigger on events; see `stoker.domain.automation.triggers.EventTrigger`.

    Args:
        expect: Names of the events, with ``*``; every event where empty.
        match: Labels that they must have.
        posture: ``"Reactive"``: fires when they come; ``"Proactive"``: when they do not.
        threshold: How many of them.
        within: In which time; a number is seconds.
        after: With Proactive: what the time begins with.
        for_each: Labels by which they are counted apart.

    Example:
        >>> EventTrigger(expect="flow-run.Failed", threshold=3, within=timedelta(minutes=1)).within
        60.0
    """
    seconds = within.total_seconds() if isinstance(within, timedelta) else float(within)
    labels = {
        name: value if isinstance(value, str) else list(value)
        for name, value in (match or {}).items()
    }
    return triggers.EventTrigger(
        expect=_listed(expect),
        match=labels,
        posture=Posture(posture),
        threshold=threshold,
        within=seconds,
        after=_listed(after),
        for_each=_listed(for_each),
    )


class Automation:
    """An automation, here or on the server.

    Args:
        name: Its name; no two have the same.
        trigger: When it fires.
        actions: What it does then; each is tried on its own, until it is done.
        description: For people.
        enabled: Whether it fires.

    Attributes:
        record: What the server has of it, secrets masked; before `create` what was given.

    Example:
        ```python
        Automation(
            name="tell-ops",
            trigger=EventTrigger(expect="flow-run.Failed", match={"tags": "prod"}),
            actions=[CallWebhook(url="https://ops.example.org/hook", secret="…")],
        ).create()
        ```
    """

    def __init__(
        self,
        name: str,
        trigger: Trigger,
        actions: Sequence[Action],
        *,
        description: str = "",
        enabled: bool = True,
    ) -> None:
        self.record = Record(
            name=name,
            trigger=trigger,
            actions=list(actions),
            description=description,
            enabled=enabled,
        )

    @property
    def name(self) -> str:
        """Its name."""
        return self.record.name

    @property
    def enabled(self) -> bool:
        """Whether it fires, as it was read last."""
        return self.record.enabled

    def create(self, *, replace: bool = False) -> "Automation":
        """Store it on the server; returns itself. It looks at what happens from then on.

        Args:
            replace: Whether it takes the place of the one that has its name.

        Raises:
            Conflict: The name is taken.
            Invalid: It cannot work.
            Unavailable: No server can be reached.
        """
        with _api() as api:
            self.record = api.create_automation(self.record, replace=replace)
        return self

    @classmethod
    def read(cls, name: str) -> "Automation":
        """Read one by its name or id.

        Raises:
            NotFound: There is none.
        """
        with _api() as api:
            record = api.automation(name).automation
        automation = cls(record.name, record.trigger, record.actions)
        automation.record = record
        return automation

    def enable(self) -> "Automation":
        """Let it fire again; returns itself."""
        return self._enable(True)

    def disable(self) -> "Automation":
        """Let it not fire; returns itself."""
        return self._enable(False)

    def delete(self) -> None:
        """Forget it on the server."""
        with _api() as api:
            api.delete_automation(self.record.name)

    def _enable(self, enabled: bool) -> "Automation":
        with _api() as api:
            self.record = api.enable_automation(self.record.name, enabled)
        return self

    def __repr__(self) -> str:
        return f"<Automation {self.name}>"


def _api() -> "Api":
    from stoker.client.opening import open_api

    return open_api()


def _listed(given: str | Iterable[Any]) -> list[str]:
    return [given] if isinstance(given, str) else [str(one) for one in given]
