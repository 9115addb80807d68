"""Timing of things side by side, and the table of the results."""

from __future__ import annotations

import itertools
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from avengers_core.routing.decision.explaining import text_table

# Half a line; as long as questions of public benchmarks are in the middle; a question with options
# or a paragraph to read.
SHORT = "Explain why the sky is blue to a child who knows a little physics."
USUAL = (
    "A train leaves the station at 14:05 and travels at 80 km/h. A second one leaves twenty "
    "minutes later in the same direction at 110 km/h. When, and how far from the station, does "
    "it catch up? Show each step, and say which assumptions you make about the stops between."
)
LONG = " ".join([USUAL] * 3)


_NUMBERS = itertools.count(1_000)
_AS_LETTERS = str.maketrans("0123456789", "etaoinshrd")


def fresh(text: str) -> str:
    """A text about as long that nobody has asked before: a router knows those of lately.

    One word in eight is new, as in questions of public benchmarks once thousands were asked: an
    embedder may know the others.
    """
    word = str(next(_NUMBERS)).translate(_AS_LETTERS)
    first, *others = _eighths(text)
    return first + "".join([f" {word}{place}{rest}" for place, rest in enumerate(others)])


@lru_cache
def _eighths(text: str) -> list[str]:
    """The text without every eighth word, in the pieces that are left."""
    words = text.split(" ")
    pieces = [words[i + 1 : i + 8] for i in range(7, len(words), 8)]
    return [" ".join(words[:7]), *("".join(f" {word}" for word in piece) for piece in pieces)]


class Row(NamedTuple):
    """A figure and its floor, both in seconds; the goal is for their ratio, or says what for."""

    what: str
    seconds: float
    floor: float
    goal: str


def in_turn(*works: Callable[[], object], rounds: int, repeat: int = 1) -> list[float]:
    """Median seconds of one call of each.

    They are timed in turn, many times, so that a machine that is busy for a while slows all.
    """
    taken: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for _ in range(rounds):
        for work, seconds in zip(works, taken, strict=True):
            start = time.perf_counter()
            for _ in range(repeat):
                work()
            seconds.append((time.perf_counter() - start) / repeat)
    return [statistics.median(seconds) for seconds in taken]


def show(rows: Iterable[Row]) -> None:
    """Print the machine, and the rows as a table."""
    lines = [
        [
            r.what,
            f"{1e3 * r.seconds:.3f}",
            f"{1e3 * r.floor:.3f}",
            f"{r.seconds / r.floor:.2f}",
            r.goal,
        ]
        for r in rows
    ]
    machine = f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    print(f"{machine}; Python {platform.python_version()}, numpy {np.__version__}\n")
    print(text_table(["what / its floor", "ms", "floor, ms", "ratio", "goal"], lines))


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(n.split(":")[1].strip() for n in lines if n.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"
