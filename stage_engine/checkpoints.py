"""Which checkpoints are kept: close together near the end, ever further apart towards the beginning. Pure.

A late event mostly comes soon after its time. With the distance between two checkpoints growing with their age, a
re-fold reads at most about twice the events that lie after the late one, and a customer holds few checkpoints for ever.
"""

from collections.abc import Collection
from itertools import pairwise

CLOSE = 8
"""The newest this many are all kept; from there on the distance between two doubles with each doubling of age."""


def superfluous(events: Collection[int]) -> list[int]:
    """Of checkpoints named by how many events had been folded, those that may go. Never the newest, nor the oldest."""
    ordered = sorted(events)
    if len(ordered) <= CLOSE:
        return []
    newest = ordered[-1]
    unit = min(later - earlier for earlier, later in pairwise(ordered))
    gone: list[int] = []
    last = ordered[0]
    for point in ordered[1:-1]:
        age = (newest - point) // unit
        apart = 1 << max(0, (age // CLOSE).bit_length())
        if age < CLOSE or (point - last) // unit >= apart:
            last = point
        else:
            gone.append(point)
    return gone
