"""The kinds of messages between agent and child."""

from stoker.wire import pipe


def test_each_kind_has_a_number_of_its_own() -> None:
    numbers = [value for name, value in vars(pipe).items() if name.startswith("KIND_")]
    assert len(set(numbers)) == len(numbers) >= 9
