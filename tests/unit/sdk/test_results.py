"""Results: nothing is lost on the way, and large ones lie in files."""

import pickle
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.domain.states import ResultRecord
from stoker.results import (
    INLINE_LIMIT,
    Unserialisable,
    decode,
    encode,
    encode_error,
    encode_small,
    is_plain,
    read_error,
)
from stoker.settings import load
from stoker.states import FailedRun, MissingResult

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


def same(one: object, other: object) -> bool:
    return pickle.dumps(one) == pickle.dumps(other) or repr(one) == repr(other)


@given(plain)
def test_every_value_comes_back_the_same(value: object) -> None:
    back = decode(encode(value, "run"))
    assert type(back) is type(value)
    assert same(back, value)


@pytest.mark.parametrize(
    ("value", "format"),
    [
        (None, "json"),
        ({"a": [1, 2.5, "x", True, None]}, "json"),
        ((1, 2), "pickle"),
        ({1: "a"}, "pickle"),
        ([float("nan")], "pickle"),
        (2**70, "pickle"),
        (date(2026, 1, 2), "pickle"),
        ("\ud800", "pickle"),
    ],
)
def test_json_is_used_only_where_it_loses_nothing(value: object, format: str) -> None:
    assert encode(value, "run").format == format


def test_a_large_result_lies_in_a_file_of_its_run(stoker_home: Path) -> None:
    load.cache_clear()
    value = "x" * (INLINE_LIMIT + 1)
    record = encode(value, "the-run")
    assert (record.data, record.file) == (b"", "the-run")
    assert [file.name for file in (stoker_home / "results").iterdir()] == ["the-run"]
    assert decode(record) == value
    (stoker_home / "results" / "the-run").unlink()
    with pytest.raises(MissingResult, match="cannot be read from"):
        decode(record)


def test_a_file_name_cannot_lead_out_of_the_folder(stoker_home: Path) -> None:
    load.cache_clear()
    with pytest.raises(MissingResult):
        decode(ResultRecord("json", file="../../etc/passwd"))


def test_a_file_that_cannot_be_written_is_told(stoker_home: Path) -> None:
    load.cache_clear()
    stoker_home.mkdir()
    (stoker_home / "results").write_text("in the way")
    with pytest.raises(Unserialisable, match="cannot be written"):
        encode("x" * (INLINE_LIMIT + 1), "run")


def test_what_cannot_be_pickled_is_told() -> None:
    with pytest.raises(Unserialisable, match="function was returned that cannot be serialised"):
        encode(lambda: 1, "run")


def test_what_cannot_be_unpickled_is_told() -> None:
    data = pickle.dumps(date(2026, 1, 2)).replace(b"datetime", b"datetimf")
    with pytest.raises(MissingResult, match="datetimf"):
        decode(ResultRecord("pickle", data))


def test_small_plain_values_alone_are_kept_of_local_runs() -> None:
    assert encode_small([1]) == ResultRecord("json", b"[1]")
    assert encode_small((1,)) is None
    assert encode_small(list(range(1_000_000))) is None
    assert encode_small("x" * (INLINE_LIMIT + 1)) is None
    assert is_plain([[1]], limit=3)
    assert not is_plain([[1, 2]], limit=3)


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_an_exception_comes_back_with_its_traceback_as_a_note() -> None:
    back = decode(encode_error(raised(KeyError("x"))))
    assert isinstance(back, KeyError)
    assert back.args == ("x",)
    assert "in raised" in back.__notes__[0]


def test_an_exception_that_cannot_be_pickled_comes_back_as_text() -> None:
    class Own(Exception):
        pass

    record = encode_error(raised(Own("why")))
    back = decode(record)
    assert isinstance(back, FailedRun)
    assert str(back).startswith("Own: why\n")
    known = read_error(record)
    assert (known.type, known.message, known.pickled) == ("Own", "why", None)


class Picky(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("picky")


def test_an_exception_that_pickles_but_does_not_unpickle() -> None:
    assert str(decode(encode_error(Picky(1, 2)))).startswith("Picky: picky")


def test_an_exception_whose_text_cannot_be_made() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert read_error(encode_error(Mute())).type == "Mute"


def test_an_exception_with_broken_text() -> None:
    assert isinstance(decode(encode_error(ValueError("\ud800"))), ValueError)
