"""`stagepost init`: a shop's directory to begin with. It is checked first: it comes sound or not at all."""

import shutil
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Final

from services.checks import Level, check_shop
from services.errors import ConfigurationError
from services.schemas import FOLDER, first_line, write_all

_SCHEMA_OF: Final = {
    "storefronts.yaml": "storefronts",
    "lifecycle.yaml": "lifecycle",
    "followups.yaml": "followups",
    "scenarios/first-steps.yaml": "scenarios",
    "README.md": None,
}
"""What is written, and by which schema editors check it."""


def write_shop(directory: Path, preset: str) -> list[Path]:
    """Returns the files written; raises ConfigurationError if something is there already, or the preset is not."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigurationError(f"{directory} is there already, and nothing is overwritten; name another directory")
    directory.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=".stagepost-init-", dir=directory.parent))
    try:
        for name in _SCHEMA_OF:
            path = making / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(_text(name, preset), encoding="utf-8")
        write_all(making / FOLDER)
        faults = check_shop(making).of(Level.FAULT)
        if faults:
            said = "\n".join(str(fault) for fault in faults)
            raise ConfigurationError(said.replace(str(making), str(directory)))
        making.chmod(0o755)
        making.replace(directory)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return [directory / name for name in (*_SCHEMA_OF, FOLDER)]


def _text(name: str, preset: str) -> str:
    text = files("services").joinpath("starter", name).read_text(encoding="utf-8").replace("PRESET", preset)
    schema = _SCHEMA_OF[name]
    return text if schema is None else first_line(schema, from_folder="../" * name.count("/")) + text
