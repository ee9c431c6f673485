"""The rules in the shipped code decide as the model does that was explored (tests/model/cutover_model.py)."""

import importlib.util
import itertools
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from queuekit.backend import ABSENT, Copy, Kind, Stamp
from queuekit.backend.model import enqueued
from queuekit.cutover import rules
from queuekit.cutover.rules import Place
from queuekit.cutover.text import record_of, text_of
from queuekit.job import Claimant, Job, JobOptions, State, new_id
from queuekit.record import JobRecord, Lease

MODEL: Final = Path(__file__).parents[1] / "model" / "cutover_model.py"
KINDS: Final = (
    Kind.ABSENT,
    Kind.HELD,
    Kind.LIVE,
    Kind.RUNNING,
    Kind.MOVING,
    Kind.DONE,
    Kind.FAILED,
)
JOB: Final = enqueued(Job(new_id(), "task", "{}", JobOptions()), 1_000_000)
EPOCH: Final = 3


def _model() -> ModuleType:
    """With the fault in which failed jobs are run again, as other copies do not exist without it."""
    spec = importlib.util.spec_from_file_location("cutover_model", MODEL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    given, sys.argv = sys.argv, ["cutover_model", "retry"]
    try:
        spec.loader.exec_module(module)
    finally:
        sys.argv = given
    return module


MODELLED: Final[Any] = _model()
_OF_KIND: Final = dict(zip(KINDS, (0, 1, 2, 3, 4, 5, 6), strict=True))


def job(state: State, generation: int) -> JobRecord:
    life = JOB.life._replace(state=state, generation=generation)
    times = JOB.times._replace(finished_at=2, kept_until=3) if state is State.FAILED else JOB.times
    return replace(JOB, life=life, times=times)


def copies() -> list[Copy]:
    """Each kind in two generations; what moves as a job, and as a failed record."""
    ref = JOB.ref
    made = [Copy(ref, ABSENT)]
    for generation in (0, 1):
        live, failed = job(State.READY, generation), job(State.FAILED, generation)
        moving = Stamp(Kind.MOVING, generation, EPOCH)
        made += [
            Copy(ref, Stamp(Kind.HELD, generation), text=text_of(live)),
            Copy(ref, Stamp(Kind.LIVE, generation), live),
            Copy(ref, Stamp(Kind.RUNNING, generation), live),
            Copy(ref, moving, text=text_of(live)),
            Copy(ref, moving, text=text_of(failed)),
            Copy(ref, Stamp(Kind.DONE, generation)),
            Copy(ref, Stamp(Kind.FAILED, generation), failed),
        ]
    return made


def modelled(copy: Copy) -> int:
    """A copy as the model has it, but for the epoch."""
    kind = _OF_KIND[copy.stamp.kind]
    if copy.stamp.kind is Kind.MOVING and rules.whole(copy).finished:
        kind = MODELLED.MOVING_F
    made: int = MODELLED.copy(kind, copy.stamp.generation)
    return made


def after(found: Copy, new: Copy | None) -> int:
    return modelled(found if new is None else new)


def named(copy: Copy) -> str:
    text = "failed" if copy.text and rules.whole(copy).finished else ""
    return f"{copy.stamp.kind}{copy.stamp.generation}{text}"


each_copy = pytest.mark.parametrize("found", copies(), ids=named)
each_generation = pytest.mark.parametrize("generation", [0, 1])


@each_copy
@each_generation
def test_a_mirror_comes(found: Copy, generation: int) -> None:
    mirror = rules.mirror_of(job(State.READY, generation))
    expected = MODELLED.held(modelled(found), generation)
    assert after(found, rules.held(found, mirror)) == expected


@each_copy
@each_generation
def test_the_other_side_is_told_of_an_end(found: Copy, generation: int) -> None:
    expected = MODELLED.settled(modelled(found), generation)
    assert after(found, rules.settled(found, generation)) == expected


@pytest.mark.parametrize("found", [one for one in copies() if not rules.is_live(one)], ids=named)
@each_generation
def test_a_cancelled_job_leaves_a_tombstone(found: Copy, generation: int) -> None:
    expected = MODELLED.cancelled(modelled(found), generation)
    assert after(found, rules.cancelled(found, generation)) == expected


@each_copy
@each_generation
def test_a_job_is_imported_unless_it_is_known(found: Copy, generation: int) -> None:
    there = modelled(found)
    known = MODELLED.owns(there, generation)
    expected = there if known else MODELLED.copy(MODELLED.READY, generation)
    assert after(found, rules.imported(found, job(State.READY, generation))) == expected


@each_copy
@each_generation
def test_a_failed_record_is_imported_unless_the_job_lives(found: Copy, generation: int) -> None:
    there = modelled(found)
    stays = MODELLED.later(there, generation) or MODELLED.live(there)
    expected = there if stays else MODELLED.copy(MODELLED.FAILED, generation)
    assert after(found, rules.imported(found, job(State.FAILED, generation))) == expected


@each_generation
def test_what_was_brought_over_is_released(generation: int) -> None:
    for state, kind in ((State.READY, Kind.HELD), (State.FAILED, Kind.DONE)):
        live = rules.alive(job(state, generation))
        moving = rules.taken(live, EPOCH)
        assert moving.stamp == Stamp(Kind.MOVING, generation, EPOCH)
        assert rules.released(moving, rules.whole(moving)).stamp == Stamp(kind, generation)
        assert rules.whole(moving) == record_of(text_of(job(state, generation)))


@each_copy
def test_movers_take_what_waits_and_what_has_failed(found: Copy) -> None:
    assert rules.is_movable(found) == (found.stamp.kind in {Kind.LIVE, Kind.FAILED, Kind.MOVING})
    taken = [rules.taken(one, EPOCH + 2) for one in [found] if rules.is_movable(one)]
    assert {one.stamp for one in taken} <= {Stamp(Kind.MOVING, found.stamp.generation, EPOCH + 2)}


@pytest.mark.parametrize(
    "place",
    [Place(True), Place(True, other_shut=True), Place(False), Place(False, shut=True)],
    ids=str,
)
def test_repair_does_what_the_model_does(place: Place) -> None:
    acts: set[str] = set()
    for mine, other in itertools.product(copies(), copies()):
        act = rules.repaired(place, mine, other)
        given = (*place[:1], place.shut, place.other_shut, modelled(mine), modelled(other))
        expected = MODELLED.decide(*given)
        if expected and expected[0] == "backfill" and place.other_shut:
            expected = None  # nothing new comes to a side that is sealed
        found = act and (act.at_other, after(mine, act.after), act.destroys)
        assert found == (expected and expected[1:]), (mine, other)
        acts |= {act.name} if act else set()
    assert acts


def test_a_run_is_written_as_if_it_had_been_given_back() -> None:
    life = JOB.life._replace(state=State.RUNNING, attempt=2, delivery=7, cancel_requested=True)
    lease = Lease(Claimant("worker", 1), 30)
    running = replace(JOB, life=life, lease=lease, times=JOB.times._replace(leased_until=5))
    at_rest = record_of(text_of(running))
    assert (at_rest.state, at_rest.life.attempt, at_rest.life.delivery) == (State.READY, 1, 7)
    assert (at_rest.lease, at_rest.times.leased_until) == (None, None)
    assert not at_rest.life.cancel_requested


@each_copy
def test_a_tombstone_is_forgotten_when_the_job_lives_nowhere(found: Copy) -> None:
    tomb = rules.tombstone(JOB.ref, 0)._replace(text="1000000")
    lives = found.stamp.kind in {Kind.HELD, Kind.LIVE, Kind.RUNNING, Kind.MOVING}
    late = 1_000_000 + rules.REMEMBERED
    assert rules.forgotten(tomb, found, late - 1) is None
    act = rules.forgotten(tomb, found, late)
    assert (act is None) == lives
    assert act is None or (act.at_other, act.after.stamp) == (False, ABSENT)
