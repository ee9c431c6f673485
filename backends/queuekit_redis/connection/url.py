"""From a URL to connections.

redis://user:password@host:port/db      rediss:// with TLS, valkey:// the same as redis://
unix:///path/to/socket?db=0
redis+sentinel://user:password@host:port,host:port/service/db
redis+cluster://user:password@host:port

The last two take ?ssl=true for TLS. With it, as with rediss://, certificates are checked; ssl_ca_certs, ssl_certfile,
ssl_keyfile and the other ssl_... options of redis-py say by what.
"""

import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from queuekit.errors import ConfigurationError
from queuekit.registry import redacted
from queuekit_redis.connection.cluster import Cluster, Node
from queuekit_redis.connection.pool import Connections, Pool


def connections_to(url: str, timeout: float) -> Connections:
    """The server of a URL; no I/O.

    Args:
        url: as described above.
        timeout: seconds until a call gives up.

    Raises:
        ConfigurationError: the URL is not understood.
    """
    scheme = url.partition("://")[0]
    try:
        _check_password(url)
        match scheme:
            case "redis+sentinel":
                return _sentinel(url, timeout)
            case "redis+cluster":
                return _cluster(url, timeout)
            case _:
                return _one_server(url, timeout)
    except (ValueError, TypeError):
        # Their texts may quote a part of a password that has a / or # in it.
        raise ConfigurationError(
            f"Can't read the URL {redacted(url)}: {_form(scheme)} is expected, with numbers as port and database, "
            "and with special characters in user and password percent-encoded."
        ) from None


def _form(scheme: str) -> str:
    match scheme:
        case "unix":
            return "unix://user:password@/path/to/socket?db=0"
        case "redis+sentinel":
            return f"{scheme}://user:password@host:port,host:port/service/database"
        case "redis+cluster":
            return f"{scheme}://user:password@host:port,host:port"
        case _:
            return f"{scheme}://user:password@host:port/database"


def _check_password(url: str) -> None:
    """A password with a bare / or # in it would end the host's name, and be shown as such."""
    parts = urlsplit(url)
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        raise ValueError(parts.path)


def _one_server(url: str, timeout: float) -> Pool:
    options: dict[str, Any] = dict(parse_url(re.sub(r"^valkey:", "redis:", url)))
    path = urlsplit(url).path.strip("/")
    if not url.startswith("unix:") and path and not path.isdecimal():
        raise ValueError(path)
    pool = ConnectionPool(**(options | _ours(timeout)))
    return Pool(pool.make_connection, _server(url), timeout)


def _ours(timeout: float) -> dict[str, Any]:
    # A command that the client retries after a lost reply would run twice; deadlines are kept by `Pool`.
    return {
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "socket_timeout": None,
        "socket_connect_timeout": timeout,
        "health_check_interval": 0,
    }


def _sentinel(url: str, timeout: float) -> Pool:
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError(parts.path)
    user, _, password = credentials.partition(":")
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    sentinels = [_host_and_port(host, 26379) for host in hosts.split(",")]
    tls = _tls(parts.query)
    manager = Sentinel(  # type: ignore[no-untyped-call]
        sentinels,
        sentinel_kwargs={
            "username": query.get("sentinel_username"),
            "password": query.get("sentinel_password"),
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "protocol": 2,
            **tls,
        },
    )
    pool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
        service,
        manager,
        username=unquote(user) or None,
        password=unquote(password) or None,
        db=int(database or 0),
        **tls,
        **_ours(timeout),
    )
    return _SentinelPool(pool, manager, _server(url), timeout)


class _SentinelPool(Pool):
    """A pool that keeps alive what knows the way to the master."""

    def __init__(
        self, pool: SentinelConnectionPool, sentinel: Sentinel, server: str, timeout: float
    ) -> None:
        super().__init__(pool.make_connection, server, timeout)
        self._master = pool
        self._sentinel = sentinel

    async def close(self) -> None:
        """Close idle connections, to the sentinels as well."""
        await super().close()
        for client in self._sentinel.sentinels:
            await client.aclose()


def _cluster(url: str, timeout: float) -> Cluster:
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    tls = _tls(parts.query)
    options: dict[str, Any] = {
        "username": unquote(user) or None,
        "password": unquote(password) or None,
    }
    nodes = [ClusterNode(*_host_and_port(host, 6379)) for host in hosts.split(",")]
    topology = RedisCluster(
        startup_nodes=nodes,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        **tls,
        **options,
    )
    secured = {name: value for name, value in tls.items() if name != "ssl"}
    connection_class: type[Connection] = SSLConnection if tls else Connection

    def make(node: Node) -> Connection:
        return connection_class(host=node[0], port=node[1], **options, **secured, **_ours(timeout))

    return Cluster(topology, make, _server(url), timeout)


def _tls(query: str) -> dict[str, Any]:
    """What the options of a URL without an s ask for: nothing, unless it is ssl=true."""
    given = parse_url(f"rediss://?{query}")
    wanted = str(given.get("ssl", "")).lower() in {"true", "1", "yes"}
    options = {name: value for name, value in given.items() if name.startswith("ssl_")}
    return {"ssl": True, **options} if wanted else {}


def _host_and_port(text: str, usual: int) -> Node:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError(text)
    return parts.hostname, parts.port or usual


def _server(url: str) -> str:
    """The URL without credentials and options."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
