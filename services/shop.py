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

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from services.contracts.storefront import MOST_TOPICS, TOPIC, Look, Sender, Storefront
from services.errors import ShopError
from services.shapes import Fitted, fit, spoken

Path_ = Sequence[str | int]
T = TypeVar("T")

__all__ = [
    "Look",
    "Sender",
    "Shop",
    "Storefront",
    "YamlFile",
    "default_shop",
    "demo_shop",
    "load_shop",
    "plain",
    "read_shop",
]


class _Constructor(RoundTripConstructor):
    """A time is text here, as in JSON: who reads it decides what its zone is."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", RoundTripConstructor.construct_scalar)


class YamlFile:
    """One YAML file: its data, and where in it each part stands."""

    def __init__(self, path: Path) -> None:
        """Raises ShopError for a file that is missing or is no YAML."""
        self.path = path
        try:
            yaml = YAML(typ="rt")
            yaml.Constructor = _Constructor
            text = path.read_text(encoding="utf-8")
            self._lines = text.splitlines()
            self.data: Any = _keyed_by_text(yaml.load(text))
        except OSError as error:
            raise ShopError(f"{path}:1:1 {error.strerror}; `stagepost init` writes a shop directory") from None
        except MarkedYAMLError as error:
            mark = error.problem_mark
            at = f":{mark.line + 1}:{mark.column + 1}" if mark else ":1:1"
            hint = _quoting(text, mark.line) if mark else ""
            raise ShopError(f"{path}{at} this is no YAML: {error.problem}{hint}") from None
        except YAMLError as error:
            raise ShopError(f"{path}:1:1 this is no YAML: {error}") from None

    def place(self, where: Path_) -> str:
        """`file:line:column` of the part that this path of keys and indices leads to, or of the nearest around it."""
        line, column = self.mark(where)
        return f"{self.path}:{line}:{column}"

    def mark(self, where: Path_) -> tuple[int, int]:
        """Line and column of that part, counted from 1."""
        line, column, _ = self._look_up(where)
        return line + 1, column + 1

    def holds(self, where: Path_) -> bool:
        """Whether that part stands in the file itself, and not in what was laid under it."""
        return self._look_up(where)[2] == len(where)

    def _look_up(self, where: Path_) -> tuple[int, int, int]:
        """Line and column, and how many of the steps lead there."""
        node, line, column = self.data, 0, 0
        for depth, step in enumerate(where):
            try:
                if isinstance(node, CommentedMap):
                    line, column = node.lc.key(step)
                elif isinstance(node, CommentedSeq):
                    line, column = node.lc.item(step)
                else:
                    return line, column, depth
                node = node[step]
            except (KeyError, IndexError, TypeError):
                return line, column, depth
        return line, column, len(where)

    def fault(self, where: Path_, message: str, character: int | None = None) -> ShopError:
        """`character` counts from 1 in the text that stands there."""
        line, column = self.mark(where) if character is None else self.mark_in(where, character)
        return ShopError(f"{self.path}:{line}:{column} {message}")

    def mark_in(self, where: Path_, character: int) -> tuple[int, int]:
        """Line and column of a character in the text at this path, as it is written: quoted, folded, on many lines."""
        if not where or not self.holds(where):
            return self.mark(where)  # it stands in what was laid under this file
        node: Any = self.data
        for step in where[:-1]:
            node = node[step]
        line, column = (node.lc.value if isinstance(node, CommentedMap) else node.lc.item)(where[-1])
        text = str(node[where[-1]])
        line, column = written_at(self._lines, line, column, text, character)
        return line + 1, column + 1

    def mapping(self, where: Path_ = ()) -> dict[str, Any]:
        """The mapping at this path; raises ShopError when something else stands there."""
        node = self.data
        for step in where:
            node = node[step]
        if not isinstance(node, dict):
            raise self.fault(where, f"here should stand a mapping (`name: …`), not {spoken(plain(node))}")
        return node

    def read(self, where: Path_, shape: type[T]) -> T:
        """The part at this path as `shape`, a struct that refuses unknown keys; raises ShopError with every fault."""
        found = self.fitting(where, shape)
        if found.slips or found.value is None:
            raise ShopError("\n".join(str(self.fault([*where, *slip.where], slip.message)) for slip in found.slips))
        return found.value

    def fitting(self, where: Path_, shape: type[T]) -> Fitted[T]:
        """As `read`, with the faults as values, beside what can be read all the same."""
        node = self.data
        for step in where:
            node = node[step]
        return fit(plain(node), shape)


def _quoting(text: str, line: int) -> str:
    """What helps most often: to YAML a condition's brackets, commas, colons and `!` are its own."""
    said = re.search(r"\b(when|where|if):", "".join(text.splitlines()[line : line + 1]))
    return f"; put the condition in single quotes, as in {said[1]}: '…'" if said else ""


def _keyed_by_text(node: Any) -> Any:  # noqa: ANN401  any YAML
    """YAML takes `2026:`, `true:` and `null:` for no text; as keys all of them are names here."""
    for child in node.values() if isinstance(node, CommentedMap) else node if isinstance(node, CommentedSeq) else ():
        _keyed_by_text(child)
    if isinstance(node, CommentedMap) and not all(isinstance(key, str) for key in node):
        places = dict(node.lc.data or {})
        for key in list(node):
            node[_as_text(key)] = node.pop(key)  # all of them, since their order counts
        node.lc.data = {_as_text(key): place for key, place in places.items()}
    return node


def _as_text(key: Any) -> str:  # noqa: ANN401  any YAML
    return {None: "null", True: "true", False: "false"}.get(key, str(key)) if not isinstance(key, str) else key


def written_at(lines: Sequence[str], line: int, column: int, text: str, character: int) -> tuple[int, int]:
    """Where a character of a YAML text stands whose value begins at `line` and `column`; all but it count from 0.

    The signs of the text stand in the file in their order, with quotes, escapes and line ends between them.
    """
    if lines[line][column : column + 1] in ("|", ">"):
        line, column = line + 1, 0
    place = line, column
    for sign in "".join(text[:character].split()):
        found = lines[line].find(sign, column)
        while found < 0 and line + 1 < len(lines):
            line, column = line + 1, 0
            found = lines[line].find(sign, column)
        if found < 0:
            return place
        place, column = (line, found), found + 1
    return (place[0], place[1] + 1) if character > len(text.rstrip()) else place


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


@dataclass(frozen=True, slots=True)
class Shop:
    directory: Path
    storefronts: dict[str, Storefront]

    def file(self, name: str) -> YamlFile:
        return YamlFile(self.directory / name)


def load_shop(directory: Path) -> Shop:
    """Reads `storefronts.yaml`; raises ShopError for what can't be meant, one line a fault."""
    shop, faults = read_shop(directory)
    if faults:
        raise ShopError("\n".join(map(str, faults)))
    return shop


def read_shop(directory: Path) -> tuple[Shop, list[ShopError]]:
    """The storefronts that can be read, and what is wrong with the others; raises ShopError for what is no mapping."""
    source = YamlFile(directory / "storefronts.yaml")
    storefronts, faults = {}, []
    for name in source.mapping():
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", str(name)):
            faults.append(
                source.fault([name], f"`{name}` can't name a storefront; use a-z, 0-9 and -, as in `main-shop`")
            )
        found = source.fitting([name], Storefront)
        faults += [source.fault([name, *slip.where], slip.message) for slip in found.slips]
        if found.value is not None:
            faults += [source.fault([name, *where], message) for where, message in _slips_of(found.value)]
            storefronts[str(name)] = found.value
    if not source.mapping():
        faults.append(source.fault([], "no storefront is declared; write one as in docs/shop.md"))
    return Shop(directory=directory, storefronts=storefronts), faults


def _slips_of(storefront: Storefront) -> Iterator[tuple[Path_, str]]:
    """What a shape can't tell, and the keys that lead there."""
    if storefront.timezone not in available_timezones():
        close = get_close_matches(storefront.timezone, available_timezones(), n=1)
        hint = f"did you mean {close[0]}?" if close else "write it as in Europe/Berlin"
        yield ["timezone"], f"there is no time zone {storefront.timezone}; {hint}"
    if not re.fullmatch(r"[A-Z]{3}", storefront.currency):
        yield ["currency"], f"{storefront.currency} is no ISO 4217 code; write it as in EUR"
    if storefront.quiet_hours is not None:
        if storefront.quiet_hours.from_ == storefront.quiet_hours.to:
            yield ["quiet_hours"], "that is all day or not at all; write when they begin and when they end"
        for key, said in (("from", storefront.quiet_hours.from_), ("to", storefront.quiet_hours.to)):
            if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", said):
                yield ["quiet_hours", key], f"`{said}` is no time of day; write it as in 21:00"
    yield from _slips_of_topics(storefront)
    for channel, cap in storefront.caps.items():
        for key, most in (("day", cap.day), ("week", cap.week)):
            if most is not None and most < 0:
                yield ["caps", channel, key], f"there is no fewer than none; write 0 for nothing on `{channel}`"


def _slips_of_topics(storefront: Storefront) -> Iterator[tuple[Path_, str]]:
    if (many := len(storefront.topics)) > MOST_TOPICS:
        yield ["topics"], f"these are {many} topics; nobody reads more than {MOST_TOPICS} on one page"
    for topic, called in storefront.topics.items():
        if not re.fullmatch(TOPIC, topic):
            yield ["topics", topic], f"`{topic}` can't name a topic; use a-z, 0-9 and -, as in `news`"
        if not any(called.values()):
            yield ["topics", topic], "what customers read is not said; write it as in {en: What is new}"


def default_shop() -> Path:
    """The shop directory that comes with Stagepost: beside the code in a checkout, inside the package elsewhere."""
    return _shipped("shop", "default_shop")


def demo_shop() -> Path:
    """The sample shop that the demo's visitors come to."""
    return _shipped("examples/demo-shop", "demo_shop")


def _shipped(in_checkout: str, in_package: str) -> Path:
    checkout = Path(__file__).resolve().parent.parent / in_checkout
    return checkout if checkout.is_dir() else Path(str(files("services") / in_package))
