"""Every error that Stagepost raises on purpose, and what each becomes outside.

    StagepostError                 a sentence for the person who can mend it
    ├── ConfigurationError         settings or the shop's files; the CLI exits 2
    │   ├── ShopError              with file:line:column and the fix
    │   └── ConditionError         a condition's text; with the column in it and the fix
    ├── Unreachable                Postgres or Kafka did not answer a process that starts, or a command; exits 1
    ├── NotMigrated                the schema or the topics are not this version's: run `stagepost migrate`
    ├── NoShop                     no revision of the shop is in force, or none that this version can read
    ├── StillRunning               a command that must have the database to itself met a service
    ├── Fenced                     another process holds these partitions now; step again from the stored offsets
    ├── OffsetLost                 the topic no longer holds what was not yet read; a person must decide
    └── RequestError               an HTTP caller's; has a status and a code
        ├── BadRequest        400
        ├── Unauthorized      401
        ├── Forbidden         403
        ├── NotFound          404
        ├── Gone              410
        ├── TooLarge          413
        ├── UnsupportedEncoding 415
        ├── TooMany           429
        └── Unavailable       503

Over HTTP every error is `{"code": …, "message": …}`: `rudder-sdk-python` resends errors without a `code` (wire.md).
"""

from http import HTTPStatus


class StagepostError(Exception):
    """Base of the tree above."""


class ConfigurationError(StagepostError):
    """The settings or the shop's files say something that can't be meant."""


class ShopError(ConfigurationError):
    """`file:line:column what is wrong; what to do`, one line a fault."""


class ConditionError(ConfigurationError):
    """What a condition's text says can't be meant. `column` counts from 1, in characters of that text."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


class Unreachable(StagepostError):
    """Nobody answered there, or would not let us in. Starting again later may help."""


class NotMigrated(StagepostError):
    """The database or the broker is not at this version."""


class NoShop(StagepostError):
    """There is no revision to go by: no work is taken until there is one."""


class StillRunning(StagepostError):
    """A service is connected that would write meanwhile; stop it first."""


class Fenced(StagepostError):
    """The stored offset moved under us: somebody else owns the partition."""


class OffsetLost(StagepostError):
    """The log's end is below the stored offset, or its beginning above it: going on would skip events silently."""


class RequestError(StagepostError):
    status = HTTPStatus.BAD_REQUEST
    code = "bad_request"

    def __init__(self, message: str, *, code: str | None = None, retry_after: int | None = None) -> None:
        """`retry_after` is in seconds and becomes the `Retry-After` header."""
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.retry_after = retry_after

    @property
    def body(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message}

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class BadRequest(RequestError):
    pass


class Unauthorized(RequestError):
    status = HTTPStatus.UNAUTHORIZED
    code = "unauthorized"


class Forbidden(RequestError):
    status = HTTPStatus.FORBIDDEN
    code = "forbidden"


class NotFound(RequestError):
    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class Gone(RequestError):
    status = HTTPStatus.GONE
    code = "gone"


class TooLarge(RequestError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "too_large"


class UnsupportedEncoding(RequestError):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_encoding"


class TooMany(RequestError):
    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_requests"


class Unavailable(RequestError):
    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "unavailable"
