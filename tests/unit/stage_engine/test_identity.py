"""Identity: every event belongs to one for ever, and pointers lead from there to the customer."""

from datetime import timedelta
from uuid import UUID

import pytest

from services.contracts.identity import Identity, IdentityKind
from stage_engine.identity import MOST_POINTING, Link, customer_id, identity_id, pointer, pointers, root_of
from tests.unit.stage_engine.builders import START, said

USER, EMAIL, PHONE, DEVICE, CART = (
    IdentityKind.USER_ID,
    IdentityKind.EMAIL,
    IdentityKind.PHONE,
    IdentityKind.ANONYMOUS_ID,
    IdentityKind.CART_TOKEN,
)
EVERYTHING = {"user_id": "u1", "email": "a@b.c", "phone": "+4930123", "anonymous_id": "a1", "cart_token": "t1"}


def link(weak: Identity, strong: Identity, seconds: int = 0) -> Link:
    return Link(weak, strong, START + timedelta(seconds=seconds))


def user(value: str) -> Identity:
    return Identity(USER, value)


def device(value: str) -> Identity:
    return Identity(DEVICE, value)


@pytest.mark.parametrize("left_out", range(5))
def test_an_event_belongs_to_its_strongest_identity(left_out: int) -> None:
    kinds = list(EVERYTHING)[left_out:]
    arrived = said("A", who={kind: EVERYTHING[kind] for kind in kinds})
    assert arrived.entry.belongs_to == Identity(IdentityKind[kinds[0].upper()], EVERYTHING[kinds[0]])


@pytest.mark.parametrize(
    "nobody", ["", " ", "null", "undefined", "0", "guest", "Guest", "000", "00000000-0000-0000-0000-000000000000"]
)
def test_a_value_that_names_nobody_is_no_identity(nobody: str) -> None:
    arrived = said("A", who=dict.fromkeys(EVERYTHING, nobody), id="x1")
    assert arrived.named == (Identity(IdentityKind.EVENT, "x1"),)
    assert arrived.links == ()


def test_the_shops_own_address_names_nobody_and_is_nobodys_address() -> None:
    arrived = said("Order Completed", who={"email": " TILL@shop.example"}, id="x1")
    assert arrived.entry.belongs_to == Identity(IdentityKind.EVENT, "x1")
    assert arrived.entry.event.who.email is None


def test_zeros_as_a_phone_number_name_nobody() -> None:
    assert said("A", who={"phone": "+00 (000) 000"}, id="x1").named[0].kind is IdentityKind.EVENT


def test_a_server_links_every_weaker_identity_to_every_stronger_one() -> None:
    pairs = {(one.weak.kind, one.strong.kind) for one in said("A", who=EVERYTHING).links}
    kinds = (USER, EMAIL, PHONE, DEVICE, CART)
    assert pairs == {(weak, strong) for weak in kinds for strong in kinds if strong < weak}


def test_a_browser_links_only_its_device_and_its_cart_to_the_strongest_that_it_names() -> None:
    links = said("A", who=EVERYTHING, by="browser").links
    assert {(one.weak.kind, one.strong.kind) for one in links} == {(DEVICE, USER), (CART, USER)}


def test_a_browser_makes_no_address_point_anywhere() -> None:
    links = said("A", who={"user_id": "u1", "email": "a@b.c", "phone": "+4930123"}, by="browser").links
    assert links == ()


def test_a_browser_makes_no_alias() -> None:
    links = said("Identity Aliased", who={"user_id": "u2"}, by="browser", previous_id="u1").links
    assert links == ()


def test_an_alias_points_the_previous_id_as_account_and_as_device_to_the_account_of_now() -> None:
    links = said("Identity Aliased", who={"user_id": "u2"}, previous_id=" x ").links
    assert set(links) == {link(user("x"), user("u2")), link(device("x"), user("u2"))}


@pytest.mark.parametrize("previous", ["null", "", "u2", 7, None])
def test_an_alias_of_nobody_or_of_itself_moves_no_account(previous: object) -> None:
    links = said("Identity Aliased", who={"user_id": "u2"}, previous_id=previous).links
    assert all(one.weak.kind is DEVICE for one in links)
    assert not any(one.weak.value in ("null", "", "7") for one in links)


def test_an_alias_to_no_account_links_nothing() -> None:
    assert said("Identity Aliased", who={"anonymous_id": "a1"}, previous_id="u1").links == ()


def test_an_identity_points_to_the_strongest_kind() -> None:
    links = [link(device("a"), Identity(EMAIL, "a@b.c"), 0), link(device("a"), user("u1"), 9)]
    assert pointer(links) == links[1]


def test_of_the_strongest_kind_the_earliest_in_event_time_holds() -> None:
    links = [link(device("a"), user("u1"), 9), link(device("a"), user("u2"), 3)]
    assert pointer(links) == links[1]


def test_of_one_time_the_smallest_by_bytes_holds() -> None:
    links = [link(device("a"), user("b")), link(device("a"), user("Z"))]
    assert pointer(links) == links[1]


def test_of_aliases_the_earliest_holds() -> None:
    links = [link(user("u0"), user("u1"), 5), link(user("u0"), user("u2"), 4)]
    assert pointer(links) == links[1]


def test_one_seen_with_five_accounts_points_to_the_first_of_them() -> None:
    assert pointer(link(device("a"), user(str(n)), n) for n in range(5)) == link(device("a"), user("0"))


def test_one_seen_with_more_than_five_of_its_strongest_kind_is_a_till_and_points_nowhere() -> None:
    assert pointer(link(device("till"), user(str(n)), n) for n in range(6)) is None


def test_a_till_does_not_fall_back_to_weaker_kinds() -> None:
    links = [link(device("till"), user(str(n)), n) for n in range(6)]
    assert pointer([*links, link(device("till"), Identity(EMAIL, "a@b.c"))]) is None


def test_many_of_a_weaker_kind_make_no_till() -> None:
    links = [link(device("a"), Identity(EMAIL, f"{n}@b.c")) for n in range(9)]
    assert pointer([*links, link(device("a"), user("u1"), 9)]) == link(device("a"), user("u1"), 9)


def test_one_account_named_often_makes_no_till() -> None:
    assert pointer(link(device("a"), user("u1"), n) for n in range(9)) == link(device("a"), user("u1"))


def logins(*of: tuple[str, int]) -> list[Link]:
    return [link(device(value), user("u"), seconds) for value, seconds in of]


def pointing(links: list[Link], most: int = 2) -> set[str]:
    return {weak.value for weak in pointers(links, most=most)}


def test_a_thousand_point_to_one_and_the_next_does_not() -> None:
    links = logins(*((f"a{n}", n) for n in range(MOST_POINTING + 1)))
    assert pointing(links[::-1], MOST_POINTING) == {f"a{n}" for n in range(1_000)}


def test_of_too_many_the_earliest_point() -> None:
    assert pointing(logins(("a", 9), ("b", 3), ("c", 5))) == {"b", "c"}


def test_of_one_time_the_stronger_kind_then_the_smaller_by_bytes_points() -> None:
    assert pointing(logins(("b", 3), ("Z", 3), ("a", 3))) == {"Z", "a"}
    address = link(Identity(EMAIL, "z@b.c"), user("u"), 3)
    assert pointing([*logins(("a", 3), ("b", 3)), address]) == {"a", "z@b.c"}


def test_who_is_one_too_many_falls_back_to_nobody_else() -> None:
    other = link(device("c"), Identity(EMAIL, "a@b.c"))
    assert pointing([*logins(("a", 1), ("b", 2), ("c", 3)), other]) == {"a", "b"}


def test_one_that_turns_elsewhere_lets_the_next_in() -> None:
    crowd = [link(device(value), Identity(EMAIL, "a@b.c"), n) for n, value in enumerate("abc")]
    assert pointing(crowd) == {"a", "b"}
    held = pointers([*crowd, link(device("a"), user("u"), 9)], most=2)
    assert {weak.value: one.strong.kind for weak, one in held.items()} == {"a": USER, "b": EMAIL, "c": EMAIL}


def test_one_that_becomes_a_till_lets_the_next_in() -> None:
    till = [link(device("a"), user(f"u{n}"), n) for n in range(6)]
    crowd = [link(device(value), user("u0"), 9) for value in "bc"]
    assert pointing([*crowd, till[0]]) == {"a", "b"}
    assert pointing([*crowd, *till]) == {"b", "c"}


def test_aliases_take_places_like_all_others() -> None:
    links = [link(user(f"old{n}"), user("u"), n) for n in range(3)]
    assert pointing([*links, *logins(("a", 1))]) == {"old0", "old1"}


def test_an_identity_without_links_is_a_root() -> None:
    assert pointer([]) is None
    assert root_of(user("u1"), lambda _: None) == user("u1")


def test_pointers_are_followed_to_their_end() -> None:
    chain = {n: (n + 1, START) for n in range(5)}
    assert root_of(0, chain.get) == 5


@pytest.mark.parametrize("start", ["a", "b", "c", "outside"])
def test_in_a_loop_the_latest_pointer_is_void(start: str) -> None:
    loop = {
        "a": ("b", START),
        "b": ("c", START + timedelta(seconds=2)),
        "c": ("a", START + timedelta(seconds=1)),
        "outside": ("a", START + timedelta(days=1)),
    }
    assert root_of(start, loop.get) == "b"


def test_an_account_that_points_to_itself_is_a_root() -> None:
    assert root_of("a", {"a": ("a", START)}.get) == "a"


def test_a_customers_id_needs_the_storefronts_secret() -> None:
    root = user("u1")
    assert customer_id(UUID(int=1), root) != customer_id(UUID(int=2), root)
    assert customer_id(UUID(int=1), root) != customer_id(UUID(int=1), device("u1"))


def test_one_value_in_two_storefronts_is_two_identities() -> None:
    assert identity_id("one", user("u1")) != identity_id("two", user("u1"))
