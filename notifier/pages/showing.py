"""A page as it is sent: in the storefront's look, in its reader's language, and closed to whatever is not its own."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from notifier.addresses import masked
from notifier.pages.words import EN, Said, Words, words_for
from notifier.saying import About
from notifier.shown import ink_on, safe_url
from services.contracts.changes import Profile
from services.contracts.storefront import Look, Storefront

_pages = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    undefined=StrictUndefined,
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Whom a page speaks to, and in whose name. Of a link that is none nobody knows either."""

    words: Words
    storefront: Storefront | None
    address: str | None

    def said(self, text: str) -> str:
        shop = self.storefront.name if self.storefront else ""
        return text.format(shop=shop, address=masked(self.address) if self.address else "")


def reader_of(about: About, storefront: Storefront) -> Reader:
    return Reader(words=words_for(about.profile, storefront), storefront=storefront, address=about.address)


def stranger(storefront: Storefront | None) -> Reader:
    words = EN if storefront is None else words_for(Profile(), storefront)
    return Reader(words=words, storefront=storefront, address=None)


def page(reader: Reader, name: str, title: str, *, status: int = 200, **more: Any) -> HTMLResponse:  # noqa: ANN401  what its template names
    look = reader.storefront.look if reader.storefront else Look()
    nonce = secrets.token_urlsafe(16)
    text = _pages.get_template(f"{name}.html").render(
        words=reader.words,
        title=reader.said(title),
        shop=reader.storefront,
        logo=safe_url(look.logo),
        colour=look.colour,
        ink=ink_on(look.colour),
        background=look.background,
        nonce=nonce,
        **more,
    )
    return HTMLResponse(text, status_code=status, headers=_headers(nonce))


def said(reader: Reader, what: Said, *, status: int = 200, preferences: str | None = None) -> HTMLResponse:
    to_shop = reader.said(reader.words.to_shop)
    return page(
        reader, "said", what.title, status=status, to_shop=to_shop, text=reader.said(what.text), preferences=preferences
    )


def _headers(nonce: str) -> dict[str, str]:
    """Nothing runs, nothing is loaded but the logo, and the link stays here: not in caches, referrers or search."""
    policy = (
        "default-src 'none'",
        f"style-src 'nonce-{nonce}'",
        "img-src https:",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
    return {
        "content-security-policy": "; ".join(policy),
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-robots-tag": "noindex",
    }
