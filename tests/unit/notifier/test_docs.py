"""docs/followups.md says what is so: its examples work, and nothing that there is is left out."""

import re
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest

from notifier.content import Code, Concerned, Content, Item, Shop
from notifier.followups_file import read_follow_ups
from notifier.followups_written import FollowUpWritten
from notifier.render import Renderer
from notifier.samples import sample_contents
from notifier.settings import SmtpSettings
from notifier.status import Status
from notifier.trial import try_out
from services.contracts.reasons import IN_WORDS, Reason
from services.contracts.storefront import Sender, Storefront
from services.shop import YamlFile
from tests.unit.notifier.builders import ABANDONED_CART

TEXT = (Path(__file__).parents[3] / "docs" / "followups.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)

SHOP = Storefront(
    name="Fern",
    url="https://shop.example",
    currency="EUR",
    timezone="Europe/Berlin",
    sender=Sender(name="Fern", email="hello@shop.example"),
)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_can_be_read(example: str, tmp_path: Path) -> None:
    (tmp_path / "followups.yaml").write_text(example, encoding="utf-8")
    assert read_follow_ups(YamlFile(tmp_path / "followups.yaml"))


def test_the_example_of_a_template_renders(tmp_path: Path) -> None:
    template = re.findall(r"```\n(\{% extends.*?)```", TEXT, re.DOTALL)[-1]
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "abandoned-cart.mjml").write_text(template, encoding="utf-8")
    try_out(Renderer(tmp_path), ABANDONED_CART, SHOP)


def test_the_example_of_a_short_template_renders_and_the_example_of_words_is_said(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    short = re.findall(r"```\n(\{% extends.*?)```", TEXT, re.DOTALL)[0]
    (words,) = re.findall(r"```\n(# templates/words.*?)```", TEXT, re.DOTALL)
    (tmp_path / "templates" / "abandoned-cart.mjml").write_text(short, encoding="utf-8")
    (tmp_path / "templates" / "words.en.yaml").write_text(words, encoding="utf-8")
    content = next(iter(sample_contents(ABANDONED_CART, SHOP).values()))
    rendered = Renderer(tmp_path).render("abandoned-cart", content)
    assert rendered.subject == "Your cart misses you, Ada"
    assert "Back to it (" in rendered.text
    assert "+49 221 1234" not in rendered.text  # this mail has a note of its own
    assert "+49 221 1234" in Renderer(tmp_path).render("browse-abandonment", content).text


@pytest.mark.parametrize(
    "name",
    [
        *(field.encode_name for field in msgspec.structs.fields(FollowUpWritten)),
        *Reason,
        *Status,
        *(field.name for kind in (Content, Item, Shop, Code, Concerned) for field in fields(kind)),
    ],
)
def test_every_name_that_a_marketer_may_meet_is_explained(name: str) -> None:
    assert f"`{name}`" in TEXT


def test_every_reason_has_words_for_who_looks_at_one_message() -> None:
    assert set(IN_WORDS) == set(Reason)


@pytest.mark.parametrize("name", SmtpSettings.model_fields)
def test_every_setting_of_the_mail_server_is_explained(name: str) -> None:
    assert f"__{name.upper()}`" in TEXT
