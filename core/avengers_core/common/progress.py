"""A progress bar for long work that people watch, and nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

# Work that is over by then needs no bar.
_DELAY_SECONDS = 1.0


def progress(
    items: Iterable[T], *, desc: str = "", total: int | None = None, unit: str = "it"
) -> Iterator[T]:
    """Iterate, with a bar on standard error if that is a terminal and it takes over a second.

    Args:
        items: what to iterate over.
        desc: what is being done, in front of the bar.
        total: how many items there are; default, ``len(items)`` where it has one.
        unit: what one item is.

    Yields:
        The items, unchanged.
    """
    if not _watched():
        yield from items
        return
    from tqdm import tqdm  # type: ignore[import-untyped,unused-ignore]

    yield from tqdm(
        items, desc=desc or None, total=total, unit=unit, delay=_DELAY_SECONDS, leave=False
    )


def _watched() -> bool:
    # Standard error is None under pythonw, and may be closed.
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:
        return False


@contextmanager
def progress_bar(desc: str, total: int, unit: str) -> Iterator[Any]:
    """A bar to be moved by hand: ``update(n)``, ``set_postfix_str(text)``; see :func:`progress`."""
    from tqdm import tqdm

    with tqdm(
        desc=desc, total=total, unit=unit, delay=_DELAY_SECONDS, leave=False, disable=not _watched()
    ) as bar:
        yield bar
