"""The driver's errors, and what is said of them in the contract's."""

import sqlite3
from typing import Final

from queuekit.errors import BackendRefused, BackendUnavailable, QueuekitError

UNSTORABLE: Final = (OverflowError, UnicodeError, sqlite3.DataError)
"""What SQLite and its driver say of one value that can't be stored."""


def is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else holds a lock."""
    return _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def translated(error: sqlite3.Error, path: str, timeout: float) -> QueuekitError:
    """An error of the driver as one of ours.

    Args:
        error: of a statement.
        path: of the database.
        timeout: for how long a lock was waited for.
    """
    match _code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return BackendUnavailable(
                f"{path} was locked for {timeout:g} s. "
                "End the program that holds a transaction open on it; nothing was stored."
            )
        case sqlite3.SQLITE_FULL:
            return BackendRefused(f"The disk of {path} is full: make room.")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN:
            return BackendRefused(
                f"{path} can't be written ({error}): check the permissions of the file and of its folder."
            )
        case _:
            return BackendRefused(f"SQLite refused ({error}) on {path}.")


def _code(error: sqlite3.Error) -> int:
    """The primary error code."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
