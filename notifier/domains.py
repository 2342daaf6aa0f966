"""Where a mail may lead and take pictures from: the shop's own domains, and nowhere else. Pure."""

from urllib.parse import urlsplit

from notifier.shown import safe_url
from services.contracts.storefront import Storefront


def own_domains(storefront: Storefront) -> frozenset[str]:
    """Of its `url` and `cart_url`, and those that it names; whoever has a domain has what lies below it."""
    said = [host_of(url) for url in (storefront.url, storefront.cart_url or "", storefront.look.logo or "")]
    return frozenset(host.removeprefix("www.").lower() for host in (*said, *storefront.domains) if host)


def host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def is_own(url: str, domains: frozenset[str]) -> bool:
    host = (host_of(url) or "").lower()
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def own_url(value: object, domains: frozenset[str]) -> str | None:
    """The address, if it is one and the shop's own."""
    url = safe_url(value)
    return url if url is not None and is_own(url, domains) else None
