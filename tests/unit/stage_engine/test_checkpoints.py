"""Checkpoints grow sparser with age, and a late event never costs much more than the events after it."""

import pytest

from stage_engine.checkpoints import superfluous


def kept_after(count: int) -> list[int]:
    kept: list[int] = []
    for number in range(1, count + 1):
        kept.append(number * 256)
        gone = set(superfluous(kept))
        kept = [point for point in kept if point not in gone]
    return kept


def test_the_newest_and_the_oldest_are_always_kept() -> None:
    kept = kept_after(500)
    assert kept[0] == 256
    assert kept[-8:] == [number * 256 for number in range(493, 501)]


@pytest.mark.parametrize("count", [10, 100, 1_000, 3_000])
def test_few_are_kept(count: int) -> None:
    assert len(kept_after(count)) <= 8 * count.bit_length()


@pytest.mark.parametrize("count", [50, 400, 2_000])
def test_what_is_folded_again_is_at_most_a_small_multiple_of_what_comes_after(count: int) -> None:
    kept = kept_after(count)
    for late in range(1, count + 1):
        after = (count - late + 1) * 256
        start = max((point for point in kept if point < late * 256), default=0)
        assert count * 256 - start <= 2 * after + 2 * 256
