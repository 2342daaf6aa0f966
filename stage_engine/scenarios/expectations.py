"""An `expect` as it is compared: every track, stage and fact that it names is one of the model's."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from services.contracts.identity import Identity, IdentityKind, Who, identities_of
from services.shop import YamlFile
from stage_engine.model.model import Model, Track
from stage_engine.scenarios.compare import moment_of
from stage_engine.scenarios.slips import At, Slips
from stage_engine.scenarios.story import Changes, Expected, Never, Where
from stage_engine.scenarios.written import ExpectWritten, WhoWritten

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Expectations:
    source: YamlFile
    model: Model
    slips: Slips

    def read(self, at: At, written: ExpectWritten, now: datetime) -> Expected:
        if written == ExpectWritten():
            self.slips.say(at, "nothing is expected here; write, as in `expect: {stage: {lifecycle: interest}}`")
        next_at = None if written.next in (None, "never") else self._next((*at, "next"), str(written.next), now)
        return Expected(
            place=self.source.place(at),
            now=now,
            of=self._whom((*at, "of"), written.of),
            stages=self._one_each((*at, "stage"), written.stage),
            facts=self._facts((*at, "facts"), written.facts),
            changes=self._changes((*at, "changes"), written.changes),
            taken_back=self._changes((*at, "taken_back"), written.taken_back),
            reasons=several(written.reasons),
            next_at=next_at,
            no_next=written.next == "never",
            customers=written.customers,
            never=self._never((*at, "not"), written),
        )

    def _never(self, at: At, written: ExpectWritten) -> Never | None:
        if written.not_ is None:
            return None
        return Never(
            stages=self._some_each((*at, "stage"), written.not_.stage),
            changes=self._some_each((*at, "changes"), written.not_.changes),
            reasons=several(written.not_.reasons),
            facts=self._facts((*at, "facts"), written.not_.facts),
        )

    def _whom(self, at: At, written: WhoWritten | None) -> Identity | None:
        if written is None:
            return None
        strongest = identities_of(who_of(written), "")[0]
        if strongest.kind is IdentityKind.EVENT:
            self.slips.say(at, "this names nobody; write, as in `of: {user_id: u1}`")
        return strongest

    def _changes(self, at: At, written: Any) -> Changes | None:  # noqa: ANN401  a list of mappings, or one
        if written is None:
            return None
        if isinstance(written, Mapping):
            return Changes(by_track=self._some_each(at, written))
        each = [self._one_each((*at, index), change) for index, change in enumerate(written)]
        return Changes(in_order=tuple(pair for change in each for pair in change.items()))

    def _one_each(self, at: At, written: Mapping[str, Any]) -> dict[Where, str]:
        return {where: stage for where, stages in self._some_each(at, written).items() for stage in stages}

    def _some_each(self, at: At, written: Mapping[str, Any]) -> dict[Where, tuple[str, ...]]:
        """Stages by track, and by key where there are several of it."""
        found: dict[Where, tuple[str, ...]] = {}
        for name, said in written.items():
            track = next((track for track in self.model.tracks if track.name == name), None)
            if track is None:
                self.slips.unknown(
                    (*at, name), f"the model has no track `{name}`", name, [t.name for t in self.model.tracks]
                )
                continue
            by_key = said if isinstance(said, Mapping) else {None: said}
            for key, stages in by_key.items():
                place = (*at, name) if key is None else (*at, name, key)
                found[name, key] = tuple(self._stage(place, track, stage) for stage in several(stages))
        return found

    def _stage(self, at: At, track: Track, stage: str) -> str:
        if stage not in track.stages:
            self.slips.unknown(at, f"`{track.name}` has no stage `{stage}`", stage, track.stages)
        return stage

    def _facts(self, at: At, written: Mapping[str, T]) -> Mapping[str, T]:
        for name in written:
            if name not in self.model.facts:
                self.slips.unknown((*at, name), f"the model has no fact `{name}`", name, list(self.model.facts))
        return written

    def _next(self, at: At, text: str, now: datetime) -> datetime | None:
        if (found := moment_of(text)) is not None:
            return found
        after = self.slips.duration(at, text, or_else=" or a time, or `never`")
        return None if after is None else now + after


def several(said: Any) -> tuple[Any, ...]:  # noqa: ANN401  one or a list of them
    return tuple(said) if isinstance(said, list | tuple) else (said,)


def who_of(written: WhoWritten) -> Who:
    said = {name: getattr(written, name) for name in WhoWritten.__struct_fields__}
    return Who(**{name: str(value) for name, value in said.items() if value is not None})
