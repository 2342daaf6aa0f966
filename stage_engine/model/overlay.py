"""What a shop writes, laid over the preset that it extends. Pure."""

from typing import Any

Steps = tuple[str, ...]


def lay_under(over: dict[str, Any], base: dict[str, Any]) -> list[tuple[Steps, list[str]]]:
    """Mappings are merged key by key, in the base's order, what is new after it; whatever else is in `over` replaces.

    A fact, a track or a stage that is null is taken away. Returns those that the base does not have, each with the
    names that could be meant.
    """
    return _laid(over, base, ())


def _laid(over: dict[str, Any], base: dict[str, Any], at: Steps) -> list[tuple[Steps, list[str]]]:
    parts = _holds_parts(at)
    own_only = [key for key in over if key not in base]
    known = [name for name in base if name not in over]
    unknown = [((*at, key), known) for key in own_only if parts and over[key] is None]
    for key, value in base.items():
        if parts and key in over and over[key] is None:
            del over[key]
            continue
        if key not in over:
            over[key] = value
        elif at != ("facts",) and isinstance(value, dict) and isinstance(over[key], dict):
            unknown += _laid(over[key], value, (*at, key))
        over[key] = over.pop(key)  # the order counts: of a track's matching rules the last listed wins
    for key in own_only:
        over[key] = over.pop(key)
    return unknown


def _holds_parts(at: Steps) -> bool:
    """Whether what stands here is called by names that a shop may take away. A fact is one sentence: it is replaced."""
    return at in (("facts",), ("tracks",)) or (at[:1] == ("tracks",) and at[2:] == ("stages",))
