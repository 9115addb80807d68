"""Stop sequences for backends that have none: the answer is cut here.

OpenAI's Responses API has no ``stop``, and OpenAI's and xAI's models that reason refuse it
(https://platform.openai.com/docs/api-reference/chat/create, https://docs.x.ai/docs/models).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from functools import cache
from typing import Protocol, TypeVar

logger = logging.getLogger(__name__)

C = TypeVar("C")


class Cut:
    """A text that comes in parts, up to the first stop sequence.

    Args:
        sequences: the stop sequences; blank ones are none.

    Attributes:
        over: one of them has come.
    """

    def __init__(self, sequences: Sequence[str]) -> None:
        self._sequences = tuple(s for s in sequences if s)
        self._held = ""
        self.over = False

    def __call__(self, part: str) -> str:
        """What of the text may go out by now: all but what a stop sequence may begin with."""
        if self.over:
            return ""
        text = self._held + part
        found = [at for s in self._sequences if (at := text.find(s)) >= 0]
        if found:
            self.over, self._held = True, ""
            return text[: min(found)]
        kept = max((_begun(text, s) for s in self._sequences), default=0)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def rest(self) -> str:
        """What was held back for a stop sequence that never came."""
        rest, self._held = self._held, ""
        return rest


def _begun(text: str, sequence: str) -> int:
    """How many characters at the end of a text are the beginning of a stop sequence."""
    longest = min(len(text), len(sequence) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(sequence[:n])), 0)


class Cutting(Protocol[C]):
    """One stream of a framework's chunks, which it cuts."""

    @property
    def over(self) -> bool:
        """Whether a stop sequence has come."""

    def of(self, chunk: C) -> Iterator[C]:
        """What goes out where a chunk has come."""

    def rest(self) -> Iterator[C]:
        """What was held back for a stop sequence that never came."""


def cut_stream(chunks: Iterator[C], cutting: Cutting[C]) -> Iterator[C]:
    """The chunks of a stream up to the first stop sequence, where the stream is closed."""
    try:
        for chunk in chunks:
            yield from cutting.of(chunk)
            if cutting.over:
                return
        yield from cutting.rest()
    finally:
        if isinstance(chunks, Generator):
            chunks.close()


async def acut_stream(chunks: AsyncIterator[C], cutting: Cutting[C]) -> AsyncIterator[C]:
    """:func:`cut_stream`, asynchronously."""
    try:
        async for chunk in chunks:
            for cut in cutting.of(chunk):
                yield cut
            if cutting.over:
                return
        for cut in cutting.rest():
            yield cut
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


def sequences_of(stop: object) -> tuple[str, ...]:
    """Stop sequences as a caller says them: one, several, or None."""
    if isinstance(stop, str):
        return (stop,) if stop else ()
    each = stop if isinstance(stop, list | tuple | set | frozenset) else ()
    return tuple(s for s in each if isinstance(s, str) and s)


@cache
def note_cut(kind: str) -> None:
    """Say in the log that answers of a kind of backend are cut here; once for each."""
    logger.warning(
        "stop= is none of the settings of backends of the kind %r: what they answer is cut here",
        kind,
    )
