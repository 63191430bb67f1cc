"""Accepting runs of deployments."""

import pytest

from stoker.domain.deployments import Parameter
from stoker.domain.errors import Invalid, NotFound
from stoker.domain.requests import StartRun
from stoker.domain.states import StateType
from stoker.ports.store import RunFilter
from stoker.services.runs.submission import submit

TEMPLATE = {
    "variables": {
        "properties": {
            "env": {"type": "object", "default": {}},
            "memory": {"type": "integer", "default": 1},
        }
    },
    "job_configuration": {"env": "{{ env }}", "memory": "{{ memory }}"},
}


def number_of_runs(world) -> int:
    return len(world.read(lambda records: records.flow_runs(RunFilter(limit=1000))))


def test_an_unknown_deployment_is_named(world):
    with pytest.raises(NotFound, match=r"no deployment 'f/x'; .*`stoker deployment ls`"):
        world.submit("f/x")
    assert number_of_runs(world) == 0


def test_defaults_of_the_deployment_are_merged(world):
    world.deployment("m", parameters={"x": 1, "y": 2}, tags=["a"], timeout=9.0, queue="default")
    run = world.run(world.submit("f/m", parameters={"y": 3}, tags=["b"], name="mine"))
    assert run.parameters == {"x": 1, "y": 3}
    assert run.tags == ["a", "b"]
    assert (run.name, run.flow_name, run.deployment) == ("mine", "f", "f/m")
    assert (run.pool, run.queue, run.timeout) == ("pool", "default", 9.0)
    assert (run.state.type, run.created, run.anatomy.submitted) == (
        StateType.SCHEDULED,
        1000.0,
        1000.0,
    )
    assert (run.attempt, run.version, run.lane) == (0, 0, world.lane())


def test_a_deployment_is_found_by_its_id_too(world):
    deployment = world.deployment("byid")
    assert world.submit(deployment.id).deployment == "f/byid"


def test_wrong_names_of_parameters_are_refused(world):
    world.deployment("s", signature=[Parameter(name="x", required=True)])
    with pytest.raises(Invalid, match=r"f/s has no parameter 'z' and needs 'x'; it takes: x"):
        world.submit("f/s", parameters={"z": 1})
    assert world.submit("f/s", parameters={"x": 1}).parameters == {"x": 1}


def test_a_required_parameter_may_come_from_the_deployment(world):
    world.deployment("s", signature=[Parameter(name="x", required=True)], parameters={"x": 5})
    assert world.submit("f/s").parameters == {"x": 5}


def test_job_variables_make_a_lane_of_their_own(world):
    world.pool("big", base_job_template=TEMPLATE)
    world.deployment("b", pool="big", job_variables={"memory": 2, "env": {"A": "1"}})
    own = world.submit("f/b").lane
    assert own == world.lane("big", memory=2)
    assert world.submit("f/b", job_variables={"env": {"B": "2"}}).lane == own
    assert world.submit("f/b", job_variables={"memory": 3}).lane == world.lane("big", memory=3)


@pytest.mark.parametrize("variables", [{"cpu": 1}, {"env": "A=1"}, {"memory": "much"}])
def test_impossible_job_variables_are_refused(world, variables):
    world.pool("big", base_job_template=TEMPLATE)
    world.deployment("b", pool="big")
    with pytest.raises(Invalid, match="variable"):
        world.submit("f/b", job_variables=variables)
    assert number_of_runs(world) == 0


def test_the_same_key_returns_the_first_run(world):
    first = world.submit(idempotency_key="k", parameters={"x": 1})
    again = world.submit(idempotency_key="k", parameters={"x": 2})
    assert again.id == first.id
    assert again.parameters == {"x": 1}
    assert world.submit(idempotency_key="l").id != first.id
    assert number_of_runs(world) == 2


def test_the_same_key_twice_in_one_batch_is_one_run(world):
    requests = [StartRun(deployment="f/d", idempotency_key=key) for key in ("a", "b", "a")]
    one, two, three = world.do(lambda unit: submit(unit, requests))
    assert one.id == three.id != two.id
    assert number_of_runs(world) == 2


def test_a_batch_is_accepted_together_or_not_at_all(world):
    good, bad = StartRun(deployment="f/d"), StartRun(deployment="f/x")
    with pytest.raises(NotFound):
        world.do(lambda unit: submit(unit, [good, bad, good]))
    assert number_of_runs(world) == 0
    runs = world.do(lambda unit: submit(unit, [good] * 3))
    assert len({run.id for run in runs}) == 3
    assert number_of_runs(world) == 3


def test_an_empty_batch_is_no_error(world):
    assert world.do(lambda unit: submit(unit, [])) == []


def test_a_run_is_claimed_in_the_transaction_that_stores_it(world):
    world.host()
    run = world.submit()
    assert world.given() == [run.id]
    assert world.state(run) is StateType.PENDING


def test_the_runs_of_a_batch_are_queued_in_its_order(world):
    runs = world.do(lambda unit: submit(unit, [StartRun(deployment="f/d")] * 20))
    queued = world.read(lambda records: records.queued("pool", "default", runs[0].lane, 99))
    assert [run.id for run in queued] == [run.id for run in runs]


def test_job_variables_that_no_process_can_have_are_refused(world):
    with pytest.raises(Invalid, match="cannot name an environment variable"):
        world.submit(job_variables={"env": {"A=B": "1"}})
    with pytest.raises(Invalid, match="cannot name an environment variable"):
        world.deployment(job_variables={"env": {"": "1"}})
