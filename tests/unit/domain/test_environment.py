"""Which variables act before a run's first line, and what null means."""

import pytest

from stoker.domain.environment import acts_at_start, over, text_values


@pytest.mark.parametrize(
    "name",
    [
        "LANG",
        "LC_ALL",
        "PYTHONPATH",
        "PYTHONUTF8",
        "LD_LIBRARY_PATH",
        "MALLOC_ARENA_MAX",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_MAX_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "BLIS_NUM_THREADS",
    ],
)
def test_what_acts_at_the_start_or_at_imports(name):
    assert acts_at_start(name)


@pytest.mark.parametrize("name", ["TZ", "HOME", "PATH", "TMPDIR", "A", "MY_LANG", "lang"])
def test_what_does_not(name):
    assert not acts_at_start(name)


def test_an_environment_may_hold_numbers_or_null_or_be_missing():
    assert text_values({"A": 1, "B": 1.5, "C": "x", "D": None}) == {
        "A": "1",
        "B": "1.5",
        "C": "x",
        "D": None,
    }
    assert text_values(None) == {}


def test_an_environment_over_another():
    assert over({"A": "1", "B": "2"}, {"B": None, "C": "3", "D": None}) == {"A": "1", "C": "3"}
