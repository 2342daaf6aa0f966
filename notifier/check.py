"""`stagepost check` on `followups.yaml` and the templates: what the notifier would refuse at its start."""

from collections.abc import Iterator
from pathlib import Path

from notifier.check_endpoints import endpoints_amiss
from notifier.check_sense import doubts, stages_asked_for
from notifier.check_staff import staff_unknown
from notifier.check_templates import unrendered
from notifier.check_topics import topics_unknown
from notifier.delivery import trial_of
from notifier.followups import Entered, FollowUp, FollowUps
from notifier.followups_file import what_reads
from notifier.worst_case import worst_week
from services.checks import Findings, StageNamed, faults_of
from services.errors import ShopError
from services.shop import YamlFile, read_shop

FILE = "followups.yaml"


def check(directory: Path) -> Findings:
    try:
        source = YamlFile(directory / FILE)
        follow_ups, faults = what_reads(source)
    except ShopError as error:
        return Findings(found=faults_of(error))
    templates = {path.stem for path in (directory / "templates").glob("*.mjml")}
    templates |= {template for follow_up in follow_ups.values() for template in follow_up.templates}
    return Findings(
        found=(
            *(f for fault in faults for f in faults_of(fault)),
            *unrendered(directory, source, follow_ups),
            *endpoints_amiss(directory, source, follow_ups),
            *staff_unknown(directory, source, follow_ups),
            *topics_unknown(directory, source, follow_ups),
            *(doubt for follow_up in follow_ups.values() for doubt in doubts(source, follow_up)),
        ),
        counts={"follow-up": len(follow_ups), "template": len(templates)},
        names=tuple(named for follow_up in follow_ups.values() for named in _stages_of(source, follow_up)),
        told=(*_worst_weeks(directory, follow_ups), *_not_live(directory, follow_ups)),
    )


def _worst_weeks(directory: Path, follow_ups: FollowUps) -> Iterator[str]:
    try:
        storefronts = read_shop(directory)[0].storefronts
    except ShopError:
        return  # told of by whoever looks at storefronts.yaml
    for name, storefront in storefronts.items():
        worst = worst_week(follow_ups.values(), storefront)
        if worst:
            yield f"the most that one customer of {name} can get in a week:"
            yield from (f"  {line}" for line in worst)


def _not_live(directory: Path, follow_ups: FollowUps) -> Iterator[str]:
    try:
        storefronts = read_shop(directory)[0].storefronts
    except ShopError:
        return
    for name, storefront in storefronts.items():
        held = [(one, way) for one in follow_ups.values() if (way := trial_of(one, storefront)) is not None]
        if held:
            yield f"not live in {name}: {', '.join(f'{one.name} ({way})' for one, way in held)}"


def _stages_of(source: YamlFile, follow_up: FollowUp) -> Iterator[StageNamed]:
    name, until = follow_up.name, follow_up.until
    at = (name, "when", "track")
    start = (name, "when", "left" if follow_up.leaving else "entered")
    yield StageNamed(track=follow_up.track, stage=follow_up.stage, source=source, track_at=at, stage_at=start)
    if isinstance(until, Entered):
        track, track_at = (follow_up.track, at) if until.track is None else (until.track, (name, "until", "track"))
        for stage in sorted(until.stages):
            yield StageNamed(
                track=track, stage=stage, source=source, track_at=track_at, stage_at=(name, "until", "entered")
            )
    yield from stages_asked_for(source, follow_up)
