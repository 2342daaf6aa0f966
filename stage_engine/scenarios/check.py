"""`stagepost check` on `scenarios/*.yaml`: what can't be meant. Whether they hold, `stagepost test` says."""

from pathlib import Path

from services.checks import Findings, faults_of
from services.errors import ShopError
from services.shop import load_shop
from stage_engine.model.load import load_model
from stage_engine.scenarios.read import FOLDER, read_all


def check(directory: Path) -> Findings:
    if not (directory / FOLDER).is_dir():
        return Findings()
    try:
        model = load_model(directory / "lifecycle.yaml")
        storefront = next(iter(load_shop(directory).storefronts.values()))
    except ShopError:
        return Findings()  # told of by whoever looks at those files
    reading = read_all(directory, model, storefront)
    return Findings(
        found=tuple(found for fault in reading.faults for found in faults_of(fault)),
        counts={"scenario": len(reading.scenarios)},
    )
