"""What a model says otherwise than the one before it, in words. Pure: from both as written, presets included."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

Written = Mapping[str, Any]
"""YAML as plain values."""


def model_differences(before: Written, after: Written) -> list[str]:
    """In the order in which a reader meets them: facts, then track by track its stages and rules."""
    return [
        *_apart("fact", before.get("facts", {}), after.get("facts", {}), _otherwise),
        *_apart("track", before.get("tracks", {}), after.get("tracks", {}), _of_track),
        *_order("tracks", before.get("tracks", {}), after.get("tracks", {})),
    ]


def differences(kind: str, before: Written, after: Written) -> list[str]:
    """Of things that have names: storefronts, follow-ups."""
    return list(_apart(kind, before, after, _by_key))


def file_differences(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[str]:
    said = []
    for name in sorted({*before, *after}):
        if name not in before:
            said.append(f"{name} is new")
        elif name not in after:
            said.append(f"{name} is gone")
        elif before[name] != after[name]:
            said.append(f"{name} says something else ({_lines(before[name], after[name])})")
    return said


Inside = Callable[[str, Any, Any], Iterable[str]]


def _apart(kind: str, before: Written, after: Written, inside: Inside) -> Iterator[str]:
    for name in (*before, *(name for name in after if name not in before)):
        if name not in after:
            yield f"{kind} `{name}` is gone"
        elif name not in before:
            yield f"{kind} `{name}` is new" + (f": {spoken(after[name])}" if kind == "fact" else "")
        elif before[name] != after[name]:
            yield from inside(f"{kind} `{name}`", before[name], after[name])


def _otherwise(what: str, before: Any, after: Any) -> Iterator[str]:  # noqa: ANN401  any YAML
    yield f"{what}: {spoken(before)} → {spoken(after)}"


def _by_key(what: str, before: Any, after: Any) -> Iterator[str]:  # noqa: ANN401  any YAML
    if not (isinstance(before, dict) and isinstance(after, dict)):
        yield from _otherwise(what, before, after)
        return
    for key in (*before, *(key for key in after if key not in before)):
        if before.get(key) != after.get(key):
            yield f"{what}: `{key}` {_said(before, key)} → {_said(after, key)}"


def _of_track(what: str, before: Written, after: Written) -> Iterator[str]:
    yield from _by_key(what, _without(before, "stages"), _without(after, "stages"))
    name = what.partition("`")[2].rstrip("`")
    named = {f"{name}.{stage}": said or {} for stage, said in (before.get("stages") or {}).items()}
    now = {f"{name}.{stage}": said or {} for stage, said in (after.get("stages") or {}).items()}
    yield from _apart("stage", named, now, _of_stage)
    yield from _order(f"stages of `{name}`", named, now)


def _of_stage(what: str, before: Written, after: Written) -> Iterator[str]:
    yield from _by_key(what, _without(before, "enter"), _without(after, "enter"))
    rules, now = list(before.get("enter") or ()), list(after.get("enter") or ())
    if len(rules) == len(now):
        for number, (rule, other) in enumerate(zip(rules, now, strict=True), 1):
            if rule != other:
                yield from _by_key(f"{what}, rule {number}", rule, other)
        return
    matched = SequenceMatcher(None, _as_texts(rules), _as_texts(now), autojunk=False)
    for tag, first, last, begin, end in matched.get_opcodes():
        if tag != "equal":
            yield from (f"{what}: the rule {spoken(rule)} is gone" for rule in rules[first:last])
            yield from (f"{what}: the rule {spoken(rule)} is new" for rule in now[begin:end])


def _order(what: str, before: Written, after: Written) -> Iterator[str]:
    """It counts: of a track's rules that fit the last listed wins, and tracks see the earlier ones' stages."""
    stayed = [name for name in after if name in before]
    if [name for name in before if name in after] != stayed:
        yield f"the {what} are listed in another order: {', '.join(name.rpartition('.')[2] for name in after)}"


def spoken(value: Any) -> str:  # noqa: ANN401  any YAML
    """On one line, as in YAML's short form."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {spoken(said)}" for key, said in value.items()) + "}"
        case list():
            return "[" + ", ".join(spoken(said) for said in value) + "]"
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def _said(within: Written, key: str) -> str:
    return spoken(within[key]) if key in within else "nothing"


def _without(within: Written, key: str) -> dict[str, Any]:
    return {name: said for name, said in within.items() if name != key}


def _as_texts(rules: Sequence[Any]) -> list[str]:
    return [json.dumps(rule, sort_keys=True) for rule in rules]


def _lines(before: bytes, after: bytes) -> str:
    try:
        old, new = before.decode().splitlines(), after.decode().splitlines()
    except UnicodeDecodeError:
        return f"{len(before)} → {len(after)} bytes"
    opcodes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    gone = sum(last - first for tag, first, last, _, _ in opcodes if tag != "equal")
    made = sum(end - begin for tag, _, _, begin, end in opcodes if tag != "equal")
    return f"+{made}, -{gone} lines"
