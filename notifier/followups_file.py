"""`followups.yaml`, as marketers write it, with the place of every fault."""

import re
from datetime import timedelta
from typing import Literal

import msgspec

from notifier.followups import ONCE_PER_INSTANCE, Entered, FollowUp, FollowUps, Left, OncePer, Purpose
from services.durations import parse_duration
from services.shop import YamlFile


class _When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    track: str
    entered: str


class _Until(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    left: str | None = None
    entered: list[str] | None = None


class _Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    when: _When
    purpose: Literal["marketing", "transactional"]
    template: str
    max_age: str
    until: _Until | None = None
    wait: str = "0s"
    once_per: Literal["instance", "cause"] | None = None
    resend_unknown: bool = False


def read_follow_ups(source: YamlFile) -> FollowUps:
    """Raises ShopError, with the place and the fix, for what can't be meant."""
    return {str(name): _read(source, str(name)) for name in source.mapping()} if source.data else {}


def _read(source: YamlFile, name: str) -> FollowUp:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", name):
        raise source.fault([name], f"`{name}` can't name a follow-up; use a-z, 0-9 and -, as in `abandoned-cart`")
    written = source.read([name], _Written)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", written.template):
        raise source.fault(
            [name, "template"], f"`{written.template}` is no template's name; write it without folder and ending"
        )
    if written.resend_unknown and written.purpose == "marketing":
        raise source.fault(
            [name, "resend_unknown"], "marketing is never sent twice; leave `resend_unknown` to transactional mail"
        )
    wait, max_age = _duration(source, name, "wait", written.wait), _duration(source, name, "max_age", written.max_age)
    if max_age <= wait:
        raise source.fault([name, "max_age"], "would be over before `wait` is; give `max_age` a longer time")
    once_per = written.once_per or ("instance" if written.when.track in ONCE_PER_INSTANCE else "cause")
    return FollowUp(
        name=name,
        track=written.when.track,
        entered=written.when.entered,
        until=_until(source, name, written),
        purpose=Purpose(written.purpose),
        template=written.template,
        wait=wait,
        max_age=max_age,
        once_per=OncePer(once_per),
        resend_unknown=written.resend_unknown,
    )


def _until(source: YamlFile, name: str, written: _Written) -> Left | Entered | None:
    until = written.until
    if until is None:
        return None
    if until.left is not None and until.entered is None:
        if until.left != written.when.entered:
            raise source.fault(
                [name, "until", "left"],
                f"only leaving the stage it starts at can end it; write `{written.when.entered}` here",
            )
        return Left(stage=until.left)
    if until.entered and until.left is None:
        return Entered(stages=frozenset(until.entered))
    raise source.fault([name, "until"], "write either `left: stage` or `entered: [stage, …]`")


def _duration(source: YamlFile, name: str, key: str, text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise source.fault([name, key], str(error)) from None
