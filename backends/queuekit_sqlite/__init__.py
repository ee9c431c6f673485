"""queuekit on Sqlite."""

from queuekit_sqlite.backend import SqliteBackend

__all__ = ["SqliteBackend"]
