"""The scripts, and the names of the keys that they touch."""

from queuekit_redis.statements.scripts import Call, Scripts, bounded, by_queue, raised

__all__ = ["Call", "Scripts", "bounded", "by_queue", "raised"]
