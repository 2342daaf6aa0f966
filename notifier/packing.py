"""What a message that may go out is made into, for the channel that it goes by."""

from dataclasses import dataclass
from uuid import UUID

import structlog

from notifier import shown
from notifier.addresses import deliverable
from notifier.channels.channel import Content, Payload
from notifier.claimed import Claimed
from notifier.content import Concerned, Material, content_of
from notifier.followups import WEBHOOK, FollowUp
from notifier.guard import Send
from notifier.holdings import Customer, Instance
from notifier.language import language_for
from notifier.links import Links
from notifier.queue import Settled
from notifier.render import Rendered, Renderer, RenderError
from notifier.status import Status
from notifier.tracking import tracked
from notifier.webhook_payload import payload_of
from services.contracts.changes import Profile
from services.contracts.events import SaidBy
from services.contracts.reasons import Reason
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
    instance, customer = claimed.instance, claimed.customer.profile
    step = follow_up.step(claimed.message.step)
    to_staff = step is not None and step.to_staff
    profile = Profile() if to_staff else customer
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
            concerned=concerned(claimed.customer, instance, claimed.message.transition, links) if to_staff else None,
        )
    )
    template, _ = step.look(send.variant) if step else (None, None)
    try:
        rendered = renderer.render(template or "", content)
    except RenderError as error:
        log.error("a message can't be rendered", message=str(claimed.message.id), error=str(error))  # noqa: TRY400
        return Settled(id=claimed.message.id, status=Status.DEAD, reason=Reason.RENDER_FAILED, answer=str(error)[:200])
    return Ready(
        claimed=claimed,
        follow_up=follow_up,
        storefront=storefront,
        send=send,
        name=content.first_name,
        content=rendered if to_staff else _tracked(rendered, storefront, links),
        unsubscribe=None if to_staff else links.unsubscribe,
    )


def _tracked(rendered: Rendered, storefront: Storefront, links: Links) -> Rendered:
    return tracked(rendered, links, clicks=storefront.track_clicks, opens=storefront.track_opens)


def _payload(claimed: Claimed, follow_up: FollowUp, endpoint: Endpoint, send: Send) -> Payload:
    return Payload(body=payload_of(claimed, follow_up, endpoint, variant=send.variant, coupon=send.coupon))


def concerned(customer: Customer, instance: Instance, transition: UUID | None, links: Links) -> Concerned:
    """Of whom the shop's own people are told, and what they said: what the rule that moved them looked at.

    An address that only a web page said may be a stranger's: nobody is to write there.
    """
    profile = customer.profile
    names = (shown.line(profile.traits.get(name)) for name in ("first_name", "last_name"))
    said = {kind: a.value for kind, a in profile.addresses.items() if a.said_by is SaidBy.SERVER}
    move = next((move for move in instance.moves if move.id == transition), None)
    survey, score = next(iter(move.facts.items()), (None, None)) if move is not None else (None, None)
    return Concerned(
        id=str(customer.id),
        name=" ".join(name for name in names if name) or None,
        email=deliverable(said.get("email", "")),
        phone=shown.line(said.get("sms")) or None,
        survey=survey,
        score=None if score is None else shown.line(str(score)),
        comment=shown.words(instance.subject.comment),
        page=links.customer(str(customer.id)),
    )
