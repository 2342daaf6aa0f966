"""Signing in and out, and what is closed to who has not."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from console.sessions import TRIES, Sessions


@pytest.fixture
def sign_in(http: httpx2.AsyncClient, operator_key: str) -> Callable[..., Any]:
    async def post(key: str = operator_key, **more: str) -> httpx2.Response:
        return await http.post("/sign-in", data={"key": key, **more})

    return post


@pytest.mark.parametrize("path", ["/", "/customers/nobody", "/search?q=x", "/docs", "/openapi.json", "/nowhere"])
async def test_nothing_is_shown_before_signing_in(http: httpx2.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")
    assert not answer.content


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/sign-in", "/static/console.css"])
async def test_the_door_and_what_machines_ask_are_open(http: httpx2.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/static/../customers/x", "/static/%2e%2e/app.py", "//customers/x", "/sign-in/x"])
async def test_no_path_leads_around_the_door(http: httpx2.AsyncClient, path: str) -> None:
    assert (await http.get(f"http://console.example{path}")).status_code in {303, 404}


async def test_the_operator_key_opens(http: httpx2.AsyncClient, sign_in: Callable[..., Any]) -> None:
    answer = await sign_in()
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    said = answer.headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    assert (await http.get("/")).status_code == 503  # let through, as far as Postgres would be


async def test_over_https_the_cookie_stays_there(http: httpx2.AsyncClient, operator_key: str) -> None:
    answer = await http.post("https://console.example/sign-in", data={"key": operator_key})
    assert "; secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize("key", ["", "wrong", "the-operators-own-ke", "the-operators-own-key-", "é"])
async def test_another_key_does_not(http: httpx2.AsyncClient, sign_in: Callable[..., Any], key: str) -> None:
    answer = await sign_in(key)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "This is not the operator key" in answer.text
    assert (await http.get("/")).status_code == 303


async def test_who_guesses_waits_even_with_the_right_key(sign_in: Callable[..., Any], clock: Any) -> None:  # noqa: ANN401  conftest's
    for _ in range(TRIES):
        assert (await sign_in("guess")).status_code == 401
    answer = await sign_in()
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "60"
    clock.pass_by(timedelta(minutes=1))
    assert (await sign_in()).status_code == 303


async def test_a_session_ends(http: httpx2.AsyncClient, sign_in: Callable[..., Any], clock: Any) -> None:  # noqa: ANN401  conftest's
    await sign_in()
    clock.pass_by(timedelta(hours=12))
    assert (await http.get("/")).status_code == 303


async def test_a_forged_cookie_is_none(http: httpx2.AsyncClient, sessions: Sessions) -> None:
    http.cookies.set(sessions.cookie, "9999999999.0")
    assert (await http.get("/")).status_code == 303


async def test_signing_out_closes(http: httpx2.AsyncClient, sign_in: Callable[..., Any]) -> None:
    await sign_in()
    assert (await http.get("/sign-out")).status_code == 405
    assert (await http.post("/sign-out")).headers["location"] == "/sign-in"
    assert (await http.get("/")).status_code == 303


async def test_after_signing_in_one_is_where_one_wanted(http: httpx2.AsyncClient, sign_in: Callable[..., Any]) -> None:
    door = (await http.get("/search?q=a%26b")).headers["location"]
    assert 'value="/search?q=a%26b"' in (await http.get(door)).text
    assert (await sign_in(next="/search?q=a%26b")).headers["location"] == "/search?q=a%26b"


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "", "/\t/evil.example", "/a\r\nb: c"],
)
async def test_signing_in_leads_nowhere_else(sign_in: Callable[..., Any], elsewhere: str) -> None:
    assert (await sign_in(next=elsewhere)).headers["location"] == "/"


async def test_a_form_has_an_end(http: httpx2.AsyncClient) -> None:
    assert (await http.post("/sign-in", content=b"key=" + b"x" * 5_000)).status_code == 413
    assert (await http.post("/sign-in", content=b"key=x&" * 100)).status_code == 400


@pytest.mark.parametrize("path", ["/", "/sign-in", "/static/console.js", "/nowhere"])
async def test_every_answer_tells_browsers_to_load_nothing_foreign(http: httpx2.AsyncClient, path: str) -> None:
    headers = (await http.get(path)).headers
    assert headers["content-security-policy"].startswith("default-src 'self'; ")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == ("no-cache" if path.startswith("/static") else "no-store")


async def test_no_secret_is_in_any_page(
    http: httpx2.AsyncClient, sign_in: Callable[..., Any], operator_key: str
) -> None:
    await sign_in()
    for path in ("/", "/sign-in", "/nowhere", "/search", "/metrics", "/customers/x", "/readyz"):
        said = (await http.get(path)).text
        assert operator_key not in said
        assert "its-password" not in said


async def test_without_postgres_a_page_says_so(http: httpx2.AsyncClient, sign_in: Callable[..., Any]) -> None:
    await sign_in()
    answer = await http.get("/customers/00000000-0000-0000-0000-000000000000")
    assert answer.status_code == 503
    assert "Postgres does not answer" in answer.text
