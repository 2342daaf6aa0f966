"""What an outgoing webhook carries, and what the answers to it mean."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from notifier.channels.webhook import LONGEST_WAIT, headers_of, judged
from notifier.outcomes import WEBHOOK_PAUSES, Dead, Delivered, RetryAt
from notifier.settings import WebhookSettings
from tests.unit.notifier.builders import NOON, parcel, uid

SECRET, NEXT = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = '{"said":"Grüße"}'
EARLIEST = NOON + WEBHOOK_PAUSES[0] * 0.75
LATEST = NOON + WEBHOOK_PAUSES[0] * 1.25


def test_it_is_signed_as_standard_webhooks_are() -> None:
    headers = headers_of(parcel(), BODY, [SECRET], datetime.now(UTC))
    assert headers["webhook-id"] == str(uid("message"))
    Webhook(SECRET).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY.replace("ß", "s"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEXT).verify(BODY, headers)


def test_while_one_secret_takes_the_others_place_either_verifies() -> None:
    headers = headers_of(parcel(), BODY, [NEXT, SECRET], datetime.now(UTC))
    for secret in (SECRET, NEXT):
        Webhook(secret).verify(BODY, headers)


def test_a_second_attempt_has_the_same_id_and_a_time_of_its_own() -> None:
    first, second = (headers_of(parcel(), BODY, [SECRET], at) for at in (NOON, NOON + timedelta(hours=1)))
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 3600
    elsewhere = headers_of(parcel(), BODY, [SECRET], NOON.astimezone(ZoneInfo("Asia/Tokyo")))
    assert elsewhere == first, "a time is the same in every zone"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_delivered(status: int) -> None:
    assert isinstance(judged(parcel(), status, "OK", None, NOON), Delivered)


@pytest.mark.parametrize("status", [100, 300, 301, 302, 307, 308, 304, 400, 401, 404, 408, 429, 500, 503, 599])
def test_anything_else_is_tried_again_and_a_redirect_is_no_better(status: int) -> None:
    outcome = judged(parcel(), status, "no", None, NOON)
    assert isinstance(outcome, RetryAt)
    assert outcome.counted
    assert EARLIEST <= outcome.at <= LATEST
    assert isinstance(judged(parcel(attempt=10), status, "no", None, NOON), Dead)


def test_gone_is_for_ever_and_for_everything() -> None:
    outcome = judged(parcel(), 410, "Gone", None, NOON)
    assert isinstance(outcome, Dead)
    assert outcome.closed


@pytest.mark.parametrize(
    ("said", "pause"),
    [
        ("120", timedelta(minutes=2)),
        (format_datetime(NOON + timedelta(minutes=7), usegmt=True), timedelta(minutes=7)),
        ("604800", LONGEST_WAIT),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_who_says_how_long_is_left_alone_for_so_long(status: int, said: str, pause: timedelta) -> None:
    outcome = judged(parcel(), status, "later", said, NOON)
    assert isinstance(outcome, RetryAt)
    assert outcome.at == NOON + pause


@pytest.mark.parametrize(
    "said", ["0", "-5", "soon", "", "9" * 20, "9" * 5000, format_datetime(NOON - timedelta(days=1))]
)
def test_who_says_nothing_sensible_is_asked_by_our_own_times(said: str) -> None:
    outcome = judged(parcel(), 429, "later", said, NOON)
    assert isinstance(outcome, RetryAt)
    assert EARLIEST <= outcome.at <= LATEST


@given(st.integers(100, 599), st.none() | st.text(max_size=40), st.integers(1, 10))
def test_whatever_is_answered_it_ends_as_a_value_within_a_day_and_a_half(
    status: int, said: str | None, attempt: int
) -> None:
    outcome = judged(parcel(attempt=attempt), status, said, said, NOON)
    if isinstance(outcome, RetryAt):
        assert NOON < outcome.at <= NOON + timedelta(hours=30)


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "secret", "whsec_c2hvcnQ=", "whsec_" + "A" * 200, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_ü"],
)
def test_a_secret_that_is_none_is_refused_at_the_start_and_not_shown(secret: str) -> None:
    with pytest.raises(ValidationError) as refused:
        WebhookSettings.model_validate({"secrets": {"main-shop/hook": secret}})
    assert "whsec_ and 24 to 64 bytes" in str(refused.value)


@pytest.mark.parametrize("given", [f'{{"s/hook": "{SECRET}"}}', f'{{"s/hook": ["{SECRET}", "{NEXT}"]}}'])
def test_secrets_are_given_as_json_one_or_two_an_endpoint(given: str) -> None:
    settings: Any = WebhookSettings.model_validate({"secrets": given, "allow_private": "127.0.0.0/8, ::1"})
    assert settings.secrets["s/hook"][0].get_secret_value() == SECRET
    assert len(settings.allow_private) == 2
    assert SECRET not in repr(settings)


def test_an_endpoint_that_is_gone_is_so_whatever_bytes_it_says_it_with() -> None:
    outcome = judged(parcel(), 410, "Disparu \udce9\x00", None, NOON)
    assert isinstance(outcome, Dead)
    assert outcome.why.encode() == b"410 Disparu"
