"""A line over time, drawn as numbers for an SVG. Pure: no template, no clock."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

WIDTH: Final = 300
HEIGHT: Final = 112
LEFT: Final = 6
RIGHT: Final = 50  # for the words at the axis
TOP: Final = 10
BOTTOM: Final = 22

Step = tuple[datetime, int]
"""From then on it was so many."""


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What a template needs to draw one line; lengths in the units of a WIDTH × HEIGHT picture."""

    line: str
    """The d of a path."""
    end: tuple[float, float]
    """Where the line ends: the newest value."""
    levels: tuple[Tick, ...]
    """Values, by their height."""
    dates: tuple[Tick, Tick]
    """The first and the last day, by their place from the left."""


def draw(steps: Sequence[Step], *, since: datetime, until: datetime) -> Chart:
    """The steps (oldest first, at least one) as a line of steps from `since` to `until`."""
    values = [value for _, value in steps]
    low, high, step = _scale(min(values), max(values))
    span = max((until - since).total_seconds(), 1.0)

    def x(moment: datetime) -> float:
        part = min(max((moment - since).total_seconds() / span, 0.0), 1.0)
        return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    first, *later = steps
    pieces = [f"M{x(first[0])} {y(first[1])}"]
    pieces += [f"H{x(moment)}V{y(value)}" for moment, value in later]
    pieces.append(f"H{x(until)}")
    number = round((high - low) / step)
    return Chart(
        line="".join(pieces),
        end=(x(until), y(values[-1])),
        levels=tuple(Tick(y(low + index * step), short(low + index * step)) for index in range(number + 1)),
        dates=(Tick(x(since), _day(since)), Tick(x(until), _day(until))),
    )


def _scale(lowest: int, highest: int) -> tuple[int, int, int]:
    """(low, high, step) of an axis in round whole numbers with two or three steps."""
    reach = max(highest - lowest, 2)
    size = 10 ** math.floor(math.log10(reach / 2))
    sizes = (size, 2 * size, 2.5 * size, 5 * size, 10 * size)
    step = next(int(one) for one in sizes if one % 1 == 0 and 2 * one >= reach)
    low = max(lowest // step * step, 0)
    high = low
    while high < highest or high == low:
        high += step
    return low, high, step


def short(number: int) -> str:
    """12,345,000 as 12.345M: the words at an axis have little room."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= 100 * size:
            return f"{number / size:.6g}{unit}"
    return f"{number:,}"


def _day(moment: datetime) -> str:
    return moment.strftime("%-d %b")
