"""`stagepost why` as an operator sees it, and the same as JSON."""

import io
import json
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from rich.console import Console

from services.contracts.identity import Identity, IdentityKind
from stage_engine.asking import Answer
from stage_engine.history import Entry
from stage_engine.state import State
from stage_engine.store import Customer
from stage_engine.why import why
from stage_engine.why_screen import WIDTH, screen
from stage_engine.why_view import why_view
from tests.unit.stage_engine.builders import SEVEN, SHOP, Seen, added, event, ordered, see

ANN = UUID("49d88992-31d8-5d52-b110-01b0f3e30a67")
WHO = (Identity(IdentityKind.USER_ID, "u1"), Identity(IdentityKind.EMAIL, "ann@example.com"))


def answer(seen: Seen, *entries: Entry, **row: str) -> Answer:
    found = why(
        seen.state,
        SEVEN,
        [move.transition for move in seen.moves],
        seen.until + timedelta(seconds=1),
        known_until=seen.until,
        storefront=SHOP,
    )
    customer = Customer(
        id=ANN,
        storefront="main-shop",
        root=ANN,
        sequence=1,
        state=seen.state,
        next_wake=seen.folded.next_wake,
        waits_from=seen.folded.waits_from,
        hold=None,
        broken=None,
    )
    events = {entry.cause: entry.event for entry in entries if entry.cause in found.causes}
    return Answer(customer=replace(customer, hold=row.get("hold")), identities=WHO, why=found, events=events)


def shown(said: Answer) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=WIDTH, highlight=False).print(screen(said, SEVEN))
    return [line.rstrip() for line in out.getvalue().splitlines()]


BOUGHT = (event("Product Viewed", "0s"), added("5m"), ordered("10m", id="order-event"))


def test_a_buyer_in_a_dozen_lines() -> None:
    assert shown(answer(see(*BOUGHT, until="20d"), *BOUGHT)) == [
        "u1 and ann@example.com · main-shop                              49d88992-31d8-5d52-b110-01b0f3e30a67",
        "as of 2026-03-22 12:00:01 UTC",
        "next: at_risk in 70 d unless an Order Completed",
        "",
        "lifecycle purchase for 19 d 23 h, since 2026-03-02 12:10:00",
        "  by  Order Completed order-event, from consideration",
        "      1st `enter` of `purchase`: on Order Completed, when facts.orders == 1 (orders was 1)",
        "  to  at_risk        next, 2026-05-31 12:10:00 (90d since facts.last_order_at)",
        "      post_purchase  on Order Delivered, Order Shipped or Support Case Opened",
        "      retention      on Order Completed  ? facts.orders >= 2: 1 now, before the event counts",
        "                     on Loyalty Joined",
        "      advocacy       on Survey Answered  ? the event's kind == \"nps\"  ? the event's score >= 9",
        "                     on Product Shared or Referral Completed",
        "                     on Product Reviewed  ? double(the event's rating) >= 4.0",
        "",
        "cart c1 ordered for 19 d 23 h, since 2026-03-02 12:10:00: its end",
        "  by  Order Completed order-event, from active",
        "",
        "order o1 placed for 19 d 23 h, since 2026-03-02 12:10:00",
        "  by  Order Completed order-event",
        "      `start` of `placed`",
        "  to  shipped on Order Shipped · delivered on Order Delivered · refunded on Order Refunded ·",
        "      cancelled on Order Cancelled",
    ]


def test_time_that_brought_it_here_is_said_with_what_it_counts_from() -> None:
    lines = shown(answer(see(*BOUGHT, until="100d"), *BOUGHT))
    assert "  by  time, 90d after Order Completed order-event of 2026-03-02 12:10:00, from purchase" in lines


def test_a_browsers_word_is_marked_and_an_event_that_is_not_kept_is_named_by_its_id() -> None:
    viewed = event("Product Viewed", id="v1", by="browser")
    assert "  by  Product Viewed v1 said by a browser, from awareness" in shown(answer(see(viewed), viewed))
    assert "  by  event v1, from awareness" in shown(answer(see(viewed)))


def test_an_operators_word_is_said_with_who_and_why() -> None:
    word = event("Stage Set", "1h", id="set-1", track="lifecycle", stage="advocacy", reason="wrote us a letter")
    lines = shown(answer(see(*BOUGHT, word), *BOUGHT, word))
    assert lines[lines.index("  by  Stage Set set-1, from purchase") + 1] == (
        "      set by an operator: wrote us a letter"
    )


def test_imported_history_is_said_to_be_that() -> None:
    bought = ordered(imported="1d")
    lines = shown(answer(see(bought), bought))
    assert "      `start` of `placed`; imported history, which started nothing" in lines


def test_of_many_carts_the_latest_open_ones_are_shown_and_the_others_counted() -> None:
    carts = [added(f"{n}m", cart=f"c{n}") for n in range(1, 7)]
    lines = shown(answer(see(*carts), *carts))
    assert [line.split()[1] for line in lines if line.startswith("cart ")] == ["c6", "c5", "c4"]
    assert "and 3 more of cart: 3 active (--json has them)" in lines


def test_a_hold_and_what_waits_are_said_before_all_else() -> None:
    waiting = [added(), event("Product Viewed", "2h")]
    lines = shown(answer(see(*waiting, until="30m"), hold="refolding"))
    assert lines[2] == "on hold (refolding): a long history is being folded again; below is what stood before"
    assert lines[3] == "what happened from 14:00:00 on waits until all before it is known"


def test_what_is_only_approximate_is_said_to_be() -> None:
    seen = see(*BOUGHT, start=State(approximate=True))
    assert shown(answer(seen, *BOUGHT))[2] == (
        "approximate: who is whom changed after old history had been folded away"
    )


def test_nobody_knows_anything_of_who_did_nothing() -> None:
    assert shown(answer(see()))[2:] == ["time alone will move nothing", "", "nothing is known yet that begins a track"]


def test_the_same_as_json() -> None:
    said = answer(see(*BOUGHT, until="20d"), *BOUGHT)
    view = json.loads(json.dumps(why_view(said.customer, said.why, said.events, SEVEN)))
    assert view["next"]["text"] == "at_risk in 70 d unless an Order Completed"
    lifecycle = view["instances"][0]
    assert lifecycle["came"]["rule"] == {
        "id": "lifecycle.purchase[0]",
        "place": "1st `enter` of `purchase`",
        "text": "on Order Completed, when facts.orders == 1",
        "when": "facts.orders == 1",
    }
    assert lifecycle["came"]["cause"]["name"] == "Order Completed"
    at_risk = next(way for way in lifecycle["ways"] if way["by"] == "time")
    assert (at_risk["due"], at_risk["clock"]) == ("2026-05-31T12:10:00Z", "running")
    assert at_risk["armed_by"]["event_id"] == "order-event"
    again = next(way for way in lifecycle["ways"] if way["to"] == "retention")
    assert again["conditions"] == [
        {
            "text": "facts.orders >= 2",
            "says": "facts.orders >= 2: 1 now, before the event counts",
            "holds": False,
            "values": {"facts.orders": 1},
            "changes_with": ["Order Completed"],
        }
    ]
