"""What mails say in each language, and whose words stand before whose."""

from pathlib import Path

import jinja2
import pytest
from babel.core import Locale
from jinja2 import meta

from notifier.language import chain, language_for
from notifier.words import OURS, read_words, word
from services.contracts.changes import Profile
from services.errors import ShopError
from tests.unit.notifier.test_render import shop

SHIPPED = read_words(Path("nowhere"))
LANGUAGES = {"en", "de"}


def test_english_and_german_are_shipped() -> None:
    assert set(SHIPPED) == LANGUAGES


@pytest.mark.parametrize("language", sorted(LANGUAGES - {"en"}))
def test_every_language_says_all_that_english_does(language: str) -> None:
    assert set(SHIPPED[language]) == set(SHIPPED["en"])


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_says_it_of_the_same_things(language: str) -> None:
    """A name or a link that one language leaves out is a slip of who translated."""
    environment = jinja2.Environment(autoescape=True)
    for key, said in SHIPPED["en"].items():
        names = [
            meta.find_undeclared_variables(environment.parse(text)) for text in (said.text, SHIPPED[language][key].text)
        ]
        assert names[0] - {"count", "more"} == names[1] - {"count", "more"}, key


def test_words_that_nothing_says_are_not_kept() -> None:
    """Every name stands in a template, or is one that `letter.mjml` asks for."""
    asked = "".join(path.read_text(encoding="utf-8") for path in OURS.glob("*.mjml"))
    assert {name for _, name in SHIPPED["en"] if f'"{name}"' not in asked} == set()


@pytest.mark.parametrize(
    ("traits", "claims", "locale", "expected"),
    [
        ({"locale": "de"}, {}, "en", "de"),
        ({"locale": "de-AT"}, {}, "en", "de_AT"),
        ({"language": "de"}, {}, "en", "de"),
        ({}, {"locale": "de"}, "en", "de"),
        ({"locale": "en"}, {"locale": "de"}, "de", "en"),
        ({"locale": "fr"}, {}, "de", "de"),
        ({"locale": "fr"}, {}, "fr", "en"),
        ({"locale": "<b>"}, {}, "de-CH", "de_CH"),
        ({"locale": 7}, {}, "nonsense", "en"),
        ({}, {}, "en-GB", "en_GB"),
    ],
)
def test_a_customers_own_language_goes_first_then_the_shops_then_english(
    traits: dict[str, object], claims: dict[str, object], locale: str, expected: str
) -> None:
    found = language_for(Profile(traits=traits, claims=claims), shop(locale=locale), LANGUAGES)
    assert str(found) == expected


def test_words_are_looked_for_from_the_country_to_the_language_to_english() -> None:
    assert chain(Locale("de", "AT")) == ("de-AT", "de", "en")
    assert chain(Locale("en")) == ("en",)


def own(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_the_shops_own_word_stands_before_ours_and_ours_before_english(tmp_path: Path) -> None:
    words = read_words(own(tmp_path, "words.de-AT.yaml", "thank-you: {title: Vergelt's Gott}"))

    def said(language: str, section: str, name: str) -> str | None:
        found = word(words, chain(Locale.parse(language, sep="-")), (section,), name)
        return found.text if found else None

    assert said("de-AT", "thank-you", "title") == "Vergelt's Gott"
    assert (said("de", "thank-you", "title") or "").startswith("Danke")
    assert said("de-AT", "thank-you", "button") == "Zur Bestellung"
    assert said("de-AT", "thank-you", "unsubscribe") == "Abmelden"
    assert said("de-AT", "thank-you", "nonsense") is None


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("words.en.yaml", "thank-you:\n  title: 7\n", "words.en.yaml:2:3 here should stand a text"),
        ("words.en.yaml", "thank-you: Hello\n", "words.en.yaml:1:1 here should stand a mapping"),
        ("words.german.yaml", "", "words.german.yaml:1:1 names no language"),
        ("words.en.yaml", "a: [", "this is no YAML"),
    ],
)
def test_a_slip_is_told_with_its_place(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(ShopError) as caught:
        read_words(own(tmp_path, name, text))
    assert said in str(caught.value)
