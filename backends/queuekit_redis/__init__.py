"""queuekit on Redis."""

from queuekit_redis.backend import RedisBackend

__all__ = ["RedisBackend"]
