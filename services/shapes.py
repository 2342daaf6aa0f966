"""What of a YAML file fits the shape it should have, and everything that does not: not the first fault, all of them.

msgspec stops at the first. A marketer wants the list, so structs are gone through here key by key; msgspec judges what
is no struct, list or mapping. What is faulty is left out of what fits: the rest can be looked at in the same run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, Union, get_args, get_origin

import msgspec

Steps = tuple[str | int, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Slip:
    """What is wrong with the part that the keys and indices `where` lead to, at a `character` of the text there."""

    where: Steps
    message: str
    character: int | None = None


@dataclass(frozen=True, slots=True)
class Fitted(Generic[T]):
    """`torn` leads to the structs from which a faulty part was left out; `value` is None if nothing is left."""

    value: T | None
    slips: tuple[Slip, ...]
    torn: frozenset[Steps]


def fit(node: Any, shape: type[T]) -> Fitted[T]:  # noqa: ANN401  any YAML
    """`node` are plain dicts, lists and values; structs of `shape` refuse unknown keys."""
    fitting = _Fitting()
    kept = fitting.part(node, shape, ())
    value = None if kept is _NOTHING else msgspec.convert(kept, shape, strict=True)
    return Fitted(value, tuple(fitting.slips), frozenset(fitting.torn))


SHOWN: Final = 4
"""Examples that a fault gives at most."""
_NOTHING: Final = object()
_SPOKEN: Final[dict[Any, str]] = {
    str: "a text", bool: "`true` or `false`", int: "a whole number", float: "a number", list: "a list",
    dict: "a mapping (`name: …`)", NoneType: "nothing",
}  # fmt: skip


class _Fitting:
    def __init__(self) -> None:
        self.slips: list[Slip] = []
        self.torn: set[Steps] = set()

    def part(self, node: Any, shape: Any, where: Steps) -> Any:  # noqa: ANN401  any YAML
        """What of it can be kept; _NOTHING if nothing can."""
        for option in _options(shape):
            bare = _bare(option)
            if isinstance(node, dict) and _is_struct(bare):
                return self._struct(node, bare, where)
            if isinstance(node, dict) and get_origin(bare) is dict:
                return self._mapping(node, get_args(bare)[1], where)
            if isinstance(node, list) and get_origin(bare) in (list, tuple):
                return self._list(node, get_args(bare)[0], where)
        try:
            msgspec.convert(node, shape, strict=True)
        except msgspec.ValidationError as error:
            self.slips.append(Slip(where, _refusal(node, shape, str(error))))
            return _NOTHING
        return node

    def _struct(self, node: dict[str, Any], shape: type[msgspec.Struct], where: Steps) -> Any:  # noqa: ANN401
        fields = {field.encode_name: field for field in msgspec.structs.fields(shape)}
        kept = {}
        for key, value in node.items():
            if key not in fields:
                self._slip((*where, key), f"`{key}` is not known here; {_meant(key, list(fields))}", torn=where)
                continue
            part = self.part(value, fields[key].type, (*where, key))
            if part is _NOTHING:
                self.torn.add(where)
            else:
                kept[key] = part
        for name, field in fields.items():
            if field.required and name not in node:
                example = next(_examples(field.type), "…")
                self._slip(where, f"`{name}` is missing; write it, as in `{name}: {example}`", torn=where)
        whole = all(name in kept for name, field in fields.items() if field.required)
        return kept if whole else _NOTHING

    def _mapping(self, node: dict[str, Any], shape: Any, where: Steps) -> Any:  # noqa: ANN401
        parts = {key: self.part(value, shape, (*where, key)) for key, value in node.items()}
        if any(part is _NOTHING for part in parts.values()):
            self.torn.add(where)
        return {key: part for key, part in parts.items() if part is not _NOTHING}

    def _list(self, node: list[Any], shape: Any, where: Steps) -> Any:  # noqa: ANN401
        """Goes as a whole when one of it goes: the others are known by their number."""
        parts = [self.part(value, shape, (*where, index)) for index, value in enumerate(node)]
        return _NOTHING if any(part is _NOTHING for part in parts) else parts

    def _slip(self, where: Steps, message: str, *, torn: Steps) -> None:
        self.slips.append(Slip(where, message))
        self.torn.add(torn)


def spoken(node: Any) -> str:  # noqa: ANN401  any YAML
    """`a list`, `a text`, …: what stands there."""
    return _SPOKEN.get(type(node), "something else")


def _refusal(node: Any, shape: Any, said: str) -> str:  # noqa: ANN401
    choices = [str(choice) for option in _options(shape) for choice in _choices(option)]
    if choices and isinstance(node, str):
        return f"`{node}` can't be said here; {_meant(node, choices)}"
    wanted = [f"one of {', '.join(choices)}"] if choices else [_wanted(option) for option in _options(shape)]
    if not all(wanted) or (type(node) in {_origin(option) for option in _options(shape)}):
        return said  # a constraint of its own: msgspec names it
    examples = list(dict.fromkeys(_examples(shape)))[:SHOWN]
    like = f"; write it as in {', '.join(examples)}" if examples else f"; {_form(shape, wanted)}"
    return f"here should stand {' or '.join(wanted)}, not {spoken(node)}{like}"


def _form(shape: Any, wanted: Sequence[str]) -> str:  # noqa: ANN401
    bare = _bare(_options(shape)[0])
    if _is_struct(bare):
        needed = [f"{field.encode_name}: …" for field in msgspec.structs.fields(bare) if field.required]
        return f"write it as in {{{', '.join(needed) or '…: …'}}}"
    return "put it into […]" if _origin(bare) is list else f"write {' or '.join(wanted)}"


def _meant(said: str, known: Sequence[str]) -> str:
    close = get_close_matches(said, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known are: {', '.join(known)}"


def _options(shape: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """The members of a union, without None; else the shape alone."""
    bare = _bare(shape)
    if get_origin(bare) in (Union, UnionType):
        return tuple(inner for option in get_args(bare) if option is not NoneType for inner in _options(option))
    return (shape,)


def _bare(shape: Any) -> Any:  # noqa: ANN401
    return get_args(shape)[0] if get_origin(shape) is Annotated else shape


def _origin(shape: Any) -> Any:  # noqa: ANN401
    bare = _bare(shape)
    return get_origin(bare) or bare


def _is_struct(shape: Any) -> bool:  # noqa: ANN401
    return isinstance(shape, type) and issubclass(shape, msgspec.Struct)


def _wanted(shape: Any) -> str:  # noqa: ANN401
    bare = _bare(shape)
    return _SPOKEN[dict] if _is_struct(bare) else _SPOKEN.get(get_origin(bare) or bare, "")


def _choices(shape: Any) -> tuple[Any, ...]:  # noqa: ANN401
    bare = _bare(shape)
    if get_origin(bare) is Literal:
        return get_args(bare)
    return tuple(member.value for member in bare) if isinstance(bare, type) and issubclass(bare, Enum) else ()


def _examples(shape: Any) -> Iterator[str]:  # noqa: ANN401
    """Those that the shape's own `Meta` gives, on itself or on what it may be."""
    if get_origin(shape) is Annotated:
        for meta in shape.__metadata__:
            if isinstance(meta, msgspec.Meta):
                yield from (str(example) for example in meta.examples or ())
        yield from _examples(get_args(shape)[0])
    elif get_origin(shape) in (Union, UnionType):
        for option in get_args(shape):
            yield from _examples(option)
