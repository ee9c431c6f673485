"""Unique keys over both sides: the passive one, whose keys only grow fewer, is asked first (rules 19 and 20)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from queuekit.backend import Change, KeyHolder, Kind, Refusal
from queuekit.backend.model import refused
from queuekit.cutover.movers import Movers
from queuekit.cutover.pair import Pair
from queuekit.cutover.phase import View
from queuekit.job import Job, JobRef, KeyPolicy

_REPLACING: Final = frozenset({KeyPolicy.REPLACE, KeyPolicy.DEBOUNCE})
Placed: TypeAlias = tuple[int, Job[Any]]
"""A job of a batch and its place there."""


def may_be_held_there(job: Job[Any], view: View) -> bool:
    """Whether the passive side may hold the key of a job; in the first epoch it never had one."""
    return job.key is not None and view.epoch > 1 and not view.home


class KeysThere:
    """What becomes of jobs whose keys the passive side may hold."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._movers = Movers(pair)

    async def sorted(
        self,
        placed: Sequence[Placed],
        views: Mapping[str, View],
        odd: dict[int, Change],
        again: list[int],
    ) -> tuple[list[int], list[int]]:
        """The places of those for the passive side, behind a job that runs there, and of those for the active one.

        Args:
            placed: jobs with keys.
            views: of their queues.
            odd: gets the answers to those that are refused.
            again: gets the places of those that are to be looked at again, as a holder was brought over.
        """
        there: list[int] = []
        here: list[int] = []
        by_queue: dict[str, list[Placed]] = {}
        for one in placed:
            by_queue.setdefault(one[1].options.queue, []).append(one)
        for queue, some in by_queue.items():
            view = views[queue]
            names = [job.key for _, job in some if job.key is not None]
            held = await self._pair.sides[view.passive].holders(queue, names)
            if held.epoch != view.epoch:
                again += [n for n, _ in some]
                continue
            brought: set[JobRef] = set()
            for (n, job), holder in zip(some, held.holders, strict=True):
                if holder is None or holder.id == job.id:
                    here.append(n)
                elif holder.kind is Kind.ABSENT or job.options.key_policy not in _REPLACING:
                    odd[n] = refused(job.ref, Refusal.KEY_HELD, holder=holder.id)
                elif _stays(holder):
                    there.append(n)
                else:
                    again.append(n)
                    brought.add(JobRef(queue, holder.id))
            copies = await self._pair.sides[view.passive].look([*brought]) if brought else []
            await self._movers.bring(copies, view)
        return there, here


def _stays(holder: KeyHolder) -> bool:
    """It is not moved before its end: what is to run after it waits there."""
    return holder.kind is Kind.RUNNING or holder.followed
