"""`stagepost check` on `storefronts.yaml`."""

from collections.abc import Iterator
from pathlib import Path

from services.checks import Findings, Level, StageNamed, faults_of, finding_at
from services.contracts.storefront import Storefront
from services.errors import ShopError
from services.shop import YamlFile, read_shop

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
    names = tuple(
        named for name, storefront in shop.storefronts.items() for named in _stages_of(source, name, storefront)
    )
    return Findings(found=found, counts={"storefront": len(shop.storefronts)}, names=names)


def _stages_of(source: YamlFile, name: str, storefront: Storefront) -> Iterator[StageNamed]:
    """Those that the file itself names: a lifecycle need not have what is meant where it says nothing."""
    for track, stages in storefront.marketing_stops_in.items():
        at = (name, "marketing_stops_in", track)
        if source.holds(at):
            yield from (
                StageNamed(track=track, stage=stage, source=source, track_at=at, stage_at=(*at, index))
                for index, stage in enumerate(stages)
            )
