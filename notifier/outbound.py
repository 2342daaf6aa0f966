"""What a mail leads to or loads: the shop's own domains and our own pages, mail and telephone, nothing else. Pure."""

import re
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urlsplit

from notifier.domains import host_of, is_own

LINK_ATTRIBUTES: Final = frozenset({"href", "src", "action", "formaction", "background", "poster"})
_WEB: Final = frozenset({"http", "https"})
_SCHEMES: Final = _WEB | {"mailto", "tel"}
_IN_STYLES: Final = re.compile(r"""url\(\s*['"]?([^'")]+)""")


class Foreign(ValueError):
    """A link or a picture that has no place in a mail; the message says which, and what to do."""


def refuse_foreign(page: str, domains: frozenset[str], ours: tuple[str, ...]) -> None:
    """`ours` are what the links to our own pages begin with. Raises Foreign."""
    links = _Links()
    links.feed(page)
    for link in links.found:
        if urlsplit(link.strip()).scheme.lower() not in _SCHEMES:
            raise Foreign(f"it links to `{link[:80]}`; a mail may link to http(s), mailto and tel")
    for link in (*links.found, *links.in_styles):
        web = urlsplit(link.strip()).scheme.lower() in _WEB
        if web and not link.startswith(ours) and not is_own(link.strip(), domains):
            host = host_of(link.strip())
            raise Foreign(f"it leads to {host}, which is not the shop's; add it to `domains` of the storefront")


class _Links(HTMLParser):
    """Where styles are, and not in the text: there it is what somebody wrote, and leads nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.in_styles: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  the interface
        self.found += [value for name, value in attrs if name in LINK_ATTRIBUTES and value]
        for name, value in attrs:
            if name == "style" and value:
                self._style(value)

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "style":
            self._style(data)

    def handle_comment(self, data: str) -> None:
        """What is for Outlook alone stands in comments."""
        self._style(data)

    def _style(self, text: str) -> None:
        self.in_styles += _IN_STYLES.findall(text)
