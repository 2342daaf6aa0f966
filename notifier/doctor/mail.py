"""`stagepost doctor mail`: whether mail of this shop's senders will be believed, and whether its server takes it."""

import ssl
from collections.abc import Awaitable, Sequence
from typing import Final

import aiosmtplib

from notifier.addresses import deliverable
from notifier.channels.email import client_of
from notifier.doctor import records
from notifier.doctor.findings import Finding, Health
from notifier.doctor.names import Names, NobodyAnswers
from notifier.settings import SmtpSettings
from services.shop import Shop

USUAL_SELECTORS: Final = (
    "default",
    "dkim",
    "google",
    "k1",
    "mail",
    "mta",
    "pm",
    "s1",
    "s2",
    "selector1",
    "selector2",
    "smtp",
)
"""Looked for where none is named. A key that is not found among them says nothing."""
MOST_INCLUDED: Final = 12
"""More than a receiver looks up."""
NO_NETWORK: Final = "see that this machine reaches a name server, or name one with --server ADDRESS"


async def examine(shop: Shop, smtp: SmtpSettings, names: Names, selectors: Sequence[str]) -> list[Finding]:
    found = [await _server(smtp)]
    for domain in sender_domains(shop):
        found += await _or_unknown(domain, _domain(domain, names, selectors))
    if smtp.bounces_to is not None:  # SPF is asked of where bounces go
        domain = smtp.bounces_to.rpartition("@")[2]
        found += await _or_unknown(domain, _spf(domain, names))
    return found


async def _or_unknown(domain: str, asked: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        return await asked
    except NobodyAnswers as error:
        said = f"no name server answered ({error})"
        return [Finding(about=f"DNS of {domain}", health=Health.UNKNOWN, said=said, advice=NO_NETWORK)]


def sender_domains(shop: Shop) -> list[str]:
    addresses = (deliverable(storefront.sender.email) for storefront in shop.storefronts.values())
    return sorted({address.rpartition("@")[2] for address in addresses if address is not None})


async def _domain(domain: str, names: Names, selectors: Sequence[str]) -> list[Finding]:
    return [
        *await _spf(domain, names),
        *await _dkim(domain, names, selectors),
        await _dmarc(domain, names),
        records.mail_exchangers(domain, await names.exchangers(domain)),
    ]


async def _spf(domain: str, names: Names) -> list[Finding]:
    texts = await names.texts(domain)
    others: dict[str, str | None] = {}
    waiting = [name for text in records.spf_of(texts) for name in records.included(text)]
    while waiting and len(others) < MOST_INCLUDED:
        name = waiting.pop()
        if name not in others and "%" not in name:  # a macro: it depends on the mail
            found = records.spf_of(await names.texts(name))
            others[name] = found[0] if found else None
            waiting += records.included(others[name] or "")
    return [records.spf(domain, texts, others)]


async def _dkim(domain: str, names: Names, selectors: Sequence[str]) -> list[Finding]:
    if selectors:
        return [await _key(domain, selector, names) for selector in selectors]
    usual = [await _key(domain, selector, names) for selector in USUAL_SELECTORS]
    found = [finding for finding in usual if finding.said != records.NO_KEY]
    advice = (
        "name the selector with --selector: it is what stands after s= in the DKIM-Signature of a mail that you got"
    )
    said = "no key under a usual selector, which says nothing"
    return found or [Finding(about=f"DKIM of {domain}", health=Health.WARNING, said=said, advice=advice)]


async def _key(domain: str, selector: str, names: Names) -> Finding:
    return records.dkim(domain, selector, await names.texts(f"{selector}._domainkey.{domain}"))


async def _dmarc(domain: str, names: Names) -> Finding:
    """By its own, else by that of the domain above it, down to two names."""
    labels = domain.split(".")
    for start in range(max(len(labels) - 1, 1)):
        found = await names.texts(f"_dmarc.{'.'.join(labels[start:])}")
        if any("DMARC1" in text for text in found):
            return records.dmarc(domain, found, inherited=start > 0)
    return records.dmarc(domain, [])


async def _server(smtp: SmtpSettings) -> Finding:
    about = f"mail server {smtp.host}:{smtp.port}"
    client = client_of(smtp, smtp.tls_context())
    try:
        await client.connect()
        await client.ehlo()
        protected = client.get_transport_info("ssl_object") if client.is_connected else None
        await client.quit()
    except aiosmtplib.SMTPAuthenticationError as error:
        advice = "see STAGEPOST_SMTP__USERNAME and __PASSWORD"
        return Finding(about=about, health=Health.FAULT, said=f"it does not let us in: {error.message}", advice=advice)
    except (aiosmtplib.SMTPException, OSError) as error:
        client.close()
        said = f"it can't be used: {type(error).__name__}: {error}"
        return Finding(about=about, health=Health.FAULT, said=said, advice=_advice(smtp, error))
    if protected is None:
        advice = "mail is readable on its way; set STAGEPOST_SMTP__SECURITY to starttls or tls, if the server can"
        return Finding(about=about, health=Health.WARNING, said="it answers, without TLS", advice=advice)
    logged_in = " and lets us in" if smtp.username else ""
    return Finding(about=about, health=Health.OK, said=f"it answers with {protected.version()}{logged_in}")


def _advice(smtp: SmtpSettings, error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "who signed its certificate is not trusted here; name them with STAGEPOST_SMTP__CA_FILE"
        cause = cause.__cause__ or cause.__context__
    if "STARTTLS" in str(error).upper():
        return "this port has no STARTTLS; try SECURITY=tls with port 465"
    return f"see STAGEPOST_SMTP__HOST and __PORT, and whether a firewall lets us out to port {smtp.port}"
