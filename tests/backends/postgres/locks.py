"""Who waits for whom."""

from queuekit_postgres.connection import Connection


async def is_waiting_for(connection: Connection) -> bool:
    """Whether somebody waits for a lock that this connection holds."""
    blocked = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
    return bool(await connection.fetchval(blocked))
