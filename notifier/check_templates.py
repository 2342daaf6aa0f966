"""`stagepost check`: each follow-up is written as it would be sent, with content that has all, and that has nothing."""

from collections.abc import Iterator
from pathlib import Path

import jinja2

from notifier.followups import FollowUp, FollowUps
from notifier.render import Renderer, RenderError
from notifier.samples import sample_contents
from notifier.steps_file import names_a_template
from services.checks import Finding, Level, finding_at
from services.contracts.storefront import Storefront
from services.errors import ShopError
from services.shop import YamlFile, read_shop

Where = tuple[str | int, ...]


def unrendered(directory: Path, source: YamlFile, follow_ups: FollowUps) -> Iterator[Finding]:
    """At most one finding for each place that names a template."""
    try:
        storefronts = read_shop(directory)[0].storefronts
    except ShopError:
        return  # told of by whoever looks at storefronts.yaml
    renderer = Renderer(directory)
    for follow_up in follow_ups.values():
        for template, where in _templates_of(follow_up, source):
            for storefront in storefronts.values():
                if (found := _stumble(renderer, follow_up, template, where, storefront, source)) is not None:
                    yield found
                    break


def _templates_of(follow_up: FollowUp, source: YamlFile) -> Iterator[tuple[str, Where]]:
    """Each template with the keys that lead to where it is named, where it can be one's name at all."""
    several = source.holds((follow_up.name, "steps"))
    for step in follow_up.steps:
        at: Where = (follow_up.name, "steps", step.number - 1) if several else (follow_up.name,)
        named = [(step.template, (*at, "template"))]
        named += [(variant.template, (*at, "variants", variant.name, "template")) for variant in step.variants]
        yield from ((template, where) for template, where in named if template and names_a_template(template))


def _stumble(
    renderer: Renderer, follow_up: FollowUp, template: str, where: Where, storefront: Storefront, source: YamlFile
) -> Finding | None:
    for said, content in sample_contents(follow_up, storefront).items():
        try:
            renderer.render(template, content)
        except RenderError as error:
            return _placed(error, follow_up, template, where, source, said)
    return None


def _placed(
    error: RenderError, follow_up: FollowUp, template: str, where: Where, source: YamlFile, said: str
) -> Finding:
    """In the shop's own template, where that can be told; else where the follow-up names it."""
    what, templates = " ".join(str(error).split()), source.path.parent / "templates"
    if isinstance(error.__cause__, jinja2.TemplateNotFound):
        ours = ", ".join(sorted({path.stem for path in templates.glob("*.mjml")})) or "none yet"
        fix = f"write {templates}/{error.__cause__.name}; the shop's own are: {ours}"
        return finding_at(source, where, Level.FAULT, what, fix)
    fix = f"`stagepost preview {follow_up.name}` shows it"
    what = f"{what} (for {said})"
    file, line = _line_of(error.__cause__, templates / f"{template}.mjml")
    if not file.is_relative_to(templates) or not file.exists():
        return finding_at(source, where, Level.FAULT, what, fix)
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
