"""A run that nobody takes: it is late, that is told, and an automation acts on it."""

from pathlib import Path

from stoker.domain.automation.actions import CancelFlowRun
from stoker.domain.automation.automations import Automation
from stoker.domain.automation.triggers import LateRunTrigger
from stoker.domain.states import StateType
from stoker.testing import harness

PROJECT = Path(__file__).parent / "project"


def test_a_late_run_has_an_automation_act(tmp_path: Path) -> None:
    settings = {"late_after": 0.5, "lease": 3, "heartbeat": 0.5}
    with harness(tmp_path, pool=None, settings=settings) as stoker:
        stoker.create_pool("default")
        stoker.deploy(PROJECT / "basics.py", project=PROJECT)
        trigger = LateRunTrigger(match={"deployment": "about/test"})
        stoker.api.create_automation(
            Automation(name="too-late", trigger=trigger, actions=[CancelFlowRun()])
        )
        run = stoker.wait(stoker.start("about/test"))
        assert run.state.type is StateType.CANCELLED
        assert "too-late" in run.state.message
        events = stoker.api.events(filters=[("run", run.id)]).events
        names = [one.event for one in events]
        assert names[::-1][:2] == ["flow-run.Scheduled", "flow-run.Late"]
