"""`stagepost keys create | list | revoke`: what stands on `storefront.keys`, which every ingest follows."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches

import msgspec
from aiokafka.errors import KafkaError

from ingest.key_follower import keys_in
from services.compacted import Compacted
from services.contracts.keys import SHOWN, KeyKind, WriteKey, encode_key, new_write_key, origin_of, record_key_of
from services.contracts.topics import KEYS
from services.errors import ConfigurationError, Unreachable
from services.kafka import Record, Sender, SendFailed, SendUnknown, check_topics
from services.settings import KafkaSettings

Say = Callable[[str], None]

_DEADLINE = timedelta(seconds=30)
_STOREFRONT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


async def create(
    storefront: str, kind: KeyKind, origins: Sequence[str], kafka: KafkaSettings, now: datetime, *, show: Say, say: Say
) -> None:
    """`show` gets the key itself and nothing else. Raises ConfigurationError, NotMigrated, Unreachable."""
    pages = _pages(kind, origins)
    if not _STOREFRONT.fullmatch(storefront):
        raise ConfigurationError(f"`{storefront}` can't name a storefront; name it as storefronts.yaml does")
    known = await _known(kafka)
    key, stored = new_write_key(storefront, kind, origins=pages, made_at=now)
    while stored.prefix in known:
        key, stored = new_write_key(storefront, kind, origins=pages, made_at=now)
    await _put(stored, kafka)
    show(key)
    say(f"A {kind} key of {storefront}. It is shown this once; {stored.prefix} is what it is known by from now on.")
    others = sorted({other.storefront for other in known.values()})
    if others and storefront not in others:
        near = get_close_matches(storefront, others, n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        say(f"It is the first of {storefront}; there are keys of {', '.join(others)}.{meant}")
    if kind is KeyKind.BROWSER:
        say(f"It is for pages of {', '.join(pages) or 'any origin'}. Whoever opens such a page can read it.")


async def listed(kafka: KafkaSettings) -> list[str]:
    """A line for each key, those in force first. Raises NotMigrated, Unreachable."""
    known = sorted(
        (await _known(kafka)).values(),
        key=lambda key: (key.revoked_at is not None, key.storefront, key.kind, str(key.made_at), key.prefix),
    )
    return [
        "  ".join(
            (
                f"{key.prefix:<{SHOWN}}",
                f"{key.storefront:<{max(len(other.storefront) for other in known)}}",
                f"{key.kind:<7}",
                f"made {_day(key.made_at)}" + (f", revoked {_day(key.revoked_at)}" if key.revoked_at else ""),
                " ".join(key.origins) if key.origins else "",
            )
        ).rstrip()
        for key in known
    ]


async def revoke(given: str, kafka: KafkaSettings, now: datetime, *, say: Say) -> None:
    """`given` is a key's prefix, or the whole key. Raises ConfigurationError, NotMigrated, Unreachable."""
    known = await _known(kafka)
    key = known.get(given.strip()[:SHOWN])
    if key is None:
        near = get_close_matches(given.strip()[:SHOWN], known, n=1)
        meant = f"did you mean {near[0]}?" if near else "`stagepost keys list` names all"
        raise ConfigurationError(
            f"no key is known by {given.strip()[:SHOWN]}; {meant} (One from STAGEPOST_WRITE_KEYS is taken out there.)"
        )
    if key.revoked_at is not None:
        say(f"{key.prefix} is revoked since {_day(key.revoked_at)}.")
        return
    await _put(msgspec.structs.replace(key, revoked_at=now), kafka)
    say(f"{key.prefix} is revoked: a {key.kind} key of {key.storefront}. Every ingest refuses it within seconds.")
    alike = (key.storefront, key.kind)
    if not any((o.storefront, o.kind) == alike for o in known.values() if o is not key and o.revoked_at is None):
        say(f"It was the last {key.kind} key of {key.storefront} here: calls with it are answered 401 from now on.")


def _pages(kind: KeyKind, origins: Sequence[str]) -> tuple[str, ...]:
    if origins and kind is not KeyKind.BROWSER:
        raise ConfigurationError("--origin is for browser keys: a server says no origin")
    pages = {origin: origin_of(origin) for origin in origins}
    wrong = [origin for origin, page in pages.items() if page is None]
    if wrong:
        raise ConfigurationError(
            f"`{wrong[0]}` is no origin: scheme and host alone, as in https://shop.example; each host by itself"
        )
    return tuple(dict.fromkeys(page for page in pages.values() if page))


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d}" if at else "-"


async def _known(kafka: KafkaSettings) -> dict[str, WriteKey]:
    await check_topics(kafka)
    topic = Compacted(kafka, KEYS, client_id="stagepost-keys")
    try:
        await topic.start()
        news = await topic.read_on()
    except (KafkaError, OSError) as error:
        raise Unreachable(f"Kafka at {kafka.bootstrap_servers} can't be read: {error!r}") from None
    finally:
        await topic.stop()
    return {key.prefix: key for key in keys_in(news.records)}


async def _put(key: WriteKey, kafka: KafkaSettings) -> None:
    sender = Sender(kafka, client_id="stagepost-keys")
    try:
        record = Record(topic=KEYS, key=record_key_of(key), value=encode_key(key))
        await sender.send([record], deadline=_DEADLINE)
    except (SendFailed, SendUnknown) as error:
        raise Unreachable(f"Kafka has not taken it: {error}") from None
    finally:
        await sender.stop()
