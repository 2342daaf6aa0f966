"""A mail is written before it can be sent: of much and of nothing, in every language. What fails, fails here."""

from collections.abc import Iterator

from notifier.followups import Coupon, FollowUp
from notifier.render import Renderer, RenderError
from notifier.samples import sample_contents
from services.contracts.storefront import Storefront
from services.errors import ShopError


def try_out(renderer: Renderer, follow_up: FollowUp, storefront: Storefront) -> None:
    """All that it may be written with. Raises ShopError for the first that can't be."""
    for template, coupon in looks_of(follow_up):
        for said, error in stumbles(renderer, follow_up, storefront, template, coupon):
            raise ShopError(f"the follow-up `{follow_up.name}` can't be rendered for {said}: {error}") from None


def looks_of(follow_up: FollowUp) -> tuple[tuple[str, Coupon | None], ...]:
    """Each template with the coupon that it may speak of, of every step and variant."""
    looks = [step.look(name) for step in follow_up.steps for name in (None, *(one.name for one in step.variants))]
    return tuple(dict.fromkeys((template, coupon) for template, coupon in looks if template is not None))


def stumbles(
    renderer: Renderer, follow_up: FollowUp, storefront: Storefront, template: str, coupon: Coupon | None
) -> Iterator[tuple[str, RenderError]]:
    """For which customers it can't be written, and why."""
    for said, content in sample_contents(follow_up, storefront, renderer.languages, coupon).items():
        try:
            renderer.render(template, content)
        except RenderError as error:
            yield said, error
