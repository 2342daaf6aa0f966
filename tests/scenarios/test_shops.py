"""The shops that come along: their own scenarios hold."""

from pathlib import Path

import pytest

from services.shop import default_shop, demo_shop
from stage_engine.scenarios.run import run


@pytest.mark.parametrize("directory", [default_shop(), demo_shop()], ids=lambda directory: directory.name)
def test_a_shop_s_own_scenarios_hold(directory: Path) -> None:
    said: list[str] = []
    result = run(directory, [], verbose=False, coverage=False, say=said.append)
    assert result.failed == 0, "\n".join(said)
    assert result.passed >= 4
