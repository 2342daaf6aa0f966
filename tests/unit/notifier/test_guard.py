"""What may go out now, what waits, and what is kept back."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.followups import FollowUp
from notifier.guard import RECONSIDERED, Circumstances, Decision, Defer, Message, Reason, Send, Withhold, guard
from notifier.holdings import Customer, Instance, apply
from services.contracts.changes import Address, Profile
from services.contracts.events import SaidBy
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
    now: datetime = NOON,
) -> Decision:
    message = Message(id=uid("message"), step=1, transition=START.id, expires_at=NOON + timedelta(hours=24))
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
    )
    return guard(message, circumstances, now)


def test_all_well_is_sent_to_the_address_that_a_server_said() -> None:
    assert asked() == Send(address="ada@mail.example", claim=False)


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
    assert asked(who=claimed) == Send(address="ada@mail.example", claim=True)
    assert asked(who=claimed, claim_spent=True) == Withhold(why=Reason.CLAIM_SPENT)


def test_beyond_the_caps_only_claims_are_withheld() -> None:
    assert asked(who=profile(said_by=SaidBy.BROWSER), claim_capped=True) == Withhold(why=Reason.CLAIM_CAPPED)
    assert asked(claim_capped=True) == Send(address="ada@mail.example", claim=False)


def test_a_spent_claim_does_not_bind_an_address_that_a_server_said() -> None:
    assert asked(claim_spent=True) == Send(address="ada@mail.example", claim=False)


def test_a_claim_is_not_enough_for_a_customers_own_track() -> None:
    welcome = replace(ABANDONED_CART, track="lifecycle", stage="abandoned")
    instance = instance_of("abandoned", track="lifecycle")
    assert asked(follow_up=welcome, instance=instance, who=profile(said_by=SaidBy.BROWSER)) == Withhold(
        why=Reason.CLAIM_NOT_ENOUGH
    )


def test_a_follow_up_that_the_shop_took_out_sends_nothing() -> None:
    assert asked(follow_up=None) == Withhold(why=Reason.NOT_CONFIGURED)
    assert asked(storefront=None) == Withhold(why=Reason.NOT_CONFIGURED)


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
