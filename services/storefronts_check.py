"""`stagepost check` on `storefronts.yaml`."""

from pathlib import Path

from services.checks import Findings, Level, faults_of, finding_at
from services.errors import ShopError
from services.shop import load_shop

_BROWSER = (
    "`trust: browser` lets orders count that anybody who opens the shop's page can make up: in facts, stages and thanks"
)
_SERVER = "send orders with a server key and leave it out, if the shop can; addresses stay claims either way"


def check(directory: Path) -> Findings:
    try:
        shop = load_shop(directory)
    except ShopError as error:
        return Findings(found=faults_of(error))
    source = shop.file("storefronts.yaml")
    told = tuple(
        finding_at(source, (name, "trust"), Level.NOTE, _BROWSER, _SERVER)
        for name, storefront in shop.storefronts.items()
        if storefront.trust == "browser"
    )
    return Findings(found=told, counts={"storefront": len(shop.storefronts)})
