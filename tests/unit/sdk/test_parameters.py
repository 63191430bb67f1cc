"""Parameters: bound, converted to their type hints, refused with a clear error, sent."""

import dataclasses
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from stoker import flow
from stoker.engine.parameters import ParameterError, sendable
from stoker.testing.recording import RecordingBackend


def untyped(function: object) -> Any:
    """Hide a flow's types from the checker: these tests give it what it does not take."""
    return function


class Point(BaseModel):
    x: int
    y: int = 0


class Colour(Enum):
    RED = "red"


@dataclasses.dataclass
class Pair:
    left: int
    right: date


def test_values_are_converted_to_their_type_hints() -> None:
    @flow
    def typed(n: int, day: date, point: Point, numbers: list[float], *rest: int, **named: int):
        return n, day, point, numbers, rest, named

    assert untyped(typed)("3", "2026-01-02", {"x": 1}, ["1", 2], "7", k="8") == (
        3,
        date(2026, 1, 2),
        Point(x=1),
        [1.0, 2.0],
        (7,),
        {"k": 8},
    )


def test_what_has_no_hint_is_left_alone() -> None:
    given = object()

    @flow
    def some(a, b: Any, c: "NotThere", d: int = 1):  # type: ignore[name-defined]  # noqa: F821
        return a, b, c, d

    assert untyped(some)(given, given, given, "2") == (given, given, given, 2)


def test_classes_of_any_kind_are_checked_by_isinstance() -> None:
    class Own:
        pass

    @flow
    def takes(own: Own):
        return own

    thing = Own()
    assert untyped(takes)(thing) is thing
    with pytest.raises(ParameterError, match=r"'own'.*instance of .*Own"):
        untyped(takes)(3)


def test_wrong_values_are_all_named_and_no_run_is_made(backend: RecordingBackend) -> None:
    @flow
    def typed(n: int, point: Point):
        raise AssertionError

    with pytest.raises(ParameterError) as caught:
        untyped(typed)("x", {"x": "y"})
    text = str(caught.value)
    assert "flow 'typed'" in text
    assert "parameter 'n' (int): " in text
    assert "not 'x'" in text
    assert "parameter \"point['x']\"" in text
    assert backend.reports == []


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((), {}, "missing a required argument: 'x'; it takes: x, y"),
        ((1,), {"z": 2}, "unexpected keyword argument 'z'"),
        ((1, 2, 3), {}, "too many positional arguments"),
    ],
)
def test_wrong_names_say_what_it_takes(args, kwargs, says: str) -> None:
    @flow
    def some(x, y=1):
        raise AssertionError

    with pytest.raises(ParameterError, match=says):
        untyped(some)(*args, **kwargs)


def test_a_hint_that_cannot_be_used_is_told() -> None:
    @flow
    def some(x: "list[int"):  # type: ignore[syntax]  # noqa: F722
        raise AssertionError

    with pytest.raises(ParameterError, match="type hint of parameter 'x' cannot be used"):
        untyped(some)(1)


def test_validation_can_be_switched_off() -> None:
    @flow(validate_parameters=False)
    def some(n: int):
        return n

    assert untyped(some)("x") == "x"


def test_positional_only_and_keyword_only() -> None:
    @flow
    def some(a: int, /, b: int, *, c: int):
        return a, b, c

    assert untyped(some)("1", b="2", c="3") == (1, 2, 3)


def test_names_that_pydantic_uses_itself_are_fine() -> None:
    @flow
    def some(schema: int, model_config: int, _x: int, json: int):
        return schema, model_config, _x, json

    assert untyped(some)("1", "2", "3", "4") == (1, 2, 3, 4)


def test_what_json_has_no_word_for_is_sent_as_text_and_tables() -> None:
    sent = sendable(
        {
            "point": Point(x=1),
            "points": [Point(x=2)],
            "day": date(2026, 1, 2),
            "at": datetime(2026, 1, 2, tzinfo=UTC),
            "pair": Pair(1, date(2026, 1, 2)),
            "colour": Colour.RED,
            "path": Path("/a/b"),
            "id": UUID(int=1),
            "set": {1},
            "plain": {"a": [1, None, "x", 2.5]},
        },
        "here",
    )
    assert sent == {
        "point": {"x": 1, "y": 0},
        "points": [{"x": 2, "y": 0}],
        "day": "2026-01-02",
        "at": "2026-01-02T00:00:00Z",
        "pair": {"left": 1, "right": "2026-01-02"},
        "colour": "red",
        "path": "/a/b",
        "id": "00000000-0000-0000-0000-000000000001",
        "set": [1],
        "plain": {"a": [1, None, "x", 2.5]},
    }


def test_what_cannot_be_sent_is_named() -> None:
    with pytest.raises(ParameterError, match="here: parameter 'bad' is a object and cannot"):
        sendable({"good": 1, "bad": object()}, "here")


def test_none_that_is_the_default_needs_no_type_hint_that_says_so() -> None:
    @flow
    def entry(day: int = None, days: int = 1):  # type: ignore[assignment] # noqa: RUF013
        return day, days

    assert entry() == (None, 1)
    assert untyped(entry)(None) == (None, 1)
    with pytest.raises(ParameterError, match="'days'"):
        untyped(entry)(None, None)
