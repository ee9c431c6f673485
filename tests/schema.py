"""One Postgres schema for all cases of a process, emptied after each: to make one takes longer than most of them."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from uuid import uuid4

import asyncpg

TABLES = """
SELECT string_agg(format('DELETE FROM %I.%I', $1::text, relname), ';') FROM pg_class
WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p') AND NOT relispartition
  AND relname NOT IN ('migrations', 'functions')
"""


@asynccontextmanager
async def shared_schema(url: str) -> AsyncIterator[str]:
    """Its name; when the block ends all of its tables are empty."""
    schema = _of_process(os.getpid())
    yield schema
    connection = await asyncpg.connect(url)
    try:
        emptying = await connection.fetchval(TABLES, schema)
        await connection.execute(emptying or "SELECT 1")
    finally:
        await connection.close()


@cache
def _of_process(process: int) -> str:
    return f"conformance_{process}_{uuid4().hex[:12]}"
