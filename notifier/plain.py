"""The text part of a mail, read off its HTML: layout tables are no tables, pictures say nothing, links stand beside."""

import re
from typing import Final

from inscriptis import get_text

_COMMENTS: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_PICTURES: Final = re.compile(
    r"<a\b[^>]*>\s*<img\b[^>]*>\s*</a>|<img\b[^>]*>|<div aria-hidden.*?</div>|<span aria-hidden.*?</span>", re.DOTALL
)
_LINKS: Final = re.compile(r"""<a\b[^>]*?href="([^"]*)"[^>]*>(.*?)</a>""", re.DOTALL)
_ROWS: Final = re.compile(r"<(/?)(?:table|tbody|tr)\b[^>]*>")
_CELLS: Final = re.compile(r"<(/?)td\b[^>]*>")
_TWICE: Final = re.compile(r"(\S+) \(mailto:\1\)")
_MANY_LINES: Final = re.compile(r"\n{3,}")


def plain_text(page: str) -> str:
    body = _PICTURES.sub("", _COMMENTS.sub("", page))
    body = _LINKS.sub(r"\2 (\1)", body)
    body = _CELLS.sub(r" <\1span> ", _ROWS.sub(r"<\1div>", body)).replace("</div>", "</div><p></p>")
    plain = "\n".join(line.strip() for line in get_text(body).replace("\u00a0", " ").splitlines())
    plain = _TWICE.sub(r"\1", plain)
    return _MANY_LINES.sub("\n\n", plain).strip() + "\n"
