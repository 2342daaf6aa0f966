"""`stagepost check` on where webhooks go."""

from pathlib import Path

import pytest

from notifier.check import check
from services.checks import Level

STOREFRONTS = """\
main-shop:
  name: Fern
  url: https://shop.example
  currency: EUR
  timezone: Europe/Berlin
  sender: {name: Fern, email: hello@shop.example}
  endpoints:
    hook:
      url: URL
"""
FOLLOW_UPS = """\
retarget:
  when: {track: cart, entered: abandoned}
  until: {left: abandoned}
  purpose: marketing
  max_age: 24h
  channel: webhook
  endpoint: ENDPOINT
"""


def found(folder: Path, *, url: str = "https://hooks.example/", endpoint: str = "hook") -> list[tuple[str, Level, int]]:
    (folder / "storefronts.yaml").write_text(STOREFRONTS.replace("URL", url), encoding="utf-8")
    (folder / "followups.yaml").write_text(FOLLOW_UPS.replace("ENDPOINT", endpoint), encoding="utf-8")
    return [(Path(one.file).name, one.level, one.line) for one in check(folder).found]


def test_an_endpoint_on_the_internet_is_fine(tmp_path: Path) -> None:
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "https://10.0.0.1/", "http://hooks.example/", "https://db.internal/"]
)
def test_an_endpoint_inside_is_refused_where_it_stands(tmp_path: Path, url: str) -> None:
    assert found(tmp_path, url=url) == [("storefronts.yaml", Level.FAULT, 9)]


def test_what_a_setting_allows_for_development_is_allowed_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGEPOST_WEBHOOKS__ALLOW_PRIVATE", "127.0.0.0/8")
    assert found(tmp_path, url="http://127.0.0.1:9/") == []


def test_an_endpoint_that_nobody_declared_is_refused_where_it_is_named(tmp_path: Path) -> None:
    assert found(tmp_path, endpoint="hock") == [("followups.yaml", Level.FAULT, 7)]


def test_one_that_some_storefronts_lack_is_a_warning(tmp_path: Path) -> None:
    found(tmp_path)
    both = STOREFRONTS.replace("URL", "https://hooks.example/")
    second = both.split("  endpoints:", maxsplit=1)[0].replace("main-shop", "second")
    (tmp_path / "storefronts.yaml").write_text(both + second, encoding="utf-8")
    (warning,) = check(tmp_path).found
    assert warning.level is Level.WARNING
    assert "second has no endpoint `hook`" in warning.message
