"""A follow-up's mail with sample data, for whoever writes its template."""

from dataclasses import replace
from pathlib import Path

import msgspec

from notifier.followups_file import read_follow_ups
from notifier.render import Rendered, Renderer
from notifier.samples import sample_contents
from notifier.trial import looks_of
from services.errors import ConfigurationError
from services.shop import default_shop, load_shop


def sample(name: str, directory: Path | None, *, step: int = 1, locale: str | None = None) -> Rendered:
    """Raises ConfigurationError for what the shop does not have, RenderError for a broken template."""
    shop = load_shop(directory or default_shop())
    follow_ups = read_follow_ups(shop.file("followups.yaml"))
    if name not in follow_ups:
        raise ConfigurationError(f"there is no follow-up `{name}`; there are {', '.join(follow_ups)}")
    chosen = follow_ups[name].step(step)
    if chosen is None:
        raise ConfigurationError(f"`{name}` has no step {step}; it has {len(follow_ups[name].steps)}")
    if not chosen.templates:
        raise ConfigurationError(f"step {step} of `{name}` goes to a program; there is nothing to look at")
    renderer, storefront = Renderer(shop.directory), next(iter(shop.storefronts.values()))
    if locale is not None:
        storefront = msgspec.structs.replace(storefront, locale=locale)
    template, coupon = looks_of(replace(follow_ups[name], steps=(chosen,)))[0]
    contents = sample_contents(follow_ups[name], storefront, renderer.languages, coupon)
    return renderer.render(template, next(iter(contents.values())))
