"""What lies at an address of Amazon's: the certificates that SNS signs with, and its way to confirm a subscription."""

from collections import OrderedDict
from http import HTTPStatus
from typing import Final

import aiohttp
import structlog

from notifier.bounces.ses import is_amazons, is_certificate

log = structlog.get_logger()

MOST_BYTES: Final = 65_536
KEPT: Final = 8
"""Certificates; SNS uses one a region for months."""
TIMEOUT: Final = aiohttp.ClientTimeout(total=10)


class Amazon:
    def __init__(self) -> None:
        self._certificates: OrderedDict[str, bytes] = OrderedDict()

    async def fetch(self, url: str) -> bytes | None:
        """None when it can't be had. Certificates are kept: their names change when they do."""
        if not is_amazons(url):
            return None
        if url not in self._certificates:
            content = await self._get(url)
            if content is None or not is_certificate(url) or b"END CERTIFICATE" not in content:
                return content
            self._certificates[url] = content
            while len(self._certificates) > KEPT:
                self._certificates.popitem(last=False)
        return self._certificates[url]

    async def _get(self, url: str) -> bytes | None:
        try:
            async with (
                aiohttp.ClientSession(timeout=TIMEOUT) as session,
                session.get(url, allow_redirects=False) as answer,
            ):
                return await whole(answer.content) if answer.status == HTTPStatus.OK else None
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("Amazon can't be asked", url=url.partition("?")[0], error=repr(error))
            return None


async def whole(content: aiohttp.StreamReader) -> bytes | None:
    """To its end, in however many pieces it comes; None when that is too far off."""
    held = bytearray()
    async for piece in content.iter_any():
        held += piece
        if len(held) > MOST_BYTES:
            return None
    return bytes(held)
