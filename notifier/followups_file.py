"""`followups.yaml`, as marketers write it, with the place of every fault."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from notifier.followups import ONCE_PER_INSTANCE, Entered, FollowUp, FollowUps, Left, OncePer, Purpose
from services.durations import parse_duration
from services.errors import ShopError
from services.shop import YamlFile
from services.written import Span


class _When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What starts it: an instance of a track comes to a stage."""

    track: Annotated[str, Meta(description="One of lifecycle.yaml.", examples=["cart", "order", "lifecycle"])]
    entered: Annotated[str, Meta(description="The stage.", examples=["abandoned"])]


class _Until(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ends it before it is sent: one of the two."""

    left: Annotated[str | None, Meta(description="The stage that it started at.")] = None
    entered: Annotated[list[str] | None, Meta(description="Any of these stages.")] = None


class _Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is sent when somebody gets somewhere, and until when it is worth sending."""

    when: _When
    purpose: Annotated[
        Literal["marketing", "transactional"],
        Meta(description="Marketing needs consent. Transactional is about something the customer did."),
    ]
    template: Annotated[
        str,
        Meta(
            description="A file of templates/ without its ending, else one of ours.",
            examples=["abandoned-cart", "thank-you"],
            extra_json_schema={"pattern": "^[a-z0-9][a-z0-9_-]*$"},
        ),
    ]
    max_age: Annotated[Span, Meta(description="How long after they got there it is still worth sending.")]
    until: _Until | None = None
    wait: Annotated[Span, Meta(description="How long to wait first.")] = "0s"
    once_per: Annotated[
        Literal["instance", "cause"] | None,
        Meta(description="Once for this cart or order, or once for each event that starts it."),
    ] = None
    resend_unknown: Annotated[
        bool,
        Meta(description="Send it again if nobody can say whether it went out. Transactional mail only."),
    ] = False


FollowUpsWritten = dict[str, _Written]
"""`followups.yaml`: each by its name."""


def read_follow_ups(source: YamlFile) -> FollowUps:
    """Raises ShopError for what can't be meant, one line a fault, each with the place and the fix."""
    found, faults = what_reads(source)
    if faults:
        raise ShopError("\n".join(map(str, faults)))
    return found


def what_reads(source: YamlFile) -> tuple[FollowUps, list[ShopError]]:
    """What can be read, whatever else is wrong, and what is; raises ShopError for what is no mapping."""
    if not source.data:
        return {}, []
    readers = {str(name): _Reader(source, str(name)) for name in source.mapping()}
    found = {name: reader.follow_up() for name, reader in readers.items()}
    faults = [fault for reader in readers.values() for fault in reader.faults]
    return {name: follow_up for name, follow_up in found.items() if follow_up is not None}, faults


def names_a_template(text: str) -> bool:
    return re.fullmatch(r"[a-z0-9][a-z0-9_-]*", text) is not None


class _Reader:
    """Reads one follow-up to its end, whatever is wrong on the way."""

    def __init__(self, source: YamlFile, name: str) -> None:
        self._source = source
        self._name = name
        self.faults: list[ShopError] = []

    def follow_up(self) -> FollowUp | None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", self._name):
            self._fault([], f"`{self._name}` can't name a follow-up; use a-z, 0-9 and -, as in `abandoned-cart`")
        fitted = self._source.fitting([self._name], _Written)
        for slip in fitted.slips:
            self._fault(slip.where, slip.message)
        return self._made(fitted.value) if fitted.value is not None else None

    def _made(self, written: _Written) -> FollowUp | None:
        if not names_a_template(written.template):
            self._fault(["template"], f"`{written.template}` is no template's name; write it without folder and ending")
        if written.resend_unknown and written.purpose == "marketing":
            self._fault(
                ["resend_unknown"], "marketing is never sent twice; leave `resend_unknown` to transactional mail"
            )
        wait, max_age = self._duration("wait", written.wait), self._duration("max_age", written.max_age)
        until = self._until(written)
        if wait is None or max_age is None:
            return None
        if max_age <= wait:
            self._fault(["max_age"], "would be over before `wait` is; give `max_age` a longer time")
        once_per = written.once_per or ("instance" if written.when.track in ONCE_PER_INSTANCE else "cause")
        return FollowUp(
            name=self._name,
            track=written.when.track,
            entered=written.when.entered,
            until=until,
            purpose=Purpose(written.purpose),
            template=written.template,
            wait=wait,
            max_age=max_age,
            once_per=OncePer(once_per),
            resend_unknown=written.resend_unknown,
        )

    def _until(self, written: _Written) -> Left | Entered | None:
        until = written.until
        if until is None:
            return None
        if until.left is not None and until.entered is None:
            if until.left != written.when.entered:
                self._fault(
                    ["until", "left"],
                    f"only leaving the stage it starts at can end it; write `{written.when.entered}` here",
                )
            return Left(stage=until.left)
        if until.entered and until.left is None:
            return Entered(stages=frozenset(until.entered))
        self._fault(["until"], "what ends it is not said; write either `left: stage` or `entered: [stage, …]`")
        return None

    def _duration(self, key: str, text: str) -> timedelta | None:
        try:
            return parse_duration(text)
        except ValueError as error:
            self._fault([key], str(error))
            return None

    def _fault(self, where: Sequence[str | int], message: str) -> None:
        self.faults.append(self._source.fault([self._name, *where], message))
