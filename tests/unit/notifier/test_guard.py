"""What may go out now, what waits, and what is kept back."""

from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.addresses import deliverable
from notifier.beside import Beside
from notifier.conditions import names_on
from notifier.delivery import Way
from notifier.followups import Coupon, Entered, FollowUp, Purpose, Variant
from notifier.guard import LOOK_AGAIN, WHILE_PAUSED, Circumstances, Decision, Defer, Message, Send, Withhold, guard
from notifier.holdings import Customer, Instance, apply
from notifier.limits import Given
from notifier.plan import ended_elsewhere, happened_in
from notifier.reasons import RECONSIDERED
from notifier.switches import EVERYTHING, Scope, Switch, Switches, standing
from services.conditions import Condition, compile_condition
from services.contracts.changes import Address, Profile, Subject
from services.contracts.events import SaidBy
from services.contracts.reasons import Reason
from services.contracts.storefront import Cap, Endpoint, QuietHours, Redirect
from services.shop import Sender, Storefront
from tests.unit.notifier.builders import ABANDONED_CART, NOON, THANK_YOU, changed, transition, uid

SHOP = Storefront(
    name="Fern & Fable",
    url="https://shop.example",
    currency="EUR",
    timezone="Europe/Berlin",
    sender=Sender(name="Fern", email="hello@shop.example"),
    assume_consent=True,
)
STRICT_SHOP = Storefront(**{**{name: getattr(SHOP, name) for name in SHOP.__struct_fields__}, "assume_consent": False})
START = transition("abandoned")


def profile(address: str | None = "ada@mail.example", *, said_by: SaidBy = SaidBy.SERVER, **more: object) -> Profile:
    addresses = {} if address is None else {"email": Address(value=address, said_by=said_by)}
    return Profile(addresses=addresses, **more)  # type: ignore[arg-type]


def instance_of(*stages: str, track: str = "cart") -> Instance:
    customer, held = Customer(id=uid("ada"), storefront="main-shop"), {}
    for sequence, stage in enumerate(stages, 1):
        move = transition(stage, cause=f"e{sequence}", minutes=sequence - 1, track=track)
        applied = apply(changed(sequence, move), customer, held)
        assert applied is not None
        customer, held = applied.customer, {i.instance: i for i in applied.instances}
    (instance,) = held.values()
    return instance


def asked(  # noqa: PLR0913  each is one circumstance that a rule looks at
    *,
    follow_up: FollowUp | None = ABANDONED_CART,
    storefront: Storefront | None = SHOP,
    who: Profile | None = None,
    hold: str | None = None,
    instance: Instance | None = None,
    known_until: datetime | None = NOON,
    claim_spent: bool = False,
    claim_capped: bool = False,
    suppressed: str | None = None,
    restored: bool = False,
    beside: Beside | None = None,
    step: int = 1,
    variant: str | None = None,
    channel: str | None = None,
    paused: tuple[Scope, str] | None = None,
    now: datetime = NOON,
) -> Decision:
    message = Message(
        id=uid("message"),
        step=step,
        variant=variant,
        transition=START.id,
        occasion=uid("occasion"),
        expires_at=NOON + timedelta(hours=24),
        channel=channel,
    )
    circumstances = Circumstances(
        follow_up=follow_up,
        storefront=storefront,
        customer=Customer(id=uid("ada"), storefront="main-shop", profile=who or profile(), hold=hold),
        instance=instance or instance_of("abandoned"),
        known_until=known_until,
        claim_spent=claim_spent,
        claim_capped=claim_capped,
        suppressed=suppressed,
        restored=restored,
        beside=beside or Beside(),
        switches=Switches(on=() if paused is None else (switch(*paused),)),
    )
    return guard(message, circumstances, now)


def switch(scope: Scope, name: str, until: datetime | None = None) -> Switch:
    return Switch(scope=scope, name=name, by="ada", why="looking into it", since=NOON, until=until)


def where(decision: Decision) -> tuple[str, bool] | None:
    """To which address it goes, and whether that is only claimed."""
    return (decision.address, decision.claim) if isinstance(decision, Send) else None


def test_all_well_is_sent_to_the_address_that_a_server_said() -> None:
    assert where(asked()) == ("ada@mail.example", False)


def test_a_customer_who_has_ordered_gets_no_reminder() -> None:
    assert asked(instance=instance_of("abandoned", "ordered")) == Withhold(why=Reason.VOID)


def test_a_start_that_was_retracted_sends_nothing() -> None:
    gone = replace(instance_of("abandoned"), moves=())
    assert asked(instance=gone) == Withhold(why=Reason.VOID)


def test_an_instance_that_is_nowhere_sends_nothing() -> None:
    assert asked(instance=replace(instance_of("abandoned"), stage=None)) == Withhold(why=Reason.VOID)


def test_max_age_counts_from_the_transition_itself() -> None:
    late = NOON + timedelta(hours=24)
    assert asked(now=late, known_until=late) == Withhold(why=Reason.TOO_OLD)
    just = late - timedelta(seconds=1)
    assert isinstance(asked(now=just, known_until=just), Send)


def test_what_was_due_before_the_database_was_restored_may_have_been_sent() -> None:
    assert asked(restored=True, known_until=None) == Withhold(why=Reason.RESTORED)
    assert Reason.RESTORED not in RECONSIDERED


@pytest.mark.parametrize("known_until", [None, NOON - timedelta(seconds=60), NOON - timedelta(days=1)])
def test_nothing_goes_out_while_an_order_may_lie_unread(known_until: datetime | None) -> None:
    decision = asked(known_until=known_until)
    assert isinstance(decision, Defer)
    assert decision.why is Reason.NOT_FRESH
    assert decision.until > NOON


def test_what_is_known_up_to_under_a_minute_ago_is_fresh() -> None:
    assert isinstance(asked(known_until=NOON - timedelta(seconds=59.9)), Send)


def test_a_customer_on_hold_gets_nothing() -> None:
    assert asked(hold="being re-folded") == Withhold(why=Reason.ON_HOLD)


def test_no_address_is_withheld_until_there_is_one() -> None:
    assert asked(who=profile(None)) == Withhold(why=Reason.NO_ADDRESS)


@pytest.mark.parametrize(
    "address", ["ada@mail.example\r\nBcc: all@mail.example", "ada", "a@b@c.example", "<a@b.example>"]
)
def test_what_is_no_single_address_is_refused(address: str) -> None:
    assert asked(who=profile(address)) == Withhold(why=Reason.BAD_ADDRESS)


def test_withdrawn_consent_stops_marketing_but_not_a_thank_you() -> None:
    withdrawn = profile(consent={"email": False})
    assert asked(who=withdrawn) == Withhold(why=Reason.CONSENT_WITHDRAWN)
    assert isinstance(asked(who=withdrawn, follow_up=THANK_YOU, instance=order()), Send)


def order() -> Instance:
    """An order whose first move has the id that the message names."""
    placed = instance_of("placed", track="order")
    return replace(placed, moves=(replace_id(placed),))


def replace_id(instance: Instance) -> object:
    move = instance.moves[0]
    return type(move)(**{**{f: getattr(move, f) for f in move.__struct_fields__}, "id": START.id})


def test_unknown_consent_is_what_the_shop_says_it_is() -> None:
    assert asked(storefront=STRICT_SHOP) == Withhold(why=Reason.NO_CONSENT)
    assert isinstance(asked(storefront=STRICT_SHOP, who=profile(consent={"email": True})), Send)


def test_a_suppressed_address_gets_nothing() -> None:
    assert asked(suppressed="hard bounce") == Withhold(why=Reason.SUPPRESSED)


def test_an_address_that_only_a_browser_said_is_good_for_one_mail() -> None:
    claimed = profile(said_by=SaidBy.BROWSER)
    assert where(asked(who=claimed)) == ("ada@mail.example", True)
    assert asked(who=claimed, claim_spent=True) == Withhold(why=Reason.CLAIM_SPENT)


def test_beyond_the_caps_only_claims_are_withheld() -> None:
    assert asked(who=profile(said_by=SaidBy.BROWSER), claim_capped=True) == Withhold(why=Reason.CLAIM_CAPPED)
    assert where(asked(claim_capped=True)) == ("ada@mail.example", False)


def test_a_spent_claim_does_not_bind_an_address_that_a_server_said() -> None:
    assert where(asked(claim_spent=True)) == ("ada@mail.example", False)


def test_a_claim_is_not_enough_for_a_customers_own_track() -> None:
    welcome = replace(ABANDONED_CART, track="lifecycle", stage="abandoned")
    instance = instance_of("abandoned", track="lifecycle")
    assert asked(follow_up=welcome, instance=instance, who=profile(said_by=SaidBy.BROWSER)) == Withhold(
        why=Reason.CLAIM_NOT_ENOUGH
    )


def test_a_claim_is_reminded_of_its_checkout_and_not_told_that_a_payment_failed() -> None:
    """Who stopped at the checkout is not reminded of the cart; and a stranger should not be frightened."""
    remind = replace(ABANDONED_CART, track="checkout", stage="abandoned")
    instance, claimed = instance_of("abandoned", track="checkout"), profile(said_by=SaidBy.BROWSER)
    assert where(asked(follow_up=remind, instance=instance, who=claimed)) == ("ada@mail.example", True)
    failed = replace(remind, purpose=Purpose.TRANSACTIONAL)
    assert asked(follow_up=failed, instance=instance, who=claimed) == Withhold(why=Reason.CLAIM_NOT_ENOUGH)


def test_a_claim_is_asked_whether_they_want_news_and_sold_nothing_on_the_way() -> None:
    ask = replace(ABANDONED_CART, track="opt_in", stage="abandoned", purpose=Purpose.TRANSACTIONAL)
    instance, claimed = instance_of("abandoned", track="opt_in"), profile(said_by=SaidBy.BROWSER)
    assert isinstance(asked(follow_up=ask, instance=instance, who=claimed), Send)
    sell = replace(ask, purpose=Purpose.MARKETING)
    assert asked(follow_up=sell, instance=instance, who=claimed) == Withhold(why=Reason.CLAIM_NOT_ENOUGH)


def test_a_follow_up_that_the_shop_took_out_sends_nothing() -> None:
    assert asked(follow_up=None) == Withhold(why=Reason.NOT_CONFIGURED)
    assert asked(storefront=None) == Withhold(why=Reason.NOT_CONFIGURED)


def shop(**changes: object) -> Storefront:
    return Storefront(**{**{name: getattr(SHOP, name) for name in SHOP.__struct_fields__}, **changes})  # type: ignore[arg-type]


def saying(**changes: object) -> FollowUp:
    """The reminder, whose only step says this too."""
    return replace(ABANDONED_CART, steps=(replace(ABANDONED_CART.steps[0], **changes),))


def holds(text: str) -> Condition:
    return compile_condition(text, names_on("cart"))


def test_a_step_that_the_shop_took_out_sends_nothing() -> None:
    assert asked(step=2) == Withhold(why=Reason.NOT_CONFIGURED)


def test_messages_of_one_occasion_come_in_their_order() -> None:
    later = NOON + timedelta(hours=3)
    assert asked(beside=Beside(step_before=later)) == Defer(until=later, why=Reason.STEP_BEFORE)
    assert asked(beside=Beside(step_before=NOON)) == Defer(until=NOON + LOOK_AGAIN, why=Reason.STEP_BEFORE)
    assert asked(beside=Beside(overtaken=True)) == Withhold(why=Reason.OVERTAKEN)


@pytest.mark.parametrize(
    ("text", "goes"),
    [
        ("size(cart.items) > 0", True),
        ("size(cart.items) > 1", False),
        ("cart.value > 30.0 && subject.quantity == 2", True),
        ("cart.items.exists(item, item.price > 18)", True),
        ("customer.traits.vip == true", False),
        ("customer.traits.vip != true", False),  # a comparison with what is missing
        ("!(customer.traits.vip == true)", True),
        ('customer.claims.colour == "green"', True),
        ("customer.consent.email == true", False),
        ('stages.lifecycle == "at_risk" && move.to == "abandoned"', True),
        ('move.from == "active"', True),
        ('since.lifecycle > move.at - duration("1d")', False),
        ('since.lifecycle > move.at - duration("3d")', True),
        ('since.cart > move.at - duration("3d")', False),  # they stand nowhere there
        ("facts.orders >= 2", True),
        ("double(facts.revenue) > 100.0", True),
        ('move.at > timestamp("2026-11-22T00:00:00Z")', True),
    ],
)
def test_a_condition_is_asked_of_what_is_known_when_it_is_due(text: str, *, goes: bool) -> None:
    facts = {"orders": 3, "revenue": "120.50"}
    instance = instance_of("active", "abandoned")
    subject = Subject(items=[{"sku": "S", "price": "18.50", "quantity": 2}], value="37.00")
    moves = (instance.moves[0], msgspec.structs.replace(instance.moves[1], id=START.id, facts=facts))
    decision = asked(
        follow_up=saying(condition=holds(text)),
        instance=replace(instance, subject=subject, moves=moves),
        who=profile(claims={"colour": "green"}),
        beside=Beside(stages={"lifecycle": "at_risk"}, since={"lifecycle": NOON - timedelta(days=2)}),
    )
    assert isinstance(decision, Send) if goes else decision == Withhold(why=Reason.CONDITION)


def test_the_condition_of_the_start_is_asked_at_every_step() -> None:
    asking = replace(ABANDONED_CART, condition=holds("size(cart.items) > 0"))
    assert asked(follow_up=asking) == Withhold(why=Reason.CONDITION)


def placed(minutes: int, *, cause: str = "order") -> Instance:
    move = transition("placed", track="order", instance="order-1", cause=cause, minutes=minutes)
    applied = apply(changed(1, move), Customer(id=uid("ada"), storefront="main-shop"), {})
    assert applied is not None
    return applied.instances[0]


def test_an_ending_on_another_track_ends_it() -> None:
    until_ordered = replace(ABANDONED_CART, until=Entered(track="order", stages=frozenset({"placed"})))
    for others, ended in (
        ((), False),
        ((placed(5),), True),
        ((placed(0),), True),
        ((placed(-5),), False),
        ((placed(0, cause="e1"),), False),  # the very event that started it
        ((replace(placed(5), stage=None),), False),
    ):
        decision = asked(follow_up=until_ordered, beside=Beside(others=others))
        assert (decision == Withhold(why=Reason.ENDED)) == ended
    assert Reason.ENDED in RECONSIDERED


def test_of_two_orders_of_one_instant_one_is_the_next_to_the_other_and_not_both() -> None:
    """A marketplace makes two of one checkout; both ended would leave nobody who is told."""
    next_one = replace(THANK_YOU, until=Entered(track="order", stages=frozenset({"placed", "cancelled"})))
    one, other = placed(0, cause="o1"), placed(0, cause="o2")
    taken_back = replace(one, moves=(msgspec.structs.replace(one.moves[0], to_stage="cancelled"),))

    def ended(own: Instance, *others: Instance) -> bool:
        happened = happened_in(own, own.moves[0].id)
        assert happened is not None
        return ended_elsewhere(next_one, happened, (own, *others))

    assert [ended(one, other), ended(other, one)] == [True, False]
    assert ended(other, taken_back)


def test_marketing_stops_while_they_are_unhappy_and_what_they_did_is_still_told_of() -> None:
    unhappy = Beside(stages={"satisfaction": "unhappy"})
    assert asked(beside=unhappy) == Withhold(why=Reason.MARKETING_STOPPED)
    assert isinstance(asked(beside=Beside(stages={"satisfaction": "happy"})), Send)
    assert isinstance(asked(beside=unhappy, follow_up=THANK_YOU, instance=order()), Send)
    assert isinstance(asked(beside=unhappy, storefront=shop(marketing_stops_in={})), Send)


def test_of_several_channels_the_first_that_can_reach_them_is_taken() -> None:
    both = saying(channels=("email", "webhook"), endpoint="retargeting")
    there = shop(endpoints={"retargeting": Endpoint(url="https://hooks.example")})
    decision = asked(follow_up=both, storefront=there)
    assert isinstance(decision, Send)
    assert (decision.channel, decision.address) == ("email", "ada@mail.example")
    decision = asked(follow_up=both, who=profile(None), storefront=there)
    assert isinstance(decision, Send)
    assert (decision.channel, decision.address, decision.claim) == ("webhook", "retargeting", False)
    no = profile(None, consent={"webhook": False})
    assert asked(follow_up=both, who=no, storefront=there) == Withhold(why=Reason.NO_ADDRESS)
    gone = saying(channels=("webhook",), endpoint="gone")
    assert asked(follow_up=gone, storefront=there) == Withhold(why=Reason.NOT_CONFIGURED)


def test_what_may_have_been_delivered_goes_out_again_by_the_same_channel_or_not_at_all() -> None:
    both = saying(channels=("email", "webhook"), endpoint="retargeting")
    there = msgspec.structs.replace(SHOP, endpoints={"retargeting": Endpoint(url="https://hooks.example/r")})
    again = asked(storefront=there, follow_up=both, channel="webhook")
    assert isinstance(again, Send)
    assert again.channel == "webhook"
    no_mail = asked(storefront=there, follow_up=both, who=profile(None), channel="email")
    assert no_mail == Withhold(why=Reason.NO_ADDRESS)


def had(hours: int, *, follow_up: str = "other", occasion: str = "another") -> Given:
    return Given(
        id=uid(f"{hours} {follow_up}"),
        follow_up=follow_up,
        occasion=uid(occasion),
        channel="email",
        marketing=True,
        at=NOON - timedelta(hours=hours),
    )


def test_what_no_cap_leaves_room_for_waits_until_one_does_or_is_withheld() -> None:
    assert asked(beside=Beside(given=(had(23),))) == Defer(until=NOON + timedelta(hours=1), why=Reason.CAPPED)
    week = Beside(given=tuple(had(24 * days) for days in (2, 3, 4)))
    assert asked(beside=week) == Withhold(why=Reason.CAPPED)
    assert isinstance(asked(beside=week, follow_up=THANK_YOU, instance=order()), Send)


def test_what_is_of_a_higher_priority_goes_first_where_there_is_room_for_one() -> None:
    assert asked(beside=Beside(ahead=1)) == Defer(until=NOON + LOOK_AGAIN, why=Reason.OUTRANKED)
    assert isinstance(asked(beside=Beside(ahead=1), storefront=shop(caps={"email": Cap(day=2)})), Send)


def test_a_customer_who_had_it_within_the_cool_down_does_not_get_it_for_something_else() -> None:
    monthly = replace(ABANDONED_CART, cool_down=timedelta(days=30))
    last_week = (had(24 * 8, follow_up="abandoned-cart"),)
    assert asked(follow_up=monthly, beside=Beside(given=last_week)) == Withhold(why=Reason.COOL_DOWN)
    same = (had(24 * 8, follow_up="abandoned-cart", occasion="occasion"),)
    assert isinstance(asked(follow_up=monthly, beside=Beside(given=same)), Send)


def test_marketing_waits_for_the_morning_and_a_thank_you_does_not() -> None:
    quiet = shop(quiet_hours=QuietHours(from_="11:00", to="20:00"))
    assert asked(storefront=quiet) == Defer(until=NOON + timedelta(hours=7), why=Reason.QUIET_HOURS)
    assert isinstance(asked(storefront=quiet, follow_up=THANK_YOU, instance=order()), Send)
    tokyo = profile(traits={"timezone": "Asia/Tokyo"})
    assert isinstance(asked(storefront=quiet, who=tokyo), Send)
    late = NOON + timedelta(hours=23)
    begun = shop(quiet_hours=QuietHours(from_="11:00", to="14:00"))
    assert asked(storefront=begun, now=late, known_until=late) == Withhold(why=Reason.QUIET_HOURS)


def test_who_is_held_out_would_have_got_it_and_stays_so_under_another_id() -> None:
    nearly_all = replace(ABANDONED_CART, holdout=0.999999)
    assert asked(follow_up=nearly_all) == Withhold(why=Reason.HOLDOUT)
    assert asked(follow_up=nearly_all, who=profile(None)) == Withhold(why=Reason.NO_ADDRESS)
    half = replace(ABANDONED_CART, holdout=0.5)
    drawn = [asked(follow_up=half, beside=Beside(drawn_as=uid(str(n)))) for n in range(9)]
    assert {decision == Withhold(why=Reason.HOLDOUT) for decision in drawn} == {True, False}


def test_in_the_shadow_all_is_decided_and_what_is_redirected_goes_to_the_shop() -> None:
    for shadowed in (
        asked(storefront=shop(delivery="shadow"), who=profile(said_by=SaidBy.BROWSER)),
        asked(storefront=shop(delivery="live"), follow_up=replace(ABANDONED_CART, delivery="shadow")),
    ):
        assert isinstance(shadowed, Send)
        assert (shadowed.way, shadowed.address, shadowed.claim) == (Way.SHADOW, "ada@mail.example", False)
    assert asked(storefront=shop(delivery="shadow"), who=profile(None)) == Withhold(why=Reason.NO_ADDRESS)
    staging = Redirect(redirect="staging@shop.example")
    redirected = asked(storefront=shop(delivery=staging), who=profile(said_by=SaidBy.BROWSER))
    assert isinstance(redirected, Send)
    assert where(redirected) == ("staging@shop.example", False)
    assert (redirected.way, redirected.meant_for) == (Way.REDIRECT, "ada@mail.example")
    live = asked(storefront=shop(delivery=staging), follow_up=replace(ABANDONED_CART, delivery="live"))
    assert where(live) == ("ada@mail.example", False)
    there = shop(delivery=staging, endpoints={"e": Endpoint(url="https://hooks.example")})
    posted = asked(storefront=there, follow_up=saying(channels=("webhook",), endpoint="e"))
    assert isinstance(posted, Send)
    assert posted.way is Way.SHADOW


def test_what_is_redirected_goes_to_the_address_as_mail_takes_it() -> None:
    sent = asked(storefront=shop(delivery=Redirect(redirect="Staging@Bücher.Example")))
    assert isinstance(sent, Send)
    assert deliverable(sent.address) == sent.address == "Staging@xn--bcher-kva.example"


def test_trials_keep_to_what_they_would_have_taken_and_what_goes_out_does_not() -> None:
    tried = Beside(given=(replace(had(23), live=False),))
    capped = Defer(until=NOON + timedelta(hours=1), why=Reason.CAPPED)
    assert isinstance(asked(beside=tried), Send)
    assert asked(beside=tried, storefront=shop(delivery="shadow")) == capped
    again = replace(ABANDONED_CART, cool_down=timedelta(days=30))
    tried = Beside(given=(replace(had(48, follow_up=again.name), live=False),))
    assert isinstance(asked(beside=tried, follow_up=again), Send)
    assert asked(beside=tried, follow_up=replace(again, delivery="shadow")) == Withhold(why=Reason.COOL_DOWN)


@pytest.mark.parametrize(
    "over",
    [
        (Scope.ALL, EVERYTHING),
        (Scope.STOREFRONT, "main-shop"),
        (Scope.FOLLOW_UP, "abandoned-cart"),
        (Scope.CHANNEL, "email"),
    ],
)
def test_what_is_paused_waits_as_long_as_it_is_worth_sending(over: tuple[Scope, str]) -> None:
    assert asked(paused=over) == Defer(until=NOON + WHILE_PAUSED, why=Reason.PAUSED)
    last = NOON + timedelta(hours=24)
    just_before = last - timedelta(seconds=1)
    assert asked(paused=over, now=just_before, known_until=just_before) == Defer(until=last, why=Reason.PAUSED)
    assert asked(paused=over, now=last, known_until=last) == Withhold(why=Reason.TOO_OLD)


def test_nothing_is_decided_about_what_is_paused_as_a_whole() -> None:
    over = (Scope.FOLLOW_UP, "abandoned-cart")
    assert asked(paused=over, who=profile(None), hold="broken", known_until=None) == asked(paused=over)
    assert asked(paused=over, instance=instance_of("abandoned", "ordered")) == Withhold(why=Reason.VOID)


@pytest.mark.parametrize(
    "other", [(Scope.STOREFRONT, "other"), (Scope.FOLLOW_UP, "thank-you"), (Scope.CHANNEL, "webhook")]
)
def test_a_switch_pauses_what_it_names_and_nothing_else(other: tuple[Scope, str]) -> None:
    assert isinstance(asked(paused=other), Send)


def test_a_switch_goes_off_by_itself_when_its_time_is_over() -> None:
    ends = switch(Scope.ALL, EVERYTHING, until=NOON)
    assert standing([ends], NOON - timedelta(seconds=1)).on == (ends,)
    assert standing([ends], NOON).on == ()


def test_a_message_carries_its_variant_and_its_coupon() -> None:
    coupon = Coupon(prefix="COMEBACK", worth="10 %", valid=timedelta(days=7))
    compared = saying(variants=(Variant(name="a", weight=1, coupon=coupon), Variant(name="b", weight=0)))
    decision = asked(follow_up=compared)
    assert isinstance(decision, Send)
    assert decision.variant == "a"
    assert decision.coupon is not None
    assert decision.coupon.expires_at == NOON + timedelta(days=7)


@pytest.mark.parametrize(("tried", "goes"), [("b", "b"), ("gone", "a"), (None, "a")])
def test_what_is_tried_again_is_in_the_variant_that_it_was_in_as_long_as_there_is_one(
    tried: str | None, goes: str
) -> None:
    compared = saying(variants=(Variant(name="a", weight=1, template="x"), Variant(name="b", weight=0, template="y")))
    decision = asked(follow_up=compared, variant=tried)
    assert isinstance(decision, Send)
    assert decision.variant == goes


@given(
    consent=st.sampled_from([{}, {"email": True}, {"email": False}]),
    said_by=st.sampled_from(SaidBy),
    hold=st.sampled_from([None, "broken"]),
    age=st.integers(0, 200),
    stages=st.sampled_from([("abandoned",), ("abandoned", "ordered"), ("abandoned", "active")]),
    hours=st.integers(0, 48),
    spent=st.booleans(),
)
def test_marketing_only_ever_goes_to_who_is_still_there_consents_and_is_known_freshly(
    consent: dict[str, bool],
    said_by: SaidBy,
    hold: str | None,
    age: int,
    stages: tuple[str, ...],
    hours: int,
    spent: bool,  # noqa: FBT001  hypothesis passes by name
) -> None:
    now = NOON + timedelta(hours=hours)
    decision = asked(
        who=profile(said_by=said_by, consent=consent),
        hold=hold,
        known_until=now - timedelta(seconds=age),
        instance=instance_of(*stages),
        now=now,
        claim_spent=spent,
    )
    allowed = (
        stages == ("abandoned",)
        and hours < 24
        and hold is None
        and age < 60
        and consent.get("email") is not False
        and not (said_by is SaidBy.BROWSER and spent)
    )
    assert isinstance(decision, Send) == allowed


@pytest.mark.parametrize(
    ("consent", "decision"),
    [({}, Send), ({"topic:offers": True}, Send), ({"topic:news": False}, Send), ({"topic:offers": False}, Withhold)],
)
def test_who_wants_nothing_of_a_topic_gets_none_of_it(consent: dict[str, bool], decision: type) -> None:
    offers = replace(ABANDONED_CART, topic="offers")
    assert isinstance(asked(follow_up=offers, who=profile(consent=consent)), decision)


def test_a_topic_that_is_refused_is_the_reason_that_is_told_and_no_matter_of_what_is_transactional() -> None:
    no = profile(consent={"topic:offers": False})
    assert asked(follow_up=replace(ABANDONED_CART, topic="offers"), who=no) == Withhold(why=Reason.TOPIC_REFUSED)
    assert isinstance(asked(follow_up=ABANDONED_CART, who=no), Send)
    thanks = replace(THANK_YOU, topic="offers")
    assert isinstance(asked(follow_up=thanks, instance=order(), who=no), Send)
    assert (ABANDONED_CART.consents("email"), thanks.consents("email")) == (("email",), ())
    assert replace(ABANDONED_CART, topic="offers").consents("email") == ("email", "topic:offers")
