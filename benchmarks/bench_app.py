"""The app of the benchmark: one task with one argument, defaults only, result kept."""

import json
import os
import time
from pathlib import Path

from queuekit import Queuekit

qk = Queuekit()
ran: list[float] = []
total = 0


@qk.task
async def noop(n: int) -> int:
    global total  # noqa: PLW0603
    if not ran:
        ran.append(time.perf_counter())
    total += 1
    return n


@qk.on_shutdown
def write() -> None:
    if report := os.environ.get("BENCH_REPORT"):
        seconds = time.perf_counter() - ran[0] if ran else 0.0
        Path(report).write_text(json.dumps({"ran": total, "seconds": seconds}), "utf-8")
