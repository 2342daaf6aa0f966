"""What a message that may go out is made into, for the channel that it goes by."""

from dataclasses import dataclass

import structlog

from notifier.channels.channel import Content, Payload
from notifier.claimed import Claimed
from notifier.content import Material, content_of
from notifier.followups import WEBHOOK, FollowUp
from notifier.guard import Send
from notifier.language import language_for
from notifier.links import Links
from notifier.queue import Settled
from notifier.render import Renderer, RenderError
from notifier.status import Status
from notifier.tracking import tracked
from notifier.webhook_payload import payload_of
from services.contracts.storefront import Endpoint, Storefront

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A message that may go out, as it will look."""

    claimed: Claimed
    follow_up: FollowUp
    storefront: Storefront
    send: Send
    name: str | None
    content: Content
    unsubscribe: str | None


def packed(
    renderer: Renderer, claimed: Claimed, follow_up: FollowUp, storefront: Storefront, send: Send, links: Links
) -> Ready | Settled:
    """What can't be made is dead: nothing that the customer or the far side does mends it."""
    if send.channel == WEBHOOK:
        return Ready(
            claimed=claimed,
            follow_up=follow_up,
            storefront=storefront,
            send=send,
            name=None,
            content=_payload(claimed, follow_up, storefront.endpoints[send.address], send),
            unsubscribe=None,
        )
    instance, profile = claimed.instance, claimed.customer.profile
    content = content_of(
        Material(
            storefront=storefront,
            profile=profile,
            track=instance.track,
            key=instance.key,
            subject=instance.subject,
            marketing=follow_up.marketing,
            links=links,
            locale=language_for(profile, storefront, renderer.languages),
            coupon=send.coupon,
        )
    )
    step = follow_up.step(claimed.message.step)
    template, _ = step.look(send.variant) if step else (None, None)
    try:
        rendered = renderer.render(template or "", content)
    except RenderError as error:
        log.error("a message can't be rendered", message=str(claimed.message.id), error=str(error))  # noqa: TRY400
        return Settled(id=claimed.message.id, status=Status.DEAD, reason="render_failed", answer=str(error)[:200])
    return Ready(
        claimed=claimed,
        follow_up=follow_up,
        storefront=storefront,
        send=send,
        name=content.first_name,
        content=tracked(rendered, links, clicks=storefront.track_clicks, opens=storefront.track_opens),
        unsubscribe=links.unsubscribe,
    )


def _payload(claimed: Claimed, follow_up: FollowUp, endpoint: Endpoint, send: Send) -> Payload:
    return Payload(body=payload_of(claimed, follow_up, endpoint, variant=send.variant, coupon=send.coupon))
