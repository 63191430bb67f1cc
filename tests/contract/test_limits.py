"""The contract of `LimitRecords`, and the rules of limits against a plain model of them."""

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stoker.domain.concurrency import Limit, LimitKind, SlotLease
from stoker.domain.errors import Conflict
from stoker.domain.hosts import ProcessIdentity
from stoker.domain.pools import Machine
from stoker.domain.requests import AcquireSlots
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord, StateType
from stoker.domain.transitions import Command, Wish
from stoker.ports.store import DroppedSlots
from stoker.services.changing import change
from stoker.services.concurrency import limiting, limits
from stoker.services.concurrency.limiting import Holder
from stoker.services.fleet import registering
from stoker.services.runs import scripts
from stoker.services.settling import settle
from stoker.services.unit import Unit

TAG, NAME = LimitKind.TAG, LimitKind.NAME
PROCESS = ProcessIdentity(1, 1, Machine("here", "boot"))


def a_limit(name: str = "db", kind: LimitKind = NAME, **fields: Any) -> Limit:
    return Limit(kind=kind, name=name, **{"slots": 2, **fields})


def a_lease(id: str, name: str = "db", **fields: Any) -> SlotLease:
    fields = {"kind": NAME, "slots": 1, "place": 1, "asked": 1.0, "host_id": "h", **fields}
    return SlotLease(id=id, name=name, **fields)


class Shop:
    """A store with its calls made short."""

    def __init__(self, store) -> None:
        self.store = store

    def do(self, work):
        return self.store.write(work).result(10)

    def unit(self, work, now: float = 10.0) -> Unit:
        def transaction(records) -> Unit:
            unit = Unit(records, now)
            work(unit)
            return unit

        return self.do(transaction)


@pytest.fixture
def shop(store) -> Shop:
    return Shop(store)


def test_limits_are_kept_by_kind_and_name(shop) -> None:
    made = [a_limit("b", decay=0.5, created=3.0), a_limit("a"), a_limit("a", TAG, active=False)]
    shop.do(lambda records: [records.put_limit(one) for one in made])
    assert shop.do(lambda records: records.limits(NAME)) == [made[1], made[0]]
    assert shop.do(lambda records: records.limit(TAG, "a")) == made[2]
    shop.do(lambda records: records.put_limit(a_limit("a", slots=7, active=False)))
    assert shop.do(lambda records: records.limit(NAME, "a")) == a_limit("a", slots=7, active=False)
    shop.do(lambda records: records.delete_limit(NAME, "a"))
    assert shop.do(lambda records: records.limit(NAME, "a")) is None
    assert shop.do(lambda records: records.limit(TAG, "a")) == made[2]


def test_slot_leases_are_kept_until_they_are_dropped(shop) -> None:
    waits = a_lease("w", place=9, run_id="r", attempt=3, host_id=None, label="for this")
    held = a_lease("x", place=2, acquired=2.0)
    decays = a_lease(
        "y", place=1, acquired=2.0, decays=True, drains_from=2.0, drained=8.0, run_id="r"
    )
    other = a_lease("w", "other", place=9, run_id="r", attempt=3, host_id=None)
    shop.do(lambda records: records.put_slot_leases([waits, held, decays, other]))
    leases = lambda now: shop.do(lambda records: records.slot_leases(NAME, "db", now))  # noqa: E731
    assert leases(5.0) == [decays, held, waits]
    assert leases(8.0) == [held, waits]
    assert shop.do(lambda records: records.slots_of_request("w")) == [waits, other]
    assert shop.do(lambda records: records.last_place()) == 9
    assert set(shop.do(lambda records: records.limits_of_waiters(NAME, "db"))) == {"db", "other"}
    assert set(shop.do(lambda records: records.waited_limits())) == {(NAME, "db"), (NAME, "other")}
    granted = a_lease("w", place=9, acquired=4.0, run_id="r", attempt=3, host_id=None)
    shop.do(lambda records: records.grant_slots([granted]))
    assert shop.do(lambda records: records.waited_limits()) == [(NAME, "other")]
    dropped = shop.do(lambda records: records.drop_slots_of_runs(["r"]))
    assert sorted(dropped) == [DroppedSlots("w", NAME, "db"), DroppedSlots("w", NAME, "other")]
    assert leases(5.0) == [decays, held], "what decays does so without its holder"
    shop.do(lambda records: records.move_drains(100.0))
    assert leases(107.0)[0].drained == 108.0
    shop.do(lambda records: records.drop_drained(109.0))
    assert leases(5.0) == [held]
    assert shop.do(lambda records: records.drop_slots_of_request("z")) == []
    assert shop.do(lambda records: records.drop_slots_of_script("h")) == [("x", NAME, "db")]
    assert shop.do(lambda records: records.last_place()) == 0


def test_slots_that_were_dropped_meanwhile_are_not_granted(shop) -> None:
    shop.do(lambda records: records.put_slot_leases([a_lease("w"), a_lease("x")]))
    shop.do(lambda records: records.drop_slots_of_request("w"))
    both = [a_lease("w", acquired=4.0), a_lease("x", acquired=4.0)]
    shop.do(lambda records: records.grant_slots(both))
    left = shop.do(lambda records: records.slot_leases(NAME, "db", 5.0))
    assert left == [both[1]], "nobody would give back what came back"


def put_run(shop, run_id: str = "r", kind: StateType = StateType.RUNNING) -> None:
    state = StateRecord(kind, kind.title(), 1.0)
    run = FlowRun(
        id=run_id, name="n", flow_name="f", state=state, attempt=1, deployment_id="d", pool="p"
    )
    shop.do(lambda records: records.insert_runs([run], [None]))


def test_slots_end_with_the_attempt_in_its_transaction(shop) -> None:
    put_run(shop)
    shop.unit(lambda unit: limits.create_limit(unit, a_limit(slots=1)))
    holder = Holder(run_id="r", attempt=1)
    for id in ("a", "b"):
        wish = AcquireSlots(id=id, kind=NAME, names=["db"])
        shop.unit(lambda unit, wish=wish: limiting.ask(unit, wish, holder))

    def end(unit: Unit) -> None:
        wish = Wish(command=Command.CRASH, at=unit.now, attempt=1)
        run = unit.records.flow_run("r")
        assert run is not None
        assert change(unit, run, wish) is None
        settle(unit)

    unit = shop.unit(end)
    assert unit.freed == {(NAME, "db")}
    assert sorted(unit.given_up) == ["a", "b"]
    assert shop.do(lambda records: records.slot_leases(NAME, "db", 10.0)) == []
    wish = AcquireSlots(id="c", kind=NAME, names=["db"])
    with pytest.raises(Conflict, match="attempt 1 of flow run r is over"):
        shop.unit(lambda unit: limiting.ask(unit, wish, holder))


def test_the_same_request_may_be_made_again_by_its_holder_alone(shop) -> None:
    shop.unit(lambda unit: scripts.register(unit, "h", PROCESS, 99.0))
    shop.unit(lambda unit: scripts.register(unit, "i", PROCESS, 99.0))
    shop.unit(lambda unit: limits.create_limit(unit, a_limit(slots=1)))
    wish = AcquireSlots(id="a", kind=NAME, names=["db"])
    answers: list[Any] = []
    for _ in range(2):
        shop.unit(lambda unit: answers.append(limiting.ask(unit, wish, Holder(host_id="h"))))
    assert answers[0] == answers[1]
    assert len(shop.do(lambda records: records.slot_leases(NAME, "db", 10.0))) == 1
    with pytest.raises(Conflict, match="made by somebody else"):
        shop.unit(lambda unit: limiting.ask(unit, wish, Holder(host_id="i")))
    shop.unit(lambda unit: limiting.give_back(unit, "a", Holder(host_id="i")))
    assert len(shop.do(lambda records: records.slot_leases(NAME, "db", 10.0))) == 1, "not its own"


class Asked:
    """A request, as the model keeps it."""

    def __init__(self, id: str, names: list[str], slots: int, holder: str) -> None:
        self.id, self.names, self.slots, self.holder = id, names, slots, holder
        self.held = False


class LimitMachine(RuleBasedStateMachine):
    """Requests, releases, ends of scripts and changed limits, in any order."""

    shop: Shop
    numbers = itertools.count()

    @initialize()
    def begin(self) -> None:
        self.now = 100.0
        self.salt = next(self.numbers)
        self.names = [f"{self.salt}-{letter}" for letter in "abc"]
        self.hosts = [f"{self.salt}-h{number}" for number in range(3)]
        self.limits: dict[str, int] = {}
        self.asked: list[Asked] = []
        self.number = 0
        for host in self.hosts:
            self.do(lambda unit, host=host: scripts.register(unit, host, PROCESS, 1e9))
        for index, slots in enumerate((1, 2, 3)):
            self.set_limit(index, slots)

    def do(self, work) -> Unit:
        """Run a unit, and grant what it freed, as the server does."""
        unit = self.shop.unit(work, self.now)
        if unit.freed:
            names = [name for _, name in unit.freed]
            self.shop.unit(lambda unit: limiting.grant(unit, NAME, names), self.now)
        return unit

    @rule(index=st.integers(0, 2), slots=st.integers(0, 3))
    def set_limit(self, index: int, slots: int) -> None:
        name = self.names[index]
        if name in self.limits:
            self.do(lambda unit: limits.update_limit(unit, NAME, name, slots=slots))
        else:
            self.do(lambda unit: limits.create_limit(unit, a_limit(name, slots=slots)))
        self.limits[name] = slots
        self.give_turns()

    @precondition(lambda self: self.limits)
    @rule(index=st.integers(0, 9))
    def delete_limit(self, index: int) -> None:
        name = self.names[index % 3]
        if index > 2 or name not in self.limits:
            return  # Mostly there are limits.
        self.do(lambda unit: limits.delete_limit(unit, NAME, name))
        del self.limits[name]
        self.give_turns()

    @rule(index=st.integers(0, 2), slots=st.integers(1, 3), data=st.data())
    def ask_for_one(self, index: int, slots: int, data) -> None:
        self.ask({index}, slots, data)

    @rule(picked=st.sets(st.integers(0, 2), min_size=2), slots=st.integers(1, 2), data=st.data())
    def ask_for_some(self, picked: set[int], slots: int, data) -> None:
        self.ask(picked, slots, data)

    def ask(self, picked: set[int], slots: int, data) -> None:
        names = [self.names[index] for index in sorted(picked)]
        known = [name for name in names if name in self.limits]
        if any(0 < self.limits[name] < slots for name in known):
            return
        self.number += 1
        host = data.draw(st.sampled_from(self.hosts))
        wish = AcquireSlots(id=f"{self.salt}-{self.number}", kind=NAME, names=names, slots=slots)
        for _ in range(data.draw(st.integers(1, 2))):
            self.do(lambda unit: limiting.ask(unit, wish, Holder(host_id=host)))
        if known:
            self.asked.append(Asked(wish.id, known, slots, host))
        self.give_turns()

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def give_back(self, data) -> None:
        one = data.draw(st.sampled_from(self.asked))
        self.do(lambda unit: limiting.give_back(unit, one.id, Holder(host_id=one.holder)))
        self.asked.remove(one)
        self.give_turns()

    @rule(index=st.integers(0, 2))
    def script_ends(self, index: int) -> None:
        host = self.hosts[index]
        self.do(lambda unit: registering.lost(unit, host, "it was killed"))
        self.do(lambda unit: scripts.register(unit, host, PROCESS, 1e9))
        self.asked = [one for one in self.asked if one.holder != host]
        self.give_turns()

    def give_turns(self) -> None:
        """The rule, said once more: who comes first is first, in each limit for itself."""
        closed: set[str] = set()
        for one in self.asked:
            if one.held:
                continue
            bound = [name for name in one.names if name in self.limits]
            lacks = [name for name in bound if self.use(name) + one.slots > self.limits[name]]
            if not lacks and not closed.intersection(bound):
                one.held = True
            elif all(one.slots <= self.limits[name] for name in bound):
                closed |= set(lacks)

    def use(self, name: str) -> int:
        return sum(one.slots for one in self.asked if one.held and name in one.names)

    @invariant()
    def store_and_model_agree(self) -> None:
        if not hasattr(self, "asked"):
            return
        held: Counter[str] = Counter()
        waiting: set[str] = set()
        for name in self.names:
            for one in self.shop.do(lambda records, n=name: records.slot_leases(NAME, n, self.now)):
                if one.acquired is None:
                    waiting.add(one.id)
                else:
                    held[name] += one.slots
        assert held == Counter({name: self.use(name) for name in self.names if self.use(name)})
        assert waiting == {one.id for one in self.asked if not one.held}


def test_limits_behave_as_their_model_does(store) -> None:
    class OnThisStore(LimitMachine):
        shop = Shop(store)

    run_state_machine_as_test(
        OnThisStore,
        settings=settings(
            # Without shrinking: a failure must not outlast the test's time.
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            max_examples=30,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
        ),
    )
