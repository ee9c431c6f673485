"""What opening a backend finds out, and says."""

from collections.abc import Awaitable, Callable, Iterator

import pytest
import redis
from structlog.testing import capture_logs

from queuekit.backend import Backend, BackendSettings
from queuekit.errors import BackendRefused, BackendUnavailable, ConfigurationError
from queuekit.testing.conformance._make import claim_one, job, put
from queuekit.testing.servers import redis_server
from queuekit_redis import RedisBackend
from queuekit_redis.connection.server import _version

Make = Callable[..., Awaitable[Backend]]
SECRET = "s3cret"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with redis_server(own=True, appendonly="everysec") as server:
        yield server.url


@pytest.fixture
def control(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url) as client:
        yield client


async def test_a_good_server_is_opened_in_silence(make_backend: Make, url: str) -> None:
    with capture_logs() as lines:
        await make_backend(url)
    assert not lines


async def test_a_policy_that_throws_jobs_away_is_warned_of(
    make_backend: Make, url: str, control: redis.Redis
) -> None:
    control.config_set("maxmemory-policy", "allkeys-lru")
    with capture_logs() as lines:
        await make_backend(url)
    control.config_set("maxmemory-policy", "noeviction")
    (warning,) = lines
    assert (warning["log_level"], warning["maxmemory_policy"]) == ("warning", "allkeys-lru")
    assert "noeviction" in warning["event"]


async def test_a_server_without_a_log_is_warned_of(
    make_backend: Make, url: str, control: redis.Redis
) -> None:
    control.config_set("appendonly", "no")
    with capture_logs() as lines:
        await make_backend(url)
    control.config_set("appendonly", "yes")
    (warning,) = lines
    assert "append-only" in warning["event"]


async def test_a_user_who_may_not_read_settings_is_enough(
    make_backend: Make,
    url: str,
    control: redis.Redis,
    namespace: str,
) -> None:
    control.acl_setuser(
        "modest",
        enabled=True,
        passwords=[f"+{SECRET}"],
        keys=[f"{{{namespace}*"],
        channels=[f"{namespace}:*"],
        categories=["+@all", "-@dangerous", "-@admin"],
    )
    with capture_logs() as lines:
        backend = await make_backend(url.replace("//", f"//modest:{SECRET}@"))
        await put(backend, job())
        await claim_one(backend)
        await backend.wait(["default"], 0.01, "a")
    assert not lines


async def test_a_wrong_password_is_refused_and_not_shown(
    url: str, control: redis.Redis, namespace: str
) -> None:
    backend = RedisBackend(url.replace("//", f"//nobody:{SECRET}@"), BackendSettings(namespace))
    with pytest.raises(BackendRefused, match="credentials") as caught:
        await backend.open()
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(backend)
    await backend.close()


async def test_a_server_that_is_down_is_unavailable(namespace: str) -> None:
    backend = RedisBackend(f"redis://:{SECRET}@127.0.0.1:1/0", BackendSettings(namespace))
    with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1:1") as caught:
        await backend.open()
    assert SECRET not in str(caught.value)
    await backend.close()
    await backend.close()


async def test_what_is_no_redis_is_unavailable(namespace: str) -> None:
    backend = RedisBackend("unix:///nowhere/redis.sock", BackendSettings(namespace))
    with pytest.raises(BackendUnavailable, match="nowhere"):
        await backend.open()


@pytest.mark.parametrize(
    ("info", "version"),
    [
        ("redis_version:6.0.16\r\n", (6, 0)),
        ("a:b\r\nredis_version:7.2.4\r\nvalkey_version:9.1.2\r\n", (7, 2)),
        ("nothing of the kind", (6, 2)),
    ],
)
def test_versions_are_read(info: str, version: tuple[int, int]) -> None:
    assert _version(info) == version


async def test_a_stranger_in_a_url_is_named() -> None:
    with pytest.raises(ConfigurationError, match="number") as caught:
        RedisBackend(f"redis://u:{SECRET}@h:1/zero", BackendSettings())
    assert SECRET not in str(caught.value)
