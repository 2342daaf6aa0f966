"""`stagepost check` on `storefronts.yaml`."""

from pathlib import Path

from services.checks import Findings, Level, faults_of, finding_at
from services.errors import ShopError
from services.shop import read_shop

_BROWSER = (
    "`trust: browser` lets orders count that anybody who opens the shop's page can make up: in facts, stages and thanks"
)
_SERVER = "send orders with a server key and leave it out, if the shop can; addresses stay claims either way"


def check(directory: Path) -> Findings:
    try:
        shop, faults = read_shop(directory)
    except ShopError as error:
        return Findings(found=faults_of(error))
    source = shop.file("storefronts.yaml")
    told = [
        finding_at(source, (name, "trust"), Level.NOTE, _BROWSER, _SERVER)
        for name, storefront in shop.storefronts.items()
        if storefront.trust == "browser"
    ]
    found = (*(finding for fault in faults for finding in faults_of(fault)), *told)
    return Findings(found=found, counts={"storefront": len(shop.storefronts)})
