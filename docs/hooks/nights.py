"""Draws the two nights in which clocks are changed, for `recurring-work.md`, whenever the site is built.

What fires when comes from `queuekit.recurrence`.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from queuekit import cron, every
from queuekit.recurrence import When

ZONE: Final = "Europe/Berlin"
NIGHTS: Final = {
    "In spring clocks leap from 2:00 to 3:00": datetime(2026, 3, 28, 23, tzinfo=UTC),
    "In autumn they show the hour from 2:00 to 3:00 twice": datetime(2026, 10, 24, 22, tzinfo=UTC),
}
"""What a panel is about, and the moment at which it begins: midnight there."""
ROWS: Final[dict[str, When]] = {
    text: cron(text, timezone=ZONE)
    for text in ("30 2 * * *", "0 1-3 * * *", "*/20 2 * * *", "*/30 * * * *", "0 */2 * * *")
} | {"every(3600)": every(3600)}
HOURS: Final = 6
WIDTH: Final = 860
LEFT: Final = 170
HOUR: Final = 108
LINE: Final = 26
PANEL: Final = LINE * (len(ROWS) + 3)
STYLE: Final = """
text { font: 14px system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif; fill: #333a45 }
.about { font-size: 16px; font-weight: 600 }
.clock { font-size: 12px }
.rule { font-family: ui-monospace, Consolas, "Liberation Mono", monospace }
line { stroke: #d8dce3; stroke-width: 1 }
.changed { stroke: #c62828; stroke-dasharray: 4 3 }
circle { fill: #2e7d32 }
rect { fill: #fff; stroke: #d8dce3 }
@media (prefers-color-scheme: dark) {
  text { fill: #dde1e8 }
  line { stroke: #3a404b }
  .changed { stroke: #f28b82 }
  circle { fill: #7cc47f }
  rect { fill: #1e2129; stroke: #3a404b }
}
"""


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Put the picture among the files of the site."""
    files.append(File.generated(config, "nights.svg", content=draw()))
    return files


def fires(when: When, begin: datetime) -> list[datetime]:
    """The ticks of a panel."""
    end = begin + timedelta(hours=HOURS)
    ticks = when.ticks(begin - timedelta(seconds=1))
    return [at for tick, _ in zip(ticks, range(100), strict=False) if (at := tick.at) <= end]


def draw() -> str:
    """The picture as SVG. Each dot tells its rule and its moment in `data-` attributes, too."""
    height = PANEL * len(NIGHTS) + 16
    svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img"})
    svg.set("viewBox", f"0 0 {WIDTH} {height}")
    svg.set("aria-labelledby", "title")
    ET.SubElement(svg, "title", {"id": "title"}).text = "What fires in both nights"
    ET.SubElement(svg, "style").text = STYLE
    frame = {"x": "1", "y": "1", "rx": "8", "width": str(WIDTH - 2), "height": str(height - 2)}
    ET.SubElement(svg, "rect", frame)
    for number, (about, begin) in enumerate(NIGHTS.items()):
        _panel(svg, about, begin, number * PANEL + 16)
    return ET.tostring(svg, encoding="unicode")


def _panel(svg: ET.Element, about: str, begin: datetime, top: int) -> None:
    _text(svg, about, 20, top + 14, "about")
    bottom = top + LINE * (len(ROWS) + 2) - 8
    before: timedelta | None = None
    for hour in range(HOURS + 1):
        clock = (begin + timedelta(hours=hour)).astimezone(ZoneInfo(ZONE))
        changed = before is not None and clock.utcoffset() != before
        before = clock.utcoffset()
        x = str(LEFT + HOUR * hour)
        kind = {"class": "changed"} if changed else {}
        ET.SubElement(
            svg, "line", {"x1": x, "x2": x, "y1": str(top + 48), "y2": str(bottom)} | kind
        )
        _text(svg, f"{clock:%H:%M}", LEFT + HOUR * hour, top + 40, "clock", "middle")
    for row, (text, when) in enumerate(ROWS.items()):
        y = top + LINE * (row + 2) + 10
        _text(svg, text, 20, y + 5, "rule")
        for at in fires(when, begin):
            place = {"cx": f"{LEFT + HOUR * ((at - begin) / timedelta(hours=1)):g}", "cy": str(y)}
            told = {"data-rule": text, "data-at": at.isoformat()}
            ET.SubElement(svg, "circle", place | {"r": "5"} | told)


def _text(svg: ET.Element, text: str, x: int, y: int, kind: str, anchor: str = "start") -> None:
    place = {"x": str(x), "y": str(y), "class": kind, "text-anchor": anchor}
    ET.SubElement(svg, "text", place).text = text
