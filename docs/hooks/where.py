"""The page that says where each behaviour stands: what it is, and the function or statement that does it, on each side.

`python docs/hooks/where.py` writes docs/where.md; a test compares the page with `page()`, and each name with the files.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
PLACES: Final = {
    "core": "queuekit",
    "redis": "backends/queuekit_redis",
    "postgres": "backends/queuekit_postgres",
    "sqlite": "backends/queuekit_sqlite",
    "cases": "queuekit/testing/conformance",
}


class Row(NamedTuple):
    """A behaviour; each cell names files and what is to be found there: ``file: name name; file: name``."""

    what: str
    core: str
    redis: str
    postgres: str
    sqlite: str
    cases: str


GROUPS: Final[dict[str, list[Row]]] = {
    "A job comes in": [
        Row(
            "Many plain jobs are stored at once",
            "producer.py: Producer",
            "lua/enqueue_plain.lua",
            "sql/enqueue.sql: insert",
            "enqueue.py: together; sql/enqueue.sql: insert_plain",
            "enqueue.py",
        ),
        Row(
            "A job with a key, an option or a known id is stored",
            "store.py: enqueue",
            "lua/shared/enqueue.lua: store",
            "functions/enqueue.sql: store",
            "enqueue.py: _enqueue",
            "enqueue.py; changes.py: EnqueueChangeCases",
        ),
        Row(
            "Another job holds the key: refused, replaced, debounced, or followed",
            "backend/model.py: replaced",
            "lua/shared/enqueue.lua: store replace",
            "functions/keys.sql: contend; functions/enqueue.sql: replace",
            "enqueue.py: _beside _replace",
            "keys.py; replace.py",
        ),
        Row(
            "An id is known, or remembered",
            "producer.py: _repeatedly",
            "lua/shared/retention.lua: remembers",
            "functions/retention.sql: known",
            "enqueue.py: _repeated",
            "enqueue.py; lost_replies.py",
        ),
    ],
    "A job runs": [
        Row(
            "How much to claim, and when",
            "worker/claiming.py: decide",
            "",
            "",
            "",
            "",
        ),
        Row(
            "Ready jobs are claimed",
            "worker/fetcher.py: Fetcher",
            "lua/fetch.lua: claim claim_from",
            "sql/fetch.sql: claim",
            "fetch.py: claim",
            "fetch.py",
        ),
        Row(
            "A suspect is claimed; a solitary one is handed out",
            "worker/fetcher.py: Fetcher",
            "lua/fetch.lua: claim_from; lua/maintain.lua: hand_out_solitary",
            "functions/line.sql: hand_out",
            "sql/fetch.sql: find_ready",
            "suspects.py",
        ),
        Row(
            "A lease is renewed",
            "worker/heartbeat.py: Heartbeat",
            "lua/leases_heartbeat.lua",
            "sql/leases.sql: heartbeat",
            "leases.py: extend",
            "lease.py: HeartbeatCases",
        ),
        Row(
            "Claims whose reply was lost go back",
            "worker/fetcher.py: give_back_unreceived",
            "lua/leases_held.lua",
            "sql/leases.sql: leases",
            "leases.py: held",
            "lease.py: LeasesCases",
        ),
        Row(
            "Progress and log lines are kept",
            "worker/reporter.py: Reporter",
            "lua/leases_report.lua",
            "sql/leases.sql: report",
            "leases.py: report",
            "report.py: ReportCases",
        ),
        Row(
            "A cancel reaches a task: in the loop, in a thread, in a child",
            "worker/heartbeat.py: Heartbeat; worker/run.py: interrupt; worker/executor.py: _in_thread",
            "",
            "",
            "",
            "cancel.py",
        ),
    ],
    "A job leaves running": [
        Row(
            "What becomes of a run is decided",
            "lifecycle.py: settle step",
            "",
            "",
            "",
            "lifecycle.py",
        ),
        Row(
            "Many plain runs succeed at once",
            "worker/outbox.py: Outbox",
            "lua/shared/life.lua: succeed",
            "sql/settle.sql: succeed",
            "settle.py: _succeed",
            "ack.py",
        ),
        Row(
            "The one door out of running",
            "backend/model.py: left settled",
            "lua/shared/life.lua: leave",
            "functions/life.sql: leave",
            "life.py: leave",
            "retry.py; lifecycle.py",
        ),
        Row(
            "An outcome comes again",
            "backend/model.py: repeated",
            "lua/settle.lua: repeated",
            "sql/settle.sql: settled",
            "settle.py: _repeated",
            "lost_replies.py; changes.py: SettleChangeCases",
        ),
        Row(
            "A lapsed lease is rescued",
            "worker/upkeep.py: Upkeep; lifecycle.py: step",
            "lua/maintain.lua: lapse",
            "functions/maintain.sql: rescue",
            "maintain.py: _rescue",
            "lease.py: LapseCases",
        ),
        Row(
            "Leases are given anew after an outage",
            "worker/outage.py: Outage",
            "lua/shared/leases.lua: renew",
            "functions/leases.sql: renew",
            "maintain.py: _renew",
            "outage.py",
        ),
        Row(
            "A job ends: its record is kept, its key is freed, waiters are told",
            "backend/model.py: ended kept",
            "lua/shared/life.lua: finish",
            "functions/life.sql: finish; sql/settle.sql: succeed",
            "life.py: finish",
            "retention.py",
        ),
        Row(
            "A key is freed that is held until its job has started",
            "",
            "lua/fetch.lua: claim_odd",
            "functions/keys.sql: free_started_key",
            "fetch.py: _claimed",
            "keys.py: KeyUntilCases",
        ),
        Row(
            "A key is free whose protection for a time is over",
            "backend/model.py: hold_of",
            "lua/shared/keys.lua: prune",
            "functions/maintain.sql: prune",
            "sql/maintain.sql: forget_keys",
            "keys.py: KeyUntilCases",
        ),
        Row(
            "A key is freed at the end, and who waits for that follows",
            "backend/model.py: followed",
            "lua/shared/keys.lua: free follow",
            "functions/keys.sql: free_key follow; sql/settle.sql: succeed",
            "keys.py: free follow",
            "keys.py; replace.py: SuccessorCases",
        ),
    ],
    "Time moves on": [
        Row(
            "All that time does",
            "worker/upkeep.py: tick",
            "lua/maintain.lua",
            "maintain.py: Maintenance; sql/maintain.sql: maintain prune make_partitions",
            "maintain.py: maintain",
            "changes.py: QueuesOfMaintainCases",
        ),
        Row(
            "A scheduled job comes due",
            "",
            "lua/shared/line.lua: promote_due",
            "functions/line.sql: promote",
            "line.py: promote",
            "due.py",
        ),
        Row(
            "A job expires before it begins",
            "backend/model.py: has_expired",
            "lua/maintain.lua: expire; lua/fetch.lua: claim_odd",
            "functions/maintain.sql: expire",
            "life.py: expire",
            "expire.py",
        ),
        Row(
            "Records are trimmed to a count (by Redis at the ack, else by upkeep)",
            "",
            "lua/shared/retention.lua: put trim",
            "functions/retention.sql: trim_succeeded trim_kind",
            "retention.py: _trim",
            "retention.py",
        ),
        Row(
            "Records past their retention go; their ids are remembered",
            "",
            "lua/shared/retention.lua: prune forget remember",
            "functions/maintain.sql: prune; functions/retention.sql: forget make_partitions",
            "retention.py: prune forget",
            "retention.py",
        ),
    ],
    "Work recurs": [
        Row(
            "When a schedule ticks, also where clocks are changed",
            "recurrence.py: _time_of_day _interval; crontab.py: Crontab",
            "",
            "",
            "",
            "",
        ),
        Row(
            "A schedule is stored, or gets another rule",
            "backend/schedules.py: rescheduled",
            "lua/schedules_store.lua: store",
            "sql/schedules.sql: schedule",
            "schedules.py: _schedule",
            "schedules.py",
        ),
        Row(
            "A tick that is due becomes a job, once",
            "backend/schedules.py: is_current fired",
            "lua/schedules_fire.lua: fire",
            "functions/schedules.sql: fire",
            "schedules.py: _fire",
            "schedules.py",
        ),
    ],
    "Somebody waits": [
        Row(
            "A worker sleeps until there is work",
            "worker/doorbell.py: Doorbell",
            "wait.py; lua/wait_work.lua",
            "wait.py; sql/wait.sql: look",
            "wait.py: for_work",
            "wait.py",
        ),
        Row(
            "A sleeper is rung",
            "",
            "doorbell.py; lua/shared/doorbell.lua: announce ring",
            "doorbell.py; functions/doorbell.sql: ring",
            "doorbell/rings.py: ring_sleepers",
            "wait.py",
        ),
        Row(
            "A waiter is told of an end",
            "handle.py: result",
            "lua/shared/doorbell.lua: tell; doorbell.py; wait.py; lua/wait_results.lua",
            "functions/doorbell.sql: tell; doorbell.py; wait.py; sql/wait.sql: results",
            "doorbell/rings.py: tell_waiters; doorbell/sockets.py: send; wait.py: for_ends",
            "results.py",
        ),
    ],
    "People look and steer": [
        Row(
            "Cancel, retry, promote, delete, drain, clean",
            "inspect.py: steer",
            "lua/inspect_steer.lua: steer",
            "functions/inspect.sql: steer",
            "inspect.py: _steer",
            "steer.py; cancel.py",
        ),
        Row(
            "Jobs are found",
            "inspect.py: list",
            "inspect.py: find",
            "sql/inspect.sql: find",
            "inspect.py: find",
            "inspect.py: FindCases",
        ),
        Row(
            "A queue is paused",
            "inspect.py: pause",
            "lua/inspect_pause.lua",
            "sql/inspect.sql: pause",
            "inspect.py: pause",
            "steer.py: PauseCases",
        ),
        Row(
            "A row becomes a record",
            "record.py: JobRecord",
            "rows.py",
            "rows.py",
            "rows.py: record",
            "inspect.py: GetCases",
        ),
        Row(
            "A record from another store is stored",
            "backend/transfer.py: Transfer",
            "transfer.py; lua/transfer.lua",
            "transfer.py",
            "transfer.py",
            "transfer.py: TransferCases",
        ),
        Row(
            "The gate of a queue in a cutover is read, and turned",
            "backend/sides.py: Gate Side",
            "lua/sides_turn.lua; lua/shared/gates.lua: read",
            "functions/sides.sql: turn",
            "sides.py: _turn; gates.py: find",
            "gates.py: GateCases",
        ),
        Row(
            "A job leaves for the other side, is held, or comes: one step, if it is what was seen",
            "backend/sides.py: Stamp Swap",
            "lua/sides_swap.lua; lua/shared/sides.lua: look",
            "functions/sides.sql: swap looked",
            "sides.py: _swap _look",
            "sides.py: CopyCases",
        ),
        Row(
            "What ends in a cutover leaves a tombstone",
            "backend/sides.py: Side",
            "lua/shared/gates.lua: bury",
            "functions/sides.sql: bury; functions/life.sql: finish",
            "gates.py: bury",
            "tombstones.py: TombstoneCases",
        ),
        Row(
            "A queue that has moved refuses new jobs",
            "errors.py: QueueMoved; store.py: _handle",
            "lua/shared/enqueue.lua: refused_at_gate; lua/shared/gates.lua: refusal",
            "functions/sides.sql: at_gate",
            "enqueue.py: _enqueue; gates.py: refusal",
            "gates.py: GateCases",
        ),
    ],
    "Around it": [
        Row(
            "A URL becomes a connection; a transaction",
            "registry.py: backend_class",
            "connection/",
            "connection/",
            "connection/",
            "",
        ),
        Row(
            "The driver's errors become those of the contract",
            "errors.py",
            "errors.py",
            "errors.py",
            "errors.py: translated",
            "",
        ),
        Row(
            "The schema is made, and checked",
            "backend/schema.py: HasSchema",
            "",
            "schema.py; schema/001_tables.sql",
            "schema.py; schema/001_initial.sql",
            "",
        ),
        Row(
            "Numbers of states in SQL and Lua",
            "codes.py: rendered",
            "statements/",
            "statements.py",
            "statements.py",
            "",
        ),
    ],
}


def names(cell: str) -> Iterator[tuple[str, list[str]]]:
    """The files of a cell, each with what is to be found in it."""
    for part in filter(None, cell.split("; ")):
        file, _, found = part.partition(": ")
        yield file, found.split()


def stands_in(text: str, name: str) -> bool:
    """Whether a file defines a function, method, class, statement or script part of that name."""
    kinds = (
        rf"^ *(async )?def {name}\b",
        rf"^ *class {name}\b",
        rf"^ *(local )?function (\w+\.)?{name}\b",
        rf"\bFUNCTION queuekit\.{name}\b",
        rf"^-- name: {name}$",
        rf"^{name}\b.* = ",
    )
    return any(re.search(kind, text, re.MULTILINE) for kind in kinds)


def page() -> str:
    """The text of docs/where.md."""
    parts = [HEAD]
    for title, rows in GROUPS.items():
        parts += [f"## {title}\n", *_table(rows)]
    return "\n".join(parts)


def _table(rows: list[Row]) -> Iterator[str]:
    yield "| What | " + " | ".join(f"`{place}`" for place in PLACES.values()) + " |"
    yield "|---" * (len(PLACES) + 1) + "|"
    for what, *cells in rows:
        yield f"| {what} | " + " | ".join(map(_cell, cells)) + " |"
    yield ""


def _cell(cell: str) -> str:
    return "<br>".join(
        f"{file}: {', '.join(f'`{name}`' for name in found)}" if found else file
        for file, found in names(cell)
    )


HEAD: Final = """# Where what stands

Each behaviour, and where it is decided: in the core, and by which function, statement or script in each of the three
backends. Each is one atomic step. Files of one name hold the same concern everywhere: `life` what becomes of a job,
with the one door out of running; `line` the order of ready jobs; `keys` unique keys; `notes` errors, history and logs;
`retention` records of what has finished. The last column has the cases that every backend must pass.
"""

if __name__ == "__main__":
    (ROOT / "docs" / "where.md").write_text(page(), "utf-8")
