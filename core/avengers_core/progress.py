"""Progress bars for long work; nothing is shown, nor tqdm imported, unless stderr is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

# Seconds before a bar appears, so that short work does not flash one.
DELAY = 1.0


@contextmanager
def progress_bar(
    total: int | None, desc: str = "", unit: str = "it"
) -> Iterator[Callable[[int], None]]:
    """A bar that is told how much was done, for work that is not one plain loop.

    Args:
        total: the amount of work in units; None, unknown.
        desc: what is being done, shown before the bar.
        unit: name of one unit.

    Yields:
        A function that takes the number of units done since its last call. It may be called from
        several threads.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda done: None
        return
    from tqdm import tqdm  # type: ignore[import-untyped,unused-ignore]

    with tqdm(total=total, desc=desc or None, unit=unit, delay=DELAY, leave=False) as bar:

        def advance(done: int) -> None:
            bar.update(done)

        yield advance


def progress(
    iterable: Iterable[T], *, total: int | None = None, desc: str = "", unit: str = "it"
) -> Iterator[T]:
    """Iterate with a bar on stderr.

    Args:
        iterable: what to go through.
        total: its length; default, what ``len`` says where it has one.
        desc: what is being done, shown before the bar.
        unit: name of one item.
    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    with progress_bar(total, desc, unit) as advance:
        for item in iterable:
            yield item
            advance(1)
