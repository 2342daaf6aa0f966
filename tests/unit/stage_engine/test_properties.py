"""Properties: a customer's state is a pure function of the set of their events, the model, and `until`."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

import stage_engine.fold as folding
from services.contracts.identity import Identity, IdentityKind
from stage_engine.fold import Folded, Move, fold
from stage_engine.history import Entry, Position, in_order
from stage_engine.identity import Link, pointers, root_of
from stage_engine.model.model import Model
from stage_engine.money import amount, money
from stage_engine.orders import BOOKED, Order, order_key
from stage_engine.state import EMPTY, State, decode_state, encode_state
from tests.unit.stage_engine.builders import SEVEN, SHOP, START, event, model, ordered, parallel_carts, see

NASTY = model(
    """
facts:
  orders:  {distinct: Order Completed, of: order_id}
  revenue: {sum: Order Completed, of: revenue, once_per: order_id, less: Order Refunded}
  worth:   {sum: [Product Added, Product Removed], of: price}
  seen:    {distinct: [Product Viewed, Product Added], of: product_id}
  recent:  {count: Product Viewed, within: 1h}
  view_at: {latest: Product Viewed}
  first:   {first: Product Viewed, of: product_id}
tracks:
  mood:
    stages:
      calm:    {start: true}
      keen:    {enter: [{on: Product Viewed, when: facts.recent >= 2, again: true}, {on: Message Clicked, from: bored}]}
      bored:   {enter: [{after: 30m, since: facts.view_at, from: [calm, keen]}, {after: 1h, idle: true, from: keen}]}
      gone:    {enter: [{after: 2h, from: bored}, {after: 1s, idle: true, from: bored, when: facts.orders >= 1}]}
  loyal:
    stages:
      no:      {start: true, on: [Product Added, Order Refunded]}
      yes:     {enter: [{on: Order Completed, when: 'stages.mood != "gone" || facts.revenue > 10'}]}
      done:    {enter: [{after: 90d, from: yes}, {on: Email Unsubscribed}], final: true}
  cart:
    per: cart
    stages:
      active:  {start: true, on: [Product Added, Product Removed, Cart Updated, Checkout Started]}
      idle:    {enter: [{after: 1h, idle: true, from: active, when: cart.quantity > 0}]}
      lost:    {enter: [{after: 1h, from: idle}], final: true}
      ordered: {enter: [{on: [Order Completed, Order Reported, Order Updated]}], final: true}
  order:
    per: order
    stages:
      placed:  {start: true, on: [Order Completed, Order Updated]}
      shipped: {enter: [{on: Order Shipped, from: placed}]}
      late:    {enter: [{after: 30m, from: placed}]}
      back:    {enter: [{on: [Order Refunded, Order Cancelled]}], final: true}
"""
)
KEYED = model(
    """
facts:
  views:   {count: Product Viewed, by: product_id}
  views_h: {count: Product Viewed, by: product_id, within: 1h}
  cart:    {sum: Product Added, of: quantity, by: product_id, less: Product Removed}
  at:      {latest: [Product Added, Product Viewed], by: cart_id, less: Product Removed}
  bought:  {sum: [Order Completed, Cart Updated], of: products.price, by: products.product_id}
  warmth:  {points: {Product Viewed: 1, Product Added: 5, Product Removed: -2}, within: 1h}
  points:  {points: {Product Viewed: 1, Order Completed: 10}}
  largest: {max: Order Completed, of: revenue}
  least_h: {min: Order Completed, of: revenue, within: 1h}
  scores:  {min: Survey Answered, of: score, by: kind}
  last:    {last: Product Viewed, of: product_id, by: cart_id}
  first:   {first: Product Viewed, of: product_id, by: cart_id}
  carts_h: {distinct: Product Added, of: cart_id, within: 1h}
  of_cart: {distinct: Product Added, of: product_id, by: cart_id, less: Product Removed}
  open:    {count: Product Added, less: Product Removed}
  sum_h:   {sum: Order Completed, of: revenue, within: 1h}
  book_h:  {sum: Order Completed, of: revenue, once_per: order_id, less: Order Refunded, within: 1h}
  book_n:  {distinct: Order Completed, of: order_id, within: 1h}
tracks:
  mood:
    stages:
      cold: {start: true, enter: [{on: Product Removed, when: facts.warmth < 3}]}
      keen: {enter: [{on: Product Viewed, when: 'facts.views_h[event.product_id] >= 2'}]}
      hot:  {enter: [{on: Product Added, when: 'facts.cart.exists(p, facts.cart[p] >= 2 && facts.views[p] >= 1)'}]}
      rich: {enter: [{on: [Order Completed, Order Refunded], when: facts.largest > 10 || facts.book_h >= 20}]}
      done: {enter: [{after: 1h, from: [keen, hot], when: size(facts.views_h) < 2}]}
"""
)
WAYS = model(
    """
facts:
  recent: {count: Product Viewed, within: 1h}
  score:  {last: Survey Answered, of: score}
  day:    {last: Product Viewed, of: day}
  first:  {first: Product Viewed, of: day}
tracks:
  mood:
    stages:
      calm:  {start: true, enter: [{on: Message Clicked}, {when: facts.recent == 0, from: keen}]}
      keen:  {enter: [{when: facts.recent >= 2, cooldown: 1h}, {when: 'traits.tier == "gold"', again: true}]}
      sold:  {enter: [{on: Order Completed, cooldown: 2h}, {after: 30m, since: [Order Shipped, Survey Answered]}]}
      tired: {enter: [{after: 30m, idle: true, from: [keen, sold], cooldown: 2h}]}
  dates:
    stages:
      none:  {start: true, enter: [{on: Product Added}]}
      ahead: {enter: [{ahead: 1h, of: traits.day, from: none}]}
      now:   {enter: [{after: 0s, since: traits.day}, {after: 0s, since: facts.first, when: facts.recent >= 1}]}
      over:  {enter: [{after: 1h, since: facts.day, from: [now, ahead]}, {after: 1d, from: now, cooldown: 1d}]}
  cart:
    per: cart
    stages:
      active: {start: true, on: [Product Added, Cart Updated, Checkout Started]}
      full:   {enter: [{when: cart.quantity >= 2}, {when: 'stages.mood == "tired"', cooldown: 30m}]}
      viewed: {enter: [{after: 30m, since: Cart Viewed}, {after: 30m, since: [Cart Viewed, Order Reported]}]}
      ended:  {enter: [{on: [Order Completed, Order Reported]}], final: true}
  checkout:
    per: checkout
    order_ends: named
    stages:
      begun:  {start: true, on: [Checkout Started, Payment Failed]}
      failed: {enter: [{on: Payment Failed}, {when: facts.recent >= 2}]}
      left:   {enter: [{after: 30m, since: [Payment Failed, Checkout Started], from: [begun, failed], cooldown: 1h}]}
      paid:   {enter: [{on: [Order Completed, Order Reported]}], final: true}
"""
)
MODELS = {"ways": WAYS, "keyed": KEYED, "seven": SEVEN, "nasty": NASTY, "parallel": parallel_carts()}

NAMES = (
    "Product Viewed", "Product Viewed", "Product Added", "Product Added", "Product Removed", "Cart Updated",
    "Cart Viewed", "Checkout Started", "Order Completed", "Order Completed", "Order Reported", "Order Updated",
    "Order Cancelled", "Order Refunded", "Order Shipped", "Survey Answered", "Loyalty Joined", "Email Unsubscribed",
    "Email Subscribed", "Message Sent", "Message Clicked", "Customer Identified", "Stage Set", "Payment Failed",
)  # fmt: skip
SECONDS = (0, 0, 1, 2, 1_799, 1_800, 1_801, 3_599, 3_600, 3_601, 5_400, 7_200, 7_201, 86_400, 7_776_000, 7_779_600)
WHO = ({"user_id": "u1"}, {"anonymous_id": "a1"}, {"user_id": "u1", "anonymous_id": "a1", "email": "a@b.c"})
LINES = ([], [{"product_id": "p1"}], [{"product_id": "p1", "price": "0.10"}, {"product_id": "p2", "quantity": 2}])
DAYS = (None, "soon", "2026-03-02", "2026-03-02T13:30", "2026-03-02T14:30:00+01:00", "2026-03-03")
SETTINGS = (
    ("mood", "keen", None), ("cart", "ended", None), ("cart", "active", "c1"), ("cart", "active", "c1#2"),
    ("cart", "lost", "c2"), ("order", "placed", "o1"), ("lifecycle", "churned", None), ("checkout", "begun", "k1"),
    ("none", "keen", None), ("mood", 7, ["x"]),
)  # fmt: skip


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """One event of few ids, times, carts and orders, so that they get into each other's way."""
    second = draw(st.sampled_from(SECONDS))
    properties: dict[str, Any] = {
        "cart_id": draw(st.sampled_from((None, "c1", "c2"))),
        "order_id": draw(st.sampled_from(("o1", "o2", None))),
        "checkout_id": draw(st.sampled_from((None, None, "x1", "o1"))),
        "product_id": draw(st.sampled_from(("p1", "p2"))),
        "revenue": draw(st.sampled_from((None, 0.1, "19.99", 1000))),
        "currency": draw(st.sampled_from((None, None, "EUR", "USD"))),
        "products": draw(st.sampled_from(LINES)),
        "kind": "nps",
        "day": draw(st.sampled_from(DAYS)),
        **dict(zip(("track", "stage", "key"), draw(st.sampled_from(SETTINGS)), strict=True)),
        "score": draw(st.sampled_from((3, 9))),
    }
    return event(
        draw(st.sampled_from(NAMES)),
        START + timedelta(seconds=second),
        id=f"e{draw(st.integers(0, 40))}",
        who=draw(st.sampled_from(WHO)),
        by=draw(st.sampled_from(("server", "server", "browser"))),
        received=f"{second + draw(st.sampled_from((0, 0, 60)))}s",
        imported=draw(st.sampled_from((None, None, "0s", "1h", "91d"))),
        traits=draw(st.sampled_from(({}, {"tier": "gold"}, {"tier": None}, *({"day": day} for day in DAYS)))),
        **{key: value for key, value in properties.items() if value is not None},
    )


histories = st.lists(entries(), min_size=1, max_size=24)
models = st.sampled_from(sorted(MODELS))
untils = st.sampled_from((*SECONDS, 20_000, 20_000_000)).map(lambda seconds: START + timedelta(seconds=seconds))
several = settings(max_examples=150, deadline=None)


@pytest.fixture(autouse=True, scope="module")
def close_checkpoints() -> Iterator[None]:
    """So close that short histories have several."""
    kept, folding.CHECKPOINT_EVERY = folding.CHECKPOINT_EVERY, 3
    yield
    folding.CHECKPOINT_EVERY = kept


class Live:
    """One customer as `apply.py` keeps them, without the database: it folds onward while it can, and else again."""

    def __init__(self, rules: Model) -> None:
        self.rules = rules
        self.stored: dict[str, Entry] = {}
        self.state = EMPTY
        self.waits_from: Position | None = None
        self.versions: list[tuple[Position, Order]] = []
        self.checkpoints: list[State] = []
        self.moves: list[Move] = []
        self.folded: Folded | None = None
        self.again = 0

    def take(self, batch: Sequence[Entry], until: Any) -> None:  # noqa: ANN401  a datetime
        new: list[Entry] = []
        changed: list[Position] = []
        for entry in in_order(batch):
            known = self.stored.get(entry.event.id)
            if known is None or entry.precedence < known.precedence:
                self.stored[entry.event.id] = entry
                new.append(entry)
                changed += [] if known is None else [known.position, entry.position]
        position = self.state.position
        changed += [entry.position for entry in new if position is not None and entry.position <= position]
        if changed:
            self.again += 1
            self._take_back(min(changed))
        if changed or self.waits_from is not None:
            position = self.state.position
            onward = [entry for entry in self.stored.values() if position is None or entry.position > position]
        else:
            onward = new
        wanted = {order_key(entry.event) for entry in onward if entry.event.name in BOOKED}
        known_orders = {order.key: order for _, order in self.versions if order.key in wanted}
        stored = decode_state(encode_state(self.state))
        self.folded = fold(onward, self.rules, until, storefront=SHOP, start=stored, orders=known_orders)
        self.state, self.waits_from = self.folded.state, self.folded.waits_from
        self.versions += self.folded.orders
        self.checkpoints += self.folded.checkpoints
        self.moves += self.folded.moves

    def _take_back(self, since: Position) -> None:
        """To the last checkpoint before a change."""
        while self.checkpoints and (self.checkpoints[-1].position or since) >= since:
            self.checkpoints.pop()
        self.state = self.checkpoints[-1] if self.checkpoints else EMPTY
        self.moves = self.moves[: self.state.moves]
        kept = self.state.position
        self.versions = [version for version in self.versions if kept is not None and version[0] <= kept]


@several
@given(histories, models, untils, st.randoms(use_true_random=False))
def test_a_fold_is_free_of_arrival_order_and_repeats(history: list[Entry], name: str, until: Any, random: Any) -> None:  # noqa: ANN401
    told = [*history, *random.choices(history, k=5)]
    random.shuffle(told)
    assert see(told, by=MODELS[name], until=until).folded == see(history, by=MODELS[name], until=until).folded


@st.composite
def arrivals_in_batches(draw: st.DrawFn) -> list[tuple[list[Entry], Any]]:
    """A history in batches with rising `until`s; most come in order, some late."""
    history = sorted(draw(st.lists(entries(), min_size=1, max_size=30)), key=lambda entry: entry.position)
    for late in draw(st.lists(st.integers(0, len(history) - 1), max_size=3)):
        history.append(history.pop(late))
    cuts = sorted(draw(st.lists(st.integers(0, len(history)), max_size=8)))
    batches = [history[start:end] for start, end in pairwise([0, *cuts, len(history)])]
    return list(zip(batches, sorted(draw(untils) for _ in batches), strict=True))


@settings(max_examples=200, deadline=None)
@given(arrivals_in_batches(), models)
def test_folding_onto_what_is_stored_in_any_batches_equals_folding_everything_at_once(
    batches: list[tuple[list[Entry], Any]], name: str
) -> None:
    live = Live(MODELS[name])
    for batch, until in batches:
        live.take(batch, until)
        whole = see(live.stored.values(), by=MODELS[name], until=until).folded
        assert live.state == whole.state
        assert tuple(live.moves) == whole.moves
        assert tuple(live.versions) == whole.orders
        assert live.checkpoints == list(whole.checkpoints)
        assert live.folded is not None
        assert (live.folded.next_wake, live.waits_from) == (whole.next_wake, whole.waits_from)
    note(f"folded again: {bool(live.again)}, waits: {live.waits_from is not None}")


@several
@given(histories, models, untils)
def test_a_state_survives_being_stored(history: list[Entry], name: str, until: Any) -> None:  # noqa: ANN401
    state: State = see(history, by=MODELS[name], until=until).state
    assert decode_state(encode_state(state)) == state
    assert encode_state(decode_state(encode_state(state))) == encode_state(state)


@several
@given(histories, models, untils)
def test_what_is_announced_has_one_id_each_and_follows_in_time(history: list[Entry], name: str, until: Any) -> None:  # noqa: ANN401
    transitions = [move.transition for move in see(history, by=MODELS[name], until=until).moves]
    assert len({t.id for t in transitions}) == len(transitions)
    assert all(earlier.at <= later.at for earlier, later in pairwise(transitions))


@several
@given(histories, models, untils)
def test_what_follows_from_no_import_or_came_after_it_is_not_historical(
    history: list[Entry],
    name: str,
    until: Any,  # noqa: ANN401
) -> None:
    imported = [entry.event for entry in in_order(history) if entry.event.imported_at]
    for move in see(history, by=MODELS[name], until=until).moves:
        at = move.transition.at
        began = [event.imported_at for event in imported if event.occurred_at <= at and event.imported_at]
        assert not move.transition.historical or at <= max(began)
        # At one instant it may stand before the import's first event or after it; else it is as it says.
        earlier = [event.imported_at for event in imported if event.occurred_at < at and event.imported_at]
        assert move.transition.historical or not earlier or at > max(earlier)


@several
@given(histories, models, untils)
def test_each_instance_goes_from_where_it_was(history: list[Entry], name: str, until: Any) -> None:  # noqa: ANN401
    seen = see(history, by=MODELS[name], until=until)
    stage: dict[Any, str] = {}
    for move in seen.moves:
        assert move.transition.from_stage == stage.get(move.transition.instance)
        stage[move.transition.instance] = move.transition.to_stage
    assert {i.id: i.stage for i in seen.state.instances}.items() <= stage.items()


@several
@given(histories, models, untils)
def test_nothing_due_is_left_and_nothing_waits_without_a_reason(history: list[Entry], name: str, until: Any) -> None:  # noqa: ANN401
    folded = see(history, by=MODELS[name], until=until).folded
    assert folded.next_wake is None or folded.next_wake > until
    if folded.waits_from is not None:
        assert folded.next_wake is not None
        assert folded.next_wake <= folded.waits_from.occurred_at


@several
@given(histories, untils)
def test_nobody_who_bought_keeps_a_cart_opened_before(
    history: list[Entry],
    until: Any,  # noqa: ANN401
) -> None:
    seen = see(history, until=until)
    bought = [
        entry.position
        for entry in in_order(history)
        if entry.event.name in ("Order Completed", "Order Reported")
        and (seen.state.position is not None and entry.position <= seen.state.position)
    ]
    firsts = {m.transition.key: m.transition for m in seen.moves if m.transition.track == "order"}
    for cart in (i for i in seen.state.instances if i.track == "cart"):
        # a later copy of an order is an update of it, and ends no cart opened since
        ends = [p for p in bought if p > cart.opened and (p.event_id in _causes(firsts) or _reported(history, p))]
        assert not ends or cart.stage == "ordered"


def _causes(firsts: dict[str, Any]) -> set[str]:
    return {transition.cause.event_id for transition in firsts.values()}


def _reported(history: list[Entry], position: Position) -> bool:
    found = next(entry.event for entry in in_order(history) if entry.position == position)
    return found.name == "Order Reported" or found.said_by == "browser"


# Identity

VALUES = ("x", "y", "z", "é", "10", "9")
STEPS = st.integers(0, 3).map(lambda seconds: START + timedelta(seconds=seconds))
KINDS = (IdentityKind.USER_ID, IdentityKind.EMAIL, IdentityKind.ANONYMOUS_ID)
STRONGER = [(weak, strong) for weak in KINDS for strong in KINDS if strong < weak or weak == strong == KINDS[0]]


@st.composite
def links_of_all_kinds(draw: st.DrawFn) -> Link:
    """Of a weaker kind to a stronger one, or of an account to another: an alias."""
    weak, strong = draw(st.sampled_from(STRONGER))
    one, other = draw(st.permutations(VALUES))[:2]
    return Link(Identity(weak, one), Identity(strong, other), draw(STEPS))


LINKS = st.lists(links_of_all_kinds(), max_size=40)


MOST = st.sampled_from((1, 2, 3, 1_000))
"""Places at one identity: few, so that it gets full."""


def onward(links: Sequence[Link], most: int) -> dict[Identity, tuple[Identity, Any]]:
    return {weak: (link.strong, link.at) for weak, link in pointers(links, most=most).items()}


@several
@given(LINKS, MOST, st.randoms(use_true_random=False))
def test_who_is_whom_is_free_of_the_order_and_the_repeats_of_links(links: list[Link], most: int, random: Any) -> None:  # noqa: ANN401
    told = [*links, *links[:5]]
    random.shuffle(told)
    assert pointers(told, most=most) == pointers(links, most=most)


@several
@given(LINKS, MOST)
def test_who_points_came_before_who_would_and_is_one_of_so_many(links: list[Link], most: int) -> None:
    wishes = pointers(links, most=len(links))
    held = pointers(links, most=most)
    assert held.items() <= wishes.items()
    for strong in {link.strong for link in wishes.values()}:
        in_order = sorted((one.at, weak) for weak, one in wishes.items() if one.strong == strong)
        assert [weak for _, weak in in_order if weak in held] == [weak for _, weak in in_order[:most]]


@several
@given(LINKS, MOST)
def test_all_on_one_path_end_at_one_root(links: list[Link], most: int) -> None:
    held = onward(links, most)
    for node, (next_node, _) in held.items():
        assert root_of(node, held.get) == root_of(next_node, held.get)


@several
@given(LINKS, MOST)
def test_accounts_are_welded_only_by_an_alias(links: list[Link], most: int) -> None:
    held = onward([link for link in links if link.weak.kind != IdentityKind.USER_ID], most)
    accounts = {end for link in links for end in link[:2] if end.kind == IdentityKind.USER_ID}
    assert all(root_of(account, held.get) == account for account in accounts)


# Money

CENTS = st.integers(-(10**12), 10**12)


@several
@given(st.lists(st.tuples(CENTS.map(abs), st.sampled_from((str, float, "text"))), max_size=60))
def test_sums_of_money_lose_no_cent(given_: list[tuple[int, Any]]) -> None:
    said = [
        f"{cents // 100}.{cents % 100:02}" if how == "text" else how(f"{cents // 100}.{cents % 100:02}")
        for cents, how in given_
    ]
    seen = see([ordered(f"{n}s", order=f"o{n}", revenue=value) for n, value in enumerate(said)], by=NASTY)
    assert seen.fact("revenue") * 100 == sum(cents for cents, _ in given_)


@several
@given(CENTS)
def test_money_as_text_is_read_as_the_same_amount(cents: int) -> None:
    text = f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
    found = amount(text)
    assert found is not None
    assert money(found) == ("0.00" if cents == 0 else text)


@several
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_stands_for_an_amount_is_one_or_none(said: Any) -> None:  # noqa: ANN401
    found = amount(said)
    assert found is None or (found.is_finite() and amount(money(found)) == found)
