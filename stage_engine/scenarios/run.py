"""`stagepost test`: reads a shop's scenarios, plays them, and says what did not come out as it was expected."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.errors import ShopError
from services.shop import load_shop
from stage_engine.model.load import load_model
from stage_engine.model.model import Model
from stage_engine.scenarios.coverage import Coverage, covered
from stage_engine.scenarios.play import Played, play
from stage_engine.scenarios.read import FOLDER, read_all
from stage_engine.scenarios.show import failure, story
from stage_engine.scenarios.story import Scenario

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    passed: int
    failed: int


def run(directory: Path, names: Sequence[str], *, verbose: bool, coverage: bool, say: Say) -> Result:
    """Raises ShopError with every fault of the shop's files, before anything is played."""
    model = load_model(directory / "lifecycle.yaml")
    storefront = next(iter(load_shop(directory).storefronts.values()))
    reading = read_all(directory, model, storefront)
    if reading.faults:
        raise ShopError("\n".join(map(str, reading.faults)))
    if not reading.scenarios:
        raise ShopError(f"{directory / FOLDER}/ holds no scenario; write one as in docs/scenarios.md")
    chosen = _chosen(reading.scenarios, names)
    played = [play(scenario, model, storefront) for scenario in chosen]
    for one in played:
        _tell(one, say, verbose=verbose)
    failed = sum(one.failed is not None for one in played)
    if coverage:
        tell_coverage(model, played, say)
    say(f"{_counted(len(played) - failed, 'scenario')} passed, {failed} failed")
    return Result(passed=len(played) - failed, failed=failed)


def _chosen(scenarios: Sequence[Scenario], names: Sequence[str]) -> list[Scenario]:
    """Those whose name or file holds one of the texts; raises ShopError for a text that none of them holds."""
    for name in names:
        if not any(_called(scenario, name) for scenario in scenarios):
            raise ShopError(f"no scenario is called `{name}`; `stagepost test -v` lists them")
    return [s for s in scenarios if not names or any(_called(s, name) for name in names)]


def _called(scenario: Scenario, name: str) -> bool:
    file = Path(scenario.place.rsplit(":", 2)[0]).stem
    return name.lower() in scenario.name.lower() or name.lower() == file.lower()


def _tell(played: Played, say: Say, *, verbose: bool) -> None:
    if played.failed is not None:
        say(f"{failure(played, played.failed)}\n")
    elif verbose:
        say(f"{story(played)}\n")


def tell_coverage(model: Model, played: Iterable[Played], say: Say) -> Coverage:
    found = covered(model, (move for one in played for move in one.moves))
    fired, reached = found.rules - len(found.never_fired), found.stages - len(found.never_reached)
    say(f"{fired} of {found.rules} rules fired, {reached} of {found.stages} stages were reached")
    for rule in found.never_fired:
        say(f"  never fired    {rule}")
    for stage in found.never_reached:
        say(f"  never reached  {stage}")
    return found


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
