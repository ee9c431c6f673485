"""What the steps of a cutover make of one copy of a job. Pure; the same decisions as those of ``tests/model``.

Each rule gets what was found and gives what is to be there, or None if it is to stay. Whoever carries it out puts that
in its place by `Side.swap`, which refuses it if something else is there by then.
"""

from typing import Final, NamedTuple

from queuekit.backend import ABSENT, Copy, Kind, Stamp
from queuekit.cutover.text import record_of, text_of
from queuekit.job import JobRef, Micros
from queuekit.record import JobRecord

REMEMBERED: Final[Micros] = 600_000_000
"""How long a tombstone stays at least."""
_LIVE: Final = frozenset({Kind.LIVE, Kind.RUNNING})


def is_later(found: Copy, generation: int) -> bool:
    """Whether it is of a later generation, which no step touches (rule 4)."""
    return found.stamp.kind is not Kind.ABSENT and found.stamp.generation > generation


def is_live(found: Copy) -> bool:
    """Whether its side owns the job."""
    return found.stamp.kind in _LIVE


def is_ended(found: Copy) -> bool:
    """Whether it says that the job has ended; a failed record on the move says so, too (rule 4)."""
    kind = found.stamp.kind
    return kind in {Kind.DONE, Kind.FAILED} or (kind is Kind.MOVING and whole(found).finished)


def whole(copy: Copy) -> JobRecord:
    """The job of a copy that has one."""
    return copy.record or record_of(copy.text)


def mirror_of(record: JobRecord) -> Copy:
    """The held copy of a job."""
    return Copy(record.ref, Stamp(Kind.HELD, record.life.generation), text=text_of(record))


def tombstone(ref: JobRef, generation: int) -> Copy:
    """The job has ended."""
    return Copy(ref, Stamp(Kind.DONE, generation))


def alive(record: JobRecord) -> Copy:
    """The job, or its failed record, as one of the side that gets it."""
    kind = Kind.FAILED if record.finished else Kind.LIVE
    return Copy(record.ref, Stamp(kind, record.life.generation, 0, record.life.delivery), record)


def held(found: Copy, mirror: Copy) -> Copy | None:
    """A mirror comes (rules 4 and 6)."""
    if found.stamp.kind is Kind.ABSENT:
        return mirror
    earlier = found.stamp.generation < mirror.stamp.generation
    return mirror if earlier and not is_live(found) else None


def held_again(found: Copy, mirror: Copy) -> Copy | None:
    """The payload of the job was replaced (rule 20)."""
    same = found.stamp == mirror.stamp
    return mirror if same else held(found, mirror)


def settled(found: Copy, generation: int) -> Copy | None:
    """The job has ended at the other side (rule 12)."""
    kind = found.stamp.kind
    if is_later(found, generation):
        return None
    old = is_ended(found) and found.stamp.generation < generation
    if kind in {Kind.ABSENT, Kind.HELD} or old:
        return tombstone(found.ref, generation)
    return None


def cancelled(found: Copy, generation: int) -> Copy | None:
    """A person has cancelled or deleted the job (rule 13); what is live here the store itself ends."""
    if found.stamp.kind is Kind.ABSENT:
        return tombstone(found.ref, generation)
    if is_later(found, generation) or is_ended(found) or is_live(found):
        return None
    return tombstone(found.ref, generation)


def is_movable(found: Copy) -> bool:
    """Whether a mover takes it (rule 11): what waits, what has failed, and what another mover has left behind."""
    return found.stamp.kind in {Kind.LIVE, Kind.FAILED, Kind.MOVING}


def taken(found: Copy, epoch: int) -> Copy:
    """A mover takes it from the passive side (rule 11)."""
    text = found.text if found.stamp.kind is Kind.MOVING else text_of(whole(found))
    return Copy(found.ref, Stamp(Kind.MOVING, found.stamp.generation, epoch), text=text)


def imported(found: Copy, job: JobRecord) -> Copy | None:
    """A mover brings it to the active side (rule 11): nothing is done if that knows it."""
    generation = job.life.generation
    if is_later(found, generation):
        return None
    same = found.stamp.generation >= generation
    if job.finished:
        known = is_live(found) or (found.stamp.kind is Kind.FAILED and same)
    else:
        known = (is_live(found) or is_ended(found)) and same
    return None if known else alive(job)


def released(moved: Copy, job: JobRecord) -> Copy:
    """What a mover leaves behind (rule 11): a mirror; of a failed record a tombstone."""
    generation = moved.stamp.generation
    if job.finished:
        return tombstone(moved.ref, generation)
    return Copy(moved.ref, Stamp(Kind.HELD, generation), text=moved.text)


class Act(NamedTuple):
    """What repair does.

    Attributes:
        name: for people.
        at_other: at the other side than that of the copy that gave rise to it.
        after: what is to be there.
        destroys: something that the other side proves to be of no more use, once that is durable there (rule 3).
    """

    name: str
    at_other: bool
    after: Copy
    destroys: bool = False


class Place(NamedTuple):
    """Where a copy was seen.

    Attributes:
        active: at the active side.
        shut: that side takes no new ids.
        other_shut: the other one does not.
    """

    active: bool
    shut: bool = False
    other_shut: bool = False


def repaired(place: Place, mine: Copy, other: Copy) -> Act | None:
    """What a copy gives rise to, which was read before that of the other side (rules 16 and 18)."""
    match mine.stamp.kind:
        case Kind.HELD:
            return _repaired_mirror(place, mine, other)
        case Kind.MOVING if place.active:
            return _repaired_leftover(mine, other)
        case Kind.LIVE | Kind.RUNNING if (
            place.active and not place.other_shut and _gone(mine, other)
        ):
            return Act("backfill", True, mirror_of(whole(mine)))
        case _:
            return None


def forgotten(mine: Copy, other: Copy, now: Micros) -> Act | None:
    """A tombstone has been there so long that no late step can come, and the job lives nowhere (rule 5)."""
    over = not is_live(other) and other.stamp.kind not in {Kind.HELD, Kind.MOVING}
    if over and int(mine.text) + REMEMBERED <= now:
        return Act("forget", False, Copy(mine.ref, ABSENT), True)
    return None


def _gone(mine: Copy, other: Copy) -> bool:
    """Whether the other side has nothing of this generation, and nothing that lives."""
    earlier = other.stamp.generation < mine.stamp.generation
    return other.stamp.kind is Kind.ABSENT or (earlier and not is_live(other))


def _repaired_mirror(place: Place, mine: Copy, other: Copy) -> Act | None:
    generation, others = mine.stamp.generation, other.stamp.generation
    if is_ended(other) and others >= generation:
        return Act("make a tombstone", False, tombstone(mine.ref, others), True)
    if place.shut and is_live(other) and others >= generation:
        return Act("drop the mirror", False, Copy(mine.ref, ABSENT), True)
    if _gone(mine, other):
        if place.active and place.other_shut:
            return Act("restore", False, alive(whole(mine)))
        if place.active:
            return Act("hold first", True, mine._replace(stamp=Stamp(Kind.HELD, generation)))
        return Act("restore", True, alive(whole(mine)))
    if other.stamp.kind is Kind.HELD and others <= generation and place.active:
        return Act("restore", False, alive(whole(mine)))
    return None


def _repaired_leftover(mine: Copy, other: Copy) -> Act | None:
    """It was moving when its side became active again."""
    generation, others = mine.stamp.generation, other.stamp.generation
    record = whole(mine)
    if record.finished:
        known = other.stamp.kind not in {Kind.ABSENT, Kind.DONE} and others >= generation
        if known or is_later(other, generation):
            return Act("end the leftover", False, tombstone(mine.ref, generation), True)
        return Act("take it back", False, alive(record))
    if is_ended(other) and others >= generation:
        return Act("end the leftover", False, tombstone(mine.ref, others), True)
    if is_live(other) or (other.stamp.kind is Kind.MOVING and not is_ended(other)):
        return Act("hold the leftover", False, released(mine, record), True)
    return Act("take it back", False, alive(record))
