"""Names of facts: causes, instances and transitions are called the same whoever the customer turns out to be."""

from uuid import uuid4

from services.contracts.changes import Cause
from stage_engine.changes import corrections
from stage_engine.state import transition_id
from tests.unit.stage_engine.builders import added, event, ordered, see

GUEST = {"anonymous_id": "a1"}


def test_a_cause_is_the_identity_and_the_events_id() -> None:
    add = added(who=GUEST, id="x")
    assert see(add).moves[0].transition.cause == Cause(identity=add.identity, event_id="x")


def test_a_transition_is_named_by_instance_rule_cause_and_target() -> None:
    instance, cause = uuid4(), Cause(identity=uuid4(), event_id="x")
    name = transition_id(instance, "r", cause, "t")
    assert name == transition_id(instance, "r", cause, "t")
    others = {
        transition_id(uuid4(), "r", cause, "t"),
        transition_id(instance, "s", cause, "t"),
        transition_id(instance, "r", Cause(identity=cause.identity, event_id="y"), "t"),
        transition_id(instance, "r", Cause(identity=uuid4(), event_id="x"), "t"),
        transition_id(instance, "r", cause, "u"),
    }
    assert len(others | {name}) == 6


def test_a_join_announces_nothing_twice() -> None:
    guest = [added("0s", who=GUEST), event("Product Viewed", "2h", who=GUEST)]
    account = [ordered("4h"), event("Order Shipped", "5h", order_id="o1")]
    alone, known, joined = see(guest), see(account), see(guest, account)
    announced = {m.transition.id: m.transition for seen in (alone, known) for m in seen.moves}
    still = [m.transition for m in joined.moves]
    new, _ = corrections(joined.moves, {}, known=announced.values(), still=still)
    assert [(m.transition.track, m.transition.to_stage) for m in new if m.transition.track != "lifecycle"] == [
        ("cart", "ordered")
    ]
    assert {m.transition.id for m in alone.moves} <= {transition.id for transition in still}


def test_what_no_longer_holds_is_gone_and_what_holds_elsewhere_is_not() -> None:
    add = added("0s")
    early, late = see(add, until="2h"), see(add, ordered("30m"), until="2h")
    stood = {m.transition.id: m.transition for m in early.moves}
    still = [m.transition for m in late.moves]
    new, gone = corrections(late.moves, stood, known=stood.values(), still=still)
    assert [t.to_stage for t in gone] == ["abandoned"]
    assert {m.transition.to_stage for m in new} == {"ordered", "purchase", "placed"}
    assert corrections((), stood, known=stood.values(), still=stood.values()) == ([], [])


def test_a_move_that_turns_out_to_have_been_at_another_time_is_gone_and_new() -> None:
    """An earlier copy of its cause came to light: the fact keeps its name, and subscribers hear the right time."""
    first, earlier = see(added("1h", id="e1")), see(added("0s", id="e1"))
    (stood,) = (m.transition for m in first.moves if m.transition.track == "cart" and m.transition.to_stage == "active")
    moves = [m for m in earlier.moves if m.transition.id == stood.id]
    new, gone = corrections(moves, {stood.id: stood}, known=[stood], still=[m.transition for m in moves])
    assert (new, gone) == (moves, [stood])


def test_folding_again_comes_to_the_same_names() -> None:
    entries = [added("0s"), ordered("2h"), added("3h")]
    assert [m.transition.id for m in see(entries, until="9h").moves] == [
        m.transition.id for m in see(reversed(entries), until="9h").moves
    ]
