"""What a container's process gets, does, and leaves behind."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from stoker.testing.ecs import ProcessRunner

SEE = """
import json, os, urllib.request
with urllib.request.urlopen(os.environ["ECS_CONTAINER_METADATA_URI_V4"] + "/task") as answer:
    print(json.dumps({"environment": dict(os.environ), "task": json.load(answer)}))
"""


def test_a_container_has_its_image_s_and_its_task_s_environment_alone(
    account, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SECRET_OF_THE_TEST", "1")
    definition = account.define(
        "python", "-c", SEE, environment=[{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]
    )
    override = {"name": "main", "environment": [{"name": "B", "value": "2"}]}
    [arn] = account.run(overrides={"containerOverrides": [override]})
    account.await_status(arn, "STOPPED")
    [line] = account.lines(arn)
    seen = json.loads(line)
    assert seen["task"]["TaskARN"] == arn
    assert definition.endswith(f"/{seen['task']['Family']}:{seen['task']['Revision']}")
    assert (seen["environment"]["A"], seen["environment"]["B"]) == ("1", "2")
    given = {name for name in seen["environment"] if not name.startswith(("AWS_", "ECS_"))}
    assert given - {"LC_CTYPE"} == {"A", "B", "HOME", "PATH"}


def test_its_exit_code_is_the_task_s_end(account):
    account.define("sh", "-c", "echo out; echo err >&2; exit 3")
    [arn] = account.run()
    task = account.await_status(arn, "STOPPED")
    assert (task["stopCode"], task["containers"][0]["exitCode"]) == ("EssentialContainerExited", 3)
    assert account.lines(arn) == ["out", "err"]
    assert task["createdAt"] < task["pullStartedAt"] <= task["startedAt"] <= task["stoppedAt"]


def test_stop_is_sigterm(account):
    account.define(
        "sh", "-c", "trap 'echo leaving; exit 7' TERM; echo up; while :; do sleep 0.01; done"
    )
    [arn] = account.run()
    account.await_line(arn, "up")
    account.ecs.stop_task(task=arn, reason="enough")
    task = account.await_status(arn, "STOPPED")
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "enough")
    assert task["containers"][0]["exitCode"] == 7
    assert account.lines(arn) == ["up", "leaving"]


def test_who_takes_no_notice_is_killed_with_all_that_it_started(emulate: Callable[..., Any]):
    account = emulate(stop_timeout=0.1)
    # The grandchild is in a session of its own: no signal to a process group finds it.
    account.define("sh", "-c", "trap '' TERM; setsid sleep 600 & echo $!; echo up; wait; wait")
    [arn] = account.run()
    account.await_line(arn, "up")
    grandchild = int(account.lines(arn)[0])
    os.kill(grandchild, 0)
    account.ecs.stop_task(task=arn)
    task = account.await_status(arn, "STOPPED")
    assert task["containers"][0]["exitCode"] == 137
    with pytest.raises(ProcessLookupError):
        os.kill(grandchild, 0)


def test_what_a_container_leaves_behind_ends_with_it(account):
    account.define("sh", "-c", "setsid sleep 600 & echo $!")
    [arn] = account.run()
    account.await_status(arn, "STOPPED")
    with pytest.raises(ProcessLookupError):
        os.kill(int(account.lines(arn)[0]), 0)


def test_a_container_that_outgrows_its_memory_is_killed(account):
    account.define("python", "-c", "import time; x = b'x' * (200 << 20); time.sleep(60)", memory=64)
    [arn] = account.run()
    task = account.await_status(arn, "STOPPED")
    [container] = task["containers"]
    assert container["exitCode"] == 137
    assert container["reason"] == "OutOfMemoryError: Container killed due to memory usage"


def test_a_program_that_is_not_there_cannot_start(account):
    account.define("no-such-program")
    [arn] = account.run()
    task = account.await_status(arn, "STOPPED")
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotStartContainerError")
    assert "no-such-program" in task["containers"][0]["reason"]


def test_an_image_s_own_command_runs_where_none_is_given(emulate: Callable[..., Any]):
    account = emulate(runner=ProcessRunner(images={"image": ["echo", "the image's"]}))
    account.define()
    [arn] = account.run()
    account.await_status(arn, "STOPPED")
    assert account.lines(arn) == ["the image's"]


def test_secrets_come_from_secrets_manager_and_a_missing_one_is_said(emulate: Callable[..., Any]):
    account = emulate(moto=True)
    created = account.emulator.client("secretsmanager").create_secret(
        Name="token", SecretString="s3cret"
    )
    secret = {"name": "TOKEN", "valueFrom": created["ARN"]}
    account.define("sh", "-c", "echo $TOKEN", secrets=[secret])
    [arn] = account.run()
    account.await_status(arn, "STOPPED")
    assert account.lines(arn) == ["s3cret"]
    account.define("sh", "-c", "echo $TOKEN", secrets=[secret | {"valueFrom": "nowhere"}])
    [arn] = account.run()
    task = account.await_status(arn, "STOPPED")
    assert "unable to pull secrets or registry auth" in task["stoppedReason"]


def test_a_missing_log_group_is_said(account):
    options = {
        "awslogs-group": "/missing",
        "awslogs-region": "us-east-1",
        "awslogs-stream-prefix": "p",
    }
    account.define("true", logConfiguration={"logDriver": "awslogs", "options": options})
    [arn] = account.run()
    task = account.await_status(arn, "STOPPED")
    assert "The specified log group does not exist." in task["stoppedReason"]


def test_closing_ends_all(emulate: Callable[..., Any]):
    account = emulate()
    account.define("sh", "-c", "trap '' TERM; echo $$; echo up; sleep 600")
    arns = account.run(count=3)
    for arn in arns:
        account.await_line(arn, "up")
    pids = [int(account.emulator.ecs.lines(arn)[0]) for arn in arns]
    account.emulator.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


FORKS = """
import os, time
x = bytearray(os.urandom(40 << 20))
for _ in range(4):
    if os.fork() == 0:
        time.sleep(60)
print("forked", flush=True)
time.sleep(0.6)
"""


def test_memory_that_forked_processes_share_counts_once(account):
    account.define("python", "-c", FORKS, memory=100)
    [arn] = account.run()
    task = account.await_status(arn, "STOPPED")
    assert task["containers"][0]["exitCode"] == 0


PID_1 = """
import os, signal, subprocess, sys
print(os.getpid(), flush=True)
subprocess.Popen(["setsid", "sleep", "600"])
if "handles" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
print("up", flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize(
    ("argument", "limit", "code"), [("handles", 30.0, 5), ("does not", 0.3, 137)]
)
def test_the_first_process_is_pid_1_where_it_is_asked_for(
    emulate, argument: str, limit: float, code: int
):
    account = emulate(runner=ProcessRunner(pid_1=True), stop_timeout=limit)
    account.define("python", "-c", PID_1, argument)
    [arn] = account.run()
    account.await_line(arn, "up")
    assert account.lines(arn)[0] == "1"
    account.ecs.stop_task(task=arn)
    task = account.await_status(arn, "STOPPED")
    assert task["containers"][0]["exitCode"] == code
