"""The kinds of servers that the tests of this folder can start."""

import sys
from typing import Final

from queuekit.testing.servers import RedisKind

KINDS: Final[list[RedisKind]] = ["redis", "valkey"]
if sys.version_info < (3, 13):  # the package that brings Redis 6 has no wheels for newer ones
    KINDS.append("redis6")
