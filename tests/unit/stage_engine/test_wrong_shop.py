"""A shop with every kind of mistake: one run names each at its line, with the fix.

What is expected stands beside it, in findings.txt. After a change of the words, look at each line that differs.
"""

from pathlib import Path

from services.checks import Level, check_shop

SHOP = Path(__file__).parent / "wrong_shop"


def test_every_mistake_is_named_at_its_line() -> None:
    found = [str(finding).replace(f"{SHOP}/", "") for finding in check_shop(SHOP).found]
    assert found == (SHOP / "findings.txt").read_text(encoding="utf-8").splitlines()


def test_every_mistake_is_told_with_its_fix() -> None:
    assert [str(finding) for finding in check_shop(SHOP).found if not finding.fix and finding.level != Level.NOTE] == []


def test_no_line_that_is_right_is_doubted() -> None:
    """Beside what is to be mended stand rules that are as they should be."""
    lines = {finding.line for finding in check_shop(SHOP).found if finding.file.endswith("lifecycle.yaml")}
    assert not lines & {3, 4, 64, 68, 83, 84, 89, 90, 95, 97}
