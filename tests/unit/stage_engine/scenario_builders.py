"""A test writes a scenario as a shop would; the model is `seven-stage` and the shop the one of `builders`."""

import tempfile
from pathlib import Path
from textwrap import dedent

from services.contracts.storefront import Storefront
from stage_engine.model.model import Model
from stage_engine.scenarios.play import Met, Played, play
from stage_engine.scenarios.read import Reading, read_file
from stage_engine.scenarios.show import failure
from tests.unit.stage_engine.builders import SEVEN, SHOP


def reading(text: str, *, by: Model = SEVEN, shop: Storefront = SHOP) -> Reading:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "story.yaml"
        path.write_text(dedent(text), encoding="utf-8")
        return read_file(path, by, shop)


def faults(text: str) -> list[str]:
    """As `line:column message`."""
    return [str(fault).split("story.yaml:", 1)[1] for fault in reading(text).faults]


def played(*steps: str, by: Model = SEVEN, shop: Storefront = SHOP) -> Played:
    """One scenario, given by its steps."""
    found = reading("a story:\n" + "\n".join(f"  - {step}" for step in steps), by=by, shop=shop)
    assert found.faults == ()
    (scenario,) = found.scenarios
    return play(scenario, by, shop)


def holds(*steps: str, by: Model = SEVEN, shop: Storefront = SHOP) -> bool:
    return played(*steps, by=by, shop=shop).failed is None


def unmet(*steps: str) -> list[tuple[str, str]]:
    """What was expected and what was found instead, of the `expect` that does not hold."""
    return [(line.said, line.instead) for line in failing(*steps).lines if not line.holds]


def failing(*steps: str) -> Met:
    found = played(*steps).failed
    assert found is not None
    return found


def shown(*steps: str) -> str:
    """The failure as it is printed."""
    one = played(*steps)
    assert one.failed is not None
    return failure(one, one.failed)
