"""Pages as they are rendered: what shops and browsers said is text, and an empty page says what to do."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from console.queries import HappenedEvent, Journey, Message, Move, Overview, StageCount, Totals
from console.rendering import STATIC, Pages, moment
from console.stages import strips
from console.timeline import stands, timeline

EVIL = """<script>alert(1)</script>"'onload=x {{7*7}}"""
NOBODY = UUID(int=0)


def overview_page(found: Overview, now: datetime, **more: object) -> str:
    return Pages().html(
        "overview.html",
        now=now,
        found=found,
        storefronts=[(name, None, strips({}, name, found.stages)) for name in {c.storefront for c in found.stages}],
        ingest_url="http://127.0.0.1:8080",
        **{"empty": not found.stages, **more},
    )


def customer_page(found: Journey, now: datetime) -> str:
    return Pages().html(
        "customer.html",
        now=now,
        customer=NOBODY,
        found=found,
        storefronts={},
        stands=stands(found.moves),
        timeline=timeline(found),
    )


def foreign_tags(page: str) -> list[str]:
    """Tags and attributes that no template writes."""
    return re.findall(r"<script>|<[a-z]+[^<>]*\sonload=", page)


def test_what_anybody_said_is_text_on_the_overview(
    move: Callable[..., Move], message: Callable[..., Message], noon: datetime
) -> None:
    found = Overview(
        stages=[StageCount(storefront=EVIL, track=EVIL, stage=EVIL, instances=1, customers=1)],
        moves=[move(EVIL, before=EVIL, track=EVIL, key=EVIL, reason=EVIL, rule=EVIL)],
        messages=[message(EVIL, reason=EVIL, follow_up=EVIL)],
        message_counts={"sent": 1},
        totals=Totals(events=1, customers=1, moves=1),
    )
    page = overview_page(found, noon)
    assert not foreign_tags(page)
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;onload=x {{7*7}}") >= 7


def test_what_anybody_said_is_text_on_a_customers_page(
    move: Callable[..., Move], event: Callable[..., HappenedEvent], message: Callable[..., Message], noon: datetime
) -> None:
    found = Journey(
        events=[event(EVIL, event_id=EVIL, properties=f'{{"{EVIL}": "</pre>{EVIL}"}}')],
        moves=[move(EVIL, before=EVIL, track=EVIL, key=EVIL, reason=EVIL, rule=EVIL)],
        messages=[message(EVIL, reason=EVIL, follow_up=EVIL)],
    )
    page = customer_page(found, noon)
    assert not foreign_tags(page)
    assert page.count("&lt;script&gt;alert(1)") >= 10


@pytest.mark.parametrize("page", ["search.html", "sign_in.html", "error.html"])
def test_what_a_visitor_typed_is_text(page: str) -> None:
    said = Pages().html(page, asked=EVIL, found=[], wanted=EVIL, wrong=True, title=EVIL, message=EVIL)
    assert not foreign_tags(said)
    assert "&lt;script&gt;" in said


def test_an_empty_overview_says_how_to_send_the_first_event(noon: datetime) -> None:
    page = overview_page(Overview(stages=[], moves=[], messages=[], message_counts={}, totals=None), noon)
    assert "curl http://127.0.0.1:8080/v1/events" in page


def test_messages_that_went_wrong_are_counted_apart(noon: datetime) -> None:
    counts = {"sent": 3, "pending": 1, "retry": 2, "dead": 4, "unknown": 1, "withheld": 9}
    page = overview_page(Overview(stages=[], moves=[], messages=[], message_counts=counts, totals=None), noon)
    shown = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page)
    assert shown[-3:] == [("messages sent", "3"), ("waiting", "3"), ("dead or unknown", "5")]


def test_a_move_says_from_where_to_where_and_why(move: Callable[..., Move], noon: datetime) -> None:
    found = Journey(
        events=[],
        moves=[move("at_risk", before="purchase", rule="lifecycle.at_risk.1", reason="90d since")],
        messages=[],
    )
    text = " ".join(re.sub(r"<[^>]+>", " ", customer_page(found, noon)).split())
    assert "purchase → at risk 90d since rule lifecycle.at_risk.1" in text


def test_times_of_other_days_have_their_day(noon: datetime) -> None:
    assert moment(noon, noon + timedelta(hours=1)) == "12:00:00"
    assert moment(noon, noon + timedelta(days=1)) == "2026-11-22 12:00"


@pytest.mark.parametrize("page", sorted(p.name for p in (STATIC.parent / "pages").iterdir()))
def test_pages_hold_nothing_that_the_policy_forbids(page: str) -> None:
    """Inline styles and scripts, handlers, and anything from another host."""
    source = (STATIC.parent / "pages" / page).read_text(encoding="utf-8")
    assert not re.search(
        r"\sstyle=|\son[a-z]+=|<style|<script(?! src=\"/static/)|(?:src|href|action)=\"(?!/|\{\{)", source
    )


@pytest.mark.parametrize("file", sorted(STATIC.iterdir()), ids=lambda path: path.name)
def test_static_files_load_nothing_from_elsewhere(file: Path) -> None:
    source = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]|url\(|@import", source)
