"""Who said it: a browser may stop mail; it may not start or aim it beyond one."""

from typing import Any

import pytest
from msgspec.structs import replace

from services.contracts.changes import Address
from services.contracts.events import OF_A_MESSAGE, SaidBy
from stage_engine.history import Entry
from stage_engine.profile import MOST_TOPICS_SAID
from tests.unit.stage_engine.builders import added, event, ordered, see, trusting

MAIL = {"user_id": "u1", "email": "a@b.c"}


def test_a_browsers_order_is_a_report_that_ends_carts() -> None:
    seen = see(added("0s"), ordered("10m", by="browser"), until="3h")
    assert seen.went("cart", "c1") == ["active", "ordered"]
    assert seen.moves_of("cart", "c1")[1].transition.reason == "Order Reported"


def test_a_browsers_order_counts_in_no_fact() -> None:
    seen = see(ordered(by="browser"))
    assert (seen.fact("orders"), seen.fact("revenue"), seen.fact("last_order_at")) == (0, 0, None)
    assert not seen.folded.orders


def test_a_browsers_order_thanks_nobody_and_moves_no_lifecycle() -> None:
    seen = see(ordered(by="browser"))
    assert seen.keys("order") == []
    assert seen.stage() == "awareness"


def test_a_servers_copy_of_a_reported_order_is_its_first() -> None:
    seen = see(ordered("0s", by="browser"), ordered("5s"))
    assert seen.fact("orders") == 1
    assert seen.went("order", "o1") == ["placed"]


def test_a_browsers_copy_after_the_servers_changes_no_amount() -> None:
    assert see(ordered("0s"), ordered("5s", by="browser", revenue=99_999)).fact("revenue") == 10


def test_with_trust_in_browsers_their_orders_count() -> None:
    seen = see(added("0s"), ordered("1m", by="browser"), shop=trusting())
    assert (seen.fact("orders"), seen.fact("revenue"), seen.stage()) == (1, 10, "purchase")
    assert seen.stage("order", "o1") == "placed"


def test_with_trust_in_browsers_their_addresses_stay_claims() -> None:
    seen = see(ordered(by="browser", who=MAIL), shop=trusting())
    assert seen.state.profile.addresses["email"].said_by is SaidBy.BROWSER


def test_with_trust_in_browsers_their_texts_and_prices_stay_out_of_what_is_mailed() -> None:
    line = {"product_id": "p1", "name": "Win a million", "price": 1, "url": "https://evil.example"}
    seen = see(ordered(by="browser", products=[line]), shop=trusting())
    assert seen.instance("order", "o1").subject.items == [{"product_id": "p1", "quantity": 1}]
    assert seen.instance("order", "o1").subject.value is None


def test_withdrawn_consent_counts_whoever_says_it() -> None:
    seen = see(event("Email Subscribed", "0s"), event("Email Unsubscribed", "1s", by="browser"))
    assert seen.state.profile.consent == {"email": False}


def test_a_browser_grants_no_consent() -> None:
    seen = see(event("Email Unsubscribed", "0s"), event("Email Subscribed", "1s", by="browser"))
    assert seen.state.profile.consent == {"email": False}


def test_a_browsers_subscription_is_a_request_that_a_confirming_grants() -> None:
    asked = event("Email Subscribed", "0s", by="browser", who=MAIL)
    assert (see(asked).stage("opt_in"), see(asked).keys("newsletter")) == ("asked", [])
    assert see(asked).state.profile.consent == {}
    seen = see(asked, of_a_message("Email Subscribed", "1m", {"user_id": "u1"}))
    assert (seen.stage("opt_in"), seen.stage("newsletter")) == ("confirmed", "subscribed")
    assert seen.state.profile.consent == {"email": True}


def test_topics_stand_beside_the_channels_and_anybody_may_refuse_some() -> None:
    said = {"topic:news": True, "topic:Not a name": True, "topic:": True, "topic:offers": "no"}
    seen = see(event("Customer Identified", "0s", traits={"consent": said}))
    assert seen.state.profile.consent == {"topic:news": True}
    page = {"topic:news": False, "topic:offers": True}
    seen = see(
        event("Customer Identified", "0s", traits={"consent": said}),
        event("Customer Identified", "1s", by="browser", traits={"consent": page}),
    )
    assert seen.state.profile.consent == {"topic:news": False}


def test_what_refuses_a_thousand_topics_fills_no_profile() -> None:
    flood = {f"topic:t{n}": False for n in range(1_000)}
    seen = see(
        event("Customer Identified", "0s", traits={"consent": {"topic:news": True, "email": True}}),
        event("Customer Identified", "1s", by="browser", traits={"consent": flood}),
        event("Customer Identified", "2s", by="browser", traits={"consent": {**flood, "topic:news": False}}),
    )
    assert len(seen.state.profile.consent) == MOST_TOPICS_SAID[SaidBy.BROWSER] + 1
    assert seen.state.profile.consent["topic:news"] is False, "what is known can always be said otherwise"


@pytest.mark.parametrize("flooded", ["0s", "2s"])
def test_a_page_that_refuses_a_thousand_topics_leaves_room_for_what_they_refuse_themselves(flooded: str) -> None:
    flood = {f"topic:t{n}": False for n in range(1_000)}
    seen = see(
        event("Customer Identified", flooded, by="browser", traits={"consent": flood}),
        event("Customer Identified", "1s", traits={"consent": {"topic:news": False}}),
    )
    assert seen.state.profile.consent["topic:news"] is False


def test_consent_is_said_for_each_channel_by_the_trait_of_that_name() -> None:
    seen = see(
        event(
            "Customer Identified", "0s", traits={"consent": {"sms": True, "push": True, "fax": True, "email": "yes"}}
        ),
        event("Customer Identified", "1s", traits={"consent": {"push": False}}),
    )
    assert seen.state.profile.consent == {"sms": True, "push": False}


def test_a_browsers_trait_withdraws_consent_and_grants_none() -> None:
    seen = see(
        event("Customer Identified", "0s", traits={"consent": {"sms": True}}),
        event("Customer Identified", "1s", by="browser", traits={"consent": {"sms": False, "push": True}}),
    )
    assert seen.state.profile.consent == {"sms": False}


def test_a_browsers_address_is_a_claim() -> None:
    seen = see(event("A", by="browser", who=MAIL))
    assert seen.state.profile.addresses == {"email": Address(value="a@b.c", said_by=SaidBy.BROWSER)}


def test_a_claim_says_from_which_network_it_first_came_and_a_servers_word_from_none() -> None:
    first = event("A", "0s", by="browser", who=MAIL, network="n1")
    repeated = event("A", "1s", by="browser", who=MAIL, network="n2")
    claimed = see(repeated, first).state.profile.addresses["email"]
    assert claimed == Address(value="a@b.c", said_by=SaidBy.BROWSER, network="n1")
    another = event("A", "2s", by="browser", who={**MAIL, "email": "d@e.f"}, network="n2")
    assert see(first, another).state.profile.addresses["email"].network == "n2"
    assert see(first, event("A", "3s", who=MAIL, network="n3")).state.profile.addresses["email"].network is None


def test_of_copies_that_came_from_two_networks_the_same_one_counts_in_any_order() -> None:
    one, other = (event("A", id="x", by="browser", who=MAIL, network=network) for network in ("n1", "n2"))
    assert one.body == other.body
    assert see(one, other).state.profile == see(other, one).state.profile


def test_a_claim_never_replaces_an_address_of_a_server() -> None:
    seen = see(event("A", "0s", who=MAIL), event("A", "1s", by="browser", who={**MAIL, "email": "evil@b.c"}))
    assert seen.state.profile.addresses["email"] == Address(value="a@b.c", said_by=SaidBy.SERVER)


def test_a_server_that_repeats_a_claim_makes_it_an_address() -> None:
    seen = see(event("A", "0s", by="browser", who=MAIL), event("A", "1s", who=MAIL))
    assert seen.state.profile.addresses["email"].said_by is SaidBy.SERVER


def test_the_shops_own_address_is_no_customers() -> None:
    assert see(event("A", who={"user_id": "u1", "email": "till@shop.example"})).state.profile.addresses == {}


def test_what_a_browser_says_of_a_customer_is_kept_apart_from_what_a_server_says() -> None:
    seen = see(
        event("A", "0s", traits={"first_name": "Ann", "vip": True}),
        event("A", "1s", by="browser", traits={"first_name": "Click here"}),
        event("A", "2s", traits={"vip": None}),
    )
    assert seen.state.profile.traits == {"first_name": "Ann"}
    assert seen.state.profile.claims == {"first_name": "Click here"}


def test_which_traits_are_kept_does_not_hang_on_the_order_of_their_keys() -> None:
    many = {f"t{n}": n for n in range(300)}
    there, back = (see(event("A", id="x", traits=t)) for t in (many, dict(reversed(many.items()))))
    assert there.state.profile == back.state.profile
    assert len(there.state.profile.traits) == 200


@pytest.mark.parametrize("name", ["Product Added", "Cart Updated"])
def test_of_a_browsers_cart_only_product_variant_and_quantity_are_kept(name: str) -> None:
    line = {
        "product_id": "p1",
        "sku": "s1",
        "variant": "blue",
        "quantity": 2,
        "name": "Buy at evil.example",
        "price": 1,
        "image_url": "https://evil.example/x.png",
        "url": "https://evil.example",
    }
    properties = {"products": [line]} if name == "Cart Updated" else line
    seen = see(
        event(name, by="browser", cart_id="c1", currency="USD", cart_url="https://evil.example/cart", **properties)
    )
    subject = seen.instance("cart", "c1").subject
    assert subject.items == [{"product_id": "p1", "sku": "s1", "variant": "blue", "quantity": 2}]
    assert (subject.value, subject.currency, subject.url) == (None, None, None)


def test_what_a_server_told_of_a_line_stays_when_a_browser_adds_another() -> None:
    seen = see(added("0s", name="Mug", price="4.50", currency="EUR"), added("1s", by="browser", name="Evil", price=1))
    assert seen.instance("cart", "c1").subject.items == [
        {"product_id": "p1", "name": "Mug", "price": "4.50", "quantity": 2}
    ]
    assert seen.instance("cart", "c1").subject.value == "9.00"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example", "ftp://x.example", "http://[", 7, "https://"])
def test_only_links_that_a_browser_opens_as_a_page_are_kept(url: object) -> None:
    seen = see(added(url=url, image_url=url, cart_url=url))
    assert seen.instance("cart", "c1").subject.items == [{"product_id": "p1", "quantity": 1}]
    assert seen.instance("cart", "c1").subject.url is None


def of_a_message(name: str, after: str, who: dict[str, str], **said_of_it: Any) -> Entry:  # noqa: ANN401  see `said`
    entry = event(name, after, who=who, **said_of_it)
    return replace(entry, event=replace(entry.event, context=OF_A_MESSAGE))


def test_a_claim_that_was_clicked_is_an_address() -> None:
    claim = event("A", "0s", by="browser", who=MAIL)
    seen = see(claim, of_a_message("Message Clicked", "1s", {"user_id": "u1"}, address="a@b.c"))
    assert seen.state.profile.addresses["email"] == Address(value="a@b.c", said_by=SaidBy.SERVER)


@pytest.mark.parametrize(
    ("name", "address"), [("Message Clicked", "other@b.c"), ("Message Sent", "a@b.c"), ("Message Opened", "a@b.c")]
)
def test_a_click_of_another_address_or_what_a_machine_may_do_leaves_a_claim_a_claim(name: str, address: str) -> None:
    claim = event("A", "0s", by="browser", who=MAIL)
    seen = see(claim, of_a_message(name, "1s", {"user_id": "u1"}, address=address))
    assert seen.state.profile.addresses["email"].said_by is SaidBy.BROWSER


def test_a_click_gives_nobody_an_address_who_has_none() -> None:
    seen = see(event("A", "0s"), of_a_message("Message Clicked", "1s", {"user_id": "u1"}, address="a@b.c"))
    assert seen.state.profile.addresses == {}


def test_what_is_said_of_a_message_by_a_guests_own_address_is_no_servers_word_on_it() -> None:
    """A guest's root is the address itself; to have been mailed once must not be the confirmation."""
    guest = {"email": "a@b.c"}
    seen = see(event("A", "0s", by="browser", who=guest), of_a_message("Message Sent", "1s", guest))
    assert seen.state.profile.addresses["email"].said_by is SaidBy.BROWSER


def test_a_browser_can_confirm_nothing() -> None:
    forged = of_a_message("Message Clicked", "1s", MAIL, by="browser", address="a@b.c")
    seen = see(event("A", "0s", by="browser", who=MAIL), forged)
    assert seen.state.profile.addresses["email"].said_by is SaidBy.BROWSER
