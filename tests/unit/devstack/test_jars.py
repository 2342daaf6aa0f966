"""Real jgo before a real HTTP server on this machine, which serves what a Maven repository would."""

import hashlib
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.devstack import jars
from services.devstack.jars import ROOTS, Jar, JarsMissing, JarStore, committed

CONTENT = b"a jar of some bytes" * 1000
JAR = Jar("org.example:some-part:1.0", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; the first `breaks` answers of the class's life end half-way."""

    breaks = 0
    asked: tuple[str, ...] = ()

    def do_GET(self) -> None:
        type(self).asked = (*self.asked, self.path)
        if self.path.endswith(".jar") and type(self).breaks:
            type(self).breaks -= 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:500])
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """The test's output is not its log."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that jgo, by its own configuration file, takes for the repository."""
    folder = tmp_path / "repository"
    folder.mkdir()
    Handler.breaks, Handler.asked = 0, ()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    configuration = tmp_path / "jgo.conf"
    configuration.write_text(
        f"[repositories]\ncentral = http://127.0.0.1:{server.server_address[1]}\n", encoding="utf-8"
    )
    monkeypatch.setenv("JGO_CONFIG_FILE", str(configuration))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(jars.time, "sleep", lambda _: None)  # between attempts
    yield folder
    server.shutdown()
    server.server_close()


@pytest.fixture
def store(tmp_path: Path) -> JarStore:
    return JarStore(tmp_path / "store")


def serve(repository: Path, content: bytes = CONTENT) -> None:
    file = JarStore(repository).path(JAR)
    file.parent.mkdir(parents=True)
    file.write_bytes(content)


def test_what_is_missing_is_fetched_and_told_of(repository: Path, store: JarStore) -> None:
    serve(repository)
    come: list[int] = []
    assert store.missing([JAR]) == [JAR]
    store.complete([JAR], come.append)
    assert store.missing([JAR]) == []
    assert sum(come) == JAR.size


def test_what_is_intact_is_not_asked_for(repository: Path, store: JarStore) -> None:
    serve(repository)
    store.complete([JAR], lambda _: None)
    Handler.asked = ()
    store.complete([JAR], lambda _: None)
    assert Handler.asked == ()


@pytest.mark.parametrize("broken", [CONTENT[:-1], CONTENT[:-1] + b"X", b""])
def test_a_broken_file_is_fetched_again(repository: Path, store: JarStore, broken: bytes) -> None:
    serve(repository)
    store.path(JAR).parent.mkdir(parents=True)
    store.path(JAR).write_bytes(broken)
    store.complete([JAR], lambda _: None)
    assert store.path(JAR).read_bytes() == CONTENT


def test_a_download_that_breaks_off_is_tried_again(repository: Path, store: JarStore) -> None:
    serve(repository)
    Handler.breaks = 2
    come: list[int] = []
    store.complete([JAR], come.append)
    assert store.missing([JAR]) == []
    assert sum(come) == JAR.size


def test_after_three_broken_downloads_nothing_is_left_and_the_reason_is_said(repository: Path, store: JarStore) -> None:
    serve(repository)
    Handler.breaks = 3
    with pytest.raises(JarsMissing, match=r"org\.example:some-part:1\.0: its download broke off"):
        store.complete([JAR], lambda _: None)
    assert not store.path(JAR).exists()


def test_another_file_than_the_committed_one_is_not_used(repository: Path, store: JarStore) -> None:
    serve(repository, content=CONTENT[:-1] + b"!")
    with pytest.raises(JarsMissing, match="not what was committed"):
        store.complete([JAR], lambda _: None)
    assert not store.path(JAR).exists()


def test_a_jar_that_nobody_has_is_said_to_be_missing(repository: Path, store: JarStore) -> None:
    assert repository.exists()
    with pytest.raises(JarsMissing, match="it could not be fetched"):
        store.complete([JAR], lambda _: None)


def test_the_committed_list_is_of_hashed_coordinates_and_names_no_host() -> None:
    listed = committed()
    assert {jar.coordinate for jar in listed} >= set(ROOTS)
    assert len({jar.coordinate for jar in listed}) == len(listed)
    for jar in listed:
        assert re.fullmatch(r"[\w.-]+:[\w.-]+:[\w.-]+", jar.coordinate)
        assert re.fullmatch(r"[0-9a-f]{64}", jar.sha256)
        assert jar.size > 0
    assert "/" not in jars.LIST.read_text(encoding="utf-8")
