"""What a server must be, and what it should be set to."""

import re
from typing import Any, Final

from queuekit.errors import ConfigurationError
from queuekit.log import log
from queuekit_redis.connection.pool import Connections, Request
from queuekit_redis.errors import refused

OLDEST: Final = (6, 2)


async def check_server(connections: Connections) -> None:
    """See that the server is one that can be used, and warn of settings that lose jobs.

    Raises:
        ConfigurationError: it is too old.
    """
    pong, info, policy, append_only = await connections.run(
        [
            Request("", ("PING",)),
            Request("", ("INFO", "server")),
            Request("", ("CONFIG", "GET", "maxmemory-policy")),
            Request("", ("CONFIG", "GET", "appendonly")),
        ]
    )
    if isinstance(pong, Exception):
        raise refused(pong, connections.server) from pong
    version = OLDEST if isinstance(info, Exception) else _version(info.decode())
    if version < OLDEST:
        raise ConfigurationError(
            f"Redis at {connections.server} is version {'.'.join(map(str, version))}; queuekit needs 6.2 or newer."
        )
    if _setting(policy) not in {None, "noeviction"}:
        log.warning(
            "this Redis may throw away jobs: set maxmemory-policy to noeviction",
            server=connections.server,
            maxmemory_policy=_setting(policy),
        )
    if _setting(append_only) == "no":
        log.warning(
            "this Redis keeps no append-only file, and its crash loses all jobs since its last snapshot: "
            "set appendonly to yes",
            server=connections.server,
        )


def _version(info: str) -> tuple[int, ...]:
    # Valkey goes on counting for itself, and gives the Redis version that it is compatible with here.
    found = re.search(r"^redis_version:(\d+)\.(\d+)", info, re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else OLDEST


def _setting(answer: Any) -> str | None:
    """A value that CONFIG GET has answered; None where it is forbidden."""
    if isinstance(answer, Exception) or not answer:
        return None
    return str(answer[1].decode())
