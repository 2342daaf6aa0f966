"""Junk at every operators' route of real processes: refused with words in our one shape, and never a fault of ours."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

UNKEEPABLE = ("%00", "a%00b", "%ED%A0%80", "%FF", quote("é" * 300), "..%2F", "%7B%7D")
"""As they stand in a path or a query: NUL, half of a character, no UTF-8, far too much."""
TEXTS = ('"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"' + "x" * 5_000 + '"', "7", "null", "[]", "{}")
"""As they stand in JSON."""
SERVICES = ("stage_engine", "notifier")


async def routes(http: httpx.AsyncClient, url: str) -> list[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Each verb and path, with what is said of it, and the document."""
    document = (await http.get(f"{url}/openapi.json")).json()
    return [
        (verb, path, operation, document)
        for path, item in document["paths"].items()
        for verb, operation in item.items()
    ]


def calls(path: str, operation: dict[str, Any]) -> Iterator[str]:
    """The path with junk in one place after the other, the rest as it should be."""
    parameters = operation.get("parameters", [])
    good = {one["name"]: str(uuid4()) if "format" in one["schema"] else "1" for one in parameters}
    for junk in UNKEEPABLE:
        for spoilt in parameters:
            values = {**good, spoilt["name"]: junk}
            asked = [one["name"] for one in parameters if one["in"] == "query"]
            wanted = [name for name in asked if name == spoilt["name"] or _needed(name, parameters)]
            query = "&".join(f"{name}={values[name]}" for name in wanted)
            filled = path
            for name, value in values.items():
                filled = filled.replace(f"{{{name}}}", value)
            yield f"{filled}?{query}"


def bodies(operation: dict[str, Any], document: dict[str, Any]) -> Iterator[bytes]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return
    schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    good = {name: '"follow_up"' if name == "scope" else '"x"' for name in schema.get("required", [])}
    for text in TEXTS:
        for name in schema["properties"]:
            said = {**good, name: text}
            yield ("{" + ", ".join(f'"{key}": {value}' for key, value in said.items()) + "}").encode()
    yield from (b"", b"{", b"[" * 50_000, b"\xff\xfe\x00", b"null", b'{"\\ud800": 1}')


def _needed(name: str, parameters: list[dict[str, Any]]) -> bool:
    return any(one["name"] == name and one.get("required") for one in parameters)


def in_our_shape(answer: httpx.Response) -> None:
    what = (answer.request.method, str(answer.request.url), answer.text)
    assert answer.status_code < 500, what
    if answer.is_error:
        said = answer.json()
        assert {"code", "message"} <= set(said), what
        assert "detail" not in said, what


@pytest.mark.parametrize("service", SERVICES)
async def test_junk_in_any_parameter_of_any_route_is_refused_with_words(
    stack: dict[str, str], http: httpx.AsyncClient, service: str
) -> None:
    operator = {"authorization": f"Bearer {stack['operator_key']}"}
    tried = 0
    for verb, path, operation, _ in await routes(http, stack[service]):
        for call in calls(path, operation):
            in_our_shape(await http.request(verb, f"{stack[service]}{call}", headers=operator))
            tried += 1
    assert tried > 50


async def test_junk_in_any_body_is_refused_with_words(stack: dict[str, str], http: httpx.AsyncClient) -> None:
    headers = {"authorization": f"Bearer {stack['operator_key']}", "content-type": "application/json"}
    tried = 0
    for verb, path, operation, document in await routes(http, stack["notifier"]):
        for body in bodies(operation, document):
            answer = await http.request(verb, f"{stack['notifier']}{path}", content=body, headers=headers)
            in_our_shape(answer)
            assert answer.is_error or b"\\u" not in body, (path, body)
            tried += 1
    assert tried > 50


@pytest.mark.parametrize("service", SERVICES)
async def test_what_no_route_takes_is_refused_in_the_same_shape(
    stack: dict[str, str], http: httpx.AsyncClient, service: str
) -> None:
    url = stack[service]
    nowhere, wrong_verb, unsaid = (
        await http.get(f"{url}/v1/nothing-here"),
        await http.put(f"{url}/readyz"),
        await http.get(
            f"{url}/v1/customers/no-uuid/{'why' if service == 'stage_engine' else 'messages'}",
            headers={"authorization": f"Bearer {stack['operator_key']}"},
        ),
    )
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "not_found")
    assert (wrong_verb.status_code, wrong_verb.json()["code"]) == (405, "method_not_allowed")
    assert (unsaid.status_code, unsaid.json()["code"]) == (400, "bad_request")
    for answer in (nowhere, wrong_verb, unsaid):
        in_our_shape(answer)


async def test_the_consoles_pages_bear_junk_too(stack: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=stack["console"], trust_env=False, timeout=30) as console:
        await console.post("/sign-in", data={"key": stack["operator_key"]})
        for junk in UNKEEPABLE:
            for path in (
                f"/customers/{junk}",
                f"/search?q={junk}",
                f"/{junk}",
                f"/static/{junk}",
                f"/sign-in?next={junk}",
            ):
                answer = await console.get(f"{path}{junk}")
                assert answer.status_code < 500, (path, junk)
        for form in (b"key=%00&next=%00", b"\xff\x00", b"key=%ED%A0%80", b"&" * 4_000):
            answer = await console.post("/sign-in", content=form)
            assert answer.status_code < 500, form
