"""The shop's own directory: YAML that marketers write, read with the place of every fault.

Here is the reading, and `storefronts.yaml`. What stands in `lifecycle.yaml` belongs to the stage engine, in
`followups.yaml` and `templates/` to the notifier; both read it through `YamlFile`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar
from zoneinfo import available_timezones

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from services.errors import ShopError

Path_ = Sequence[str | int]
T = TypeVar("T")


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
            message, inner = _split(str(error))
            unknown = re.fullmatch(r"Object contains unknown field `(.*)`", message)
            if unknown:
                name = unknown[1]
                close = get_close_matches(name, _fields(shape), n=1)
                hint = f"did you mean `{close[0]}`?" if close else f"known are: {', '.join(_fields(shape))}"
                raise self.fault([*where, *inner, name], f"`{name}` is not known here; {hint}") from None
            raise self.fault([*where, *inner], message) from None


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


def _split(message: str) -> tuple[str, list[str | int]]:
    """Msgspec's "… - at `$.a[0].b`" as the message and the path inside."""
    text, _, path = message.partition(" - at `$")
    steps = re.findall(r"\.([^.\[\]`]+)|\[(\d+)\]", path)
    return text, [name or int(index) for name, index in steps]


def _fields(shape: Any) -> list[str]:  # noqa: ANN401  any type
    return [f.encode_name for f in msgspec.structs.fields(shape)] if isinstance(shape, type(msgspec.Struct)) else []


def _spoken(node: Any) -> str:  # noqa: ANN401  any YAML
    return {"list": "a list", "str": "a text", "NoneType": "nothing"}.get(type(plain(node)).__name__, "a value")


class Sender(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who a storefront's mail comes from."""

    name: str
    email: str


class Look(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a storefront's mail looks. Colours are `#rrggbb`."""

    logo: str | None = None
    colour: str = "#1f4b3f"
    background: str = "#f5f3ee"


class Storefront(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A source of events: one shop as its customers know it.

    `currency` is ISO 4217: amounts in others are kept apart, never added. `trust: browser` lets orders that only a
    browser reported count. `assume_consent` says whether marketing mail may go to who has said nothing about it.
    """

    name: str
    url: str
    currency: str
    timezone: str
    sender: Sender
    locale: str = "en"
    cart_url: str | None = None
    own_addresses: list[str] = []
    trust: Literal["server", "browser"] = "server"
    assume_consent: bool = False
    look: Look = Look()


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
    checkout = Path(__file__).resolve().parent.parent / "shop"
    return checkout if checkout.is_dir() else Path(str(files("services") / "default_shop"))
