"""`stagepost check` on topics: every one that a follow-up names can be chosen by its customers."""

from pathlib import Path

import pytest

from notifier.check import check
from services.checks import Level
from services.shop import read_shop

STOREFRONTS = """\
main-shop:
  name: Fern
  url: https://shop.example
  currency: EUR
  timezone: Europe/Berlin
  sender: {name: Fern, email: hello@shop.example}
  topics:
    offers: {en: Offers}
"""
FOLLOW_UPS = """\
win-back:
  extends: shipped
  topic: TOPIC
"""


def found(folder: Path, topic: str, storefronts: str = STOREFRONTS) -> list[tuple[Level, int, int, str]]:
    (folder / "storefronts.yaml").write_text(storefronts, encoding="utf-8")
    (folder / "followups.yaml").write_text(FOLLOW_UPS.replace("TOPIC", topic), encoding="utf-8")
    return [(one.level, one.line, one.column, f"{one.message}; {one.fix}") for one in check(folder).found]


def test_a_topic_that_is_declared_is_fine(tmp_path: Path) -> None:
    assert found(tmp_path, "offers") == []


def test_one_that_nobody_declared_is_refused_where_it_is_named_with_what_was_meant(tmp_path: Path) -> None:
    declare = "eclare it in storefronts.yaml, under `topics:`"
    what = f"main-shop has no topic `ofers`; did you mean `offers`? Or d{declare}"
    assert found(tmp_path, "ofers") == [(Level.FAULT, 3, 3, what)]
    assert found(tmp_path, "moon") == [(Level.FAULT, 3, 3, f"main-shop has no topic `moon`; d{declare}")]


def test_one_that_some_storefronts_lack_is_a_warning(tmp_path: Path) -> None:
    both = STOREFRONTS + STOREFRONTS.replace("main-shop", "other-shop").partition("  topics:")[0]
    ((level, *_, what),) = found(tmp_path, "offers", both)
    assert (level, what.partition(";")[0]) == (Level.WARNING, "other-shop has no topic `offers`")


def test_only_marketing_has_a_topic(tmp_path: Path) -> None:
    (tmp_path / "storefronts.yaml").write_text(STOREFRONTS, encoding="utf-8")
    (tmp_path / "followups.yaml").write_text("thank-you:\n  extends: shipped\n  topic: offers\n", encoding="utf-8")
    (fault,) = check(tmp_path).found
    assert (fault.line, fault.message) == (3, "only marketing can be refused by its topic")


@pytest.mark.parametrize(
    ("topics", "said"),
    [
        ("{Offers: {en: Offers}}", "`Offers` can't name a topic; use a-z, 0-9 and -, as in `news`"),
        ("{offers: {}}", "what customers read is not said; write it as in {en: What is new}"),
        (
            "{" + ", ".join(f"t{n}: {{en: T}}" for n in range(21)) + "}",
            "these are 21 topics; nobody reads more than 20",
        ),
    ],
)
def test_what_nobody_can_choose_is_refused_where_it_stands(tmp_path: Path, topics: str, said: str) -> None:
    written = STOREFRONTS.partition("  topics:")[0] + f"  topics: {topics}\n"
    (tmp_path / "storefronts.yaml").write_text(written, encoding="utf-8")
    (fault,) = read_shop(tmp_path)[1]
    assert "storefronts.yaml:7:" in str(fault)
    assert said in str(fault)
