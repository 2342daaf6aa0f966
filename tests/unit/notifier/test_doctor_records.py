"""What the doctor reads out of a sender's records."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notifier.doctor.findings import Finding, Health, worst
from notifier.doctor.records import dkim, dmarc, included, lookups, mail_exchangers, spf


def key(bits: int) -> str:
    private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"


@pytest.mark.parametrize(
    ("texts", "health"),
    [
        (["v=spf1 include:_spf.relay.example ~all", "google-site-verification=x"], Health.OK),
        (["v=spf1 -all"], Health.OK),
        (["V=SPF1 redirect=_spf.relay.example"], Health.OK),
        (["v=spf1 include:_spf.relay.example"], Health.WARNING),
        (["v=spf1 ?all"], Health.WARNING),
        (["v=spf1 +all"], Health.FAULT),
        (["v=spf1 all"], Health.FAULT),
        ([], Health.FAULT),
        (["v=spf10 ~all", "spf2.0/pra ~all"], Health.FAULT),
        (["v=spf1 ~all", "v=spf1 -all"], Health.FAULT),
        (["v=spf1 " + "a mx " * 6 + "~all"], Health.FAULT),
    ],
)
def test_spf(texts: list[str], health: Health) -> None:
    finding = spf("shop.example", texts, {})
    assert finding.health is health
    assert bool(finding.advice) is (health is not Health.OK)


def test_spf_of_all_that_is_included_counts() -> None:
    record = "v=spf1 include:a.example include:b.example ~all"
    assert included(record) == ["a.example", "b.example"]
    assert included("v=spf1 redirect=c.example") == ["c.example"]
    eight = "v=spf1 " + "include:x.example " * 4 + "a:y.example mx exists:%{i}.z.example ptr ip4:192.0.2.1 ~all"
    assert lookups(eight) == 8
    assert (
        spf("shop.example", [record], {"a.example": eight, "b.example": "v=spf1 ip4:192.0.2.1 ~all"}).health
        is Health.OK
    )
    assert "needs 11 look-ups" in spf("shop.example", [record], {"a.example": eight, "b.example": "v=spf1 a ~all"}).said
    assert "b.example has no SPF" in spf("shop.example", [record], {"a.example": eight, "b.example": None}).said


@pytest.mark.parametrize(
    ("texts", "health"),
    [
        (["v=DMARC1; p=reject; rua=mailto:d@shop.example"], Health.OK),
        (["v=DMARC1;p=quarantine"], Health.OK),
        (["v=DMARC1; p=none"], Health.WARNING),
        (["v=DMARC1"], Health.FAULT),
        (["v=DMARC1; p=perhaps"], Health.FAULT),
        (["v=DMARC1; p=reject", "v=DMARC1; p=none"], Health.FAULT),
        ([], Health.FAULT),
    ],
)
def test_dmarc(texts: list[str], health: Health) -> None:
    assert dmarc("shop.example", texts).health is health


@pytest.mark.parametrize(
    ("text", "health"),
    [
        ("v=DMARC1; p=reject; sp=none", Health.WARNING),
        ("v=DMARC1; p=none; sp=reject", Health.OK),
        ("v=DMARC1; p=reject", Health.OK),
        ("v=DMARC1; p=reject; sp=perhaps", Health.OK),
    ],
)
def test_dmarc_of_the_domain_above_says_of_those_below_it_what_sp_says(text: str, health: Health) -> None:
    assert dmarc("news.shop.example", [text], inherited=True).health is health


def test_dmarc_that_is_not_there_is_written_out() -> None:
    assert (
        '_dmarc.shop.example. TXT "v=DMARC1; p=none; rua=mailto:dmarc@shop.example"' in dmarc("shop.example", []).advice
    )


@pytest.mark.parametrize(
    ("texts", "health"),
    [
        ([key(2048)], Health.OK),
        (["v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="], Health.OK),
        ([key(1024)], Health.WARNING),
        (["v=DKIM1; k=rsa; p="], Health.FAULT),
        (["v=DKIM1; k=rsa; p=AAAA"], Health.FAULT),
        (["v=DKIM1; k=rsa; p=no base64!"], Health.FAULT),
        ([], Health.FAULT),
        (["hello"], Health.FAULT),
    ],
)
def test_dkim(texts: list[str], health: Health) -> None:
    assert dkim("shop.example", "s1", texts).health is health


@pytest.mark.parametrize(
    ("exchangers", "health"), [(["mx.shop.example"], Health.OK), ([], Health.FAULT), (["."], Health.FAULT)]
)
def test_mx(exchangers: list[str], health: Health) -> None:
    assert mail_exchangers("shop.example", exchangers).health is health


def test_a_fault_is_worse_than_what_is_not_known_and_that_than_a_warning() -> None:
    found = [Finding(about="x", health=health, said="y") for health in (Health.WARNING, Health.UNKNOWN, Health.OK)]
    assert worst(found) is Health.UNKNOWN
    assert worst([*found, Finding(about="x", health=Health.FAULT, said="y")]) is Health.FAULT
    assert worst([]) is Health.OK
