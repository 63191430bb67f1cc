"""The plain remedy: workers of a process pool as an ECS service, scaled under load."""

from pathlib import Path
from typing import Any

from stoker.domain.pools import WarmKnobs
from stoker.domain.states import StateType
from stoker.testing import Harness, harness
from stoker.testing.ecs import NETWORK, EcsEmulator, EcsSettings, Quantiles

FLOWS = """
import time
from stoker import flow

@flow
def work() -> None:
    time.sleep(0.1)
"""


def serve_workers(ecs: Any, stoker: Harness, count: int) -> None:
    """Create the service ``workers``, of tasks that serve the pool ``lane``."""
    url = {"name": "STOKER_API_URL", "value": stoker.url}
    main = {
        "name": "main",
        "image": "stoker",
        "command": ["stoker", "worker", "start", "-p", "lane"],
        "environment": [url],
    }
    ecs.register_task_definition(
        family="worker",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="512",
        memory="1024",
        containerDefinitions=[main],
    )
    ecs.create_service(
        serviceName="workers",
        taskDefinition="worker",
        launchType="FARGATE",
        networkConfiguration=NETWORK,
        desiredCount=count,
    )


def test_workers_are_scaled_under_load_and_no_run_is_lost(tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text(FLOWS)
    settings = EcsSettings(cold_start=Quantiles({0.0: 0.1, 1.0: 0.5}))
    with harness(pool=None) as stoker, EcsEmulator(settings) as emulator:
        stoker.create_pool("lane", warm=WarmKnobs(min=1, max=5, slots_per_host=2))
        stoker.deploy(tmp_path / "flows.py", name="ecs", pool="lane")
        ecs = emulator.client("ecs")

        def serving(count: int) -> bool:
            [service] = ecs.describe_services(services=["workers"])["services"]
            return service["runningCount"] == count == len(stoker.api.pool("lane").workers)

        serve_workers(ecs, stoker, 1)
        emulator.until(lambda: serving(1))
        runs = [stoker.start("work/ecs") for _ in range(40)]
        ecs.update_service(service="workers", desiredCount=5)
        emulator.until(lambda: serving(5))
        runs += [stoker.start("work/ecs") for _ in range(40)]
        ecs.update_service(service="workers", desiredCount=1)
        emulator.until(lambda: len(emulator.ecs.tasks("STOPPED")) == 4)
        for run in runs:
            assert stoker.wait(run).state.type == StateType.COMPLETED
        # They drained, and were not killed.
        ended = emulator.ecs.tasks("STOPPED")
        assert [task.containers[0].exit_code for task in ended] == [0] * 4
        assert emulator.calls.throttled() == 0
