"""Reports that would not travel as they are."""

import msgspec

from stoker.domain.reports import Finished
from stoker.domain.states import ResultRecord, StateRecord, StateType
from stoker.host.child.pipe import encoded
from stoker.wire.pipe import ChildReport


def test_half_characters_are_escaped_and_all_else_stays():
    report = Finished(
        StateRecord(StateType.FAILED, "Failed", 1.0, "x \udc80 ä"), ResultRecord("pickle", b"\x80")
    )
    data = encoded("run", [report])
    assert msgspec.msgpack.decode(data, type=ChildReport) == ChildReport(
        "run",
        [
            Finished(
                StateRecord(StateType.FAILED, "Failed", 1.0, "x \\udc80 ä"),
                ResultRecord("pickle", b"\x80"),
            )
        ],
    )
