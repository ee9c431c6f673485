"""queuekit on Postgres."""

from queuekit_postgres.backend import PostgresBackend

__all__ = ["PostgresBackend"]
