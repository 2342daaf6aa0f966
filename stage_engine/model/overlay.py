"""What a shop writes, laid over the preset that it extends. Pure."""

from typing import Any


def lay_under(over: dict[str, Any], base: dict[str, Any], *, deep: bool = True) -> None:
    """Mappings are merged key by key, in the base's order; whatever else stands in `over` replaces the base's.

    A fact is one sentence: a shop's own replaces it whole.
    """
    own_only = [key for key in over if key not in base]
    for key, value in base.items():
        if key not in over:
            over[key] = value
        elif deep and isinstance(value, dict) and isinstance(over[key], dict):
            lay_under(over[key], value, deep=key != "facts")
        over[key] = over.pop(key)  # the order counts: of a track's matching rules the last listed wins
    for key in own_only:
        over[key] = over.pop(key)
