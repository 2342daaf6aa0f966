"""A follow-up's mail with sample data, for whoever writes its template."""

from pathlib import Path

from notifier.followups_file import read_follow_ups
from notifier.render import Rendered, Renderer
from notifier.samples import sample_contents
from notifier.trial import looks_of
from services.errors import ConfigurationError
from services.shop import default_shop, load_shop


def sample(name: str, directory: Path | None) -> Rendered:
    """Raises ConfigurationError for a follow-up that the shop does not have, RenderError for a broken template."""
    shop = load_shop(directory or default_shop())
    follow_ups = read_follow_ups(shop.file("followups.yaml"))
    if name not in follow_ups:
        raise ConfigurationError(f"there is no follow-up `{name}`; there are {', '.join(follow_ups)}")
    if not follow_ups[name].templates:
        raise ConfigurationError(f"`{name}` goes to a program; there is nothing to look at")
    renderer = Renderer(shop.directory)
    template, coupon = looks_of(follow_ups[name])[0]
    contents = sample_contents(follow_ups[name], next(iter(shop.storefronts.values())), renderer.languages, coupon)
    return renderer.render(template, next(iter(contents.values())))
