"""From a URL to a link.

redis://user:password@host:port/db      rediss:// with TLS, valkey:// the same as redis://
unix:///path/to/socket?db=0
redis+sentinel://user:password@host:port,host:port/service/db
redis+cluster://user:password@host:port
"""

import logging
import re
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from queuekit.errors import ConfigurationError
from queuekit.registry import redacted
from queuekit_redis.cluster import Cluster, Node
from queuekit_redis.connections import Link, Pool, Request
from queuekit_redis.errors import refused

OLDEST: Final = (6, 2)
log: Final = logging.getLogger("queuekit")


def link_to(url: str, timeout: float) -> Link:
    """The server of a URL; no I/O.

    Args:
        url: as described above.
        timeout: seconds until a call gives up.

    Raises:
        ConfigurationError: the URL is not understood.
    """
    scheme = urlsplit(url).scheme
    try:
        match scheme:
            case "redis+sentinel":
                return _sentinel(url, timeout)
            case "redis+cluster":
                return _cluster(url, timeout)
            case _:
                options = _options(url, timeout)
                pool = ConnectionPool(**options)
                return Pool(pool.make_connection, _place(url), timeout)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"Can't read the URL {redacted(url)}: {error}") from None


def _options(url: str, timeout: float) -> dict[str, Any]:
    """What redis-py makes of a URL of one server, with our settings."""
    options: dict[str, Any] = dict(parse_url(re.sub(r"^valkey:", "redis:", url)))
    path = urlsplit(url).path.strip("/")
    if not url.startswith("unix:") and path and not path.isdecimal():
        raise ValueError(f"the database must be a number, not {path!r}")
    return options | _ours(timeout)


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
        raise ValueError("it must end with /service or /service/db")
    user, _, password = credentials.partition(":")
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    sentinels = [_host_and_port(host, 26379) for host in hosts.split(",")]
    manager = Sentinel(  # type: ignore[no-untyped-call]
        sentinels,
        sentinel_kwargs={
            "username": query.get("sentinel_username"),
            "password": query.get("sentinel_password"),
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "protocol": 2,
        },
    )
    pool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
        service,
        manager,
        username=unquote(user) or None,
        password=unquote(password) or None,
        db=int(database or 0),
        **_ours(timeout),
    )
    return _SentinelPool(pool, manager, _place(url), timeout)


class _SentinelPool(Pool):
    """A pool that keeps alive what knows the way to the master."""

    def __init__(
        self, pool: SentinelConnectionPool, sentinel: Sentinel, place: str, timeout: float
    ) -> None:
        super().__init__(pool.make_connection, place, timeout)
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
    tls = parse_qs(parts.query).get("ssl", ["false"])[0].lower() in {"true", "1", "yes"}
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
        ssl=tls,
        **options,
    )
    connection_class: type[Connection] = SSLConnection if tls else Connection

    def make(node: Node) -> Connection:
        return connection_class(host=node[0], port=node[1], **options, **_ours(timeout))

    return Cluster(topology, make, _place(url), timeout)


def _host_and_port(text: str, usual: int) -> Node:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("a host is missing")
    return parts.hostname, parts.port or usual


def _place(url: str) -> str:
    """The URL without credentials and options."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


async def check_server(link: Link) -> None:
    """See that the server is one that can be used, and warn of settings that lose jobs.

    Raises:
        ConfigurationError: it is too old.
    """
    pong, info, policy, append_only = await link.run(
        [
            Request("", ("PING",)),
            Request("", ("INFO", "server")),
            Request("", ("CONFIG", "GET", "maxmemory-policy")),
            Request("", ("CONFIG", "GET", "appendonly")),
        ]
    )
    if isinstance(pong, Exception):
        raise refused(pong, link.place) from pong
    version = OLDEST if isinstance(info, Exception) else _version(info.decode())
    if version < OLDEST:
        raise ConfigurationError(
            f"Redis at {link.place} is version {'.'.join(map(str, version))}; queuekit needs 6.2 or newer."
        )
    if _setting(policy) not in {None, "noeviction"}:
        log.warning(
            "Redis at %s has maxmemory-policy %s and may throw away jobs: set it to noeviction.",
            link.place,
            _setting(policy),
        )
    if _setting(append_only) == "no":
        log.warning(
            "Redis at %s keeps no append-only file: its crash loses all jobs since its last snapshot. "
            "Set appendonly to yes.",
            link.place,
        )


def _version(info: str) -> tuple[int, ...]:
    # Valkey goes on counting for itself, and gives the Redis version that it is compatible with here.
    found = re.search(r"^redis_version:(\d+)\.(\d+)", info, re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else OLDEST


def _setting(answer: Any) -> str | None:
    """A value that CONFIG GET has answered; None where it is forbidden."""
    if isinstance(answer, ResponseError) or not answer:
        return None
    return str(answer[1].decode())
