"""A follow-up's mail with sample data, for whoever writes its template."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from notifier.followups import FollowUp, FollowUps, Step
from notifier.followups_file import read_follow_ups
from notifier.render import Rendered, Renderer
from notifier.samples import sample_contents
from notifier.shown import locale_of
from notifier.trial import looks_of
from services.contracts.storefront import Storefront
from services.errors import ConfigurationError
from services.shop import default_shop, load_shop


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """`shop` is the storefront's name in routes and keys."""

    shop: str
    storefront: Storefront
    rendered: Rendered


def sample(
    name: str, directory: Path | None, *, step: int = 1, locale: str | None = None, storefront: str | None = None
) -> Sample:
    """Raises ConfigurationError for what the shop does not have, RenderError for a broken template."""
    shop = load_shop(directory or default_shop())
    follow_up, chosen = chosen_step(read_follow_ups(shop.file("followups.yaml")), name, step)
    renderer, called = Renderer(shop.directory), chosen_storefront(shop.storefronts, storefront)
    written = shop.storefronts[called]
    if locale is not None:
        check_language(renderer.languages, locale)
        written = msgspec.structs.replace(written, locale=locale)
    template, coupon = looks_of(replace(follow_up, steps=(chosen,)))[0]
    contents = sample_contents(follow_up, written, renderer.languages, coupon)
    rendered = renderer.render(template, next(iter(contents.values())))
    return Sample(shop=called, storefront=written, rendered=rendered)


def chosen_storefront(storefronts: Collection[str], name: str | None) -> str:
    """The only one, where none is named. Raises ConfigurationError, which says what there is instead."""
    there = ", ".join(storefronts)
    if name is None:
        if len(storefronts) == 1:
            return next(iter(storefronts))
        raise ConfigurationError(f"each storefront has its own look; say --storefront with one of {there}")
    if name not in storefronts:
        raise ConfigurationError(f"there is no storefront `{name}`; there are {there}")
    return name


def check_language(languages: Collection[str], name: str) -> None:
    """A customer gets English where there are no words; whoever asks for a language is to know. Raises as above."""
    asked = locale_of(name)
    if asked is None or asked.language not in languages:
        raise ConfigurationError(f"there are no words in `{name}`; there are in {', '.join(sorted(languages))}")


def chosen_step(follow_ups: FollowUps, name: str, step: int) -> tuple[FollowUp, Step]:
    """One that can be looked at. Raises ConfigurationError, which says what there is instead."""
    if name not in follow_ups:
        raise ConfigurationError(f"there is no follow-up `{name}`; there are {', '.join(follow_ups)}")
    chosen = follow_ups[name].step(step)
    if chosen is None:
        raise ConfigurationError(f"`{name}` has no step {step}; it has {len(follow_ups[name].steps)}")
    if not chosen.templates:
        raise ConfigurationError(f"step {step} of `{name}` goes to a program; there is nothing to look at")
    return follow_ups[name], chosen
