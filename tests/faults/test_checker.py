"""The checker: silent about a sound stack, and with each kind of violation planted it says which and where."""

import re
from dataclasses import replace

import pytest
from faults_evidence import Expected, Mail, Published
from faults_reference import Logged
from faults_verdicts import Recorded

PLANTED = {
    "an event that is lost": (
        "DELETE FROM engine.events WHERE event_key = (SELECT min(event_key::text)::uuid FROM engine.events)",
        r"I1: event t-\d+ of \S+ was received and is not stored",
    ),
    "another copy than the first": (
        (
            "UPDATE engine.events SET received_at = received_at + interval '1 s' "
            "WHERE event_key = (SELECT min(event_key::text)::uuid FROM engine.events)"
        ),
        "I1: event .* stored is not the copy that was received first",
    ),
    "an event that nobody sent": (
        (
            "INSERT INTO engine.events SELECT (e).* FROM (SELECT jsonb_populate_record(e, jsonb_build_object("
            "'event_key', gen_random_uuid(), 'event_id', 'made-up')) AS e FROM engine.events AS e LIMIT 1) AS made"
        ),
        "I1: event made-up of .* is stored and was never received",
    ),
    "a dead letter that is lost": (
        "DELETE FROM engine.dead_letters WHERE code = 'from_the_future'",
        r"I1: storefront.events\[0\]@\d+ \(from_the_future\) is neither stored nor a dead letter",
    ),
    "a dead letter without its reason": (
        "UPDATE engine.dead_letters SET reason = '' WHERE code = 'undecodable'",
        "I1: .* which ought to say undecodable and why",
    ),
    "a dead letter of something sound": (
        (
            "INSERT INTO engine.dead_letters SELECT 'storefront.events', 9, 9, storefront, code, reason, source, "
            "received_at, raw FROM engine.dead_letters LIMIT 1"
        ),
        "I1: .* and there was nothing wrong with it",
    ),
    "a second effect of one event": (
        (
            "INSERT INTO engine.transitions SELECT (t).* FROM (SELECT jsonb_populate_record(t, jsonb_build_object("
            "'id', gen_random_uuid())) AS t FROM engine.transitions AS t WHERE NOT retracted LIMIT 1) AS twice"
        ),
        "I2: customer .* made the move .* 2 times",
    ),
    "a move that two customers have": (
        (
            "INSERT INTO engine.transitions SELECT (t).* FROM (SELECT jsonb_populate_record(t, jsonb_build_object("
            "'customer_id', gen_random_uuid())) AS t FROM engine.transitions AS t WHERE NOT retracted LIMIT 1) AS twice"
        ),
        "I2: transition .* stands with 2 customers",
    ),
    "a gap in a sequence": (
        "DELETE FROM engine.outbox WHERE id = (SELECT min(id) FROM engine.outbox WHERE sequence = 2)",
        r"I3: customer .* missing \[2\]",
    ),
    "a sequence that fell": (
        (
            "UPDATE engine.customers SET sequence = sequence - 1 "
            "WHERE id = (SELECT customer_id FROM engine.outbox WHERE sequence = 3 LIMIT 1)"
        ),
        r"I3: customer .* beyond it \[\d+\]",
    ),
    "a change that is not published": (
        "UPDATE engine.outbox SET published = false WHERE id = (SELECT min(id) FROM engine.outbox)",
        "I3: change 1 of customer .* is not published",
    ),
    "a change whose bytes changed": (
        "UPDATE engine.outbox SET value = value || ' '::bytea WHERE id = (SELECT min(id) FROM engine.outbox)",
        "I3: change 1 of customer .* is not on the topic as it is in the database",
    ),
    "a stage that changed": (
        (
            "UPDATE engine.customers SET state = convert_to(replace(convert_from(state, 'UTF8'), '\"interest\"', "
            "'\"advocacy\"'), 'UTF8') WHERE convert_from(state, 'UTF8') LIKE '%\"stage\":\"interest\"%'"
        ),
        "I5: customer .* state: instances is",
    ),
    "a fact that changed": (
        (
            "UPDATE engine.customers SET state = convert_to(replace(convert_from(state, 'UTF8'), '\"events\":2', "
            "'\"events\":3'), 'UTF8') WHERE convert_from(state, 'UTF8') ~ '\"events\":2[,}]'"
        ),
        "I5: customer .* state: events is 3, ought to be 2",
    ),
    "a wake that is forgotten": (
        "UPDATE engine.customers SET next_wake = NULL WHERE next_wake IS NOT NULL",
        "I5: customer .* wakes at None instead of",
    ),
    "a customer on hold": (
        "UPDATE engine.customers SET hold = 'broken', broken = 'stumbled' WHERE sequence > 0",
        "I5: customer .* is not settled: hold broken",
    ),
    "an event that still waits": (
        "UPDATE engine.customers SET waits_at = now() WHERE sequence > 0",
        "I5: customer .* is not settled: .* waits from",
    ),
    "a move that is gone": (
        (
            "UPDATE engine.transitions SET retracted = true "
            "WHERE id = (SELECT min(id::text)::uuid FROM engine.transitions WHERE NOT retracted)"
        ),
        r"I5: customer .*moves that ought not to stand: \[\]; that are missing: \[.+\]",
    ),
    "an instance that stands elsewhere": (
        (
            "UPDATE engine.instances SET stage = 'nowhere' WHERE instance = (SELECT min(instance::text)::uuid "
            "FROM engine.instances)"
        ),
        "I5: customer .* the table of instances is not that of the state",
    ),
    "an order's other amount": (
        "UPDATE engine.orders SET revenue = revenue + 1",
        "I5: customer .* the order book differs",
    ),
    "an identity with a stranger": (
        "UPDATE engine.identities SET customer_id = gen_random_uuid() WHERE kind = 1",
        "I5: identity .* ought to be with",
    ),
    "a customer without a row": (
        "DELETE FROM engine.customers WHERE sequence > 0",
        "I5: customer .* has no row",
    ),
    "a notifier that missed something": (
        "UPDATE notifier.customers SET sequence = sequence - 1",
        "I5: customer .* the notifier has heard change",
    ),
    "a notifier that holds something else": (
        "UPDATE notifier.instances SET stage = NULL WHERE track = 'lifecycle'",
        "I5: instance .* the notifier holds None",
    ),
    "a mail that the notifier knows nothing of": (
        "DELETE FROM notifier.messages WHERE status = 'sent'",
        "I4: mail .* there is no message of that id",
    ),
    "a mail that counts as cancelled": (
        "UPDATE notifier.messages SET status = 'cancelled' WHERE status = 'sent'",
        "I4: .* was delivered, and message .* says cancelled",
    ),
}
"""By what is wrong: a statement that makes it so, and what is then found."""


def test_a_sound_stack_is_sound_and_not_for_lack_of_anything_to_check(sound: Recorded) -> None:
    assert sound.verdict() == []
    seen = sound.evidence
    assert len(seen.tables.events) > 60
    assert {code for code, _ in seen.tables.dead.values()} >= {"undecodable", "untrusted_source", "unstorable"}
    assert len(seen.tables.part_of) > 1
    assert len(seen.tables.orders) > 3
    assert len(seen.mails) > 1
    assert {type_ for _, type_ in (record.headers[3] for record in seen.published)} >= {
        b"stage.changed", b"stage.retracted", b"customer.joined", b"customer.split", b"customer.updated",
    }  # fmt: skip


@pytest.mark.parametrize("what", PLANTED)
async def test_a_planted_violation_is_found(sound: Recorded, what: str) -> None:
    statement, message = PLANTED[what]
    found = await sound.harmed_by(statement)
    assert any(re.match(message, violation) for violation in found), found


def only(found: list[str], message: str) -> None:
    assert len(found) == 1
    assert re.match(message, found[0]), found


def test_an_event_that_was_acknowledged_and_lost_is_found(sound: Recorded) -> None:
    acknowledged = sound.evidence.acknowledged | {("fern-shop", "lost")}
    only(
        sound.verdict(acknowledged=acknowledged), "I1: event lost of fern-shop was acknowledged and is not on the topic"
    )


def test_a_record_that_was_skipped_is_found(sound: Recorded) -> None:
    skipped = Logged(topic="storefront.events", partition=0, offset=99_999, timestamp=0, value=b"{")
    found = sound.verdict(records=[*sound.evidence.records, skipped])
    only(found, r"I1: storefront.events\[0\]@99999 \(undecodable\) is neither stored nor a dead letter")


def last(sound: Recorded) -> Published:
    """The last record of the customer who has the most."""
    return max(sound.evidence.published, key=lambda record: record.sequence)


def test_a_repeat_with_other_bytes_is_found(sound: Recorded) -> None:
    harmed = replace(last(sound), value=last(sound).value + b" ")
    only(sound.verdict(published=[*sound.evidence.published, harmed]), "I3: change .* comes again with other bytes")


def test_a_repeat_with_other_headers_is_found(sound: Recorded) -> None:
    harmed = replace(last(sound), headers=(("ce_specversion", b"1.1"), *last(sound).headers[1:]))
    only(sound.verdict(published=[*sound.evidence.published, harmed]), "I3: change .* comes again with other bytes")


def test_a_true_repeat_is_no_violation(sound: Recorded) -> None:
    assert sound.verdict(published=[*sound.evidence.published, *sound.evidence.published]) == []


def test_a_change_that_never_came_to_the_topic_is_found(sound: Recorded) -> None:
    found = sound.verdict(published=[record for record in sound.evidence.published if record != last(sound)])
    assert any(re.match("I3: change .* never came to the topic", violation) for violation in found)


def test_changes_in_the_wrong_order_are_found(sound: Recorded) -> None:
    found = sound.verdict(published=[last(sound), *sound.evidence.published])
    assert any(re.match(r"I3: customer .*: change \d+ follows 0 on the topic", violation) for violation in found)


def test_a_customer_on_two_partitions_is_found(sound: Recorded) -> None:
    elsewhere = replace(last(sound), partition=1)
    only(sound.verdict(published=[*sound.evidence.published, elsewhere]), "I3: customer .* is on partitions 0 and 1")


def test_a_change_that_is_not_in_the_database_is_found(sound: Recorded) -> None:
    made_up = replace(last(sound), sequence=last(sound).sequence + 1)
    found = sound.verdict(published=[*sound.evidence.published, made_up])
    assert any(re.match("I3: change .* is on the topic and not in the database", violation) for violation in found)


def test_a_transition_that_is_announced_twice_is_found(sound: Recorded) -> None:
    record = next(r for r in reversed(sound.evidence.published) if ("ce_type", b"stage.changed") in r.headers)
    twice = replace(record, sequence=1_000_000)
    found = sound.verdict(published=[*sound.evidence.published, twice])
    assert any(re.match("I2: customer .* is announced again", violation) for violation in found)


def test_a_snapshot_that_is_behind_is_found(sound: Recorded) -> None:
    customer, (sequence, value) = next(iter(sound.evidence.standings.items()))
    standings = {**sound.evidence.standings, customer: (sequence - 1, value)}
    only(sound.verdict(standings=standings), "I3: customer .* customer.stages is of change")


def test_a_missing_tombstone_is_found(sound: Recorded) -> None:
    gone = next(customer for customer, (_, value) in sound.evidence.standings.items() if value is None)
    here = next(value for _, value in sound.evidence.standings.values() if value is not None)
    standings = {**sound.evidence.standings, gone: (sound.evidence.standings[gone][0], here)}
    only(sound.verdict(standings=standings), "I3: customer .* no tombstone on customer.stages")


def test_a_second_delivery_of_one_mail_is_found(sound: Recorded) -> None:
    mails = [*sound.evidence.mails, sound.evidence.mails[0]]
    only(sound.verdict(mails=mails), "I4: .* was delivered 2 times")


async def test_a_second_delivery_of_what_is_unknown_is_none(sound: Recorded) -> None:
    twice = replace(sound.evidence, mails=[*sound.evidence.mails, sound.evidence.mails[0]])
    unknown = "UPDATE notifier.messages SET status = 'unknown', unknowns = 1 WHERE status = 'sent'"
    assert await Recorded(sound.engine, twice).harmed_by(unknown) == []


def test_a_mail_that_was_never_delivered_is_found(sound: Recorded) -> None:
    only(sound.verdict(mails=sound.evidence.mails[1:]), "I4: .* was never delivered, and message .* says sent")


async def test_two_mails_for_one_occasion_are_found(sound: Recorded) -> None:
    found = await sound.harmed_by(
        "DROP INDEX notifier.messages_once_per_occasion",
        "UPDATE notifier.messages SET occasion = (SELECT min(occasion::text)::uuid FROM notifier.messages)",
    )
    assert any(re.match(r"I4: \S+ was mailed \d+ times for occasion", violation) for violation in found)


def test_mails_that_a_story_did_not_expect_are_found(sound: Recorded) -> None:
    expected = Expected(address="ann@example.com", subject="Your", least=0, most=0, why="she had bought")
    mail = Mail(message_id="x", to="ann@example.com", subject="Your cart is waiting")
    found = sound.verdict(expected=[expected], mails=[*sound.evidence.mails, mail])
    assert "I4: ann@example.com got 1 mails “Your …” instead of 0: she had bought" in found
    missed = replace(expected, least=1, most=1)
    assert any("got 0 mails" in violation for violation in sound.verdict(expected=[missed]))
