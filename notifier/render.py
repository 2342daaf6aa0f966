"""From a template and its content to a subject, an HTML part and a text part.

Jinja writes MJML (everything it inserts is escaped), MJML becomes HTML that mail programs understand, styles move into
the tags, and the text part is read off the HTML. Templates in the shop's own `templates/` stand before ours.
"""

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

import css_inline
import jinja2
import mjml
from inscriptis import get_text
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifier.content import Content
from notifier.followups import FollowUp
from notifier.links import BadLink
from services.errors import ShopError

LINK_ATTRIBUTES: Final = frozenset({"href", "src", "action", "formaction", "background", "poster"})
LINK_SCHEMES: Final = frozenset({"http", "https", "mailto", "tel"})
LONGEST_SUBJECT: Final = 200

_to_html = cast("Callable[..., str]", mjml.mjml2html)


class RenderError(Exception):
    """The template can't say what it was asked to; nothing is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    subject: str
    html: str
    text: str


class Renderer:
    def __init__(self, shop_directory: Path) -> None:
        """The shop's templates are read now: the directory may be gone afterwards."""
        theirs = jinja2.FunctionLoader(_held(shop_directory / "templates"))
        ours = jinja2.FileSystemLoader(Path(str(files("notifier") / "templates")))
        self._environment = ImmutableSandboxedEnvironment(
            loader=jinja2.ChoiceLoader([theirs, ours]),
            undefined=jinja2.StrictUndefined,
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=True)

    def render(self, template: str, content: Content) -> Rendered:
        """Raises RenderError."""
        try:
            compiled = self._environment.get_template(f"{template}.mjml")
            context = {name: getattr(content, name) for name in (*Content.__slots__, "count")}
            markup = compiled.render(context)
            subject = "".join(compiled.blocks["subject"](compiled.new_context(context)))
            page = self._inliner.inline(_to_html(markup, disable_comments=False, fonts={}))
        except jinja2.TemplateNotFound as error:
            raise RenderError(f"there is no template {error.name}") from error
        except KeyError:
            raise RenderError(f"{template}.mjml has no subject; write {{% block subject %}}…{{% endblock %}}") from None
        except (jinja2.TemplateError, BadLink) as error:
            raise RenderError(f"{template}.mjml: {error}") from error
        except (ValueError, OSError, css_inline.InlineError) as error:
            raise RenderError(f"{template}.mjml is no MJML: {error}") from error
        _refuse_unsafe_links(page, template)
        return Rendered(subject=_line(html.unescape(subject)), html=page, text=_text(page))

    def check(self, follow_up: FollowUp, samples: Mapping[str, Content]) -> None:
        """Renders it with every sample, so that what would fail fails before anybody waits for mail."""
        for template in follow_up.templates:
            for said, content in samples.items():
                try:
                    self.render(template, content)
                except RenderError as error:
                    raise ShopError(f"the follow-up `{follow_up.name}` can't be rendered for {said}: {error}") from None


def _held(folder: Path) -> Callable[[str], tuple[str, str, None] | None]:
    held = {path.relative_to(folder).as_posix(): (path, path.read_bytes()) for path in folder.rglob("*.mjml")}

    def load(name: str) -> tuple[str, str, None] | None:
        if name not in held:
            return None
        path, content = held[name]
        return content.decode(), str(path), None

    return load


def _line(text: str) -> str:
    return " ".join(text.split())[:LONGEST_SUBJECT]


class _Plain:
    """What turns a mail's HTML into one that reads well as text: layout tables are no tables, pictures say nothing."""

    comments = re.compile(r"<!--.*?-->", re.DOTALL)
    pictures = re.compile(r"<a\b[^>]*>\s*<img\b[^>]*>\s*</a>|<img\b[^>]*>|<div aria-hidden.*?</div>", re.DOTALL)
    links = re.compile(r"""<a\b[^>]*?href="([^"]*)"[^>]*>(.*?)</a>""", re.DOTALL)
    rows = re.compile(r"<(/?)(?:table|tbody|tr)\b[^>]*>")
    cells = re.compile(r"<(/?)td\b[^>]*>")
    many_lines = re.compile(r"\n{3,}")


def _text(page: str) -> str:
    body = _Plain.pictures.sub("", _Plain.comments.sub("", page))
    body = _Plain.links.sub(r"\2 (\1)", body)
    body = _Plain.cells.sub(r" <\1span> ", _Plain.rows.sub(r"<\1div>", body)).replace("</div>", "</div><p></p>")
    plain = "\n".join(line.strip() for line in get_text(body).replace("\u00a0", " ").splitlines())
    return _Plain.many_lines.sub("\n\n", plain).strip() + "\n"


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  the interface
        self.found += [value for name, value in attrs if name in LINK_ATTRIBUTES and value]

    handle_startendtag = handle_starttag


def _refuse_unsafe_links(page: str, template: str) -> None:
    links = _Links()
    links.feed(page)
    for link in links.found:
        scheme = urlsplit(link.strip()).scheme.lower()
        if scheme not in LINK_SCHEMES:
            raise RenderError(f"{template}.mjml links to `{link[:80]}`; a mail may link to http(s), mailto and tel")
