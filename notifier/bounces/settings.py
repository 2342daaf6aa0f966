"""Who may report bounces and complaints, and how they are known."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from notifier.bounces.sendgrid import public_key
from services.settings import Group


def _listed(given: Any) -> Any:  # noqa: ANN401  what pydantic hands over
    return tuple(one.strip() for one in given.split(",") if one.strip()) if isinstance(given, str) else given


def _key(given: str) -> str:
    try:
        public_key(given)
    except ValueError as error:
        raise ValueError(f"is not the verification key that SendGrid shows: {error}") from None
    return given


def _login(given: SecretStr) -> SecretStr:
    name, _, password = given.get_secret_value().partition(":")
    if not name or len(password) < 16:  # noqa: PLR2004  as long as an operator key
        raise ValueError("is written name:password, with a password of 16 characters or more")
    return given


class BounceSettings(Group):
    ses_topics: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(_listed),
        Field(description="ARNs of your SNS topics, with commas; a signature of SNS says nothing of whose topic it is"),
    ] = ()
    sendgrid_key: Annotated[str, AfterValidator(_key)] | None = Field(
        default=None, description="the verification key of your signed event webhook"
    )
    postmark_login: Annotated[SecretStr, AfterValidator(_login)] | None = Field(
        default=None, description="`name:password`, as in the URL that Postmark posts to"
    )
    mailgun_key: SecretStr | None = Field(default=None, description="your HTTP webhook signing key")
