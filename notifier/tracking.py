"""A mail whose links lead by way of us, and which asks for a picture when it is opened: where its shop wants to know.

Off unless a storefront says otherwise. A link that shows where it leads is trusted, and what people read is theirs.
"""

import html
import re
from dataclasses import replace
from typing import Final

from notifier.links import Links
from notifier.render import Rendered
from notifier.shown import safe_url

_LINK: Final = re.compile(r"""(<a\b[^>]*?\shref=")([^"]*)(")""")
_END: Final = re.compile(r"</body\s*>", re.IGNORECASE)


def tracked(rendered: Rendered, links: Links, *, clicks: bool, opens: bool) -> Rendered:
    """Both parts. What leads to our own pages, or to no web page, stays as it is."""
    if clicks:
        rendered = _by_way_of_us(rendered, links)
    if opens:
        picture = f'<img src="{html.escape(links.pixel)}" width="1" height="1" alt="" style="display: block;">'
        rendered = replace(rendered, html=_END.sub(lambda end: picture + end[0], rendered.html, count=1))
    return rendered


def _by_way_of_us(rendered: Rendered, links: Links) -> Rendered:
    led: dict[str, str] = {}

    def lead(found: re.Match[str]) -> str:
        url = html.unescape(found[2])
        if safe_url(url) is None or url.startswith(links.bases):
            return found[0]
        led[url] = links.click(url)
        return f"{found[1]}{html.escape(led[url])}{found[3]}"

    page, text = _LINK.sub(lead, rendered.html), rendered.text
    for url, link in led.items():
        text = text.replace(f"({url})", f"({link})")
    return replace(rendered, html=page, text=text)
