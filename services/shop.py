"""The shop's own directory: YAML that marketers write, read with the place of every fault.

Here is the reading, and `storefronts.yaml`. What stands in `lifecycle.yaml` belongs to the stage engine, in
`followups.yaml` and `templates/` to the notifier; both read it through `YamlFile`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import available_timezones

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from services.contracts.storefront import Look, Sender, Storefront
from services.errors import ShopError

Path_ = Sequence[str | int]
T = TypeVar("T")

__all__ = ["Look", "Sender", "Shop", "Storefront", "YamlFile", "default_shop", "demo_shop", "load_shop", "plain"]


class YamlFile:
    """One YAML file: its data, and where in it each part stands."""

    def __init__(self, path: Path) -> None:
        """Raises ShopError for a file that is missing or is no YAML."""
        self.path = path
        try:
            self.data: Any = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ShopError(f"{path}: {error.strerror}; `stagepost init` writes a shop directory") from None
        except MarkedYAMLError as error:
            mark = error.problem_mark
            at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
            raise ShopError(f"{path}{at} this is no YAML: {error.problem}") from None
        except YAMLError as error:
            raise ShopError(f"{path} this is no YAML: {error}") from None

    def place(self, where: Path_) -> str:
        """`file:line:column` of the part that this path of keys and indices leads to, or of the nearest around it."""
        node, line, column = self.data, 0, 0
        for step in where:
            try:
                if isinstance(node, CommentedMap):
                    line, column = node.lc.key(step)
                elif isinstance(node, CommentedSeq):
                    line, column = node.lc.item(step)
                else:
                    break
                node = node[step]
            except (KeyError, IndexError, TypeError):
                break
        return f"{self.path}:{line + 1}:{column + 1}"

    def fault(self, where: Path_, message: str) -> ShopError:
        return ShopError(f"{self.place(where)} {message}")

    def mapping(self, where: Path_ = ()) -> dict[str, Any]:
        """The mapping at this path; raises ShopError when something else stands there."""
        node = self.data
        for step in where:
            node = node[step]
        if not isinstance(node, dict):
            raise self.fault(where, f"here should stand a mapping (`name: …`), not {_spoken(node)}")
        return node

    def read(self, where: Path_, shape: type[T]) -> T:
        """The part at this path as `shape`, a struct that refuses unknown keys; raises ShopError with place and fix."""
        node = self.data
        for step in where:
            node = node[step]
        try:
            return msgspec.convert(plain(node), shape, strict=True)
        except msgspec.ValidationError as error:
            raise self._explained(str(error), where, shape) from None

    def _explained(self, said: str, where: Path_, shape: type[Any]) -> ShopError:
        """Finds the place of msgspec's "message - at `$.a[...].b[0]`"; `[...]` stands for a key that it leaves out."""
        message, _, path = said.partition(" - at `$")
        found = re.findall(r"\.([^.\[\]`]+)|\[(\d*)", path)
        steps = [name or (int(index) if index else None) for name, index in found]
        unknown = re.fullmatch(r"Object contains unknown field `(.*)`", message)
        got = re.search(r", got `(\w+)`", message)
        for inner in _concrete(plain(self._at(where)), steps):
            node = plain(self._at([*where, *inner]))
            if unknown and isinstance(node, dict) and unknown[1] in node:
                known = _fields(shape, inner)
                close = get_close_matches(unknown[1], known, n=1)
                hint = f"did you mean `{close[0]}`?" if close else f"known are: {', '.join(known)}"
                return self.fault([*where, *inner, unknown[1]], f"`{unknown[1]}` is not known here; {hint}")
            if not unknown and (got is None or got[1] == _json_type(node)):
                return self.fault([*where, *inner], message)
        return self.fault(where, message)

    def _at(self, where: Path_) -> Any:  # noqa: ANN401  any YAML
        node = self.data
        for step in where:
            node = node[step]
        return node


def _concrete(node: Any, steps: Sequence[str | int | None]) -> Iterator[list[str | int]]:  # noqa: ANN401  any YAML
    """Every path in `node` that the steps fit; None fits any key."""
    if not steps:
        yield []
        return
    keys: list[str | int] = [steps[0]] if steps[0] is not None else list(node) if isinstance(node, dict) else []
    for key in keys:
        try:
            child = node[key]
        except (KeyError, IndexError, TypeError):
            continue
        for rest in _concrete(child, steps[1:]):
            yield [key, *rest]


def _fields(shape: type[Any], path: Path_) -> list[str]:
    """The keys that the struct at this path of the shape knows."""
    kind: Any = msgspec.inspect.type_info(shape)
    for step in [*path, None]:
        if isinstance(kind, msgspec.inspect.UnionType):
            kind = next((t for t in kind.types if not isinstance(t, msgspec.inspect.NoneType)), kind)
        if step is None:
            break
        match kind:
            case msgspec.inspect.StructType():
                kind = next(f.type for f in kind.fields if f.encode_name == step)
            case msgspec.inspect.DictType():
                kind = kind.value_type
            case msgspec.inspect.ListType():
                kind = kind.item_type
    return [f.encode_name for f in kind.fields] if isinstance(kind, msgspec.inspect.StructType) else []


def _json_type(node: Any) -> str:  # noqa: ANN401  any YAML
    names = {dict: "object", list: "array", str: "str", bool: "bool", int: "int", float: "float"}
    return names.get(type(node), "null")


def plain(node: Any) -> Any:  # noqa: ANN401  any YAML
    """Ruamel's marked types as plain ones."""
    if isinstance(node, dict):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(value) for value in node]
    for kind in (bool, str, int, float):
        if isinstance(node, kind):
            return kind(node)
    return node


def _spoken(node: Any) -> str:  # noqa: ANN401  any YAML
    return {"list": "a list", "str": "a text", "NoneType": "nothing"}.get(type(plain(node)).__name__, "a value")


@dataclass(frozen=True, slots=True)
class Shop:
    directory: Path
    storefronts: dict[str, Storefront]

    def file(self, name: str) -> YamlFile:
        return YamlFile(self.directory / name)


def load_shop(directory: Path) -> Shop:
    """Reads `storefronts.yaml`; raises ShopError for what can't be meant."""
    source = YamlFile(directory / "storefronts.yaml")
    storefronts = {}
    for name in source.mapping():
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", str(name)):
            raise source.fault([name], f"`{name}` can't name a storefront; use a-z, 0-9 and -, as in `main-shop`")
        found = source.read([name], Storefront)
        if found.timezone not in available_timezones():
            close = get_close_matches(found.timezone, available_timezones(), n=1)
            hint = f"; did you mean {close[0]}?" if close else "; write it as in Europe/Berlin"
            raise source.fault([name, "timezone"], f"there is no time zone {found.timezone}{hint}")
        if not re.fullmatch(r"[A-Z]{3}", found.currency):
            raise source.fault([name, "currency"], f"{found.currency} is no ISO 4217 code; write it as in EUR")
        storefronts[str(name)] = found
    if not storefronts:
        raise ShopError(f"{source.path}:1:1 no storefront is declared; write one as in docs/shop.md")
    return Shop(directory=directory, storefronts=storefronts)


def default_shop() -> Path:
    """The shop directory that comes with Stagepost: beside the code in a checkout, inside the package elsewhere."""
    return _shipped("shop", "default_shop")


def demo_shop() -> Path:
    """The sample shop that the demo's visitors come to."""
    return _shipped("examples/demo-shop", "demo_shop")


def _shipped(in_checkout: str, in_package: str) -> Path:
    checkout = Path(__file__).resolve().parent.parent / in_checkout
    return checkout if checkout.is_dir() else Path(str(files("services") / in_package))
