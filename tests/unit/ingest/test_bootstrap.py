"""What Segment's clients are told when they ask where to send to."""

import pytest

from ingest.bootstrap import settings_of


@pytest.mark.parametrize(
    ("headers", "host", "protocol"),
    [
        ({b"host": b"events.shop.example"}, "events.shop.example/v1", "http"),
        ({b"host": b"127.0.0.1:8080"}, "127.0.0.1:8080/v1", "http"),
        (
            {b"host": b"10.0.0.7:8080", b"x-forwarded-host": b"events.shop.example", b"x-forwarded-proto": b"https"},
            "events.shop.example/v1",
            "https",
        ),
        ({b"host": b"a.example/evil?"}, "localhost/v1", "http"),
    ],
)
def test_they_are_sent_to_where_they_asked(headers: dict[bytes, bytes], host: str, protocol: str) -> None:
    told = settings_of("KEY", scheme="http", headers=headers)["integrations"]["Segment.io"]
    assert (told["apiHost"], told["protocol"], told["apiKey"]) == (host, protocol, "KEY")


def test_no_plan_is_named_since_the_browser_s_script_would_fetch_one_more_script_from_us_to_filter_by_it() -> None:
    assert "track" not in settings_of("KEY", scheme="http", headers={})["plan"]
