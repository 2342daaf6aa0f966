"""A mail to look at, before anybody gets it."""

from pathlib import Path

import pytest

from notifier.preview import sample
from services.errors import ConfigurationError
from services.new_shop import write_shop


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write_shop(tmp_path / "shop", "seven-stage")
    (tmp_path / "shop" / "followups.yaml").write_text("abandoned-cart: shipped\n")
    return tmp_path / "shop"


def test_each_step_can_be_looked_at_in_each_language(directory: Path) -> None:
    assert sample("abandoned-cart", directory).rendered.subject == "Ada, your cart is waiting"
    assert sample("abandoned-cart", directory, locale="de").rendered.subject == "Ada, Ihr Warenkorb wartet"
    assert sample("abandoned-cart", directory, step=2).rendered.subject == "10% off what you left in your cart"


@pytest.mark.parametrize(("name", "step", "said"), [("win-back", 1, "there is no"), ("abandoned-cart", 3, "it has 2")])
def test_what_is_not_there_is_told_with_what_is(directory: Path, name: str, step: int, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        sample(name, directory, step=step)


@pytest.mark.parametrize("locale", ["fr", "klingon", ""])
def test_a_language_without_words_is_told_and_not_taken_for_english(directory: Path, locale: str) -> None:
    with pytest.raises(ConfigurationError, match="there are in de, en"):
        sample("abandoned-cart", directory, locale=locale)
    (directory / "templates").mkdir()
    (directory / "templates" / "words.fr.yaml").write_text("abandoned-cart: {subject: Votre panier}\n")
    assert sample("abandoned-cart", directory, locale="fr-CH").rendered.subject == "Votre panier"


@pytest.fixture
def two(directory: Path) -> Path:
    one = (directory / "storefronts.yaml").read_text(encoding="utf-8")
    other = one.replace("main-shop:", "outlet:", 1).replace("name: ", "name: Outlet of ", 1)
    (directory / "storefronts.yaml").write_text(f"{one}\n{other}", encoding="utf-8")
    return directory


def test_of_several_storefronts_the_named_one_is_shown(two: Path) -> None:
    shown = sample("abandoned-cart", two, storefront="outlet")
    assert shown.shop == "outlet"
    assert shown.storefront.name.startswith("Outlet of ")
    assert shown.storefront.name in shown.rendered.text
    assert sample("abandoned-cart", two, storefront="main-shop", locale="de").storefront.locale == "de"


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (None, "say --storefront with one of main-shop, outlet"),
        ("shop", "there is no storefront `shop`; there are main-shop, outlet"),
    ],
)
def test_which_storefront_is_never_guessed(two: Path, named: str | None, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        sample("abandoned-cart", two, storefront=named)
