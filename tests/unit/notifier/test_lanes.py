from dataclasses import replace as replace_dataclass
from datetime import timedelta

from msgspec.structs import replace

from notifier.followups import EMAIL, WEBHOOK, FollowUp, Step
from notifier.lanes import ELSEWHERE, Lane, Origin, lanes_of
from services.contracts.storefront import Endpoint
from tests.unit.notifier.builders import ABANDONED_CART, STOREFRONT


def follow_up(name: str, *steps: tuple[tuple[str, ...], str | None]) -> FollowUp:
    numbered = enumerate(steps, 1)
    return replace_dataclass(
        ABANDONED_CART,
        name=name,
        steps=tuple(Step(number=n, after=timedelta(), channels=c, endpoint=e) for n, (c, e) in numbered),
    )


HOOK = Endpoint(url="https://hooks.example/")
SHOPS = {
    "main-shop": replace(STOREFRONT, endpoints={"ads": HOOK, "crm": HOOK}),
    "outlet": replace(STOREFRONT, endpoints={"ads": HOOK}),
}
RETARGET = follow_up("retarget", ((WEBHOOK,), "ads"), ((EMAIL,), None), ((EMAIL, WEBHOOK), "crm"))
NOTE = follow_up("note", ((WEBHOOK,), "ads"))


def test_each_storefronts_endpoint_has_a_lane_of_all_steps_that_go_there() -> None:
    def of(storefront: str, follow_up: str, step: int) -> Origin:
        return Origin(storefront=storefront, follow_up=follow_up, step=step)

    assert lanes_of(WEBHOOK, {"retarget": RETARGET, "note": NOTE}, SHOPS) == [
        Lane(key=ELSEWHERE, origins=frozenset({of("outlet", "retarget", 3)})),
        Lane(key="main-shop/ads", origins=frozenset({of("main-shop", "retarget", 1), of("main-shop", "note", 1)})),
        Lane(key="main-shop/crm", origins=frozenset({of("main-shop", "retarget", 3)})),
        Lane(key="outlet/ads", origins=frozenset({of("outlet", "retarget", 1), of("outlet", "note", 1)})),
    ]


def test_no_step_is_in_two_lanes() -> None:
    lanes = lanes_of(WEBHOOK, {"retarget": RETARGET, "note": NOTE}, SHOPS)
    origins = [origin for lane in lanes for origin in lane.origins]
    assert len(origins) == len(set(origins)) == 6
