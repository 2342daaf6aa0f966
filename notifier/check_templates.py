"""`stagepost check`: each follow-up is written as it would be sent, with content that has all, and that has nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jinja2

from notifier.followups import Coupon, FollowUp, FollowUps
from notifier.render import Renderer, RenderError
from notifier.steps_file import names_a_template
from notifier.trial import stumbles
from services.checks import Finding, Level, faults_of, finding_at
from services.errors import ShopError
from services.shop import YamlFile, read_shop

Where = tuple[str | int, ...]


def unrendered(directory: Path, source: YamlFile, follow_ups: FollowUps) -> Iterator[Finding]:
    """At most one finding for each place that names a template."""
    try:
        storefronts = read_shop(directory)[0].storefronts
    except ShopError:
        return  # told of by whoever looks at storefronts.yaml
    try:
        renderer = Renderer(directory)
    except ShopError as error:
        yield from faults_of(error)
        return
    for follow_up in follow_ups.values():
        for look in _looks_of(follow_up, source):
            for storefront in storefronts.values():
                stumbled = next(stumbles(renderer, follow_up, storefront, look.template, look.coupon), None)
                if stumbled is not None:
                    said, why = stumbled
                    yield _placed(why, follow_up, look, source, said)
                    break


@dataclass(frozen=True, slots=True)
class _Look:
    """A template with the coupon that it may speak of, and the keys that lead to where it is named."""

    template: str
    coupon: Coupon | None
    where: Where


def _looks_of(follow_up: FollowUp, source: YamlFile) -> Iterator[_Look]:
    """Of what can be a template's name at all."""
    several = source.holds((follow_up.name, "steps"))
    for step in follow_up.steps:
        at: Where = (follow_up.name, "steps", step.number - 1) if several else (follow_up.name,)
        for variant in (None, *step.variants):
            template, coupon = step.look(variant.name if variant else None)
            where = (*at, "variants", variant.name, "template") if variant and variant.template else (*at, "template")
            if template is not None and names_a_template(template):
                yield _Look(template, coupon, where)


def _placed(error: RenderError, follow_up: FollowUp, look: _Look, source: YamlFile, said: str) -> Finding:
    """In the shop's own template or words, where that can be told; else where the follow-up names it."""
    what, templates = " ".join(str(error).split()), source.path.parent / "templates"
    if isinstance(error.__cause__, jinja2.TemplateNotFound):
        ours = ", ".join(sorted({path.stem for path in templates.glob("*.mjml")})) or "none yet"
        fix = f"write {templates}/{error.__cause__.name}; the shop's own are: {ours}"
        return finding_at(source, look.where, Level.FAULT, what, fix)
    fix = f"`stagepost preview {follow_up.name}` shows it"
    what = f"{what} (for {said})"
    if error.word is not None and error.word.file.is_relative_to(templates):
        line, column = error.word.mark
        return Finding(file=str(error.word.file), line=line, column=column, level=Level.FAULT, message=what, fix=fix)
    file, line = _line_of(error.__cause__, templates / f"{look.template}.mjml")
    if not file.is_relative_to(templates) or not file.exists():
        return finding_at(source, look.where, Level.FAULT, what, fix)
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
