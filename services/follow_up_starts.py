"""Where each follow-up of a shop starts, for who need not know what is sent: the notifier reads the whole file."""

from pathlib import Path
from typing import NamedTuple

from services.shop import YamlFile


class Start(NamedTuple):
    track: str
    entered: str


def follow_up_starts(directory: Path) -> dict[str, Start]:
    """By name, of a file that `stagepost check` finds sound; what is none of it is passed over."""
    data = YamlFile(directory / "followups.yaml").data or {}
    found = {}
    for name, said in data.items():
        when = said.get("when", {}) if isinstance(said, dict) else {}
        if isinstance(when, dict) and {"track", "entered"} <= when.keys():
            found[str(name)] = Start(str(when["track"]), str(when["entered"]))
    return found
