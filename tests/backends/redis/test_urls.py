"""From URLs to connections; nothing is connected."""

from typing import Any

import pytest
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection

from queuekit.errors import ConfigurationError
from queuekit_redis.connection import connections_to
from queuekit_redis.connection.cluster import Cluster
from queuekit_redis.connection.pool import Pool


def connection(url: str) -> Any:
    connections = connections_to(url, 5.0)
    assert isinstance(connections, Pool)
    return connections._make()


@pytest.mark.parametrize("scheme", ["redis", "valkey", "rediss"])
def test_one_server(scheme: str) -> None:
    made = connection(f"{scheme}://me:p%40ss@example.org:7000/3")
    assert (made.host, made.port, made.db) == ("example.org", 7000, 3)
    assert (made.username, made.password) == ("me", "p@ss")
    assert isinstance(made, SSLConnection) == (scheme == "rediss")


def test_a_socket() -> None:
    made = connection("unix:///run/redis.sock?db=2")
    assert isinstance(made, UnixDomainSocketConnection)
    assert (made.path, made.db) == ("/run/redis.sock", 2)


def test_nothing_is_retried_behind_our_back() -> None:
    made = connection("redis://localhost?socket_timeout=1&retry_on_timeout=yes&protocol=3")
    assert made.retry._retries == 0
    assert made.protocol == 2
    assert made.socket_timeout is None


async def test_sentinels() -> None:
    connections = connections_to(
        "redis+sentinel://me:pw@one:1,two/mymaster/4?sentinel_password=x", 5.0
    )
    assert isinstance(connections, Pool)
    made: Any = connections._make()
    assert (made.username, made.password, made.db) == ("me", "pw", 4)
    manager = connections._sentinel  # type: ignore[attr-defined]
    hosts = [client.connection_pool.connection_kwargs["host"] for client in manager.sentinels]
    assert hosts == ["one", "two"]
    assert connections.server == "redis+sentinel://one:1,two/mymaster/4"
    await connections.close()


@pytest.mark.parametrize("asked", ["true", "1", "yes", "false", ""])
async def test_sentinels_and_what_they_name_over_tls(asked: str) -> None:
    connections = connections_to(
        f"redis+sentinel://one/mymaster?ssl={asked}&ssl_ca_certs=ca.pem", 5.0
    )
    assert isinstance(connections, Pool)
    sentinel: Any = connections._sentinel  # type: ignore[attr-defined]
    made: Any
    for made in (connections._make(), sentinel.sentinels[0].connection_pool.make_connection()):
        secure = isinstance(made, SSLConnection)
        assert secure == (asked in {"true", "1", "yes"})
        assert not secure or made.ssl_context.ca_certs == "ca.pem"
    await connections.close()


@pytest.mark.parametrize("asked", ["true", "false"])
async def test_a_cluster_over_tls(asked: str) -> None:
    connections: Any = connections_to(f"redis+cluster://one?ssl={asked}&ssl_ca_certs=ca.pem", 5.0)
    made = connections._make(("two", 6379))
    secure = isinstance(made, SSLConnection)
    assert secure == (asked == "true")
    assert not secure or made.ssl_context.ca_certs == "ca.pem"
    settings = connections._topology.connection_kwargs
    assert ("ssl_ca_certs" in settings) == secure
    await connections.close()


async def test_a_cluster() -> None:
    connections = connections_to("redis+cluster://me:pw@one:1,two", 5.0)
    assert isinstance(connections, Cluster)
    assert not connections.one_server
    assert connections.server == "redis+cluster://one:1,two"
    await connections.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis://u:pw@localhost:port/0",
        "redis://u:pw@localhost/zero",
        "redis://u:pw@localhost?db=zero",
        "redis+sentinel://u:pw@localhost:26379",
        "redis+sentinel://u:pw@localhost:26379/service/zero",
        "redis+cluster://u:pw@",
        "redis://u:pw/x@localhost/0",
        "redis://u:pw#1@localhost/0",
        "redis://u:12#pw@localhost/0",
    ],
)
def test_what_is_no_url_is_said_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="percent-encoded") as caught:
        connections_to(url, 5.0)
    assert "pw" not in str(caught.value)
