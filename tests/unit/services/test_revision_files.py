"""What of a directory is a revision: what services read, whole, and nothing else that lies there."""

from pathlib import Path

import pytest

from services.errors import ShopError
from services.revisions import files
from services.revisions.files import as_json, digest, of_json, own, packed, unpack


def lay(directory: Path, **said: bytes) -> Path:
    for name, content in said.items():
        place = directory / name.replace("__", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return directory


def test_what_services_read_is_taken_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    for name in ("storefronts.yaml", "templates/parts/a.mjml", "templates/.swp", "scenarios/s.yaml", ".git/config"):
        lay(tmp_path / "shop", **{name.replace("/", "__"): b"x"})
    (tmp_path / "shop" / "passwords.txt").write_text("secret")
    assert set(packed(tmp_path / "shop")) == {"storefronts.yaml", "templates/parts/a.mjml", "scenarios/s.yaml"}


def test_links_are_followed_as_a_config_map_lays_them_and_circles_end(tmp_path: Path) -> None:
    lay(tmp_path / "data", a=b"mjml")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "templates").symlink_to(tmp_path / "data")
    assert packed(tmp_path / "shop") == {"templates/a": b"mjml"}
    (tmp_path / "data" / "round").symlink_to(tmp_path / "data")
    with pytest.raises(ShopError):
        packed(tmp_path / "shop")


def test_what_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST", 10)
    monkeypatch.setattr(files, "LARGEST_ALL", 25)
    lay(tmp_path, **{"lifecycle.yaml": b"x" * 11})
    with pytest.raises(ShopError, match="over 10 bytes"):
        packed(tmp_path)
    lay(tmp_path, **{"lifecycle.yaml": b"x" * 9, "storefronts.yaml": b"x" * 9, "followups.yaml": b"x" * 9})
    with pytest.raises(ShopError, match="or 25 bytes"):
        packed(tmp_path)


def test_any_bytes_come_back_from_postgres_json(tmp_path: Path) -> None:
    held = {"a.yaml": "grün\n".encode(), "b.png": b"\x89PNG\xff", "nul": b"a\0b", "empty": b""}
    assert of_json(as_json(held)) == held
    unpack(held, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == held


def test_a_path_that_leads_out_is_not_written(tmp_path: Path) -> None:
    for name in ("../x", "/etc/x", "templates/../../x"):
        with pytest.raises(ShopError, match="leads out"):
            unpack({name: b""}, tmp_path)


def test_a_digest_tells_files_and_contents_apart() -> None:
    several = [{}, {"a": b""}, {"a": b"b"}, {"ab": b""}, {"a": b"", "b": b""}, {"b": b"", "a": b"x"}]
    assert len({digest(one) for one in several}) == len(several)
    assert digest({"a": b"1", "b": b"2"}) == digest({"b": b"2", "a": b"1"})


def test_a_frozen_preset_is_none_of_the_shop_s_own() -> None:
    assert own({"lifecycle.yaml": b"", ".presets/seven-stage.yaml": b"x"}) == {"lifecycle.yaml": b""}
