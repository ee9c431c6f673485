"""What people see while the demo runs: a live picture on a terminal, else a line a second."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple, TypeAlias

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from queuekit.backend import QueueInfo
from queuekit.job import FINISHED, JobInfo, State

STYLES: Final[Mapping[State, str]] = {
    State.SUCCEEDED: "green",
    State.FAILED: "red",
    State.RUNNING: "yellow",
    State.SCHEDULED: "cyan",
}


class Glance(NamedTuple):
    """The queue at one moment.

    Attributes:
        seconds: since the start.
        sent: deliveries so far, of `total`.
        recent: the newest jobs.
    """

    seconds: float
    sent: int
    total: int
    queues: Sequence[QueueInfo]
    recent: Sequence[JobInfo]

    @property
    def counts(self) -> Mapping[State, int]:
        """Jobs by state, over all queues."""
        return {
            state: count
            for state in State
            if (count := sum(queue.counts.get(state, 0) for queue in self.queues))
        }

    @property
    def finished(self) -> int:
        """Jobs that have ended."""
        return sum(count for state, count in self.counts.items() if state in FINISHED)

    @property
    def unfinished(self) -> int:
        """Jobs that have not."""
        return sum(self.counts.values()) - self.finished


View: TypeAlias = Callable[[Glance], None]


@contextmanager
def view(console: Console) -> Iterator[View]:
    """Show glances for as long as the context lasts."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    rate = _Rate()
    with Live(console=console, auto_refresh=False) as live:
        yield lambda glance: live.update(_picture(glance, rate.at(glance)), refresh=True)


class _Lines:
    """A line a second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rate = _Rate()
        self._next = 0.0

    def __call__(self, glance: Glance) -> None:
        rate = self._rate.at(glance)
        if glance.seconds >= self._next:
            self._next = glance.seconds + 1
            counts = ", ".join(f"{count} {state}" for state, count in glance.counts.items())
            self._console.print(
                f"{glance.seconds:4.1f} s  {glance.sent}/{glance.total} received  {counts}  {rate:.0f} jobs/s"
            )


class _Rate:
    """Jobs a second, over the last second."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque([(0.0, 0)])

    def at(self, glance: Glance) -> float:
        self._seen.append((glance.seconds, glance.finished))
        while len(self._seen) > 2 and self._seen[1][0] < glance.seconds - 1:
            self._seen.popleft()
        (then, before), (now, after) = self._seen[0], self._seen[-1]
        return (after - before) / max(now - then, 0.001)


def _picture(glance: Glance, rate: float) -> RenderableType:
    states = [State.SCHEDULED, State.READY, State.RUNNING, State.SUCCEEDED, State.FAILED]
    queues = Table("queue", box=SIMPLE_HEAD, pad_edge=False)
    for state in states:
        queues.add_column(state, justify="right", style=STYLES.get(state), min_width=9)
    for queue in glance.queues:
        queues.add_row(queue.name, *(str(queue.counts.get(state, 0)) for state in states))
    head = Table.grid(padding=(0, 2))
    head.add_row(
        f"{glance.sent} of {glance.total} webhooks received",
        ProgressBar(glance.total, glance.sent, width=30),
        f"{rate:.0f} jobs/s",
        f"{glance.seconds:.1f} s",
    )
    return Group(head, queues, _recent(glance.recent))


def _recent(jobs: Sequence[JobInfo]) -> Table:
    made = Table("last events", "", "", "attempt", "", box=SIMPLE_HEAD, pad_edge=False)
    for job in jobs:
        error = f"{job.errors[-1].type}: {job.errors[-1].message}" if job.errors else ""
        made.add_row(
            Text(job.key or ""),
            Text(", ".join(job.tags)),
            Text(job.state, style=STYLES.get(job.state, "")),
            f"{job.attempt}/{job.max_attempts}",
            Text(error, style="dim"),
        )
    return made
