"""`stagepost check` on `lifecycle.yaml`: what can't be meant, and what the model checker doubts."""

from pathlib import Path

from services.checks import Findings, faults_of
from services.errors import ShopError
from stage_engine.model.load import read_model
from stage_engine.model.model import Model
from stage_engine.model.ways import rules_of


def check(directory: Path) -> Findings:
    try:
        reading = read_model(directory / "lifecycle.yaml")
    except ShopError as error:
        return Findings(found=faults_of(error))
    faults = [finding for fault in reading.faults for finding in faults_of(fault)]
    return Findings(found=tuple(faults), counts=_counts(reading.model), stages=reading.stages or None)


def _counts(model: Model) -> dict[str, int]:
    return {
        "track": len(model.tracks),
        "stage": sum(len(track.stages) for track in model.tracks),
        "rule": len({rule.id for track in model.tracks for rule in rules_of(track)}),
    }
