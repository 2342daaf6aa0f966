"""`mapping.yaml` into a HistoryMapping: every name and expression is checked before a row is read."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from ingest.history.mapping import EventMapping, FileFormat, HistoryMapping, LeaveOut, Read, Row, Together
from ingest.history.times import reader
from ingest.history.written import Constant, EventWritten, MappingWritten
from services.conditions import Condition, ConditionError, Expression, Names, compile_condition, compile_expression
from services.conditions.kinds import Kind
from services.errors import ConfigurationError, ShopError
from services.shop import YamlFile

SHIPPED: Final = Path(__file__).parent / "mappings"
_KINDS: Final[Mapping[str, Kind]] = {"text": "string", "int": "int", "decimal": "money"}
_DECIMAL = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{0,12})?")
_WHOLE = re.compile(r"([+-]?[0-9]{1,18})(?:\.0*)?")
Where = Sequence[str | int]


def find_mapping(name: str) -> Path:
    """A file, or by a bare name one that comes with Stagepost."""
    path = Path(name)
    if path.suffix or path.exists():
        return path
    shipped = SHIPPED / f"{name}.yaml"
    if not shipped.exists():
        known = ", ".join(sorted(found.stem for found in SHIPPED.glob("*.yaml")))
        raise ConfigurationError(f"there is no mapping {name}; give a file, or one that comes with Stagepost: {known}")
    return shipped


class MappingFile:
    """A mapping as it was written. Its expressions are compiled for a file once that file's columns are known."""

    def __init__(self, path: Path, zone: str) -> None:
        """`zone` is the storefront's. Raises ShopError, which names every fault."""
        self._yaml = YamlFile(path)
        self._yaml.mapping()
        fitted = self._yaml.fitting([], MappingWritten)
        if fitted.slips or fitted.value is None:
            raise ShopError("\n".join(str(self._yaml.fault(slip.where, slip.message)) for slip in fitted.slips))
        self._written: MappingWritten = fitted.value
        self._zone = zone
        self._faults: list[str] = []
        self.format = self._format()
        self.fingerprint = sha256(path.read_bytes()).hexdigest()
        """Of the text: rows may mean something else after a change of it."""
        self.compiled(self.format.columns)

    def _format(self) -> FileFormat:
        written, csv = self._written, self._written.csv
        if written.format == "ndjson" and csv != type(csv)():
            self._fault(["csv"], "stands for nothing in a mapping of ndjson")
        if written.format == "csv" and written.rows is not None:
            self._fault(["rows"], "is for ndjson, whose lines may hold lists of rows")
        if csv.delimiter != "whitespace" and len(csv.delimiter) != 1:
            self._fault(["csv", "delimiter"], "must be one character, or `whitespace`")
        try:
            "".encode(csv.encoding)
        except LookupError:
            self._fault(["csv", "encoding"], f"there is no encoding {csv.encoding}; write it as in utf-8 or latin-1")
        return FileFormat(
            kind=written.format,
            delimiter=None if csv.delimiter == "whitespace" else csv.delimiter,
            columns=csv.columns,
            encoding="utf-8-sig" if csv.encoding.lower() in ("utf-8", "utf8") else csv.encoding,
            items=written.rows,
        )

    def compiled(self, columns: Sequence[str] | None) -> HistoryMapping:
        """For rows with these columns; any column may be named while they are not known. Raises ShopError."""
        written = self._written
        self._check_columns(columns)
        kinds = {name: _KINDS[written.types.get(name, "text")] for name in columns or ()}
        names = Names(open={"row"}) if columns is None else Names(closed={"row": kinds})
        compiled = HistoryMapping(
            columns={
                name: _cell(kind, written.csv.decimal_mark) for name, kind in written.types.items() if kind != "text"
            },
            at=self._expression(["time", "at"], written.time.at, names),
            read_time=reader(written.time.format, self._zone_of_bare_times()),
            who=self._reads(["who"], _given(written.who), names),
            traits=self._reads(["traits"], written.traits, names),
            skip=[
                LeaveOut(when=self._condition(["skip", n, "when"], skip.when, names), because=skip.because)
                for n, skip in enumerate(written.skip)
            ],
            events=[self._event(["events", n], event, names) for n, event in enumerate(written.events)],
        )
        if not compiled.who:
            self._fault(
                ["who"], "names nobody; say which column has the user_id, email, phone, anonymous_id or cart_token"
            )
        if not compiled.events:
            self._fault(["events"], "is empty; say what a row becomes, as in - name: Order Completed")
        if self._faults:
            faults, self._faults = self._faults, []
            raise ShopError("\n".join(faults))
        return compiled

    def _check_columns(self, columns: Sequence[str] | None) -> None:
        for name in self._written.types if columns is not None else ():
            if name not in columns:  # type: ignore[operator]  # only asked where there are some
                close = get_close_matches(name, columns or (), n=1)
                hint = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(columns or ())}"
                self._fault(["types", name], f"the file has no column `{name}`; {hint}")

    def _zone_of_bare_times(self) -> ZoneInfo:
        zone = self._written.time.zone or self._zone
        if zone not in available_timezones():
            close = get_close_matches(zone, available_timezones(), n=1)
            hint = f"did you mean {close[0]}?" if close else "write it as in Europe/Berlin"
            self._fault(["time", "zone"], f"there is no time zone {zone}; {hint}")
            return ZoneInfo("UTC")
        return ZoneInfo(zone)

    def _event(self, where: Where, event: EventWritten, names: Names) -> EventMapping:
        if (event.name is None) == (event.name_from is None):
            self._fault(where, "must say either its `name`, or by `name_from` which column has it")
        if event.together is None and (event.products or event.sums):
            self._fault(where, "`products` and `sums` are of several rows; say by `together` which belong together")
        if event.apart < 0:
            self._fault([*where, "apart"], "can't be less than 0")
        name: str | Expression = event.name or ""
        if event.name_from is not None:
            name = self._expression([*where, "name_from"], event.name_from, names)
        return EventMapping(
            name=name,
            when=None if event.when is None else self._condition([*where, "when"], event.when, names),
            id=None if event.id is None else self._read([*where, "id"], event.id, names),
            properties=self._reads([*where, "properties"], event.properties, names),
            together=None if event.together is None else self._together(where, event, names),
        )

    def _together(self, where: Where, event: EventWritten, names: Names) -> Together:
        by = event.together if isinstance(event.together, list) else [event.together or ""]
        places: list[Where] = [[*where, "together", n] for n in range(len(by))]
        if isinstance(event.together, str):
            places = [[*where, "together"]]
        return Together(
            by=[self._expression(place, text, names) for place, text in zip(places, by, strict=True)],
            apart=event.apart,
            products=self._reads([*where, "products"], event.products, names),
            sums={key: self._expression([*where, "sums", key], text, names) for key, text in event.sums.items()},
        )

    def _reads(self, where: Where, values: Mapping[str, Constant], names: Names) -> dict[str, Read]:
        return {key: self._read([*where, key], value, names) for key, value in values.items()}

    def _read(self, where: Where, value: Constant, names: Names) -> Read:
        if not isinstance(value, str):
            return _constant(value)
        return _read_of(self._expression(where, value, names))

    def _expression(self, where: Where, text: str, names: Names) -> Expression:
        try:
            return compile_expression(text, names)
        except ConditionError as error:
            self._fault(where, f"in `{text}`, at character {error.column}: {error}")
            return compile_expression("null", names)

    def _condition(self, where: Where, text: str, names: Names) -> Condition:
        try:
            return compile_condition(text, names)
        except ConditionError as error:
            self._fault(where, f"in `{text}`, at character {error.column}: {error}")
            return compile_condition("false", names)

    def _fault(self, where: Where, message: str) -> None:
        self._faults.append(str(self._yaml.fault(where, message)))


def _given(struct: Any) -> dict[str, Constant]:  # noqa: ANN401  any struct of constants
    return {key: value for key in struct.__struct_fields__ if (value := getattr(struct, key)) is not None}


def _constant(value: Constant) -> Read:
    return lambda _: value


def _read_of(expression: Expression) -> Read:
    def read(row: Row) -> Any:  # noqa: ANN401  any value
        return expression.value({"row": row})

    return read


def _cell(kind: str, mark: str) -> Callable[[Any], Any]:
    return _whole if kind == "int" else lambda cell: _decimal(cell, mark)


def _whole(cell: Any) -> int | None:  # noqa: ANN401  any cell
    """None for an empty cell. `6.0` is 6: spreadsheets write whole numbers so."""
    text = str(cell).strip() if cell is not None else ""
    found = _WHOLE.fullmatch(text)
    if text and found is None:
        raise ValueError(f"`{text[:40]}` is no whole number")
    return int(found[1]) if found else None


def _decimal(cell: Any, mark: str) -> Decimal | None:  # noqa: ANN401  any cell
    text = str(cell).strip() if cell is not None else ""
    plain = text if mark == "." else text.replace(".", "?").replace(mark, ".")
    if text and not _DECIMAL.fullmatch(plain):
        raise ValueError(f"`{text[:40]}` is no number with `{mark}` as its decimal mark")
    return Decimal(plain) if text else None
