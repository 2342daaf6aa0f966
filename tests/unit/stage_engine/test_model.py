"""The model: what `lifecycle.yaml` may say, and what is said back when it may not."""

import pytest

from services.errors import ShopError
from stage_engine.model.source import presets
from tests.unit.stage_engine.builders import event, model, ordered, see

WAY = "tracks: {way: {stages: {a: {start: true}, b: {enter: [%s]}}}}"


def fault(text: str) -> str:
    with pytest.raises(ShopError) as caught:
        model(text)
    return str(caught.value).split("lifecycle.yaml:", 1)[1]


def fact_fault(spec: str) -> str:
    return fault(f"facts: {{f: {{{spec}}}}}\n{WAY % '{on: Go}'}")


def test_seven_stage_is_a_preset() -> None:
    assert "seven-stage" in presets()


def test_an_unknown_preset_is_refused_with_the_one_that_was_meant() -> None:
    assert fault("extends: seven-stages") == "1:1 there is no preset `seven-stages`; did you mean `seven-stage`?"


def test_a_shops_own_part_replaces_the_presets() -> None:
    text = "extends: seven-stage\ntracks:\n  cart:\n    stages:\n      abandoned: {enter: [{after: 6s, idle: true}]}"
    (rule,) = model(text).track("cart").timed_rules["active"]
    assert rule.after.total_seconds() == 6
    assert model(text).track("lifecycle").stages[0] == "awareness"


def test_a_shops_own_fact_replaces_the_presets_whole() -> None:
    seen = see(ordered("0s"), ordered("1s"), by=model("extends: seven-stage\nfacts: {orders: {count: Product Viewed}}"))
    assert seen.fact("orders") == 0


def test_a_stage_that_a_shop_adds_stands_after_the_presets_and_so_wins() -> None:
    text = "extends: seven-stage\ntracks: {lifecycle: {stages: {vip: {enter: [{on: Order Completed}]}}}}"
    assert see(ordered(), by=model(text)).stage() == "vip"


def test_an_unknown_key_is_refused_with_its_place_and_the_fix() -> None:
    said = fault("tracks:\n  way:\n    stages:\n      a: {start: true}\n      b: {entr: []}")
    assert said == "5:11 `entr` is not known here; did you mean `enter`?"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{from: a}", "say one of them"),
        ("{on: Go, after: 1h}", "say one of them"),
        ("{ahead: 1d, of: traits.x, after: 1h}", "say one of them"),
        ("{on: Go, idle: true}", "go with `after:`"),
        ("{on: Go, since: Come}", "go with `after:`"),
        ("{on: Go, from: A}", "`way` has no stage `A`; there are: a, b"),
        ("{on: []}", "name at least one event"),
        ("{on: Stage Set}", "no rule and no fact hears"),
        ("{after: 0s}", "must be longer than nothing"),
        ("{after: soon}", "is no duration"),
        ("{after: 9999d}", "`9999d` is too long; 0s to 3660d"),
        ("{after: 1h, again: true}", "`again` goes with `on:`"),
        ("{after: 1h, since: facts.x}", "nothing counts from `x` here"),
        ("{after: 1h, since: last_ordr_at}", "nothing counts from `last_ordr_at` here"),
        ("{after: 1h, since: traits.}", "a trait is named as in `traits.renewal_on`"),
        ("{after: 1h, since: Come, idle: true}", "`since` and `idle` don't go together"),
        ("{after: 1h, of: traits.x}", "`of` goes with `ahead:`"),
        ("{ahead: 1d}", "ahead of what"),
        ("{ahead: 1d, of: Come}", "only a date can be ahead"),
        ("{ahead: 1d, since: traits.x}", "`ahead:` goes with `of:`"),
        ("{on: Go, cooldown: 0s}", "`0s` is too short"),
        ("{when: event.x}", "`event` is not known here"),
        ("{on: Go, when: facts.x > 1}", "1:76 in `facts.x > 1`: `facts` has no `x`"),
        ("{on: Go, when: facts}", "1:70 in `facts`: "),
    ],
)
def test_a_rule_that_can_not_be_meant_is_refused(rule: str, said: str) -> None:
    assert said in fault(WAY % rule)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("of: x", "needs exactly one of"),
        ("count: A, sum: B, of: x", "needs exactly one of"),
        ("sum: A", "needs `of:`"),
        ("latest: A, within: 7d", "`within` goes with count, sum, min, max, distinct, points"),
        ("count: A, within: 0s", "`0s` is too short; 1s to 3660d"),
        ("count: A, within: 99999999999999d", "is too long a time"),
        ("count: A, within: 4000d", "`4000d` is too long"),
        ("count: A, within: 7d, less: B", "`less` and `within` don't go together"),
        ("count: A, less: A", "`A` can't both add and take away"),
        ("latest: A, less: B", "`less` goes with count, sum, distinct, or with `by`"),
        ("points: {A: 1}, less: B", "points are taken off by points below nothing"),
        ("points: {}", "name at least one event"),
        ("points: {A: 1000001}", "at most 1,000,000 points"),
        ("count: A, of: x", "`count` looks at no property; leave `of` out, or write `sum`, `distinct` or `by`"),
        ("latest: A, of: x", "or write `last`"),
        ("sum: A, of: a..b", "a path is names with points between them"),
        ("sum: A, of: products", "say what of a product, as in `products.product_id`"),
        ("sum: A, of: products.price, by: sku", "write `by: products.sku`"),
        ("sum: Order Completed, of: total, once_per: order_id, by: channel", "so `by` has no single event to look at"),
        ("count: A, less: Order Refunded", "`less` goes with `once_per: order_id`"),
        (
            "sum: Order Shipped, of: revenue, once_per: order_id",
            "`once_per: order_id` goes with `sum: Order Completed`",
        ),
        ("sum: Order Completed, of: tax, once_per: order_id", "`of: revenue or total`"),
        ("sum: Order Completed, of: total, once_per: sku", "nothing else is counted once yet"),
        ("sum: Order Completed, of: total, once_per: order_id, where: event.a", "no single event to look at"),
        ("sum: Order Completed, of: total, once_per: order_id, less: Tip Given", "only `less: Order Refunded`"),
        ("count: Order Reported", "it counts in no fact"),
    ],
)
def test_a_fact_that_can_not_be_meant_is_refused(spec: str, said: str) -> None:
    assert said in fact_fault(spec)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("views-7d", "`views-7d` can't be named in conditions; use letters, digits and _, as in `views_7d`"),
        ("7d", "as in `x_7d`"),
        ("f" * 61, "a name has at most 60 characters, this has 61"),
    ],
)
def test_a_fact_is_named_as_conditions_can_name_it(name: str, said: str) -> None:
    assert said in fault(f"facts: {{{name}: {{count: A}}}}\n{WAY % '{on: Go}'}")


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ("{a: {}}", "exactly one stage with `start: true`, not 0"),
        ("{a: {start: true}, b: {start: true}}", "not 2"),
        ("{a: {start: true, final: true}}", "can't be both the start and final"),
        ("{a: {start: true}, b: {on: Go}}", "`on` here is for the start stage"),
    ],
)
def test_a_track_that_can_not_be_meant_is_refused(stages: str, said: str) -> None:
    assert said in fault(f"tracks: {{way: {{stages: {stages}}}}}")


def test_a_cart_says_which_events_begin_it() -> None:
    assert "say `on:` which events" in fault("tracks: {cart: {per: cart, stages: {a: {start: true}}}}")


def test_time_alone_may_not_lead_round_for_ever() -> None:
    said = fault(
        "tracks: {way: {stages: {a: {start: true, enter: [{after: 1d, from: b}]}, b: {enter: [{after: 1d}]}}}}"
    )
    assert "b → a → b" in said


def test_time_may_lead_round_where_an_event_has_to_arm_it() -> None:
    text = (
        "tracks: {way: {stages: {a: {start: true, enter: [{after: 1d, from: b}]}, "
        "b: {enter: [{after: 1d, idle: true, from: a}]}}}}"
    )
    assert see(event("Go"), by=model(text), until="300d").went("way") == ["a", "b", "a"]


def test_a_model_without_tracks_is_refused() -> None:
    assert "no track is declared" in fault("facts: {}")


def test_all_faults_are_told_at_once() -> None:
    assert len(fault("tracks: {one: {stages: {a: {}}}, two: {stages: {a: {}}}}").splitlines()) == 2


# Over a preset

SEVEN = "extends: seven-stage\n"


def test_a_shop_takes_a_part_of_the_preset_away() -> None:
    before, after = model("extends: seven-stage"), model("extends: seven-stage\ntracks: {cart: null}")
    assert [track.name for track in after.tracks] == [t.name for t in before.tracks if t.name != "cart"]


def test_what_is_not_there_can_not_be_taken_away() -> None:
    said = fault(SEVEN + "tracks:\n  lifecycle:\n    stages:\n      advocaci: null")
    assert said == "5:7 there is no `advocaci` in `seven-stage` to take away; did you mean `advocacy`?"
    assert "there is no `card` in `seven-stage` to take away; did you mean `cart`?" in fault(
        SEVEN + "tracks: {card: ~}"
    )
    assert "to take away" in fault(SEVEN + "facts: {none: }")


def test_rules_that_still_name_what_was_taken_away_are_told_of_by_their_name() -> None:
    said = fault(SEVEN + "tracks: {lifecycle: {stages: {advocacy: null}}}")
    assert "of the preset's `lifecycle.at_risk.0.from`: `lifecycle` has no stage `advocacy`; there are: " in said
    said = fault(SEVEN + "facts: {orders: null}")
    assert "of the preset's `lifecycle.purchase.0.when`: in `facts.orders == 1`: `facts` has no `orders`" in said


def test_without_a_preset_there_is_nothing_to_take_away() -> None:
    assert "not nothing" in fault("tracks: {way: {stages: {a: {start: true}, b: null}}}")


def test_what_the_preset_has_keeps_its_place_and_what_is_new_comes_after() -> None:
    own = "tracks: {lifecycle: {stages: {vip: {enter: [{on: Go}]}, interest: {enter: [{on: Go}]}, zeal: {enter: []}}}}"
    before, after = (
        model("extends: seven-stage").track("lifecycle").stages,
        model(SEVEN + own).track("lifecycle").stages,
    )
    assert after == (*before, "vip", "zeal")


# The character at fault in a condition, however it is written


PLACED = """tracks:
  way:
    stages:
      a: {start: true}
      b:
        enter:
          - on: Go
            when: """
DEEP = "\n" + " " * 14


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("event.a && facts.oders > 1", "8:36"),
        ("'event.a && facts.oders > 1'", "8:37"),
        ('"event.a && facts.oders > 1"', "8:37"),
        ("'event.a == ''x'' && facts.oders > 1'", "8:46"),
        ('"event.a == \\"x\\" && facts.oders > 1"', "8:46"),
        (f"event.a{DEEP}&& facts.oders > 1", "9:24"),
        (f">-{DEEP}event.a{DEEP}&& facts.oders > 1", "10:24"),
        (f"|{DEEP}event.a &&{DEEP}facts.oders > 1", "10:21"),
        ("event.a &&", "8:29"),
    ],
)
def test_a_fault_in_a_condition_is_shown_at_its_character(written: str, place: str) -> None:
    assert fault(PLACED + written).split(" ", 1)[0] == place
