import json
import stat
from pathlib import Path

import msgspec
import pytest

from services.contracts.keys import KeyKind, WriteKey, digest
from services.devstack.home import Home, StackRuns, cache_folder, current_home
from services.devstack.keys import ensure_keys
from services.devstack.supervisor import environment
from services.settings import PostgresSettings, Settings


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


def test_a_home_is_locked_by_one(home: Home) -> None:
    assert not home.is_locked
    with home.locked():
        assert home.is_locked
        with pytest.raises(StackRuns), home.locked():
            pass
    assert not home.is_locked


def test_the_home_is_named_by_the_environment_or_lies_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STAGEPOST_HOME", raising=False)
    assert current_home().path == tmp_path / ".stagepost"
    monkeypatch.setenv("STAGEPOST_HOME", "elsewhere")
    assert current_home().path == tmp_path / "elsewhere"


def test_jars_are_shared_by_homes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("STAGEPOST_CACHE", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "stagepost"
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/stagepost")
    monkeypatch.setenv("STAGEPOST_CACHE", "/mine")
    assert cache_folder() == Path("/mine")


def test_an_empty_home_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("STAGEPOST_CACHE", raising=False)
    assert cache_folder().is_absolute()


def test_keys_are_made_once(home: Home) -> None:
    assert ensure_keys(home, ["a", "b"]) == ensure_keys(home, ["a", "b"])


def test_every_storefront_has_a_server_s_and_a_browser_s_key(home: Home) -> None:
    first = ensure_keys(home, ["a"])
    keys = ensure_keys(home, ["a", "b"])
    stored = msgspec.json.decode(keys.write_keys_file.read_bytes(), type=list[WriteKey])
    assert {(key.storefront, key.kind) for key in stored} == {(s, k) for s in ("a", "b") for k in KeyKind}
    assert next(k for k in stored if k.storefront == "a" and k.kind is KeyKind.SERVER).sha256 == digest(keys.write_key)
    assert next(k for k in stored if k.storefront == "a" and k.kind is KeyKind.BROWSER).sha256 == digest(
        keys.browser_key
    )
    assert keys.write_key == first.write_key


def test_what_ingest_is_given_holds_no_key_itself(home: Home) -> None:
    keys = ensure_keys(home, ["a"])
    given = keys.write_keys_file.read_text(encoding="utf-8")
    assert keys.write_key not in given
    assert keys.browser_key not in given


def test_keys_are_for_their_owner_only(home: Home) -> None:
    ensure_keys(home, ["a"])
    assert {stat.S_IMODE(file.stat().st_mode) for file in home.keys.iterdir()} == {0o600}
    assert stat.S_IMODE(home.keys.stat().st_mode) == 0o700


def test_a_shell_s_settings_do_not_mix_with_the_stack_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGEPOST_KAFKA__SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("STAGEPOST_OPERATOR_KEY", "the shell's")
    monkeypatch.setenv("STAGEPOST_LOG__LEVEL", "debug")
    found = environment({"STAGEPOST_KAFKA__BOOTSTRAP_SERVERS": "here", "STAGEPOST_OPERATOR_KEY_FILE": "there"})
    ours = {name: value for name, value in found.items() if name.startswith("STAGEPOST_")}
    assert "STAGEPOST_KAFKA__SECURITY_PROTOCOL" not in ours
    assert "STAGEPOST_OPERATOR_KEY" not in ours
    assert ours["STAGEPOST_KAFKA__BOOTSTRAP_SERVERS"] == "here"
    assert ours["STAGEPOST_LOG__LEVEL"] == "debug"


def test_secrets_come_by_file_into_groups_of_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Some(Settings):
        postgres: PostgresSettings

    (tmp_path / "dsn").write_text("postgresql://somewhere\n", encoding="utf-8")
    monkeypatch.setenv("STAGEPOST_POSTGRES__DSN_FILE", str(tmp_path / "dsn"))
    monkeypatch.setenv("STAGEPOST_POSTGRES__POOL_SIZE", "3")
    loaded = Some.load()
    assert loaded.postgres.dsn.get_secret_value() == "postgresql://somewhere"
    assert loaded.postgres.pool_size == 3
    assert json.loads(loaded.model_dump_json())["postgres"]["dsn"] == "**********"
