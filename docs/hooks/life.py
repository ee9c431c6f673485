"""Draws the life of a job, for `life-of-a-job.md`, whenever the site is built.

Which event leads from which state to which comes from `queuekit.lifecycle`; only where things stand is chosen here.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from textwrap import wrap
from typing import Final, NamedTuple, TypeAlias
from xml.etree import ElementTree as ET

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from queuekit.job import DEATHS_ALLOWED, LAPSES_ALLOWED, State
from queuekit.lifecycle import ALLOWED, Event, step
from queuekit.record import Life

Point: TypeAlias = tuple[int, int]


class Label(NamedTuple):
    """Where a text stands: the foot of its first line, its side towards that point, and the letters of a line."""

    x: int
    y: int
    anchor: str = "start"
    letters: int = 99


class Way(NamedTuple):
    """An arrow's corners, from its tail to its head, and where the names of its events stand."""

    corners: Sequence[Point]
    label: Label


WIDTH: Final = 860
HEIGHT: Final = 656
BOX_WIDTH: Final = 140
BOX_HEIGHT: Final = 72
LINE: Final = 17
ROUNDING: Final = 10

BOXES: Final[dict[State, Point]] = {
    State.SCHEDULED: (160, 100),
    State.WAITING: (160, 250),
    State.BLOCKED: (160, 385),
    State.READY: (440, 250),
    State.RUNNING: (740, 250),
    State.CANCELLED: (160, 560),
    State.FAILED: (440, 560),
    State.SUCCEEDED: (740, 560),
}
"""The middle of each state's box."""

ENTRIES: Final[dict[State, Way]] = {
    State.SCHEDULED: Way([(115, 32), (115, 64)], Label(104, 37, "end")),
    State.WAITING: Way([(160, 182), (160, 214)], Label(171, 187)),
    State.READY: Way([(338, 234), (370, 234)], Label(328, 239, "end")),
}
"""How an enqueued job comes in."""

WAYS: Final[dict[tuple[State, State], Way]] = {
    (State.SCHEDULED, State.READY): Way([(230, 100), (455, 100), (455, 214)], Label(242, 93)),
    (State.READY, State.SCHEDULED): Way([(425, 214), (425, 126), (230, 126)], Label(242, 144)),
    (State.WAITING, State.READY): Way([(230, 264), (370, 264)], Label(242, 282, letters=14)),
    (State.BLOCKED, State.READY): Way([(230, 373), (388, 373), (388, 286)], Label(242, 366)),
    (State.READY, State.BLOCKED): Way([(410, 286), (410, 397), (230, 397)], Label(242, 415)),
    (State.READY, State.RUNNING): Way([(510, 238), (670, 238)], Label(564, 231)),
    (State.RUNNING, State.READY): Way([(670, 262), (510, 262)], Label(564, 281, letters=14)),
    (State.RUNNING, State.SCHEDULED): Way(
        [(740, 214), (740, 32), (195, 32), (195, 64)], Label(564, 25)
    ),
    (State.RUNNING, State.SUCCEEDED): Way([(740, 286), (740, 524)], Label(749, 400, letters=9)),
    (State.RUNNING, State.FAILED): Way(
        [(695, 286), (695, 450), (610, 450), (610, 572), (510, 572)],
        Label(686, 370, "end", letters=13),
    ),
    (State.RUNNING, State.CANCELLED): Way(
        [(810, 250), (838, 250), (838, 632), (160, 632), (160, 596)], Label(500, 625, "middle")
    ),
    (State.SCHEDULED, State.FAILED): Way(
        [(230, 74), (552, 74), (552, 546), (510, 546)], Label(242, 67)
    ),
    (State.READY, State.FAILED): Way([(476, 286), (476, 524)], Label(468, 508, "end")),
    (State.BLOCKED, State.FAILED): Way(
        [(160, 421), (160, 499), (395, 499), (395, 524)], Label(170, 460)
    ),
    (State.SCHEDULED, State.CANCELLED): Way(
        [(90, 100), (24, 100), (24, 560), (90, 560)], Label(33, 76, letters=8)
    ),
    (State.WAITING, State.CANCELLED): Way(
        [(90, 250), (24, 250), (24, 560), (90, 560)], Label(33, 243)
    ),
    (State.BLOCKED, State.CANCELLED): Way(
        [(90, 385), (24, 385), (24, 560), (90, 560)], Label(33, 378)
    ),
    (State.READY, State.CANCELLED): Way(
        [(432, 286), (432, 450), (270, 450), (270, 546), (230, 546)], Label(284, 443)
    ),
    (State.FAILED, State.READY): Way([(498, 524), (498, 286)], Label(506, 420)),
    (State.CANCELLED, State.READY): Way(
        [(230, 572), (292, 572), (292, 474), (454, 474), (454, 286)], Label(241, 590)
    ),
}
"""How a job goes from one state to another one."""

STYLE: Final = """
text { font: 14px system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif; fill: #333a45 }
.name { font-size: 16px; font-weight: 600 }
.inside { font-size: 12px }
path, rect { fill: none; stroke: #5b6575; stroke-width: 1.5; stroke-linejoin: round; stroke-linecap: round }
rect { fill: #f0f2f6 }
circle { fill: #5b6575 }
.paper { fill: #fff; stroke: #d8dce3 }
.succeeded { stroke: #2e7d32 }
.failed { stroke: #c62828 }
.cancelled { stroke: #a06a00 }
@media (prefers-color-scheme: dark) {
  text { fill: #dde1e8 }
  path, rect { stroke: #9aa5b5 }
  rect { fill: #2c313a }
  circle { fill: #9aa5b5 }
  .paper { fill: #1e2129; stroke: #3a404b }
  .succeeded { stroke: #7cc47f }
  .failed { stroke: #f28b82 }
  .cancelled { stroke: #e0b050 }
}
"""


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Put the picture among the files of the site."""
    files.append(File.generated(config, "life.svg", content=draw()))
    return files


def transitions() -> dict[tuple[State, State | None], list[Event]]:
    """What the table allows: from a state to a state (None: gone) by which events."""
    found: dict[tuple[State, State | None], list[Event]] = {}
    for event, states in ALLOWED.items():
        for source in State:
            for target in _targets(source, event) if source in states else ():
                found.setdefault((source, target), []).append(event)
    return found


def draw() -> str:
    """The picture as SVG. Whatever stands for a transition tells it in `data-` attributes, too.

    Raises:
        LookupError: the table has a transition that is not placed yet.
    """
    found = transitions()
    svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img"})
    svg.set("viewBox", f"0 0 {WIDTH} {HEIGHT}")
    svg.set("aria-labelledby", "title description")
    ET.SubElement(svg, "title", {"id": "title"}).text = "The life of a job"
    told = (f"{one} to {other or 'gone'}: {', '.join(by)}" for (one, other), by in found.items())
    ET.SubElement(svg, "desc", {"id": "description"}).text = "; ".join(told)
    ET.SubElement(svg, "style").text = STYLE
    _rect(svg, (WIDTH // 2, HEIGHT // 2), (WIDTH - 2, HEIGHT - 2), "paper")
    for state, way in ENTRIES.items():
        _arrow(_transition(svg, "new", state, ["enqueue"]), "enqueue", way, state)
        x, y = way.corners[0]
        ET.SubElement(svg, "circle", {"cx": str(x), "cy": str(y), "r": "5"})
    for (source, target), events in found.items():
        if target is None or target is source:
            continue  # told inside the box
        if (source, target) not in WAYS:
            raise LookupError(f"add to WAYS how the arrow from {source} to {target} goes")
        group = _transition(svg, source, target, events)
        _arrow(group, ", ".join(events), WAYS[source, target], target)
    for state, middle in BOXES.items():
        _box(svg, state, middle, found)
    return ET.tostring(svg, encoding="unicode")


def _targets(source: State, event: Event) -> Iterable[State | None]:
    """Where an event may lead, whatever the job has counted and whether its end was asked for."""
    counts = ((0, 0), (LAPSES_ALLOWED - 1, DEATHS_ALLOWED - 1))
    lives = (
        Life(source, lapses=lapses, crashes=crashes, cancel_requested=asked)
        for (lapses, crashes), asked in product(counts, (False, True))
    )
    return dict.fromkeys(
        step(life, event, delay=delay).state for life, delay in product(lives, (0, 1))
    )


def _transition(
    parent: ET.Element, source: str, target: str | None, events: Sequence[str]
) -> ET.Element:
    told = {"data-from": source, "data-to": target or "gone", "data-events": ", ".join(events)}
    return ET.SubElement(parent, "g", told)


def _arrow(parent: ET.Element, text: str, way: Way, kind: str) -> None:
    """A line with rounded corners and a head, and its text."""
    corners = way.corners
    path = f"M{_at(corners[0])}"
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        bend, end = _towards(corner, before, ROUNDING), _towards(corner, after, ROUNDING)
        path += f"L{_at(bend)}Q{_at(corner)} {_at(end)}"
    tip = corners[-1]
    x, y = _towards(tip, corners[-2], 7)
    left, right = ((x, y - 4), (x, y + 4)) if y == tip[1] else ((x - 4, y), (x + 4, y))
    path += f"L{_at(tip)}M{_at(left)}L{_at(tip)}L{_at(right)}"
    ET.SubElement(parent, "path", {"class": kind, "d": path})
    _text(parent, wrap(text, way.label.letters), way.label)


def _at(point: Point) -> str:
    x, y = point
    return f"{x} {y}"


def _towards(start: Point, end: Point, length: int) -> Point:
    """The point so far from one point on the straight way to another one."""
    (x, y), (a, b) = start, end
    return x + length * ((a > x) - (a < x)), y + length * ((b > y) - (b < y))


def _box(
    parent: ET.Element,
    state: State,
    middle: Point,
    found: dict[tuple[State, State | None], list[Event]],
) -> None:
    """A state: its name, and which events leave a job in it or end its record."""
    x, y = middle
    box = ET.SubElement(parent, "g", {"data-state": state})
    _rect(box, middle, (BOX_WIDTH, BOX_HEIGHT), state)
    notes = [(mark, to) for mark, to in (("↻", state), ("✕", None)) if (state, to) in found]
    y += 5 - LINE * len(notes) // 2
    _text(box, [state], Label(x, y, "middle"), "name")
    for row, (mark, target) in enumerate(notes, 1):
        events = found[state, target]
        text = f"{mark} {', '.join(events)}"
        note = _transition(box, state, target, events)
        _text(note, [text], Label(x, y + LINE * row, "middle"), "inside")


def _rect(parent: ET.Element, middle: Point, size: Point, kind: str) -> None:
    (x, y), (width, height) = middle, size
    corner = {"x": str(x - width // 2), "y": str(y - height // 2), "rx": "8"}
    extent = {"width": str(width), "height": str(height), "class": kind}
    ET.SubElement(parent, "rect", corner | extent)


def _text(parent: ET.Element, lines: Sequence[str], label: Label, kind: str = "events") -> None:
    text = ET.SubElement(parent, "text", {"text-anchor": label.anchor, "class": kind})
    for row, line in enumerate(lines):
        at = {"x": str(label.x), "y": str(label.y + LINE * row)}
        ET.SubElement(text, "tspan", at).text = line
