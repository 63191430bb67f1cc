"""Deployments: their names, and the parameters that they take."""

import pytest

from stoker.domain.deployments import Deployment, Parameter, parameter_problems

SIGNATURE = [Parameter(name="x", required=True), Parameter(name="y")]


@pytest.mark.parametrize("given", [{"x": 1}, {"x": 1, "y": 2}, {"x": None}])
def test_what_the_signature_takes_is_no_problem(given):
    assert parameter_problems(SIGNATURE, given, "f/d") is None


def test_a_flow_that_takes_any_has_no_problem():
    assert parameter_problems(None, {"anything": 1}, "f/d") is None


def test_missing_and_unknown_names_are_all_named():
    assert parameter_problems(SIGNATURE, {}, "f/d") == "f/d needs 'x'; it takes: x, y"
    assert parameter_problems(SIGNATURE, {"x": 1, "b": 1, "a": 1}, "f/d") == (
        "f/d has no parameter 'a', 'b'; it takes: x, y"
    )
    assert parameter_problems([], {"a": 1}, "f/d") == "f/d has no parameter 'a'; it takes: none"


def test_names_of_a_deployment():
    deployment = Deployment(
        id="d", name="nightly", flow_name="etl", entrypoint="a/b.py:etl_flow", path="/p", pool="p"
    )
    assert deployment.full_name == "etl/nightly"
    assert deployment.function == "etl_flow"
