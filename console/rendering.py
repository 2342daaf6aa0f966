"""Values into pages: templates that escape everything, and how times and names are written for people."""

from datetime import datetime
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from services.contracts.reasons import in_words

_HERE: Final = Path(__file__).parent
STATIC: Final = _HERE / "static"

TONES: Final = {
    "sent": "good",
    "pending": "waiting",
    "claimed": "waiting",
    "sending": "waiting",
    "retry": "waiting",
    "dead": "bad",
    "unknown": "bad",
    "withheld": "quiet",
    "cancelled": "quiet",
    "shadowed": "quiet",
}
"""How a message's status looks; one that is new here looks quiet."""


class Pages:
    """Undefined names are errors: a template that is out of step with its page must not show a hole."""

    def __init__(self, *, mailbox_url: str | None = None) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"moment": moment, "day": day, "clock": clock, "words": words, "tone": tone}
        self._templates.filters["in_words"] = in_words
        self._templates.globals["mailbox_url"] = mailbox_url

    def html(self, page: str, **values: object) -> str:
        return self._templates.get_template(page).render(**values)

    def answer(self, page: str, *, status: int = 200, **values: object) -> HTMLResponse:
        return HTMLResponse(self.html(page, **values), status_code=status)


def moment(at: datetime, now: datetime) -> str:
    """Today's as a clock shows them, others with their day. UTC, as the pages say."""
    return clock(at) if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M}"


def day(at: datetime) -> str:
    return f"{at:%A}, {at.day} {at:%B %Y}"


def clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}"


def words(name: str) -> str:
    """`at_risk` as one says it."""
    return name.replace("_", " ").replace("-", " ")


def tone(status: str) -> str:
    return TONES.get(status, "quiet")
