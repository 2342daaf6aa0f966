"""`stagepost check` on `lifecycle.yaml`: what can't be meant, and what the model checker doubts."""

from pathlib import Path

from services.checks import Finding, Findings, Level, faults_of, finding_at
from services.errors import ShopError
from services.shop import YamlFile
from stage_engine.model.checker import Doubt, Ways, Where, doubts
from stage_engine.model.load import Reading, read_model
from stage_engine.model.model import Model


def check(directory: Path) -> Findings:
    try:
        reading = read_model(directory / "lifecycle.yaml")
    except ShopError as error:
        return Findings(found=faults_of(error))
    source = reading.source
    faults = [
        fault for slip in reading.faults for fault in faults_of(source.fault(slip.where, slip.message, slip.character))
    ]
    doubted = [_finding(source, doubt) for doubt in doubts(reading.model) if _is_sure(doubt, reading)]
    return Findings(found=(*faults, *doubted), counts=_counts(reading.model), stages=reading.stages or None)


def _is_sure(doubt: Doubt, reading: Reading) -> bool:
    """Of a track with faults not all is known; what it is doubted for may be for want of that."""
    faulty = {slip.where[:2] for slip in reading.faults}
    return doubt.where[:2] not in faulty and not {(), ("tracks",)} & faulty


def _finding(source: YamlFile, doubt: Doubt) -> Finding:
    """What only the preset says is told of at the nearest place in the shop's own file, by its name."""
    beside = "" if doubt.beside is None else _told(source, doubt.beside)
    message = doubt.message.replace("{beside}", beside)
    if not source.holds(doubt.where):
        message = f"of the preset's {_name(doubt.where)}: {message}"
    return finding_at(source, doubt.where, Level.NOTE if doubt.note else Level.WARNING, message, doubt.fix)


def _told(source: YamlFile, where: Where) -> str:
    return f"line {source.mark(where)[0]}" if source.holds(where) else f"the preset's {_name(where)}"


def _name(where: Where) -> str:
    """`cart.abandoned.enter.0` as people say it."""
    return "`" + ".".join(str(step) for step in where if step not in ("tracks", "stages", "enter")) + "`"


def _counts(model: Model) -> dict[str, int]:
    return {
        "track": len(model.tracks),
        "stage": sum(len(track.stages) for track in model.tracks),
        "rule": sum(len(Ways(track).rules) for track in model.tracks),
    }
