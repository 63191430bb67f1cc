"""Whatever goes wrong at random, the account stays in order."""

from contextlib import suppress
from random import Random
from typing import Any

import pytest

from stoker.testing.ecs import FAULTS, AnswerLost, AwsError, Faults

WAY = [
    "PROVISIONING",
    "PENDING",
    "RUNNING",
    "DEACTIVATING",
    "STOPPING",
    "DEPROVISIONING",
    "STOPPED",
]


class Checked:
    """Does what comes to mind, and looks at all tasks after each step."""

    def __init__(self, make_ecs: Any, seed: int) -> None:
        self.random = Random(seed)
        self.ecs = make_ecs(
            Faults(dict.fromkeys(FAULTS, 0.05), seed=seed),
            seed=seed,
            deprovisioning=1.0,
            deactivating=1.0,
            visible_after=0.5,
        )
        self.ecs.fake.grace = 5.0
        self.ecs.fake.lifetime = lambda _: self.random.choice([None, 0.0, 20.0])
        self.seen: dict[str, tuple[str, str]] = {}

    def step(self) -> None:
        ecs, random = self.ecs, self.random
        some = [task.arn for task in ecs.tasks()]
        arn = random.choice(some) if some else "none"
        doing = [
            lambda: ecs.run(count=random.randint(1, 10)),
            lambda: ecs.call("StopTask", {"task": arn}),
            lambda: ecs.service(random.randint(0, 5)),
            lambda: ecs.call(
                "UpdateService",
                {
                    "service": "s",
                    "desiredCount": random.randint(0, 8),
                    "forceNewDeployment": random.random() < 0.3,
                },
            ),
            lambda: ecs.call(
                "UpdateTaskProtection",
                {"tasks": [arn], "protectionEnabled": random.random() < 0.7},
            ),
            lambda: ecs.interrupt(arn),
            lambda: ecs.kill(arn),
            lambda: ecs.after(random.choice([0.1, 1.0, 7.0])),
        ]
        with suppress(AwsError, AnswerLost, KeyError):  # refused, as it may be
            random.choice(doing)()
        self.look()

    def look(self) -> None:
        for task in self.ecs.tasks():
            status, desired = self.seen.get(task.arn, (WAY[0], "RUNNING"))
            assert WAY.index(task.status) >= WAY.index(status), "a task never goes back"
            assert (desired, task.desired) != ("STOPPED", "RUNNING"), "nor comes back"
            self.seen[task.arn] = task.status, task.desired
            if task.status == "STOPPED":
                assert task.stop_code
                assert task.stopped_reason
                assert task.stopped_at is not None
                assert all(container.status == "STOPPED" for container in task.containers)
            if task.status in ("STOPPING", "DEPROVISIONING", "STOPPED"):
                assert task.desired == "STOPPED"
        alive = {arn for arn, _ in self.ecs.fake.running}
        known = {t.arn for t in self.ecs.tasks() if t.status in WAY[2:5]}
        assert alive <= known, "what runs belongs to a task that runs"


@pytest.mark.parametrize("seed", range(8))
def test_tasks_go_one_way_and_nothing_runs_on(make_ecs, seed):
    checked = Checked(make_ecs, seed)
    for _ in range(150):
        checked.step()
    ecs = checked.ecs
    assert len(ecs.faults.struck) > 10, "it was no quiet day"
    ecs.faults.clear()
    ecs.fake.lifetime = lambda _: None
    ecs.after(3 * 3600.0)  # protection lapses, back-offs pass
    for task in ecs.tasks("PENDING", "RUNNING"):
        if task.launch.service is None:
            ecs.call("StopTask", {"task": task.arn})
            ecs.after(0.1)
    ecs.after(60.0)
    wanted = ecs.services()["desiredCount"] if ecs.world.services else 0
    assert len(ecs.tasks("RUNNING")) == len(ecs.fake.running)
    working = [task for task in ecs.tasks("RUNNING") if task.launch.service]
    stuck = [task for task in ecs.tasks("PENDING") if task.launch.service]
    assert len(working) + len(stuck) == wanted
