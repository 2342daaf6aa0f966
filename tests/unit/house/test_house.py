"""Rules of the house that no linter knows."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("services", "ingest", "stage_engine", "notifier", "console", "migrations")
SOURCES = [p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.py")) if p.parent.name != "versions"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_commit_happens_in_one_place_only(path: Path) -> None:
    """`services.postgres.transaction`; `engine.begin(` commits too."""
    text = path.read_text(encoding="utf-8")
    if path != ROOT / "services" / "postgres.py":
        assert not re.search(r"\.commit\(\)|engine\.begin\(", text)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_hides_two_things(path: Path) -> None:
    """A migration is one thing however long: what it makes is listed, not reasoned."""
    if path.parent.name != "versions":
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_every_make_target_is_in_the_readme_or_in_help() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    explained = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    assert targets == explained
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in ("demo", "test", "check", "up", "down", "help"):
        assert f"make {target}" in readme


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_locks_name_no_host_and_hash_everything() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        lock = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in lock
        assert "--index-url" not in lock
        pins = re.findall(r"^[A-Za-z0-9_.\[\]-]+==", lock, re.MULTILINE)
        assert len(pins) > 20
        assert lock.count("--hash=sha256:") >= len(pins)
