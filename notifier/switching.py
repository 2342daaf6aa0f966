"""Whether there is what somebody wants to pause: a kill switch with a slip of the pen in it stops nothing."""

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from notifier.followups import CHANNELS
from notifier.followups_file import read_follow_ups
from notifier.switches import Scope
from services.errors import NotFound
from services.revisions.store import Active, Revision
from services.shop import load_shop


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What the revision in force has names for."""

    storefronts: Collection[str]
    follow_ups: Collection[str]

    def of(self, scope: Scope) -> Collection[str]:
        return {
            Scope.STOREFRONT: self.storefronts,
            Scope.FOLLOW_UP: self.follow_ups,
            Scope.CHANNEL: CHANNELS,
            Scope.ALL: (),
        }[scope]


def named_in(directory: Path, _: Revision, __: Active) -> Named:
    follow_ups = read_follow_ups((shop := load_shop(directory)).file("followups.yaml"))
    return Named(storefronts=shop.storefronts, follow_ups=follow_ups)


def known_or_refused(scope: Scope, name: str, named: Named | None) -> None:
    """Raises NotFound for a name that nothing has. Where nobody can say what there is, any will do."""
    if scope is Scope.ALL or named is None:
        return
    known = sorted(named.of(scope))
    if name not in known:
        near = get_close_matches(name, known, n=1)
        fix = f"did you mean {near[0]}?" if near else f"there are {', '.join(known) or 'none'}"
        raise NotFound(f"there is no {scope.replace('_', '-')} `{name}`; {fix}")
