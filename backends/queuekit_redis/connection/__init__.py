"""Ways to a server, or to the nodes of a cluster."""

from queuekit_redis.connection.pool import Argument, Connections, Request
from queuekit_redis.connection.server import check_server
from queuekit_redis.connection.url import connections_to

__all__ = ["Argument", "Connections", "Request", "check_server", "connections_to"]
