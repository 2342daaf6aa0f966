"""The shop's YAML: what its errors say."""

from pathlib import Path

import pytest

from services.errors import ShopError
from services.shop import YamlFile


@pytest.mark.parametrize(
    "condition", ["event.score in [9, 10]", "!has(traits.vip)", '"nps" == event.kind', 'event.kind == "a: b"']
)
def test_a_condition_that_yaml_takes_apart_is_to_be_quoted(condition: str, tmp_path: Path) -> None:
    path = tmp_path / "lifecycle.yaml"
    path.write_text(f"enter:\n  - {{on: Survey Answered, when: {condition}}}\n", encoding="utf-8")
    with pytest.raises(ShopError, match=r":2:\d+ this is no YAML: .*; put the condition in single quotes"):
        YamlFile(path)


def test_what_is_no_condition_gets_no_such_advice(tmp_path: Path) -> None:
    path = tmp_path / "lifecycle.yaml"
    path.write_text("when: true\nstages: [a, b\n", encoding="utf-8")
    with pytest.raises(ShopError) as caught:
        YamlFile(path)
    assert "quotes" not in str(caught.value)
