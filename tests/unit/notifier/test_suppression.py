"""What stands against an address, for which mail, however the address is written."""

import pytest

from notifier.suppression import NOTHING, SCOPE_OF, Scope, Standing, Why, place_of


@pytest.mark.parametrize("why", Why)
def test_marketing_stops_whatever_the_reason(why: Why) -> None:
    assert Standing(by_scope={SCOPE_OF[why]: why}).against(marketing=True) is why


def test_a_dead_address_gets_nothing_and_who_unsubscribed_or_complained_still_hears_of_their_orders() -> None:
    stopped = {why for why in Why if Standing(by_scope={SCOPE_OF[why]: why}).against(marketing=False)}
    assert stopped == {Why.HARD_BOUNCE, Why.OPERATOR}
    assert NOTHING.against(marketing=True) is None


def test_of_two_reasons_the_wider_one_is_told() -> None:
    both = Standing(by_scope={Scope.MARKETING: Why.COMPLAINT, Scope.ALL: Why.HARD_BOUNCE})
    assert both.against(marketing=True) is Why.HARD_BOUNCE


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ada@mail.example", " Ada@MAIL.example ", True),
        ("ada@b\u00fccher.example", "ada@xn--bcher-kva.example", True),
        ("ada@mail.example", "ada@other.example", False),
        ("no address", "NO ADDRESS", True),
    ],
)
def test_an_address_is_known_in_every_spelling(one: str, other: str, same: bool) -> None:  # noqa: FBT001  a table's column
    assert (place_of("main-shop", one) == place_of("main-shop", other)) is same
    assert place_of("main-shop", one) != place_of("other-shop", one)
