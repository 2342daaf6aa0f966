"""The real data that lies beside the checkout. A plugin of pytest, since no folder of tests has it for itself."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def shared_data() -> Callable[[str], str]:
    """The text of a file of the real data that lies beside the checkout; says so when it is absent."""

    def read(name: str) -> str:
        path = DATA / name
        if path.is_file():
            return path.read_text(encoding="utf-8")
        message = f"the shared data is absent: {path} (see README.md of the data)"
        if os.environ.get("STAGEPOST_REQUIRE_DATA"):
            pytest.fail(message)
        return pytest.skip(message)

    return read
