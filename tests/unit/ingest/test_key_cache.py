"""The write keys of the last run: whole or not there, for their owner only, and never the keys themselves."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ingest.key_cache import NAME, read_cache, write_cache
from services.contracts.keys import KeyKind, new_write_key

KEY, STORED = new_write_key("shop", KeyKind.BROWSER, origins=("https://shop.example",))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    _, other = new_write_key("shop", KeyKind.SERVER)
    write_cache(tmp_path, [other])
    write_cache(tmp_path, [STORED, other])
    assert read_cache(tmp_path) == (STORED, other)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_no_key_is_in_it_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    write_cache(tmp_path, [STORED])
    assert KEY not in (tmp_path / NAME).read_text(encoding="utf-8")
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


def test_processes_that_have_one_number_in_their_containers_write_whole_files(tmp_path: Path) -> None:
    keys = [[new_write_key("shop", KeyKind.SERVER)[1] for _ in range(200)] for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda written: [write_cache(tmp_path, written) for _ in range(5)], keys))
    assert list(read_cache(tmp_path)) in keys
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_where_there_is_none_or_a_broken_one_no_key_is_known(tmp_path: Path) -> None:
    assert read_cache(tmp_path) == ()
    for broken in (b"", b"[{", b'[{"storefront": 1}]', b"\xff"):
        (tmp_path / NAME).write_bytes(broken)
        assert read_cache(tmp_path) == ()


def test_one_that_was_killed_while_writing_spoils_nothing(tmp_path: Path) -> None:
    write_cache(tmp_path, [STORED])
    (tmp_path / f"{NAME}.{os.getpid()}").write_bytes(b"[{half")
    assert read_cache(tmp_path) == (STORED,)
