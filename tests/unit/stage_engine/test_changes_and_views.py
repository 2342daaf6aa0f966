"""What a fold means for the outside: announcements on a customer's stream, and what an operator is shown."""

from uuid import UUID, uuid4

from msgspec.structs import replace

from services.contracts.changes import ChangeType, CustomerTable, CustomerUpdated, Root, StageChanged, StageRetracted
from services.contracts.identity import Identity, IdentityKind
from stage_engine.changes import Effect, Moved, Stream, announcements
from stage_engine.state import EMPTY
from stage_engine.store import Customer
from stage_engine.views import customer_view, stages_view, timeline_view
from tests.unit.stage_engine.builders import SEVEN, added, event, ordered, see, when

STREAM = Stream(storefront="shop", customer_id=uuid4(), sequence=4)


def test_numbers_go_on_without_a_gap() -> None:
    seen = see(added("0s", who={"user_id": "u1", "email": "a@b.c"}), ordered("1m"))
    effect = Effect(before=EMPTY.profile, after=seen.state, new=seen.moves, gone=[m.transition for m in seen.moves[:2]])
    made = announcements(STREAM, effect)
    assert [change.sequence for _, change in made] == list(range(5, 5 + len(made)))
    assert [kind for kind, _ in made] == [
        ChangeType.CUSTOMER_UPDATED,
        *[ChangeType.STAGE_RETRACTED] * 2,
        *[ChangeType.STAGE_CHANGED] * len(seen.moves),
    ]


def test_nothing_new_is_announced_by_nothing() -> None:
    state = see(added()).state
    assert announcements(STREAM, Effect(before=state.profile, after=state, new=())) == []


def test_a_retraction_says_where_its_instance_stands_now() -> None:
    seen = see(added("0s"), ordered("1m"))
    cart = seen.moves_of("cart", "c1")[0].transition
    ((_, one),) = announcements(STREAM, Effect(before=seen.state.profile, after=seen.state, new=(), gone=[cart]))
    assert isinstance(one, StageRetracted)
    assert one.stage == "ordered"
    ((_, none),) = announcements(STREAM, Effect(before=EMPTY.profile, after=EMPTY, new=(), gone=[cart]))
    assert isinstance(none, StageRetracted)
    assert none.stage is None


def test_a_joins_table_comes_first_with_every_instance_and_its_moves() -> None:
    seen = see(added("0s"), ordered("1m"))
    moved = Moved(type=ChangeType.CUSTOMER_JOINED, number=9, others=[uuid4()], part_of=None)
    effect = Effect(before=EMPTY.profile, after=seen.state, new=(), moved=moved, moves=seen.moves)
    ((kind, change),) = announcements(STREAM, effect)
    assert (kind, type(change)) == (ChangeType.CUSTOMER_JOINED, CustomerTable)
    assert isinstance(change, CustomerTable)
    assert {(row.track, row.stage): len(row.moves) for row in change.table} == {
        ("lifecycle", "purchase"): 3,
        ("cart", "ordered"): 2,
        ("order", "placed"): 1,
    }


def test_a_hold_is_announced_with_the_profile() -> None:
    effect = Effect(before=EMPTY.profile, after=EMPTY, new=(), hold="broken", hold_changed=True)
    ((_, change),) = announcements(STREAM, effect)
    assert isinstance(change, CustomerUpdated)
    assert change.hold == "broken"


def test_a_stage_change_carries_what_its_instance_was_about_then() -> None:
    seen = see(added("0s"), added("1m", product="p2"), until="2h")
    changes = [c for _, c in announcements(STREAM, Effect(before=EMPTY.profile, after=seen.state, new=seen.moves))]
    about = {c.transition.to_stage: len(c.subject.items) for c in changes if isinstance(c, StageChanged)}
    assert (about["active"], about["abandoned"]) == (1, 2)


def test_a_customer_is_shown_with_facts_as_numbers_money_as_text_and_times_in_utc() -> None:
    seen = see(added("0s"), ordered("1m", revenue="12.5"))
    customer = Customer(
        id=UUID(int=7),
        storefront="shop",
        root=UUID(int=8),
        sequence=7,
        state=seen.state,
        next_wake=seen.folded.next_wake,
        waits_from=None,
        hold=None,
        broken=None,
    )
    named = [Identity(IdentityKind.ANONYMOUS_ID, "a1"), Identity(IdentityKind.USER_ID, "u1")]
    view = customer_view(customer, [*named, Identity(IdentityKind.CART_TOKEN, "t1")], SEVEN, when("1m"))
    assert view["identities"] == {"user_id": ["u1"], "email": [], "phone": [], "anonymous_id": ["a1"]}
    assert (view["facts"]["orders"], view["facts"]["revenue"], view["facts"]["nps"]) == (1, "12.50", None)
    assert view["tracks"]["lifecycle"] == [{"key": "", "stage": "purchase", "since": "2026-03-02T12:01:00Z"}]
    assert view["tracks"]["cart"] == [{"key": "c1", "stage": "ordered", "since": "2026-03-02T12:01:00Z"}]
    assert (view["sequence"], view["next_wake"]) == (7, "2026-05-31T12:01:00Z")


def test_in_a_timeline_an_event_stands_before_the_moves_it_caused() -> None:
    entries = [event("Product Viewed", "0s"), added("0s")]
    seen = see(entries)
    items = timeline_view(entries[::-1], [m.transition for m in seen.moves])
    assert [item.get("name") or item["to"] for item in items] == [
        "Product Viewed",
        "awareness",
        "interest",
        "Product Added",
        "consideration",
        "active",
    ]


def test_in_a_timeline_what_was_due_at_a_time_stands_before_the_event_of_that_time() -> None:
    entries = [added("0s"), event("Product Viewed", "1h")]
    seen = see(entries)
    items = timeline_view(entries, [m.transition for m in seen.moves])
    assert [item.get("name") or item["to"] for item in items][-2:] == ["abandoned", "Product Viewed"]


def test_every_stage_is_counted_also_with_nobody_in_it() -> None:
    counted = stages_view(SEVEN, {("lifecycle", "purchase"): 3})
    assert list(counted["lifecycle"].items())[2:5] == [("consideration", 0), ("purchase", 3), ("post_purchase", 0)]


def test_whoever_reads_the_stream_is_told_the_root_that_the_customer_is_known_by() -> None:
    root = Root(kind="user_id", value="u1")
    stream = Stream(storefront="shop", customer_id=uuid4(), sequence=0, root=root)
    seen = see(event("A", who={"user_id": "u1", "email": "a@b.c"}))
    moved = Moved(type=ChangeType.CUSTOMER_JOINED, number=9, others=[uuid4()], part_of=None)
    for effect in (
        Effect(before=EMPTY.profile, after=seen.state, new=()),
        Effect(before=EMPTY.profile, after=seen.state, new=(), moved=moved),
    ):
        ((_, change),) = announcements(stream, effect)
        assert isinstance(change, CustomerUpdated | CustomerTable)
        assert change.profile == replace(seen.state.profile, root=root)


def test_a_root_alone_is_no_news() -> None:
    stream = Stream(storefront="shop", customer_id=uuid4(), sequence=0, root=Root(kind="user_id", value="u1"))
    assert announcements(stream, Effect(before=EMPTY.profile, after=EMPTY, new=())) == []
