"""`scenarios/*.yaml` → scenarios: every name checked against the model, every time worked out, all faults at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from msgspec import UNSET, Struct

from services.contracts.events import Event, SaidBy
from services.contracts.identity import Who
from services.contracts.storefront import Storefront
from services.contracts.vocabulary import NAMES, PROPERTIES, SPELLINGS, folded
from services.errors import ShopError
from services.shop import YamlFile
from stage_engine.arrivals import NEEDS_A_SERVER, Place, arrival
from stage_engine.model.model import Model, Track
from stage_engine.scenarios.expectations import Expectations, several, who_of
from stage_engine.scenarios.play import NAMESPACE
from stage_engine.scenarios.slips import At, Slips
from stage_engine.scenarios.story import Came, Expected, Scenario, Told
from stage_engine.scenarios.written import ScenariosWritten, StepWritten, WhoWritten

FOLDER: Final = "scenarios"
BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Where a scenario's clock stands until it says otherwise."""
SOMEBODY: Final = Who(user_id="customer")
APART: Final = timedelta(seconds=1)
"""Between two events that say no time: of two in one instant the views would come first, whatever was written first."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The scenarios that can be played, and what is wrong with the others, by file and line."""

    scenarios: tuple[Scenario, ...]
    faults: tuple[ShopError, ...]


def read_all(directory: Path, model: Model, storefront: Storefront) -> Reading:
    """Those of a shop's directory."""
    scenarios: list[Scenario] = []
    faults: list[ShopError] = []
    for path in sorted((directory / FOLDER).glob("*.yaml")):
        try:
            found = read_file(path, model, storefront)
        except ShopError as error:  # no YAML at all
            faults.append(error)
        else:
            scenarios += found.scenarios
            faults += found.faults
    return Reading(tuple(scenarios), tuple(faults))


def read_file(path: Path, model: Model, storefront: Storefront) -> Reading:
    """Raises ShopError for no YAML."""
    source = YamlFile(path)
    fitted = source.fitting([], ScenariosWritten)
    faults = [(source.mark(slip.where), slip.message) for slip in fitted.slips]
    found = []
    for name, steps in (fitted.value or {}).items():
        story = _Story(source, model, storefront, name)
        scenario = story.scenario(steps)
        torn = [where for where in fitted.torn if where[:1] == (name,)]
        faults += [(source.mark(at), m) for at, m in story.slips.found if not any(w[: len(at)] == at for w in torn)]
        if not story.slips.found and not torn:
            found.append(scenario)
    told = (ShopError(f"{path}:{line}:{column} {message}") for (line, column), message in sorted(faults))
    return Reading(tuple(found), tuple(told))


@dataclass(slots=True)
class _Story:
    """One scenario: its clock, and who came last."""

    source: YamlFile
    model: Model
    storefront: Storefront
    name: str
    slips: Slips = field(default_factory=Slips)
    _now: datetime = BEGINNING
    _begun: bool = False
    _taken: datetime | None = None
    _who: Who = SOMEBODY
    _count: int = 0

    def scenario(self, steps: Sequence[StepWritten]) -> Scenario:
        self._who = next(
            (who for step in steps for given in _events(step) if (who := who_of(given)) != Who()), SOMEBODY
        )
        made = [self._step((self.name, index), step) for index, step in enumerate(steps)]
        if not any(isinstance(step, Expected) for step in made) and not self.slips.found:
            self.slips.say((self.name,), "nothing is expected here; end it with `- expect: {stage: {…}}`")
        return Scenario(
            name=self.name, place=self.source.place([self.name]), steps=tuple(step for step in made if step is not None)
        )

    def _step(self, at: At, step: StepWritten) -> Came | Expected | None:
        said = [name for name in step.__struct_fields__ if getattr(step, name) is not None]
        if len(said) != 1:
            self.slips.say(at, "a step is one of `given`, `at`, `advance` and `expect`; begin each with its own `-`")
        elif step.given is not None:
            return self._given((*at, "given"), step.given)
        elif step.expect is not None:
            return Expectations(self.source, self.model, self.slips).read((*at, "expect"), step.expect, self._now)
        elif step.advance is not None:
            after = self.slips.duration((*at, "advance"), step.advance) or timedelta()
            self._now = self.slips.sensible((*at, "advance"), self._now + after) or self._now
            self._begun = True
            return Came(now=self._now)
        elif (to := self.slips.moment((*at, "at"), step.at)) is not None:
            if to < self._now and self._begun:
                self.slips.say((*at, "at"), f"it is {self._now:%Y-%m-%d %H:%M} by now; a clock does not go back")
            self._now, self._begun = to, True
            return Came(now=self._now)
        return None

    def _given(self, at: At, given: Any) -> Came:  # noqa: ANN401  a GivenWritten or a list of them; mypy can't read it
        places = [(*at, i) for i in range(len(given))] if isinstance(given, list) else [at]
        told = [self._event(*each) for each in zip(places, several(given), strict=True)]
        return Came(now=self._now, told=tuple(one for one in told if one is not None))

    def _event(self, at: At, given: Any) -> Told | None:  # noqa: ANN401  as above
        self._known_event(at, given)
        occurred_at = self._time_of(at, given)
        if occurred_at is None:
            return None
        self._count += 1
        said = who_of(given)
        self._who = self._who if said == Who() else said  # who is not named is who came last
        event = Event(
            id=given.id or f"{self._count:06}",
            storefront=NAMESPACE,
            name=given.event,
            who=self._who,
            occurred_at=occurred_at,
            received_at=self._now + timedelta(microseconds=self._count),
            said_by=SaidBy(given.said_by),
            properties={**given.properties, **_flat(given)},
            traits=given.traits,
        )
        made = arrival(event, self.storefront, Place(NAMESPACE, 0, self._count))
        return Told(entry=made.entry, named=made.named, links=made.links, late=occurred_at < self._now)

    def _known_event(self, at: At, given: Any) -> None:  # noqa: ANN401  as above
        """A name that neither we nor the model know may be the shop's own; one that nearly is one of them is a slip."""
        own = {name for track in self.model.tracks for name in _events_of(track)} | self.model.facts_on.keys()
        own |= {name for clock in self.model.clocks.values() for name in clock.hears}
        known = NAMES | own
        if given.event not in known:
            meant = SPELLINGS.get(folded(given.event)) or next(
                iter(get_close_matches(given.event, sorted(known), n=1, cutoff=0.8)), None
            )
            if meant is not None:
                self.slips.say((*at, "event"), f"there is no event `{given.event}`; did you mean `{meant}`?")
        if given.said_by == SaidBy.BROWSER and given.event in NEEDS_A_SERVER:
            said = f"a browser may not say {given.event}: it would be a dead letter; leave `said_by` to the server"
            self.slips.say((*at, "said_by"), said)

    def _time_of(self, at: At, given: Any) -> datetime | None:  # noqa: ANN401  as above
        """When it happened; the clock goes on to it, and does not go back for what comes late."""
        if given.at is not None and given.ago is not None:
            self.slips.say((*at, "ago"), "it happened `at` a time or some time `ago`; say one of the two")
            return None
        if given.ago is not None:
            ago = self.slips.duration((*at, "ago"), given.ago)
            return None if ago is None else self.slips.sensible((*at, "ago"), self._now - ago)
        if given.at is not None:
            occurred_at = self.slips.moment((*at, "at"), given.at)
        else:
            occurred_at = self._now + APART if self._taken == self._now else self._now
        if occurred_at is not None and (occurred_at >= self._now or not self._begun):
            self._now, self._taken, self._begun = occurred_at, occurred_at, True
        return occurred_at


def _events(step: StepWritten) -> tuple[WhoWritten, ...]:
    return () if step.given is None else several(step.given)


def _flat(given: Struct) -> dict[str, Any]:
    """The properties that stand beside the event's name."""
    return {name: value for name in PROPERTIES if (value := getattr(given, name)) is not UNSET}


def _events_of(track: Track) -> Iterator[str]:
    yield from track.event_rules
    yield from track.begins_on or ()
    yield from track.remembered
