"""The messages of a follow-up as `followups.yaml` says them: one that stands by itself, or a list of steps."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import msgspec

from notifier.followups import EMAIL, WEBHOOK, Coupon, Step, Variant
from notifier.followups_slips import Slips, Where
from notifier.followups_written import CouponWritten, FollowUpWritten, StepWritten, VariantWritten
from services.conditions import Names

MOST_STEPS: Final = 20
_NOTHING_SAID: Final = StepWritten()


def names_a_template(text: str) -> bool:
    return re.fullmatch(r"[a-z0-9][a-z0-9_-]*", text) is not None


def read_steps(written: FollowUpWritten, names: Names, slips: Slips) -> tuple[Step, ...]:
    """Empty where what is left of them says too little."""
    reader = _Reader(names, slips)
    if not written.steps:
        alone = reader.step([], written, number=1, before=timedelta())
        return () if alone is None else (alone,)
    for field in msgspec.structs.fields(StepWritten):
        if getattr(written, field.name) != getattr(_NOTHING_SAID, field.name):
            slips.add([field.encode_name], f"each step says its own `{field.encode_name}`; write it into `steps`")
    if len(written.steps) > MOST_STEPS:
        slips.add(["steps"], f"a follow-up has at most {MOST_STEPS} steps, this has {len(written.steps)}")
    steps: list[Step | None] = []
    before = timedelta()
    for index, one in enumerate(written.steps):
        step = reader.step(["steps", index], one, number=index + 1, before=before)
        before = before if step is None else step.after
        steps.append(step)
    whole = tuple(step for step in steps if step is not None)
    return whole if len(whole) == len(steps) else ()


@dataclass(frozen=True, slots=True)
class _Reader:
    names: Names
    slips: Slips

    def step(self, where: Where, said: StepWritten, *, number: int, before: timedelta) -> Step | None:
        wait = self.slips.duration([*where, "wait"], said.wait)
        channels = (said.channel,) if isinstance(said.channel, str) else tuple(dict.fromkeys(said.channel))
        if not channels:
            self.slips.add([*where, "channel"], "name at least one channel, as in `channel: email`")
        variants = tuple(self._variant([*where, "variants", name], name, v) for name, v in said.variants.items())
        if variants and not any(variant.weight > 0 for variant in variants):
            self.slips.add([*where, "variants"], "with no weight nobody gets any of them; give one a `weight` over 0")
        template = self._template([*where, "template"], said.template)
        self._written_with(where, said, channels)
        self._endpoint(where, said, channels)
        if said.to == "staff" and channels != (EMAIL,):
            self.slips.add([*where, "channel"], "the shop's own people are told by email; leave `channel` out")
        condition = self.slips.condition([*where, "if"], said.if_, self.names)
        if wait is None:
            return None
        return Step(
            number=number,
            after=before + wait,
            channels=channels,
            template=template,
            endpoint=said.endpoint,
            coupon=self._coupon([*where, "coupon"], said.coupon),
            condition=condition,
            variants=variants,
            to_staff=said.to == "staff",
        )

    def _variant(self, where: Where, name: str, said: VariantWritten) -> Variant:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,30}", name):
            self.slips.add(where, f"`{name}` can't name a variant; use a-z, 0-9 and -, as in `a`")
        if said.weight < 0:
            self.slips.add([*where, "weight"], "a share can't be below nothing; write 0 to send it to nobody")
        return Variant(
            name=name,
            weight=said.weight,
            template=self._template([*where, "template"], said.template),
            coupon=self._coupon([*where, "coupon"], said.coupon),
        )

    def _template(self, where: Where, said: str | None) -> str | None:
        if said is not None and not names_a_template(said):
            self.slips.add(where, f"`{said}` is no template's name; write it without folder and ending")
        return said

    def _written_with(self, where: Where, said: StepWritten, channels: Sequence[str]) -> None:
        """What goes to a person needs a template, its own or one of each variant."""
        if said.template is not None or not set(channels) - {WEBHOOK}:
            return
        if not said.variants:
            self.slips.add(where, "`template` is missing; write it, as in `template: abandoned-cart`")
        for name, variant in said.variants.items():
            if variant.template is None:
                self.slips.add([*where, "variants", name], "`template` is missing here, or in the step; write it")

    def _endpoint(self, where: Where, said: StepWritten, channels: Sequence[str]) -> None:
        if WEBHOOK in channels and said.endpoint is None:
            self.slips.add(
                [*where, "channel"], "where `webhook` goes is not said; write `endpoint:` with the name of one"
            )
        if said.endpoint is not None and WEBHOOK not in channels:
            self.slips.add(
                [*where, "endpoint"], "only `channel: webhook` goes to an endpoint; write that, or take it out"
            )

    def _coupon(self, where: Where, said: CouponWritten | None) -> Coupon | None:
        if said is None:
            return None
        if not re.fullmatch(r"[A-Z0-9]{1,20}", said.prefix):
            self.slips.add([*where, "prefix"], f"`{said.prefix}` can't begin a code; use A-Z and 0-9, as in COMEBACK")
        valid = self.slips.duration([*where, "valid"], said.valid)
        return None if valid is None else Coupon(prefix=said.prefix, worth=said.worth, valid=valid)
