"""The committed locks: complete, hashed, and without a word about where packages come from."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def normalised(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=~!; ]", requirement)[0]).lower()


def locked(name: str) -> set[str]:
    return {
        normalised(line)
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
        if re.match(r"[a-z0-9]", line)
    }


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_download_host(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text
    assert "--extra-index" not in text
    assert "--find-links" not in text


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_of_a_lock_is_hashed(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=[a-z0-9])", "\n" + re.sub(r"(?m)^#.*\n", "", text))[1:]
    assert blocks
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_all_that_pyproject_asks_for_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    runtime = {normalised(r) for r in project["dependencies"]}
    extras = {normalised(r) for group in project["optional-dependencies"].values() for r in group} - {"stagepost"}
    assert runtime <= locked("requirements.lock"), "run `make lock`"
    assert runtime | extras <= locked("requirements-dev.lock"), "run `make lock`"
