"""Bodies as no client would send them: what real ones sent, broken in ways that a seed decides."""

import json
from random import Random
from typing import Any, Final

STRANGE: Final[tuple[Any, ...]] = (
    None, True, "", "\x00", "é" * 300, "x" * 40_000, 0, -1, 1.5, 1e308, 2**63, 2**64, -(2**70), [], {}, [[[]]],
    "NaN", "1e999", "2026-02-30T25:61:61Z", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59-23:59", {"": {"": None}},
    [None] * 50, "💥", "\ud83d", "$.a", "{{ 7 * 7 }}", "'; DROP TABLE events; --", "=1+1",
)  # fmt: skip
TOKENS: Final = (
    b"null", b"NaN", b"-Infinity", b"1e999", b"\\u0000", b"\\ud83d", b"\xff\xfe", b"\x00", b"{" * 60, b"[" * 5000, b'"',
    b"," * 3, b"9" * 400, b'{"":', b"//", b"\xef\xbb\xbf",
)  # fmt: skip


def broken(raw: bytes, random: Random) -> bytes:
    """Some bytes are gone, twice there, others, or more."""
    for _ in range(random.randint(1, 4)):
        at, length = random.randrange(len(raw) + 1), random.randint(1, 40)
        kind = random.randrange(4)
        if kind == 0:
            raw = raw[:at] + raw[at + length :]
        elif kind == 1:
            raw = raw[:at] + raw[at : at + length] * 2 + raw[at + length :]
        elif kind == 2:
            raw = raw[:at] + random.randbytes(1) + raw[at + 1 :]
        else:
            raw = raw[:at] + random.choice(TOKENS) + raw[at:]
    return raw


def bent(raw: bytes, random: Random) -> bytes:
    """Still JSON: one or more values or keys are strange."""
    document = json.loads(raw)
    for _ in range(random.randint(1, 3)):
        places = list(_places(document))
        if not places:
            break
        holder, key = random.choice(places)
        if isinstance(holder, dict) and random.random() < 0.2:
            holder[random.choice(("", "\x00", "k" * 300, "__proto__", "id"))] = holder.pop(key)
        else:
            holder[key] = random.choice(STRANGE)
    return json.dumps(document).encode()


def _places(value: Any) -> Any:  # noqa: ANN401  any JSON
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])
