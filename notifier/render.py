"""From a template and its content to a subject, an HTML part and a text part.

Jinja writes MJML (everything it inserts is escaped), MJML becomes HTML that mail programs understand, styles move into
the tags, and the text part is read off the HTML. Templates and words in the shop's own `templates/` stand before ours.
"""

import html
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import css_inline
import jinja2
import mjml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifier.content import Content
from notifier.language import ALWAYS
from notifier.links import BadLink
from notifier.outbound import Foreign, refuse_foreign
from notifier.plain import plain_text
from notifier.words import OURS, Word, read_words, word

LONGEST_SUBJECT: Final = 200

_UNSAYABLE: Final = (jinja2.TemplateError, BadLink, TypeError, ArithmeticError, LookupError, AttributeError)
"""What stops a template that asks for what is not there, or reckons with what is no number."""

_to_html = cast("Callable[..., str]", mjml.mjml2html)


class RenderError(Exception):
    """The template can't say what it was asked to; nothing is sent. `word` is what stands at fault, if that is one."""

    def __init__(self, message: str, word: Word | None = None) -> None:
        super().__init__(message)
        self.word = word


class _Unsaid(jinja2.UndefinedError):
    """Words that ask for what is not there."""

    def __init__(self, message: str, word: Word) -> None:
        super().__init__(message)
        self.word = word


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    subject: str
    html: str
    text: str


class Renderer:
    def __init__(self, shop_directory: Path) -> None:
        """The shop's templates and words are read now: the directory may be gone afterwards. Raises ShopError."""
        theirs, ours = shop_directory / "templates", OURS
        self._words = read_words(theirs)
        self._environment = ImmutableSandboxedEnvironment(
            loader=jinja2.ChoiceLoader([jinja2.FunctionLoader(_held(theirs)), jinja2.FileSystemLoader(ours)]),
            undefined=jinja2.StrictUndefined,
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["needs"] = _needs
        # What is said is text: it is escaped where a template inserts it.
        self._speech = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
        self._spoken: dict[str, jinja2.Template] = {}
        self._sections: dict[str, tuple[str, ...]] = {}
        self._inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=True)

    @property
    def languages(self) -> frozenset[str]:
        """Those that there are words in."""
        return frozenset(name.partition("-")[0] for name in self._words)

    def render(self, template: str, content: Content) -> Rendered:
        """In the content's language. Raises RenderError."""
        try:
            markup, subject = self._written(template, content)
            page = self._inliner.inline(_to_html(markup, disable_comments=False, fonts={}))
            refuse_foreign(page, content.shop.domains, content.links.bases)
        except jinja2.TemplateNotFound as error:
            raise RenderError(f"there is no template {error.name}") from error
        except (*_UNSAYABLE, Foreign) as error:
            at_fault = error.word if isinstance(error, _Unsaid) else None
            raise RenderError(f"{template}.mjml: {error}", at_fault) from error
        except (ValueError, OSError, css_inline.InlineError) as error:
            raise RenderError(f"{template}.mjml is no MJML: {error}") from error
        return Rendered(subject=_line(html.unescape(subject)), html=page, text=plain_text(page))

    def _written(self, template: str, content: Content) -> tuple[str, str]:
        """The MJML and the subject, which is a block of the template or of what it extends."""
        compiled = self._environment.select_template(
            [*(f"{template}.{language}.mjml" for language in content.languages), f"{template}.mjml"]
        )
        said: dict[str, Any] = {name: getattr(content, name) for name in (*Content.__slots__, "count")}
        said["say"] = self._speaker(str(compiled.name), content, said)
        context = compiled.new_context(said)
        try:
            markup = "".join(compiled.root_render_func(context))
            if "subject" not in context.blocks:
                raise RenderError(f"{template}.mjml has no subject; write {{% block subject %}}…{{% endblock %}}")
            return markup, "".join(context.blocks["subject"][0](context))
        except _UNSAYABLE:
            self._environment.handle_exception()  # which raises it with the template's own lines

    def _speaker(self, template: str, content: Content, said: Mapping[str, Any]) -> Callable[[str], str]:
        sections = self._sections_of(template)

        def say(name: str) -> str:
            """The words under this name, of the template or of what it extends."""
            found = word(self._words, content.languages, sections, name)
            if found is None:
                where = f"write them into templates/words.{ALWAYS}.yaml, below `{sections[0]}:`"
                raise jinja2.UndefinedError(f"there are no words `{name}` for it; {where}")
            try:
                if found.text not in self._spoken:
                    self._spoken[found.text] = self._speech.from_string(found.text)
                return self._spoken[found.text].render(said)
            except _UNSAYABLE as error:
                raise _Unsaid(f"in its words, {found.place}: {error}", found) from error

        return say

    def _sections_of(self, template: str) -> tuple[str, ...]:
        """Itself and what it extends, by the names that words stand under."""
        if template not in self._sections:
            self._sections[template] = tuple(dict.fromkeys(name.partition(".")[0] for name in self._extended(template)))
        return self._sections[template]

    def _extended(self, template: str) -> Iterator[str]:
        name: str | None = template
        while name is not None:
            yield name
            source = cast("jinja2.BaseLoader", self._environment.loader).get_source(self._environment, name)[0]
            above = self._environment.parse(source).find(jinja2.nodes.Extends)
            named = above.template if above is not None else None
            name = str(named.value) if isinstance(named, jinja2.nodes.Const) else None


def _needs(value: object, what: str) -> str:
    """For what a mail makes no sense without: `{{ needs(coupon, "…") }}`."""
    if value is None:
        raise jinja2.UndefinedError(f"it needs {what}")
    return ""


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
