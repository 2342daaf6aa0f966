"""docs/models.md walked through as a newcomer would, up to where a stack has to run."""

from pathlib import Path

import pytest
from doc_walk import ROOT, Block, Command, blocks, commands, differs, run

from services.errors import ShopError
from stage_engine.model.load import load_model

LEAST = 8
"""Commands that the page has at the least."""
PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")


def test_the_whole_page_can_be_followed_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    """One walk in one directory, since each step stands on the one before; what needs a stack is walked elsewhere."""
    faults: list[str | None] = []
    for block in blocks(PAGE):
        match block.language, block.words:
            case "yaml", (name, *_):
                write(block, tmp_path / name)
            case "mermaid", ():
                drawn = run(Command(block.line, "stagepost draw my-shop", ""), tmp_path)
                faults.append(None if block.text in drawn else f"line {block.line}: drawn is\n{drawn}")
            case "console", ():
                faults += [differs(command, run(command, tmp_path)) for command in commands(block)]
            case _:
                pass
    assert [fault for fault in faults if fault is not None] == []
    assert len(faults) > LEAST, "the page is read to its end"


def write(block: Block, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")
    if path.name == "lifecycle.yaml" and "wrong" not in block.words:
        load_model(path)


FRAGMENTS = [block for block in blocks(PAGE) if block.language == "yaml" and not block.words]


@pytest.mark.parametrize("block", FRAGMENTS, ids=lambda block: f"line {block.line}")
def test_every_fragment_can_be_laid_over_the_preset(block: Block, tmp_path: Path) -> None:
    text = block.text if "extends:" in block.text else f"extends: seven-stage\n{block.text}"
    (tmp_path / "lifecycle.yaml").write_text(text, encoding="utf-8")
    try:
        load_model(tmp_path / "lifecycle.yaml")
    except ShopError as error:
        pytest.fail(f"{error}\n{text}")


KINDS = {("console",), ("console", "live"), ("sh",), ("yaml",), ("mermaid",)}


def test_no_block_is_of_a_kind_that_nobody_runs() -> None:
    for block in blocks(PAGE):
        kind = (block.language,) if block.language == "yaml" else (block.language, *block.words)
        assert kind in KINDS, f"line {block.line}: {kind}"
