"""Which addresses are handed to a server, and how they are shown."""

import pytest

from notifier.addresses import deliverable, fingerprint, masked


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("ada@mail.example", "ada@mail.example"),
        (" ada@mail.example ", "ada@mail.example"),
        ("ada+shop@mail.example", "ada+shop@mail.example"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("o'hara@mail.example", "o'hara@mail.example"),
    ],
)
def test_an_address_is_taken_as_smtp_wants_it(said: str, taken: str) -> None:
    assert deliverable(said) == taken


@pytest.mark.parametrize(
    "said",
    [
        "ada@mail.example\r\nRCPT TO:<all@mail.example>",
        "ada@mail.example\n",
        "ada\x00@mail.example",
        "ada@mail.example,bob@mail.example",
        "Ada <ada@mail.example>",
        "ada mail.example",
        "@mail.example",
        "ада@mail.example",
        "a" * 65 + "@mail.example",
        "",
    ],
)
def test_what_could_reach_somebody_else_is_refused(said: str) -> None:
    assert deliverable(said) is None


def test_a_masked_address_keeps_its_first_letter_and_its_domain() -> None:
    assert masked("ada@mail.example") == "a…@mail.example"


def test_a_fingerprint_does_not_hang_on_capitals() -> None:
    assert fingerprint("Ada@Mail.example ") == fingerprint("ada@mail.example")
    assert fingerprint("ada@mail.example") != fingerprint("bob@mail.example")
