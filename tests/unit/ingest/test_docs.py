"""docs/events.md and docs/ingest.md say what the code does."""

import re
from pathlib import Path

from ingest.bootstrap import SETTINGS_PATHS
from ingest.dialects import ga4, shopify, woocommerce
from ingest.dialects.vocabulary import IDS, NUMBERS
from ingest.limits import Limits
from ingest.openapi import ERRORS
from ingest.routes import HOT_ROUTES, PIXEL_ROUTES
from ingest.settings import PublishSettings, SpoolSettings
from ingest.webhooks import WEBHOOK_ROUTES
from services.contracts import events
from services.contracts.events import Rank, rank_of
from services.contracts.vocabulary import OWN, PROPERTIES, SPEC

DOCS = Path(__file__).resolve().parents[3] / "docs"
EVENTS = (DOCS / "events.md").read_text(encoding="utf-8")
INGEST = (DOCS / "ingest.md").read_text(encoding="utf-8")


def rows() -> dict[str, list[str]]:
    """The events' tables: name → the other cells."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in EVENTS.splitlines() if line[:2] == "| "]
    return {first: rest for first, *rest in cells if len(rest) == 3 and first != "event"}


def test_every_name_stands_in_the_vocabulary_and_no_other() -> None:
    assert set(rows()) == {*SPEC, *OWN}


def test_every_property_of_an_event_stands_in_the_vocabulary_and_no_other() -> None:
    product = set(re.findall(r"`(\w+)`", EVENTS.split("P stands for a product: ")[1].split(". Where")[0]))
    told = {word for cells in rows().values() for word in re.findall(r"\w+", re.sub(r"\(.*\)", "", cells[1]))}
    assert (told | product) - {"P", "as", "Order", "Completed", "email", "phone"} == set(PROPERTIES)


def test_every_ranked_name_stands_in_the_vocabulary() -> None:
    ranked = events._RANK_OF  # noqa: SLF001  the table itself, since `rank_of` can't be asked what it knows
    assert ranked
    assert set(ranked) <= set(rows())


def test_every_event_s_rank_is_the_one_that_orders_it() -> None:
    assert {name: cells[2] for name, cells in rows().items()} == {name: rank_of(name).name.lower() for name in rows()}


def test_every_rank_stands_with_its_number() -> None:
    for rank in Rank:
        assert f"| {rank.name.lower()} | {rank.value} |" in EVENTS


def test_every_older_form_stands_beside_its_name() -> None:
    assert {name: rows()[name][0] for name in SPEC} == {name: ", ".join(older) for name, older in SPEC.items()}


def test_the_properties_that_are_put_right_are_named() -> None:
    section = EVENTS.split("## Properties")[1].split("## Who")[0]
    numbers, ids = section.split("\nTraits")[0].split("- **Ids.**")
    assert set(re.findall(r"`(\w+)`", numbers)) >= NUMBERS
    assert set(re.findall(r"`([a-z_]+)`", ids)) == IDS


def test_every_route_error_and_setting_of_ingest_is_described() -> None:
    for route in HOT_ROUTES:
        assert route.path in INGEST
    for path in (*(pixel.path for pixel in PIXEL_ROUTES), *(path.format(key="KEY") for path in SETTINGS_PATHS)):
        assert f"`GET {path}`" in INGEST
    for hook in WEBHOOK_ROUTES:
        assert f"`POST {hook.path}`" in INGEST
    for status, (_, codes) in ERRORS.items():
        for code, _ in codes:
            assert re.search(rf"\| {status} \|[^|]*`{code}`", INGEST), (status, code)
    for group, fields in (
        ("LIMITS", Limits.model_fields),
        ("PUBLISH", PublishSettings.model_fields),
        ("SPOOL", SpoolSettings.model_fields),
    ):
        for field in fields:
            assert f"`STAGEPOST_{group}__{field.upper()}`" in INGEST


def test_every_topic_and_status_of_shopify_is_told_and_no_other() -> None:
    section = INGEST.split("## Shopify's webhooks")[1].split("\n## ")[0]
    table = section.split("| topic |")[1].split("\n\n")[0]
    topics = {name for line in table.splitlines() for name in re.findall(r"`([a-z_]+/[a-z_]+)`", line)}
    assert topics == set(shopify.TOPICS)
    assert all(f"`{status}`" in section for status in shopify.UNSOLD)


def test_every_topic_and_status_of_woocommerce_is_told_and_no_other() -> None:
    section = INGEST.split("## WooCommerce's webhooks")[1].split("\n## ")[0]
    table = section.split("| topic |")[1].split("\n\n")[0]
    assert set(re.findall(r"`([a-z_]+\.[a-z_]+)`", table)) == set(woocommerce.TOPICS)
    statuses = set(re.findall(r"`([a-z-]+)`", section.split("| status |")[1].split("\n\n")[0]))
    assert statuses == woocommerce.SOLD | woocommerce.UNPAID | woocommerce.GONE | {"failed"}


def test_every_name_and_parameter_of_google_s_is_told_with_ours() -> None:
    section = INGEST.split("## Google Analytics 4")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ((?:`\w+` ?)+)\| (.*) \|$", section, re.MULTILINE)
    told = {name: ours for names, ours in rows for name in re.findall(r"`(\w+)`", names)}
    assert set(told) == set(ga4.NAMES)
    assert all(ga4.NAMES[name] in ours for name, ours in told.items())
    text = re.sub(r"\s+", " ", section)
    for theirs, ours in {**ga4.PARAMETERS, **ga4.ITEM}.items():
        assert re.search(rf"`{theirs}`( becomes)? `{ours}`", text), theirs
