"""What a form of ours can be filled in with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.pages.forms import comment_of, score_of
from notifier.saying import LONGEST_COMMENT
from notifier.surveys import SCALES


@pytest.mark.parametrize("score", ["", "11", "-1", "9.5", "nine", "\u0669", "0009", "9e1", " 9"])
def test_what_is_no_score_is_none(score: str) -> None:
    assert score_of(score, SCALES["nps"]) is None


@pytest.mark.parametrize("kind", SCALES)
def test_every_score_of_a_survey_is_taken(kind: str) -> None:
    assert [score_of(str(score), SCALES[kind]) for score in SCALES[kind].scores] == list(SCALES[kind].scores)


@given(st.text())
def test_a_comment_is_lines_of_printable_text_and_no_longer_than_it_may_be(text: str) -> None:
    comment = comment_of(text)
    assert len(comment) <= LONGEST_COMMENT
    assert all(line.isprintable() for line in comment.split("\n"))


def test_a_comment_keeps_its_lines_and_scripts() -> None:
    assert (
        comment_of(" \u0645\u0631\u062d\u0628\u0627\r\n\n\U0001f33f gut\0 ")
        == "\u0645\u0631\u062d\u0628\u0627\n\n\U0001f33f gut"
    )
