"""What a sender's records in DNS say: SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 7489), and who takes mail. Pure."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from notifier.doctor.findings import Finding, Health

MOST_LOOKUPS: Final = 10
"""RFC 7208: beyond that a receiver gives up, and the record says nothing."""
LEAST_BITS: Final = 1024
GOOD_BITS: Final = 2048
NO_KEY: Final = "there is no key"
_POLICIES: Final = ("none", "quarantine", "reject")
_LOOKS_UP: Final = re.compile(r"[+?~-]?(include:|(a|mx|ptr)([:/]|$)|exists:)|redirect=", re.IGNORECASE)
_INCLUDES: Final = re.compile(r"[+?~-]?include:(\S+)|redirect=(\S+)", re.IGNORECASE)


def spf_of(texts: Sequence[str]) -> list[str]:
    return [text for text in texts if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]


def included(spf: str) -> list[str]:
    """The domains whose records it takes in."""
    return [first or second for first, second in _INCLUDES.findall(spf)]


def lookups(spf: str) -> int:
    """How many its own terms ask a receiver for."""
    return sum(_LOOKS_UP.match(term) is not None for term in spf.split()[1:])


def spf(domain: str, texts: Sequence[str], others: Mapping[str, str | None]) -> Finding:
    """`others` has the SPF of every domain that is included, at whatever depth; None for one that has none."""
    about = f"SPF of {domain}"
    found = spf_of(texts)
    if not found:
        advice = f'{domain}. TXT "v=spf1 include:YOUR-RELAY ~all", with what your relay tells you to include'
        return _fault(about, "there is none", advice)
    if len(found) > 1:
        advice = "one record may begin with v=spf1; put what they say into one"
        return _fault(about, f"there are {len(found)}, so none counts", advice)
    return _refused(about, found[0], others) or _ended(about, found[0])


def _refused(about: str, record: str, others: Mapping[str, str | None]) -> Finding | None:
    """What makes a receiver take no notice of the whole record."""
    empty = sorted(name for name, other in others.items() if other is None)
    if empty:
        advice = "mend the name or take the include out: a receiver refuses the whole record for it"
        return _fault(about, f"{', '.join(empty)} has no SPF", advice)
    asked = lookups(record) + sum(lookups(other) for other in others.values() if other)
    if asked > MOST_LOOKUPS:
        advice = f"a receiver gives up after {MOST_LOOKUPS}; take out who sends no mail for you"
        return _fault(about, f"it needs {asked} look-ups", advice)
    return None


def _ended(about: str, record: str) -> Finding:
    last = record.rsplit(maxsplit=1)[-1].lower()
    if last in ("all", "+all"):
        return _fault(about, "it lets anybody send", "end it with ~all or -all")
    if last not in ("~all", "-all") and "redirect=" not in record.lower():
        return _warning(about, "it says nothing of all others", "end it with ~all, or with -all when you are sure")
    return _fine(about, record)


def dmarc(domain: str, texts: Sequence[str], *, inherited: bool = False) -> Finding:
    """`inherited`: they stand at the domain above, whose `sp` is for those below it."""
    about = f"DMARC of {domain}"
    found = [text for text in texts if re.match(r"v\s*=\s*DMARC1\s*(;|$)", text)]
    written = f'_dmarc.{domain}. TXT "v=DMARC1; p=none; rua=mailto:dmarc@{domain}"'
    if not found:
        advice = f"{written}, and p=quarantine once the reports look right"
        return _fault(about, "there is none; large providers refuse bulk mail", advice)
    if len(found) > 1:
        return _fault(about, "there are several, so none counts", "keep one")
    tags = _tags(found[0])
    said = "sp" if inherited and tags.get("sp", "").lower() in _POLICIES else "p"
    policy = tags.get(said, "").lower()
    if policy not in _POLICIES:
        return _fault(about, "it has no policy that counts", written)
    if policy == "none":
        advice = f"{said}=quarantine keeps others from sending in your name, once the reports look right"
        return _warning(about, f"it only watches ({said}=none)", advice)
    return _fine(about, found[0])


def dkim(domain: str, selector: str, texts: Sequence[str]) -> Finding:
    about = f"DKIM of {domain}, selector {selector}"
    tags = next((tags for text in texts if "p" in (tags := _tags(text))), None)
    if tags is None:
        return _fault(about, NO_KEY, f"{selector}._domainkey.{domain}. with the record that your relay shows you")
    if not tags["p"]:
        return _fault(about, "the key was revoked", "sign with another selector")
    if tags.get("k", "rsa").lower() == "ed25519":
        return _fine(about, "an Ed25519 key")
    return _strong(about, _bits(tags["p"]))


def _strong(about: str, bits: int | None) -> Finding:
    if bits is None or bits < LEAST_BITS:
        said = "the key can't be read" if bits is None else f"the key has {bits} bits, too few to count"
        return _fault(about, said, f"make one of {GOOD_BITS} bits")
    if bits < GOOD_BITS:
        return _warning(about, f"the key has {bits} bits", f"make one of {GOOD_BITS} bits when you can")
    return _fine(about, f"an RSA key of {bits} bits")


def mail_exchangers(domain: str, exchangers: Sequence[str]) -> Finding:
    """Whether answers and bounces arrive anywhere."""
    about = f"MX of {domain}"
    if not exchangers:
        said = "there is none: answers and bounces have nowhere to go"
        return _fault(about, said, f"{domain}. MX 10 your-mail-server.")
    if "." in exchangers:
        said = "it says that it takes no mail; some servers refuse mail from such a domain"
        return _fault(about, said, "send from a domain that takes mail")
    return _fine(about, ", ".join(exchangers))


def _fault(about: str, said: str, advice: str) -> Finding:
    return Finding(about=about, health=Health.FAULT, said=said, advice=advice)


def _warning(about: str, said: str, advice: str) -> Finding:
    return Finding(about=about, health=Health.WARNING, said=said, advice=advice)


def _fine(about: str, said: str) -> Finding:
    return Finding(about=about, health=Health.OK, said=said)


def _tags(text: str) -> dict[str, str]:
    """`v=DKIM1; k=rsa; p=…`, with whatever spaces."""
    parts = (part.partition("=") for part in text.split(";"))
    return {name.strip(): "".join(value.split()) for name, equals, value in parts if equals}


def _bits(key: str) -> int | None:
    try:
        loaded = load_der_public_key(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError):
        return None
    return loaded.key_size if isinstance(loaded, RSAPublicKey) else None
