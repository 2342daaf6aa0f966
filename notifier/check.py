"""`stagepost check` on `followups.yaml` and the templates: what the notifier would refuse at its start."""

from collections.abc import Iterator
from pathlib import Path

import jinja2

from notifier.followups import Entered, FollowUp, FollowUps
from notifier.followups_file import names_a_template, what_reads
from notifier.render import Renderer, RenderError
from notifier.samples import sample_contents
from services.checks import Finding, Findings, Level, StageNamed, faults_of, finding_at
from services.contracts.storefront import Storefront
from services.errors import ShopError
from services.shop import YamlFile, read_shop

FILE = "followups.yaml"


def check(directory: Path) -> Findings:
    try:
        source = YamlFile(directory / FILE)
        follow_ups, faults = what_reads(source)
    except ShopError as error:
        return Findings(found=faults_of(error))
    own = {path.stem for path in (directory / "templates").glob("*.mjml")}
    return Findings(
        found=(*(f for fault in faults for f in faults_of(fault)), *_unrendered(directory, source, follow_ups)),
        counts={"follow-up": len(follow_ups), "template": len(own | {f.template for f in follow_ups.values()})},
        names=tuple(named for follow_up in follow_ups.values() for named in _stages_of(source, follow_up)),
    )


def _stages_of(source: YamlFile, follow_up: FollowUp) -> Iterator[StageNamed]:
    name, track = follow_up.name, follow_up.track
    at = (name, "when", "track")
    yield StageNamed(
        track=track, stage=follow_up.entered, source=source, track_at=at, stage_at=(name, "when", "entered")
    )
    if isinstance(follow_up.until, Entered):
        for stage in sorted(follow_up.until.stages):
            yield StageNamed(track=track, stage=stage, source=source, track_at=at, stage_at=(name, "until", "entered"))


def _unrendered(directory: Path, source: YamlFile, follow_ups: FollowUps) -> Iterator[Finding]:
    """Each follow-up is written with content that has everything and with content that has nothing."""
    try:
        storefronts = read_shop(directory)[0].storefronts
    except ShopError:
        return  # told of by whoever looks at storefronts.yaml
    renderer = Renderer(directory)
    for follow_up in follow_ups.values():
        for storefront in storefronts.values() if names_a_template(follow_up.template) else ():
            if (found := _stumble(renderer, follow_up, storefront, source)) is not None:
                yield found
                break


def _stumble(renderer: Renderer, follow_up: FollowUp, storefront: Storefront, source: YamlFile) -> Finding | None:
    for said, content in sample_contents(follow_up, storefront).items():
        try:
            renderer.render(follow_up.template, content)
        except RenderError as error:
            return _placed(error, follow_up, source, said)
    return None


def _placed(error: RenderError, follow_up: FollowUp, source: YamlFile, said: str) -> Finding:
    """In the shop's own template, where that can be told; else where the follow-up names it."""
    what, templates = " ".join(str(error).split()), source.path.parent / "templates"
    if isinstance(error.__cause__, jinja2.TemplateNotFound):
        ours = ", ".join(sorted({path.stem for path in templates.glob("*.mjml")})) or "none yet"
        fix = f"write {templates}/{error.__cause__.name}; the shop's own are: {ours}"
        return finding_at(source, (follow_up.name, "template"), Level.FAULT, what, fix)
    fix = f"`stagepost preview {follow_up.name}` shows it"
    what = f"{what} (for {said})"
    file, line = _line_of(error.__cause__, templates / f"{follow_up.template}.mjml")
    if not file.is_relative_to(templates) or not file.exists():
        return finding_at(source, (follow_up.name, "template"), Level.FAULT, what, fix)
    return Finding(file=str(file), line=line, column=1, level=Level.FAULT, message=what, fix=fix)


def _line_of(cause: BaseException | None, template: Path) -> tuple[Path, int]:
    """Jinja names the line of what it can't read, and puts the template into the traceback of what it can't say."""
    if isinstance(cause, jinja2.TemplateSyntaxError) and cause.filename:
        return Path(cause.filename), cause.lineno
    found, trace = (template, 1), cause.__traceback__ if cause is not None else None
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.suffix == ".mjml":
            found = (file, trace.tb_lineno)
        trace = trace.tb_next
    return found
