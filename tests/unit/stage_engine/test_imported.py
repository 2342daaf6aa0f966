"""What an import tells of the past moves everybody to where they belong, and starts nothing."""

from uuid import uuid4

from services.contracts.changes import ChangeType, CustomerTable, StageChanged
from stage_engine.changes import Effect, Moved, Stream, announcements
from stage_engine.history import Entry
from stage_engine.state import EMPTY
from tests.unit.stage_engine.builders import Seen, added, ordered, see

STREAM = Stream(storefront="shop", customer_id=uuid4(), sequence=0)
IMPORT = "300d"
"""When the import began."""


def historical(seen: Seen, track: str = "lifecycle", key: str = "") -> dict[str, bool]:
    return {m.transition.to_stage: m.transition.historical for m in seen.moves_of(track, key)}


def test_what_was_imported_is_historical_and_so_is_what_time_made_of_it_before_the_import() -> None:
    seen = see(ordered("0s", imported=IMPORT), until="300d")
    assert historical(seen) == {"awareness": True, "purchase": True, "at_risk": True, "churned": True}
    assert historical(seen, "order", "o1") == {"placed": True}


def test_what_falls_due_after_the_import_is_not() -> None:
    seen = see(ordered("220d", imported=IMPORT), until="600d")
    assert historical(seen) == {"awareness": True, "purchase": True, "at_risk": False, "churned": False}


def test_what_comes_live_after_the_import_is_not() -> None:
    told = [ordered("0s", imported=IMPORT), added("301d"), ordered("302d", order="o2")]
    seen = see(told, until="302d")
    assert historical(seen, "cart", "c1") == {"active": False, "abandoned": False, "ordered": False}
    assert historical(seen, "order", "o2") == {"placed": False}
    assert historical(seen)["retention"] is False


def test_what_came_live_before_the_first_imported_event_stays_what_it_was() -> None:
    seen = see(ordered("0s"), ordered("1d", order="o2", imported=IMPORT))
    assert historical(seen) == {"awareness": False, "purchase": False, "retention": True}


def test_what_an_import_corrects_of_the_past_starts_nothing() -> None:
    """The order was live, and its customer's first; the import knows an earlier one."""
    live = ordered("200d", order="o2")
    assert historical(see(live))["purchase"] is False
    assert historical(see(live, ordered("190d", imported=IMPORT)))["retention"] is True


def test_a_copy_that_was_told_live_before_counts_as_live() -> None:
    live, again = ordered("0s", id="e1"), ordered("0s", id="e1", imported=IMPORT)
    assert see(live, again).folded == see(again, live).folded == see(live).folded


def test_of_copies_that_differ_in_nothing_but_their_import_one_counts_whichever_comes_first() -> None:
    one, other = (ordered("0s", id="e1", received="301d", imported=at) for at in ("300d", "301d"))
    assert see(one, other).folded == see(other, one).folded


def test_a_later_import_reaches_further() -> None:
    seen = see(ordered("0s", imported="50d"), ordered("1d", order="o2", imported="100d"), until="300d")
    assert historical(seen)["at_risk"] is True  # due after 91 days
    assert historical(seen)["churned"] is False


def test_two_halves_know_of_the_import_what_the_whole_knows() -> None:
    first, second = ordered("0s", imported=IMPORT), added("10d")
    whole = see(first, second, until="20d").folded
    half = see(first, until="5d").folded
    rest = see(second, until="20d", start=half.state).folded
    assert (rest.state, half.moves + rest.moves) == (whole.state, whole.moves)


def test_historical_moves_are_announced_as_replays() -> None:
    seen = see(ordered("220d", imported=IMPORT), until="600d")
    made = announcements(STREAM, Effect(before=EMPTY.profile, after=seen.state, new=seen.moves))
    replayed = {c.transition.to_stage: c.replay for _, c in made if isinstance(c, StageChanged)}
    assert replayed == {"awareness": True, "purchase": True, "placed": True, "at_risk": False, "churned": False}


def test_the_table_of_a_join_says_which_moves_are_historical() -> None:
    seen = see(ordered("220d", imported=IMPORT), until="310d")
    moved = Moved(type=ChangeType.CUSTOMER_JOINED, number=9, others=[], part_of=None)
    effect = Effect(before=EMPTY.profile, after=seen.state, new=(), moved=moved, moves=seen.moves)
    ((_, table),) = announcements(STREAM, effect)
    assert isinstance(table, CustomerTable)
    lifecycle = next(row for row in table.table if row.track == "lifecycle")
    assert [(m.to_stage, m.historical) for m in lifecycle.moves] == [
        ("awareness", True),
        ("purchase", True),
        ("at_risk", False),
    ]


def test_the_import_of_a_year_comes_to_the_moves_that_the_year_itself_came_to() -> None:
    """The same orders told live, each behind the watermark, and all at once by an import a year later."""
    times = ["0s", "30d", "200d", "330d"]

    def year(imported: str | None) -> list[Entry]:
        return [ordered(at, id=f"e{n}", order=f"o{n}", imported=imported) for n, at in enumerate(times)]

    state, live = EMPTY, []
    for entry in year(None):
        folded = see(entry, start=state).folded
        state, live = folded.state, [*live, *(m.transition for m in folded.moves)]
    imported = [m.transition for m in see(year("400d")).moves]
    assert [(t.id, t.at, t.to_stage) for t in imported] == [(t.id, t.at, t.to_stage) for t in live]
    assert [t.to_stage for t in live if t.track == "lifecycle"] == [
        "awareness", "purchase", "retention", "at_risk", "retention", "at_risk", "retention",
    ]  # fmt: skip
