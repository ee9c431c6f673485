"""The way to the server: from the URL to connections that live as long as they can."""

from queuekit_postgres.connection.dialer import STEADY_PLANS, Connection, Dialer
from queuekit_postgres.connection.lanes import Lane, Lanes, Rows
from queuekit_postgres.connection.url import check

__all__ = ["STEADY_PLANS", "Connection", "Dialer", "Lane", "Lanes", "Rows", "check"]
