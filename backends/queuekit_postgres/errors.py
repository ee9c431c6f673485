"""The seam to the driver: its errors become queuekit's, here and nowhere else."""

import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import asyncpg

from queuekit.errors import (
    BackendRefused,
    BackendUnavailable,
    ConfigurationError,
    QueuekitError,
    QueueMoved,
    ReplyLost,
)

T = TypeVar("T")
A = TypeVar("A")

_MOVED: Final = "QK001"  # our own, of functions/enqueue.sql
# SQLSTATE classes and codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
_UNSTORABLE = ("22", "23", "54")  # bad data, a violated constraint, a limit of the program
_BROKEN = ("08", "57")  # the connection, an operator or the statement's timeout ended it
_CONFLICT = ("40", "55P03")  # rolled back for the sake of another transaction
_LOGIN = ("28", "3D")
_OTHER_SESSION = ("26000", "42P05")  # a prepared statement is missing, or there already
_OTHERS_WORDS = re.compile("unsupported startup parameter|prepared statement")
"""What tells of a pooler where the code doesn't: pgbouncer says 08P01 whatever the matter is."""

_REMEDIES = {
    "25006": "the server or the role is read-only; point the URL at the primary",
    "42501": "grant the role what `queuekit schema show` lists",
    "42P01": "the schema is incomplete; run `queuekit schema apply`",
    "42883": "the schema is incomplete; run `queuekit schema apply`",
    "3F000": "the schema is missing; run `queuekit schema apply`",
    "53100": "the server's disk is full; make room",
    "53200": "the server is out of memory",
}


POOLED = (
    "The URL leads through a pooler, which keeps no session for us (pgbouncer, for one): "
    'set pooler="transaction" (QUEUEKIT_POOLER=transaction).'
)


class Unstorable(BackendRefused):
    """The server refuses something in this batch, and would take the rest."""


class Pooled(BackendRefused):
    """There is a pooler that the settings don't tell of."""

    def __init__(self) -> None:
        super().__init__(POOLED)


async def halved(
    send: Callable[[Sequence[T]], Awaitable[dict[int, A]]],
    refuse: Callable[[T, Unstorable], Awaitable[A | None]],
    batch: Sequence[T],
) -> dict[int, A]:
    """Send a batch; what the server refuses is halved until the guilty element stands alone.

    Returns:
        The odd answers, by their places in the batch.
    """
    try:
        return await send(batch)
    except Unstorable as error:
        if len(batch) == 1:
            answer = await refuse(batch[0], error)
            return {} if answer is None else {0: answer}
    middle = len(batch) // 2
    first = await halved(send, refuse, batch[:middle])
    second = await halved(send, refuse, batch[middle:])
    return first | {middle + n: answer for n, answer in second.items()}


def unreachable(error: BaseException) -> QueuekitError:
    """What an error means that came before anything was sent."""
    if isinstance(error, asyncpg.PostgresError) and _code(error).startswith(_LOGIN):
        return ConfigurationError(f"The server does not let us in: {error}. Correct QUEUEKIT_URL.")
    if isinstance(error, asyncpg.PostgresError) and _is_of_a_pooler(error):
        return ConfigurationError(POOLED)
    if isinstance(error, ssl.SSLCertVerificationError):
        return BackendUnavailable(
            f"Postgres can't be reached: {error}. Nothing was stored. "
            "Name who signed the server's certificate: ?sslrootcert=/path/ca.pem in the URL."
        )
    if isinstance(error, ValueError):
        # of the driver's URL parser; its message may show the password
        return ConfigurationError("The URL is malformed. Correct QUEUEKIT_URL.")
    why = str(error) or "it did not answer in time"
    return BackendUnavailable(f"Postgres can't be reached: {why}. Nothing was stored.")


def failed(error: BaseException) -> QueuekitError:
    """What an error means that came after the statement went out."""
    if isinstance(error, asyncpg.PostgresError) and _is_of_a_pooler(error):
        return Pooled()
    if isinstance(error, asyncpg.PostgresError) and not _code(error).startswith(_BROKEN):
        return _refused(error)
    if isinstance(error, asyncpg.DataError | UnicodeError):  # the driver can't encode it
        return Unstorable("An argument can't be stored as UTF-8 text or as a number of that size.")
    why = str(error) or "no answer came in time"
    return ReplyLost(f"Postgres did not answer: {why}. It may have been carried out or not.")


def conflicts(error: BaseException) -> bool:
    """Whether the statement may be sent again as it is: nothing was stored."""
    return isinstance(error, asyncpg.PostgresError) and _code(error).startswith(_CONFLICT)


def breaks(error: BaseException) -> bool:
    """Whether the connection's state is unknown afterwards."""
    if isinstance(error, asyncpg.PostgresError):
        return _code(error).startswith(_BROKEN)
    return not isinstance(error, asyncpg.DataError | UnicodeError)


def _refused(error: asyncpg.PostgresError) -> QueuekitError:
    code = _code(error)
    if code == _MOVED:
        return QueueMoved(str(error), error.detail or "another store")
    if code.startswith(_UNSTORABLE):
        return Unstorable(f"Postgres refuses it: {error}")
    if code.startswith(_CONFLICT):
        return BackendUnavailable(f"Postgres is too busy: {error}. Nothing was stored; try again.")
    remedy = _REMEDIES.get(code, f"SQLSTATE {code}")
    return BackendRefused(f"Postgres refuses: {error} ({remedy})")


def _is_of_a_pooler(error: asyncpg.PostgresError) -> bool:
    code = _code(error)
    return code in _OTHER_SESSION or (code == "08P01" and bool(_OTHERS_WORDS.search(str(error))))


def _code(error: asyncpg.PostgresError) -> str:
    return error.sqlstate or ""
