"""The follow-ups that come along, and how a shop's own words are laid over one of them."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from notifier.followups_slips import Slips
from services.shop import YamlFile, plain

SHIPPED: Final = "shipped"
FILE: Final = Path(str(files("notifier") / "shipped.yaml"))


@cache
def shipped() -> Mapping[str, Mapping[str, Any]]:
    """By name, as they are written."""
    found: Mapping[str, Mapping[str, Any]] = plain(YamlFile(FILE).mapping())
    return found


def lay_under(source: YamlFile, name: str, slips: Slips) -> bool:
    """Puts the shipped one under what stands there, if that asks for it; False if there is none of the name.

    `NAME: shipped` is all of it. With `extends: shipped` each key beside it replaces, and null takes one away.
    """
    said = source.mapping()[name]
    if isinstance(said, dict) and "extends" in said:
        where, asked = ["extends"], said.pop("extends")
    elif isinstance(said, str):
        where, asked = [], said
    else:
        return True
    if asked != SHIPPED:
        slips.add(where, f"only what comes along can be extended; write `{SHIPPED}` here")
        return False
    if name not in shipped():
        slips.add(where, f"no follow-up `{name}` comes along; there are: {', '.join(shipped())}")
        return False
    if not isinstance(said, dict):
        source.mapping()[name] = dict(shipped()[name])
        return True
    for key, value in shipped()[name].items():
        said.setdefault(key, value)
    for key in [key for key, value in said.items() if value is None]:
        del said[key]
    return True
