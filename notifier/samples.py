"""Content to look at a template with, and to prove at the start that every follow-up renders: a rich one and a bare."""

from collections.abc import Mapping
from typing import Final

from notifier.content import Content, content_of
from notifier.followups import FollowUp
from notifier.links import SAMPLE
from services.contracts.changes import Profile, Subject
from services.contracts.storefront import Storefront

_ITEMS: Final = (
    ("Meadow Linen Throw", "Moss green, 130 cm", 1, "68.00"),
    ("Hand-thrown Stoneware Mug", "Speckled oat", 2, "18.50"),
    ("Field Guide to Ferns", None, 1, "24.00"),
)


def sample_contents(follow_up: FollowUp, storefront: Storefront) -> Mapping[str, Content]:
    """By what is special about each."""
    profile = Profile(traits={"first_name": "Ada"})
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
    )
    bare = Subject(items=[{"product_id": "sample-1", "quantity": 2}, {"sku": "S-2", "quantity": 1}])
    contents = {
        "a customer we know": (profile, rich),
        "a customer of whom nothing is known": (Profile(), bare),
        "an empty subject": (Profile(), Subject()),
    }
    return {
        said: content_of(follow_up, storefront, who, what, "F-1042", SAMPLE) for said, (who, what) in contents.items()
    }
