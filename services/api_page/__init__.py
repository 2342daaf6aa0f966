"""`/docs`: a service's OpenAPI document as one page, complete in itself.

FastAPI's own page loads its scripts from somebody else's network: inside a shop's it stays blank.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

_PAGE = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_VERBS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: str
    means: str
    headers: tuple[str, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    verb: str
    path: str
    summary: str
    about: str
    parameters: tuple[dict[str, Any], ...]
    body: str
    examples: tuple[Example, ...]
    answers: tuple[Answer, ...]

    @property
    def anchor(self) -> str:
        return f"{self.verb}-{self.path}"


def add_api_page(app: FastAPI) -> None:
    """For an app made with `docs_url=None, redoc_url=None`. It asks for no key, as the document does not."""

    def docs(_: Request) -> Response:
        return HTMLResponse(page(app.openapi()))

    app.add_route("/docs", docs, include_in_schema=False)


def page(document: dict[str, Any]) -> str:
    schemas = document.get("components", {}).get("schemas", {})
    return _PAGE.get_template("page.html").render(
        info=document["info"],
        about=document["info"].get("description") or document["info"].get("summary", ""),
        operations=list(operations(document)),
        schemas=[Example(title=name, text=_json(schema)) for name, schema in sorted(schemas.items())],
    )


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    """In the order of the document."""
    for path, item in document["paths"].items():
        for verb in _VERBS:
            if verb in item:
                yield _operation(verb.upper(), path, item[verb])


def _operation(verb: str, path: str, said: dict[str, Any]) -> Operation:
    body = said.get("requestBody", {})
    return Operation(
        verb=verb,
        path=path,
        summary=said.get("summary", ""),
        about=said.get("description", ""),
        parameters=tuple(said.get("parameters", ())),
        body=body.get("description", ""),
        examples=_examples(body),
        answers=tuple(
            Answer(
                status=status,
                means=answer.get("description", ""),
                headers=tuple(f"{name}: {header.get('description', '')}" for name, header in _of(answer, "headers")),
                examples=_examples(answer),
            )
            for status, answer in said.get("responses", {}).items()
        ),
    )


def _of(said: dict[str, Any], name: str) -> list[tuple[str, Any]]:
    return list(said.get(name, {}).items())


def _examples(said: dict[str, Any]) -> tuple[Example, ...]:
    """Each with its name; where there is none, what it is to look like."""
    found = []
    for kind, content in _of(said, "content"):
        found += [Example(title=name, text=_json(one["value"])) for name, one in _of(content, "examples")]
        if "example" in content:
            found.append(Example(title=kind, text=_json(content["example"])))
        elif "examples" not in content and content.get("schema"):
            found.append(Example(title=kind, text=_json(content["schema"])))
    return tuple(found)


def _json(value: Any) -> str:  # noqa: ANN401  any JSON
    return json.dumps(value, indent=2, ensure_ascii=False)
