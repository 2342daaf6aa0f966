"""The page on which operators look at a mail, in a real browser: at two widths and as text, with nothing that fails."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, expect
from visiting import FERN, Visit

Eventually = Callable[..., Awaitable[None]]
KEY, SHOW = "Operator key", "Show"


@pytest.fixture
async def place(visit: Visit, stack: dict[str, str], eventually: Eventually) -> str:
    """The page for a customer with a cart, once the notifier knows of both."""
    await visit.post("Product Added", traits={"first_name": "Ada"}, properties={"cart_id": visit.run, **FERN})
    key = {"Authorization": f"Bearer {stack['operator_key']}"}
    preview = f"{stack['notifier']}/v1/preview/abandoned-cart"

    async def known() -> bool:
        found = await visit.customers()
        return (
            bool(found) and (await visit.http.get(preview, params={"customer": found[0]["id"]}, headers=key)).is_success
        )

    await eventually(known)
    (customer,) = await visit.customers()
    return f"{preview}/page?customer={customer['id']}"


async def test_a_mail_is_shown_at_two_widths_and_as_text(page: Page, place: str, stack: dict[str, str]) -> None:
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    await page.goto(place)
    await page.get_by_label(KEY).fill(stack["operator_key"])
    await page.get_by_role("button", name=SHOW).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("cart")
    for width in (600, 375):
        mail = page.frame_locator(f"iframe[title='At {width} px']")
        await expect(mail.get_by_text("Boston fern", exact=True)).to_be_visible()
        assert await mail.locator("html").evaluate("page => [page.clientWidth, page.scrollWidth]") == [width, width]
    await expect(page.locator("pre")).to_contain_text("Total: €49.80")
    assert page.url == place, "the key stands in no address"
    assert complaints == []


async def test_whoever_has_another_key_is_told_and_sees_nothing(unsteady: Page, place: str) -> None:
    await unsteady.goto(place)
    await unsteady.get_by_label(KEY).fill("of a door elsewhere")
    await unsteady.get_by_role("button", name=SHOW).click()
    await expect(unsteady.get_by_role("alert")).to_contain_text("key")
    await expect(unsteady.get_by_role("main")).to_be_hidden()
