"""Who is signed in: a signed cookie and nothing stored, so that a restart signs nobody out."""

import hashlib
import hmac
import math
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from pydantic import SecretStr

TRIES: Final = 5
TRIES_WITHIN: Final = timedelta(minutes=1)
"""Enough for a person with a clumsy clipboard; a key of 16 random characters is far out of a guesser's reach."""
CLIENTS_KEPT: Final = 1_000
"""Addresses whose wrong tries are remembered: bounds the memory that strangers can take."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """Signs and checks sessions with a key made of the operator key: another operator key ends them all."""

    operator_key: bytes = field(repr=False)
    lasts: timedelta

    @classmethod
    def under(cls, operator_key: SecretStr, lasts: timedelta) -> Self:
        return cls(operator_key.get_secret_value().encode(), lasts)

    def opens(self, given: str) -> bool:
        """Whether this is the operator key; takes as long for a near miss as for a wild guess."""
        return hmac.compare_digest(given.encode(), self.operator_key)

    @property
    def cookie(self) -> str:
        """The cookie's name. Browsers share cookies between ports: two stacks on one host must not share a name."""
        return f"stagepost_console_{self._signed('cookie')[:8]}"

    def issue(self, now: datetime) -> str:
        until = str(int((now + self.lasts).timestamp()))
        return f"{until}.{self._signed(until)}"

    def holds(self, token: str, now: datetime) -> bool:
        until, _, signature = token.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signed(until).encode()):
            return False
        return now < datetime.fromtimestamp(int(until), UTC)

    def _signed(self, text: str) -> str:
        key = hmac.digest(self.operator_key, b"stagepost console session", hashlib.sha256)
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


@dataclass(slots=True)
class WrongTries:
    """The latest wrong keys of each client address."""

    _at: OrderedDict[str, deque[datetime]] = field(default_factory=OrderedDict)

    def wait(self, client: str, now: datetime) -> int:
        """Seconds until this client may try again; 0 when it may now."""
        tries = self._at.get(client)
        if tries is None or len(tries) < TRIES:
            return 0
        return max(0, math.ceil((tries[0] + TRIES_WITHIN - now).total_seconds()))

    def add(self, client: str, now: datetime) -> None:
        self._at.setdefault(client, deque(maxlen=TRIES)).append(now)
        self._at.move_to_end(client)
        while len(self._at) > CLIENTS_KEPT:
            self._at.popitem(last=False)
