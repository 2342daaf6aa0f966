"""Who signs for a storefront: the secrets that its platform's webhooks are signed with."""

import base64
import hashlib
import hmac
from collections import defaultdict
from collections.abc import Iterable

from ingest.storefronts import Source
from services.contracts.events import SaidBy
from services.contracts.webhook_secrets import Platform, WebhookSecret
from services.errors import Unauthorized


class Secrets:
    """The secrets in force: several for one storefront while they change, and each of them is good."""

    def __init__(self, secrets: Iterable[WebhookSecret]) -> None:
        self._known: dict[tuple[Platform, str], list[bytes]] = defaultdict(list)
        for one in secrets:
            self._known[one.platform, one.storefront].append(one.secret.encode())

    def unsigned(self, platform: Platform, storefront: str) -> Source:
        """For what says nothing and need not be signed. Raises Unauthorized where the storefront has no secret."""
        if (platform, storefront) not in self._known:
            raise self.refused()
        return Source(storefront, SaidBy.SERVER)

    def source_of(self, platform: Platform, storefront: str, signature: bytes, raw: bytes) -> Source:
        """Whose call it is, when `signature` is the base64 of the HMAC-SHA256 of the body by one of its secrets.

        Raises Unauthorized, in the same words for a storefront that has none and for a signature that is wrong.
        """
        given = signature.strip()
        good = [
            hmac.compare_digest(base64.b64encode(hmac.digest(secret, raw, hashlib.sha256)), given)
            for secret in self._known.get((platform, storefront), ())
        ]
        if not any(good):
            raise self.refused()
        return Source(storefront, SaidBy.SERVER)

    @staticmethod
    def refused() -> Unauthorized:
        return Unauthorized(
            "the signature is not one of this storefront's secrets; docs/ingest.md says how webhooks are set up"
        )
