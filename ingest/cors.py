"""What browsers want to hear before a shop's page may call us. Any origin may ask, and read the answer.

Which pages a key is for is known once the key is (`storefronts.Keys`); a preflight has none.
"""

from collections.abc import Mapping

Headers = list[tuple[bytes, bytes]]

_LISTED = b"authorization, content-type, content-encoding, x-write-key, x-retry-count, anonymousid, sentat"


def cors_headers(headers: Mapping[bytes, bytes]) -> Headers:
    """For every answer to a call that names its origin, errors too: a page must be able to read why."""
    origin = headers.get(b"origin")
    if origin is None:
        return []
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"Retry-After"),
        (b"vary", b"Origin"),
    ]


def preflight_headers(headers: Mapping[bytes, bytes]) -> Headers:
    return [
        *cors_headers(headers),
        (b"access-control-allow-methods", b"POST, OPTIONS"),
        (b"access-control-allow-headers", headers.get(b"access-control-request-headers", _LISTED)),
        (b"access-control-max-age", b"900"),
    ]
