"""Stages stand in the order of the shop's model."""

from pathlib import Path

from console.queries import StageCount, ids_beginning
from console.stages import LIFECYCLE, PRESETS, Strip, order_of, strips
from services.shop import Shop
from stage_engine.model.load import PRESETS as MODELS
from stage_engine.model.load import load_model, presets


def count(track: str, stage: str, instances: int, *, customers: int = 1, storefront: str = "shop") -> StageCount:
    return StageCount(storefront=storefront, track=track, stage=stage, instances=instances, customers=customers)


def shown(strip: Strip) -> list[tuple[str, int, int]]:
    return [(bar.stage, bar.count, bar.share) for bar in strip.bars]


def test_the_presets_are_the_stage_engines() -> None:
    models = {name: load_model(MODELS / f"{name}.yaml") for name in presets()}
    assert {name: {track.name: track.stages for track in model.tracks} for name, model in models.items()} == PRESETS


def test_a_shops_own_stages_come_after_the_presets(tmp_path: Path) -> None:
    (tmp_path / "lifecycle.yaml").write_text(
        "extends: seven-stage\n"
        "tracks: {cart: {stages: {saved: {}, abandoned: {}}}, visit: {stages: {open: {start: true}}}}\n",
        encoding="utf-8",
    )
    order = order_of(Shop(directory=tmp_path, storefronts={}))
    assert order["cart"] == ["active", "abandoned", "ordered", "saved"]
    assert order["visit"] == ["open"]
    assert list(order[LIFECYCLE]) == list(PRESETS["seven-stage"][LIFECYCLE])


def test_a_lifecycle_of_ones_own_stands_before_what_the_presets_share(tmp_path: Path) -> None:
    text = "extends: parts/groundwork\ntracks: {lifecycle: {stages: {visitor: {start: true}}}}\n"
    (tmp_path / "lifecycle.yaml").write_text(text, encoding="utf-8")
    order = order_of(Shop(directory=tmp_path, storefronts={}))
    model = load_model(tmp_path / "lifecycle.yaml")
    assert order == {track.name: list(track.stages) for track in model.tracks}


def test_empty_stages_are_shown_and_the_largest_fills_its_strip() -> None:
    (strip,) = strips(
        {"cart": ["active", "abandoned", "ordered"]}, "shop", [count("cart", "ordered", 8), count("cart", "active", 2)]
    )
    assert shown(strip) == [("active", 2, 25), ("abandoned", 0, 0), ("ordered", 8, 100)]


def test_the_lifecycle_comes_first_and_counts_customers() -> None:
    counts = [count("cart", "active", 5, customers=2), count(LIFECYCLE, "interest", 9, customers=7)]
    lifecycle, cart = strips({"cart": ["active"], LIFECYCLE: ["interest"]}, "shop", counts)
    assert (lifecycle.counted, shown(lifecycle)) == ("customers", [("interest", 7, 100)])
    assert (cart.counted, shown(cart)) == ("carts", [("active", 5, 100)])


def test_a_stage_that_the_model_lost_is_shown_while_somebody_is_in_it() -> None:
    (strip,) = strips({"cart": ["active"]}, "shop", [count("cart", "gone", 1)])
    assert shown(strip) == [("active", 0, 0), ("gone", 1, 100)]


def test_one_among_thousands_can_be_seen() -> None:
    (strip,) = strips({}, "shop", [count("cart", "a", 5000), count("cart", "b", 1)])
    assert [bar.share for bar in strip.bars] == [100, 1]


def test_storefronts_do_not_mix() -> None:
    assert strips({}, "shop", [count("cart", "active", 1, storefront="other")]) == []


def test_a_beginning_finds_the_ids_between_its_least_and_its_greatest() -> None:
    low, high = ids_beginning(" 3FA8-5f64 ") or (None, None)
    assert str(low) == "3fa85f64-0000-0000-0000-000000000000"
    assert str(high) == "3fa85f64-ffff-ffff-ffff-ffffffffffff"


def test_what_begins_no_id_is_no_beginning() -> None:
    assert [ids_beginning(asked) for asked in ("", "3fa", "order-1", "0" * 33, "3fa8 5f64", "\uff13fa8")] == [None] * 6
