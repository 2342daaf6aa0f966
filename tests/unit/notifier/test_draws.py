"""Who is held out and who gets which variant: by chance over customers, and never otherwise for the same one."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from notifier.coupons import issued
from notifier.draws import held_out, variant_of
from notifier.followups import Coupon, Step, Variant
from tests.unit.notifier.builders import ABANDONED_CART, NOON, uid

PEOPLE = [uuid5(UUID(int=7), str(number)) for number in range(4000)]
AB = Step(
    number=1,
    after=timedelta(0),
    template="t",
    variants=(Variant(name="a", weight=1), Variant(name="b", weight=3), Variant(name="never", weight=0)),
)


def test_shares_come_out_as_they_are_written() -> None:
    held = replace(ABANDONED_CART, holdout=0.1)
    assert abs(sum(held_out(held, who) for who in PEOPLE) / len(PEOPLE) - 0.1) < 0.02
    drawn = [variant_of(ABANDONED_CART, AB, who) for who in PEOPLE]
    assert abs(drawn.count("a") / len(PEOPLE) - 0.25) < 0.03
    assert drawn.count("a") + drawn.count("b") == len(PEOPLE)


def test_the_draws_of_two_follow_ups_and_of_holdout_and_variant_have_nothing_to_do_with_each_other() -> None:
    held, other = replace(ABANDONED_CART, holdout=0.5), replace(ABANDONED_CART, name="other", holdout=0.5)
    both = sum(held_out(held, who) and held_out(other, who) for who in PEOPLE)
    assert abs(both / len(PEOPLE) - 0.25) < 0.03
    of_a = [held_out(held, who) for who in PEOPLE if variant_of(held, AB, who) == "a"]
    assert abs(sum(of_a) / len(of_a) - 0.5) < 0.06


@given(who=st.uuids(), share=st.floats(0, 0.99), more=st.floats(0, 0.99))
def test_a_holdout_that_grows_keeps_whom_it_had(who: UUID, share: float, more: float) -> None:
    small, large = sorted((share, more))
    if held_out(replace(ABANDONED_CART, holdout=small), who):
        assert held_out(replace(ABANDONED_CART, holdout=large), who)


def test_without_a_holdout_nobody_is_held_out() -> None:
    assert not any(held_out(ABANDONED_CART, who) for who in PEOPLE)


@given(st.uuids())
def test_a_customer_meets_the_same_variant_at_every_step(who: UUID) -> None:
    assert variant_of(ABANDONED_CART, AB, who) == variant_of(ABANDONED_CART, replace(AB, number=2), who)


def test_a_step_without_variants_has_none() -> None:
    assert variant_of(ABANDONED_CART, ABANDONED_CART.steps[0], uid("ada")) is None


def test_every_message_has_a_code_of_its_own_and_keeps_it() -> None:
    coupon = Coupon(prefix="COMEBACK", worth="10 %", valid=timedelta(days=7))
    codes = [issued(coupon, who, NOON).code for who in PEOPLE]
    assert len(set(codes)) == len(PEOPLE)
    assert codes == [issued(coupon, who, NOON).code for who in PEOPLE]
    assert all(len(code) == len("COMEBACK-12345-12345") for code in codes)
