"""docs/stage-engine.md shows what `stagepost why` prints."""

from pathlib import Path

from tests.unit.stage_engine.builders import see
from tests.unit.stage_engine.test_why_screen import BOUGHT, answer, shown

TEXT = (Path(__file__).parents[3] / "docs" / "stage-engine.md").read_text(encoding="utf-8")


def test_the_screen_in_the_docs_is_the_screen() -> None:
    lines = shown(answer(see(*BOUGHT, until="20d"), *BOUGHT))
    assert "\n".join(lines[: lines.index("", 4)]) in TEXT
