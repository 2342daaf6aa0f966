"""Takes card numbers and security codes out of what was said before anybody reads it. Pure.

docs/ingest.md has the rule for people.

What a number is depends on the key it stands under, so a suspicious body is decoded and walked. Nearly all are cleared
by searches in their bytes before that, and stay byte for byte as they came.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec

NUMBER_REMOVED: Final = "[card number removed]"
CODE_REMOVED: Final = "[security code removed]"

BRANDS: Final[tuple[tuple[str, str, range], ...]] = (
    ("Visa", r"4", range(13, 20, 3)),
    ("Mastercard", r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", range(16, 17)),
    ("American Express", r"3[47]", range(15, 16)),
    ("Diners Club", r"30[0-5]|3095|3[689]", range(14, 17, 2)),
    ("Discover", r"6011|64[4-9]|65", range(16, 20)),
    ("JCB", r"35[2-8]", range(16, 20)),
    ("UnionPay", r"62|81", range(16, 20)),
    ("Maestro", r"5018|5020|5038|5[678]|6304|6759|676[1-3]", range(14, 20)),
    ("Mir", r"220[0-4]", range(16, 20)),
    ("RuPay", r"508|60|82", range(16, 17)),
)
"""Who issues cards: how their numbers begin, and how many digits they have."""
SHORT: Final = 13
"""Digits of Visa's oldest numbers, and of EANs, and of phone numbers with their country: these need a card's key."""

LONGEST: Final = 24
"""Characters: nineteen digits, and what stands between them."""
LOOK: Final = 64
"""Bytes that are searched as fast from one end to the other as one place is looked at by itself."""

IDS: Final = frozenset(
    {"id", "ids", "uuid", "guid", "gid", "sku", "skus", "ean", "gtin", "upc", "isbn", "mpn", "asin", "barcode", "token",
     "key", "handle", "variant", "variants", "phone", "mobile", "fax", "timestamp", "micros", "millis"}
)  # fmt: skip
"""Last words of keys under which a row of digits is what it says: an id, a number of goods, a time. A part of an id is,
too (`order-5100…`): mutilated, ids that differ would be the same, and all events but one be dropped as its copies."""
NUMBERED: Final = frozenset(
    {"order", "invoice", "tracking", "parcel", "phone", "serial", "customer", "account", "article"}
)
"""Whose `number` is an id, too: `order_number`."""
OF_CARDS: Final = frozenset({"card", "cards", "cc", "pan", "creditcard", "debitcard", "cardnumber", "ccnumber"})
"""Words of keys that no id has."""
CODES: Final = frozenset(
    {"cvv", "cvv2", "cvc", "cvc2", "cvn", "csc", "securitycode", "verificationvalue", "verificationcode", "cardcode"}
)
"""Ends of keys, written together, whose value is a security code whatever it looks like."""

# A row of digits; or groups of four, or as American Express and Diners print theirs, with one separator throughout.
_GROUPED: Final = (
    r"[2-68][0-9]{3}(?P<by>[ .-])[0-9]{4}(?P=by)[0-9]{4}(?P=by)[0-9]{1,4}(?:(?P=by)[0-9]{1,3})?"
    r"|3[0-9]{3}(?P<apart>[ .-])[0-9]{6}(?P=apart)[0-9]{4,5}"
)
_ROW: Final = r"[2-68][0-9]{12,18}"
# What stands against letters, or inside a UUID, is part of an id; after a plus it is a phone's.
_NUMBER: Final = re.compile(
    rf"(?<![0-9A-Za-z+])(?<![0-9a-fA-F]{{4}}-)(?:{_ROW}|{_GROUPED})(?![0-9A-Za-z]|-[0-9a-fA-F]{{4}})"
)
# In the bytes an escape (`\u0007`) may end right before it.
_SUSPICIOUS: Final = re.compile(rf"(?:(?<![0-9])|(?<=\\u[0-9a-fA-F]{{4}}))(?:{_ROW}|{_GROUPED})(?![0-9])".encode())
_SHAPE: Final = bytes.maketrans(b"123456789.-ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"000000000  abcdefghijklmnopqrstuvwxyz")
"""All digits as 0, separators as spaces, letters small: then what to look for is a few fixed texts."""
_LONGER_ROWS: Final = (b"0" * (SHORT + 1), b"0000 0000", b"0000 000000 0000")
_ROWS: Final = (b"0" * SHORT, *_LONGER_ROWS)
_WORDS: Final = (b"cvv", b"cvc", b"cvn", b"csc", b"security", b"verification", b"cardcode", b"card_code", b"card code")
_ESCAPE: Final = re.compile(rb"\\(?:u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED_DIGIT: Final = re.compile(rb"\\u003[0-9]")
_LINK: Final = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]{0,20}://")
"""Also `gid://shopify/ProductVariant/…`, as Shopify names what it has."""
_PARAMETER: Final = re.compile(r"[?&]([^?&=#]{1,60})=\Z")
_BEFORE: Final = 64
"""Characters that are looked at before a number in a link; all of them, number after number, would be quadratic."""
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_BRANDS: Final = tuple((re.compile(begins), lengths) for _, begins, lengths in BRANDS)
_CODE_BESIDE_KEY: Final = re.compile(rb'(?i)(cv[vcn]2?|csc|code|value)"\s*:\s*"?[0-9]{3,4}"?')

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Cleaned:
    body: bytes
    removed: int


def without_cards(body: bytes) -> Cleaned:
    """The same JSON with a marker in place of each card number and security code; never raises, whatever the bytes."""
    if not _may_hold_one(body):
        return Cleaned(body, 0)
    walk = _Walk()
    try:
        walked = walk.value(_decode(body), Key())
        return Cleaned(_encode(walked), walk.removed) if walk.removed else Cleaned(body, 0)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, OverflowError):
        return _without_keys(body)


def text_without_cards(text: str) -> str:
    """What a person wrote, with a marker in place of each card number."""
    return _Walk().text(text, Key())


def _may_hold_one(body: bytes) -> bool:
    if b"\\u" in body:
        if _ESCAPED_DIGIT.search(body):
            return True
        body = _ESCAPE.sub(b" ", body)  # the digits of its code are none of the text's
    shape = body.translate(_SHAPE)
    rows = _ROWS if b"card" in shape or b"pan" in shape or b"cc" in shape else _LONGER_ROWS
    if any(word in shape for word in _WORDS):
        return True
    if sum(map(shape.count, rows)) * LOOK > len(body):
        return any(_is_card(found[0].decode()) for found in _SUSPICIOUS.finditer(body))
    return any(_is_near(body, shape, row) for row in rows)


def _is_near(body: bytes, shape: bytes, row: bytes) -> bool:
    """Whether one of the places that look like this is a card's number."""
    at = shape.find(row)
    while at >= 0:
        if any(_is_card(found[0].decode()) for found in _SUSPICIOUS.finditer(body, max(at - LONGEST, 0), at + LONGEST)):
            return True
        at = shape.find(row, at + len(row))
    return False


def _without_keys(body: bytes) -> Cleaned:
    """Of what is no JSON: by the numbers alone. Nobody reads it as an event; it is kept as it came."""
    numbers, codes = 0, 0

    def replaced(found: re.Match[bytes]) -> bytes:
        nonlocal numbers
        is_card = _is_card(found[0].decode())
        numbers += is_card
        return NUMBER_REMOVED.encode() if is_card else found[0]

    cleaned, codes = _CODE_BESIDE_KEY.subn(rb'\1":"' + CODE_REMOVED.encode() + b'"', _SUSPICIOUS.sub(replaced, body))
    return Cleaned(cleaned, numbers + codes)


@lru_cache(maxsize=4096)
def _is_card(number: str) -> bool:
    """Whether some issuer's numbers are like this one: by the first digits, the length and the check digit (Luhn)."""
    digits = [int(character) for character in number if character.isdecimal()]
    bare = "".join(map(str, digits))
    if not any(len(bare) in lengths and begins.match(bare) for begins, lengths in _BRANDS):
        return False
    doubled = [digit * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0  # noqa: PLR2004  Luhn's


@dataclass(frozen=True, slots=True)
class Key:
    """What a key says of the values under it."""

    of_id: bool = False
    of_card: bool = False
    of_code: bool = False


@lru_cache(maxsize=4096)
def key_of(name: str) -> Key:
    words = [word.lower() for word in _WORD.findall(name[:200])]
    whole = "".join(words)
    named = [word for word in words if not word.isdecimal()]
    of_card = not OF_CARDS.isdisjoint(named)
    last = named[-1] if named else ""
    numbered = last in ("number", "numbers", "no") and len(named) > 1 and named[-2] in NUMBERED
    return Key(
        of_id=not of_card and (last in IDS or numbered),
        of_card=of_card,
        of_code=any(whole.endswith(code) for code in CODES),
    )


@dataclass(slots=True)
class _Walk:
    """Through one body. In a list each value stands under the list's key."""

    removed: int = 0

    def value(self, said: Any, key: Key) -> Any:  # noqa: ANN401  any JSON
        if isinstance(said, str):
            return self.text(said, key)
        if isinstance(said, dict):
            return {
                self.text(name, _IN_A_KEY): self.value(one, key if key.of_code else key_of(name))
                for name, one in said.items()
            }
        if isinstance(said, list):
            return [self.value(one, key) for one in said]
        if isinstance(said, int | Decimal) and not isinstance(said, bool):
            bare = str(said)
            text = self.text(bare, key)
            return said if text == bare else text
        return said

    def text(self, text: str, key: Key) -> str:
        if key.of_code and text:
            self.removed += 1
            return CODE_REMOVED
        if len(text) < SHORT:
            return text
        is_link = _LINK.match(text) is not None

        def replaced(found: re.Match[str]) -> str:
            number = found[0]
            before = text[max(found.start() - _BEFORE, 0) : found.start()]
            of_id = number.isdecimal() and (key.of_id or (is_link and _is_id_in_link(before)))
            short = not key.of_card and sum(map(str.isdecimal, number)) == SHORT
            if of_id or short or not _is_card(number):
                return number
            self.removed += 1
            return NUMBER_REMOVED

        return _NUMBER.sub(replaced, text)


def _is_id_in_link(before: str) -> bool:
    """Whether what comes after this in an address is a part of its path, or a parameter that an id's name stands at."""
    parameter = _PARAMETER.search(before)
    return before.endswith("/") or (parameter is not None and key_of(parameter[1]).of_id)


_IN_A_KEY: Final = Key(of_id=True)
