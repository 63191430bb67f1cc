"""What runs know about themselves."""

from stoker import flow, task
from stoker.runtime import deployment, flow_run, task_run
from stoker.testing.recording import RecordingBackend


def test_a_flow_run(backend: RecordingBackend) -> None:
    @flow
    def inner():
        return flow_run.parent_flow_run_id

    @flow
    def outer(x, y=2):
        known = (
            flow_run.id,
            flow_run.name,
            flow_run.flow_name,
            dict(flow_run.parameters),
            flow_run.run_count,
            flow_run.tags,
            flow_run.deployment,
            deployment.name,
        )
        return known, inner()

    known, parent = outer(1)
    run = backend.run("outer")
    assert known == (run.id, run.name, "outer", {"x": 1, "y": 2}, 1, [], None, None)
    assert parent == run.id


def test_a_task_run_in_this_and_other_threads(backend: RecordingBackend) -> None:
    @task(tags=["t"])
    def step(a, b=2):
        parameters = dict(task_run.parameters)
        return task_run.id, task_run.name, task_run.task_name, parameters, flow_run.id

    @flow
    def run():
        assert task_run.id is None
        return step(1), step.submit(a=3).result()

    here, there = run()
    records = {record.id: record for record in backend.task_runs()}
    run_id = backend.run("run").id
    assert here[1:] == ("step-0", "step", {"a": 1, "b": 2}, run_id)
    assert there[1:] == ("step-1", "step", {"a": 3, "b": 2}, run_id)
    assert records.keys() == {here[0], there[0]}


def test_outside_of_runs_there_is_nothing() -> None:
    assert flow_run.scheduled_start_time is None
    assert flow_run.id is flow_run.name is task_run.id is deployment.name is None
    assert flow_run.parameters == task_run.parameters == {}
    assert flow_run.run_count == task_run.run_count == flow_run.attempt == 0
    assert flow_run.tags == task_run.tags == []
