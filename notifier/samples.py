"""Content to look at a template with, and to prove at the start that every follow-up renders: a rich one and a bare."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from babel.core import Locale

from notifier.content import Concerned, Content, Material, content_of
from notifier.coupons import issued
from notifier.followups import Coupon, FollowUp
from notifier.language import ALWAYS, language_for
from notifier.links import SAMPLE
from services.contracts.changes import Profile, Subject
from services.contracts.storefront import Storefront

_ITEMS: Final = (
    ("Meadow Linen Throw", "Moss green, 130 cm", 1, "68.00"),
    ("Hand-thrown Stoneware Mug", "Speckled oat", 2, "18.50"),
    ("Field Guide to Ferns", None, 1, "24.00"),
)
_SENT: Final = datetime(2030, 1, 1, 12, tzinfo=UTC)
_ADA: Final = Concerned(
    id="0b3f8c1e",
    name="Ada Quill",
    email="ada@mail.example",
    phone="+49301234567",
    survey="nps",
    score="3",
    page=SAMPLE.customer("0b3f8c1e"),
    comment=("The mug came with a crack in it, & nobody has answered my mail.", "Now I have <two> broken ones."),
)
_NOBODY: Final = Concerned(id="0b3f8c1e", name=None, email=None, phone=None, survey=None, score=None)


def sample_contents(
    follow_up: FollowUp, storefront: Storefront, languages: Collection[str] = (ALWAYS,), coupon: Coupon | None = None
) -> Mapping[str, Content]:
    """By what is special about each: in the storefront's language, then in the others. `coupon` is its step's."""
    own = language_for(Profile(), storefront, languages)
    contents = {}
    for locale in (own, *map(Locale, sorted(set(languages) - {own.language}))):
        for said, (who, what) in _kinds(storefront).items():
            named = said if locale is own else f"{said} (in `{locale.language}`)"
            contents[named] = _content(follow_up, storefront, who, what, locale, coupon)
    return contents


def _content(
    follow_up: FollowUp,
    storefront: Storefront,
    profile: Profile,
    subject: Subject,
    locale: Locale,
    coupon: Coupon | None,
) -> Content:
    return content_of(
        Material(
            storefront=storefront,
            profile=profile,
            track=follow_up.track,
            key="F-1042",
            subject=subject,
            marketing=follow_up.marketing,
            links=SAMPLE,
            locale=locale,
            coupon=None if coupon is None else issued(coupon, UUID(int=0), _SENT),
            concerned=_ADA if profile.traits else _NOBODY,
        )
    )


def _kinds(storefront: Storefront) -> Mapping[str, tuple[Profile, Subject]]:
    rich = Subject(
        items=[
            {
                "product_id": f"sample-{number}",
                "name": name,
                **({"variant": variant} if variant else {}),
                "quantity": quantity,
                "price": price,
                "url": storefront.url,
            }
            for number, (name, variant, quantity, price) in enumerate(_ITEMS, 1)
        ],
        value="129.00",
        currency=storefront.currency,
        url=f"{storefront.url.rstrip('/')}/sample",
        tracking_url=f"{storefront.url.rstrip('/')}/parcel",
    )
    bare = Subject(items=[{"product_id": "sample-1", "quantity": 2}, {"sku": "S-2", "quantity": 1}])
    return {
        "a customer we know": (Profile(traits={"first_name": "Ada"}), rich),
        "a customer of whom nothing is known": (Profile(), bare),
        "an empty subject": (Profile(), Subject()),
    }
