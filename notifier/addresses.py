"""Which addresses mail may be handed to, and how one is shown to a person who need not know it. Pure, no DNS."""

import hashlib

from email_validator import EmailNotValidError, validate_email


def deliverable(address: str) -> str | None:
    """The address as SMTP takes it (its domain in ASCII), or None for what is no single address.

    Ours to refuse: aiosmtplib cuts a recipient at CR/LF and mails the first part.
    """
    if not address.isprintable():
        return None
    try:
        found = validate_email(address.strip(), strict=True, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        return None
    return found.ascii_email


def masked(address: str) -> str:
    """`a…@shop.example`: enough to recognise, too little to use."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"


def fingerprint(address: str) -> bytes:
    """What is kept of an address that is to be recognised later, not read."""
    return hashlib.sha256(address.strip().lower().encode("utf-8", "surrogatepass")).digest()
