"""The text part of a mail, read off its HTML: layout tables are no tables, pictures say nothing, links stand beside.

Cells of a row stand in one line, a blank between them, or what the later one's `data-before` says, which may be a line
end. That of a `br` stands in its place.
"""

import html
import re
from typing import Final

from inscriptis import get_text
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.model.config import ParserConfig

_AS_WRITTEN: Final = ParserConfig(css=CSS_PROFILES["strict"])
_COMMENTS: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_PICTURES: Final = re.compile(
    r"<a\b[^>]*>\s*<img\b[^>]*>\s*</a>|<img\b[^>]*>|<div aria-hidden.*?</div>|<span aria-hidden.*?</span>", re.DOTALL
)
_LINKS: Final = re.compile(r"""<a\b[^>]*?href="([^"]*)"[^>]*>(.*?)</a>""", re.DOTALL)
_ROWS: Final = re.compile(r"<(/?)(?:table|tbody|tr)\b[^>]*>")
_CELLS: Final = re.compile(r"""\s*<td\b(?:[^>]*?\bdata-before="([^"]*)")?[^>]*>""")
_BREAKS: Final = re.compile(r"""\s*<br\b[^>]*?\bdata-before="([^"]*)"[^>]*>\s*""")
_TWICE: Final = re.compile(r"(\S+) \(mailto:\1\)")
_MANY_LINES: Final = re.compile(r"\n{3,}")


def plain_text(page: str) -> str:
    body = _PICTURES.sub("", _COMMENTS.sub("", page))
    body = _LINKS.sub(_link, body)
    body = _BREAKS.sub(r"\1", body)
    body = _CELLS.sub(_cell, _ROWS.sub(r"<\1div>", body)).replace("</td>", "</span>")
    body = body.replace("</div>", "</div><p></p>")
    plain = "\n".join(line.strip() for line in get_text(body, _AS_WRITTEN).replace("\u00a0", " ").splitlines())
    plain = _TWICE.sub(r"\1", plain)
    return _MANY_LINES.sub("\n\n", plain).strip() + "\n"


def _cell(found: re.Match[str]) -> str:
    before = " " if found[1] is None else html.unescape(found[1]).replace("\n", "<br>")
    return f"{before}<span>"


def _link(found: re.Match[str]) -> str:
    """In an attribute `<` stands for itself; beside the words it would begin a tag."""
    return f"{found[2]} ({found[1].replace('<', '&lt;').replace('>', '&gt;')})"
