"""How much of a follow-up is too much for an hour: what is far beyond the usual is a slip until a person says it isn't.

Pure; `blast_store` counts.
"""

from collections.abc import Mapping
from datetime import date, datetime
from statistics import median


def most_an_hour(hours: Mapping[datetime, int], *, times: int, floor: int) -> int:
    """`hours` says how many there were in each hour of the days before.

    Usual is the busiest hour of a day: mornings after quiet hours are part of every day. Of the days on which there was
    any it is the median, so that one sale, or one slip that was let go on, does not make the next one usual.
    """
    busiest: dict[date, int] = {}
    for hour, count in hours.items():
        busiest[hour.date()] = max(busiest.get(hour.date(), 0), count)
    usual = median([count for count in busiest.values() if count > 0] or [0])
    return max(floor, int(times * usual))
