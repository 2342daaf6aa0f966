"""What the notifier says to the engine is said of the right customer, once, and gives nobody's address away."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from notifier import saying
from notifier.saying import About
from services.cards import NUMBER_REMOVED
from services.contracts.changes import Profile, Root
from services.contracts.events import Event, SaidBy, decode_event, encode_event, is_of_a_message
from services.contracts.identity import IdentityKind, Who
from tests.unit.notifier.builders import NOON

ADA = About(
    message=UUID(int=7),
    storefront="main-shop",
    follow_up="abandoned-cart",
    channel="email",
    customer_id=UUID(int=8),
    address="ada@mail.example",
    profile=Profile(root=Root(kind="user_id", value="u1")),
)
LATER = NOON + timedelta(hours=1)
Saying = Callable[[About], Event | None]
SAYINGS: dict[str, Saying] = {
    "sent": lambda about: saying.sent(about, NOON),
    "opened": lambda about: saying.opened(about, NOON),
    "followed": lambda about: saying.followed(about, "https://shop.example/mug", NOON),
    "by hand": lambda about: saying.answered_by_hand(about, "answer", NOON),
    "hard": lambda about: saying.bounced(about, hard=True, now=NOON),
    "soft": lambda about: saying.bounced(about, hard=False, now=NOON),
    "complained": lambda about: saying.complained(about, NOON),
    "9": lambda about: saying.survey_answered(about, "nps", 9, "", NOON),
    "3": lambda about: saying.survey_answered(about, "nps", 3, "It came broken.", NOON),
    "yes": lambda about: saying.consented(about, "email", yes=True, now=NOON),
    "no": lambda about: saying.consented(about, "email", yes=False, now=NOON),
}


def said(name: str, about: About = ADA) -> Event:
    event = SAYINGS[name](about)
    assert event is not None
    return event


@pytest.mark.parametrize("name", SAYINGS)
def test_it_is_said_by_us_of_the_customers_root_alone(name: str) -> None:
    event = said(name)
    assert event.who == Who(user_id="u1")
    assert event.said_by is SaidBy.SERVER
    assert is_of_a_message(event)
    assert (event.properties["message_id"], event.properties["follow_up"]) == (str(ADA.message), "abandoned-cart")
    assert decode_event(encode_event(event)) == event


@pytest.mark.parametrize("name", SAYINGS)
def test_an_address_is_named_only_where_a_person_answered_and_never_as_an_identity(name: str) -> None:
    assert ("ada@mail.example" in encode_event(said(name)).decode()) is (name == "by hand")
    assert said(name).who.email is None


@pytest.mark.parametrize("kind", [kind for kind in IdentityKind if kind is not IdentityKind.EVENT])
def test_every_kind_of_root_is_named_as_what_it_is(kind: IdentityKind) -> None:
    root = Root(kind=kind.field, value="x")
    event = saying.sent(replace(ADA, profile=Profile(root=root)), NOON)
    assert event is not None
    assert event.who == Who(**{kind.field: "x"})


@pytest.mark.parametrize("root", [None, Root(kind="event", value="e1")])
def test_nothing_is_said_of_who_was_never_named(root: Root | None) -> None:
    nobody = replace(ADA, profile=Profile(root=root))
    assert [say(nobody) for say in SAYINGS.values()] == [None] * len(SAYINGS)


def test_nothing_is_said_of_what_went_to_the_shops_own_people() -> None:
    theirs = replace(ADA, address="service@shop.example", to_staff=True)
    assert [say(theirs) for say in SAYINGS.values()] == [None] * len(SAYINGS)


def test_what_is_another_thing_has_another_id_and_the_same_thing_again_has_the_same() -> None:
    assert len({said(name).id for name in SAYINGS}) == len(SAYINGS)
    again = saying.survey_answered(ADA, "nps", 9, "", LATER)
    assert again is not None
    assert again.id == said("9").id
    back = saying.survey_answered(ADA, "nps", 9, "", LATER, number=3)
    assert back is not None
    assert back.id != said("9").id
    other = replace(ADA, message=UUID(int=9))
    assert not {said(name, other).id for name in SAYINGS} & {said(name).id for name in SAYINGS}


def test_who_changes_their_mind_and_back_is_heard_each_time() -> None:
    again = saying.consented(ADA, "email", yes=False, now=LATER)
    assert again is not None
    assert again.id != said("no").id


def test_a_comment_is_said_without_the_card_number_in_it() -> None:
    event = saying.survey_answered(ADA, "nps", 3, "Charge 4111 1111 1111 1111 again, not order 1042.", NOON)
    assert event is not None
    assert event.properties["comment"] == f"Charge {NUMBER_REMOVED} again, not order 1042."
