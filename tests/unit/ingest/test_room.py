"""How much of all calls may be in memory, and how it is shared."""

from contextlib import ExitStack, suppress

import pytest

from ingest.room import CALL_BYTES, STRANGERS, Room
from services.errors import Unavailable

MAX = 100 * CALL_BYTES


def test_what_a_call_took_is_free_again_once_it_is_answered_or_fails() -> None:
    room = Room(MAX, 0.5)
    with room.held("shop") as held:
        held.grow(1000)
        assert room.taken == CALL_BYTES + 1000
    assert room.taken == 0
    with suppress(RuntimeError), room.held("shop") as held:
        held.grow(1000)
        raise RuntimeError
    assert room.taken == 0


def test_a_storefront_takes_its_share_and_no_more_and_the_rest_is_the_others() -> None:
    refused: list[str | None] = []
    room = Room(MAX, 0.5, refused.append)
    with room.held("noisy") as noisy, room.held("quiet") as quiet:
        noisy.grow(MAX // 2 - CALL_BYTES)
        with pytest.raises(Unavailable) as answer:
            noisy.grow(1)
        assert (answer.value.code, answer.value.retry_after) == ("busy", 1)
        quiet.grow(MAX // 2 - CALL_BYTES)
        assert room.taken == MAX
        with pytest.raises(Unavailable), room.held("third"):
            pass
    assert refused == ["noisy", "third"]
    assert room.taken == 0


def test_who_is_not_known_yet_has_one_share_with_all_who_are_not() -> None:
    room = Room(MAX, 0.25)
    part = MAX // 4 // STRANGERS
    with ExitStack() as calls:
        several = [calls.enter_context(room.held(None, f"203.0.113.{number}")) for number in range(STRANGERS)]
        for one in several:
            one.grow(part - CALL_BYTES)
        with pytest.raises(Unavailable), room.held(None, "203.0.113.9"):
            pass
        several[0].belongs_to("shop")
        with room.held(None, "203.0.113.9"):
            pass
    assert room.taken == 0


def test_one_address_that_nobody_knows_can_t_take_what_all_who_are_not_known_have() -> None:
    """Webhooks are not known before they are read, and WooCommerce sends them once."""
    room = Room(MAX, 0.5)
    with room.held(None, "203.0.113.9") as stranger, room.held(None, "198.51.100.1") as webhook:
        stranger.grow(MAX // 2 // STRANGERS - CALL_BYTES)
        with pytest.raises(Unavailable):
            stranger.grow(1)
        webhook.grow(100_000 // STRANGERS)
        webhook.belongs_to("shop")
    assert room.taken == 0


def test_a_call_that_turns_out_to_be_of_a_storefront_without_room_is_refused_and_leaves_none_behind() -> None:
    room = Room(MAX, 0.25)
    with room.held("shop") as first:
        first.grow(MAX // 4 - CALL_BYTES)
        with room.held(None) as late:
            late.grow(1000)
            with pytest.raises(Unavailable):
                late.belongs_to("shop")
        assert room.taken == MAX // 4
