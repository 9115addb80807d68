"""One call answered, by the first candidate that can.

The four forms (plain or streamed, blocking or asynchronous) of the one loop over the candidates of
a decision. How a backend is asked and what its answer says is a plugin's affair (``asking.py``).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Generator,
    Iterator,
    Sequence,
)
from contextlib import AbstractContextManager
from inspect import isawaitable
from types import TracebackType
from typing import Any

from typing_extensions import Self

from avengers_core.errors import ContentRefusedError
from avengers_core.routing.decision import RoutingDecision
from avengers_core.serving.asking import Asking
from avengers_core.serving.backends.pool import Pool
from avengers_core.serving.facts import facts_of
from avengers_core.serving.plan import Plan
from avengers_core.serving.resilience.failover import Attempt, Failover
from avengers_core.serving.resilience.withheld import broke_off_in
from avengers_core.serving.watching.outcome import Outcome, Tokens

logger = logging.getLogger(__name__)

_UNKNOWN = Tokens()


class Answering(Asking):
    """One answer to a call.

    Attributes:
        plan: what was asked for.
        decision: who is to answer.
        pool: where they are found.
        facts: of the answer, once it is there: who gave it, and why, as plain JSON types.
        tokens: of the answer, as far as they are known.
        watch: follows the call, where anybody wants to know of it.
    """

    def __init__(
        self,
        plan: Plan,
        decision: RoutingDecision,
        pool: Pool[Any],
        *,
        one_of_several: bool = False,
    ) -> None:
        self.plan = plan
        self.decision = decision
        self.pool = pool
        self.failover = Failover(
            decision,
            pool.health,
            max_attempts=plan.how.max_attempts,
            kind_of=pool.kind,
            window_of=pool.window,
            on_refusal=plan.how.on_refusal,
            secrets=pool.secrets,
        )
        self._wordless: tuple[Any, str] | None = None
        self._span: AbstractContextManager[Any] | None = None
        self.facts: dict[str, Any] = {}
        self.tokens = _UNKNOWN
        quiet = one_of_several or plan.watching is None
        self.watch = None if quiet else plan.watch(decision)

    # -- the loop --

    def run(self) -> Any:
        """The answer of the first backend that gives one.

        Raises:
            AllBackendsFailedError: none did.
            Exception: what a backend raised that no other could help, such as a bad request.
        """
        with self:
            for attempt in self.failover:
                with attempt:
                    return self._done(self._there(self.start(attempt), attempt), attempt.model)
            return self._last_resort()

    async def arun(self) -> Any:
        """:meth:`run`, asynchronously."""
        with self:
            for attempt in self.failover:
                with attempt:
                    answer = self._there(await self.start(attempt), attempt)
                    return self._done(answer, attempt.model)
            return self._last_resort()

    def stream(self) -> Iterator[Any]:
        """The chunks of the first backend that has a word to say, which is awaited here."""
        with self:
            for attempt in self.failover:
                with attempt:
                    chunks = iter(self.start(attempt))
                    held = self._held(chunks)
                    attempt.commit(handed_on=True)
                    return self._sent(attempt, held, chunks)
            raise self.failover.exhausted()

    async def astream(self) -> AsyncGenerator[Any, None]:
        """:meth:`stream`, asynchronously."""
        with self:
            for attempt in self.failover:
                with attempt:
                    started = self.start(attempt)
                    chunks = aiter(await started if isawaitable(started) else started)
                    held = await self._aheld(chunks)
                    attempt.commit(handed_on=True)
                    return self._asent(attempt, held, chunks)
            raise self.failover.exhausted()

    def _there(self, answer: Any, attempt: Attempt) -> Any:
        if self.is_answer(answer) or self.stopped([answer]):
            return answer
        error = self.nothing([answer])
        # What was withheld is none, whatever the others say; of what else there is, a word counts.
        if not isinstance(error, ContentRefusedError) and (
            self._wordless is None or (self.says(answer) and not self.says(self._wordless[0]))
        ):
            self._wordless = answer, attempt.model
        raise error

    def _last_resort(self) -> Any:
        if self._wordless is None:
            raise self.failover.exhausted()
        answer, model = self._wordless
        cut = {"truncated": True} if broke_off_in(self.told(answer)) else {}
        return self._done(answer, model, **cut)

    def _done(self, answer: Any, model: str, **more: Any) -> Any:
        tagged = self.tag(answer, self._answered(model, **more))
        if self.plan.watching is not None:
            self.tokens = self.spent(answer) or self.tokens
            self._over(model)
        return tagged

    def _over(self, model: str | None, error: BaseException | None = None) -> None:
        if self.watch is not None:
            cost = None if model is None else self.cost(model)
            chance = self.failover.chance(model or self.decision.model)
            tried = self.failover.tried
            self.watch.over(Outcome(model, self.tokens, cost, chance, tried, error))

    def cost(self, model: str) -> float | None:
        """Of the answer, USD, or None where unknown."""
        return self.tokens.cost(model, self.plan.router.artifact)

    # While it is open the spans of others are below the call's; observers are told of a failure.

    def __enter__(self) -> Self:
        if self.watch is not None:
            self._span = self.watch.current()
            self._span.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._span is not None:
            self._span.__exit__(kind, error, traceback)
        if isinstance(error, Exception):
            self.announce(None, self._facts_of(self.decision.model))
            self._over(None, error)

    def _held(self, chunks: Iterator[Any]) -> list[Any]:
        """The chunks up to the first that has to go out."""
        held = []
        for chunk in chunks:
            held.append(chunk)
            if self.begins(chunk):
                return held
        if self.stopped(held):
            return held
        raise self.nothing(held)

    async def _aheld(self, chunks: AsyncIterator[Any]) -> list[Any]:
        held = []
        try:
            async for chunk in chunks:
                held.append(chunk)
                if self.begins(chunk):
                    return held
        except BaseException:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
            raise
        if self.stopped(held):
            return held
        raise self.nothing(held)

    # Whoever stops reading early must not leave the backend's connection open; and a stream that
    # breaks is remembered against its backend: one that its reader breaks, by closing it or by
    # throwing an error into it, is not.

    def _sent(
        self, attempt: Attempt, held: Sequence[Any], chunks: Iterator[Any]
    ) -> Generator[Any, None, None]:
        read = _read(attempt, held, chunks)
        try:
            marker = self.marker(self._answered(attempt.model))
            mark = marker.mark if self.plan.watching is None else self._counting(marker.mark)
            yield from map(mark, read)
            yield from marker.rest()
        finally:
            self._over(attempt.model, sys.exc_info()[1])
            read.close()
            if isinstance(chunks, Generator):
                chunks.close()

    async def _asent(
        self, attempt: Attempt, held: Sequence[Any], chunks: AsyncIterator[Any]
    ) -> AsyncGenerator[Any, None]:
        read = _aread(attempt, held, chunks)
        try:
            marker = self.marker(self._answered(attempt.model))
            mark = marker.mark if self.plan.watching is None else self._counting(marker.mark)
            async for chunk in read:
                yield mark(chunk)
            for chunk in marker.rest():
                yield chunk
        finally:
            self._over(attempt.model, sys.exc_info()[1])
            await read.aclose()
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()

    def _counting(self, mark: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def counted(chunk: Any) -> Any:
            if (spent := self.spent(chunk)) is not None:
                self.tokens = self.tokens.joined(spent)
            return mark(chunk)

        return counted

    def _answered(self, model: str, **more: Any) -> dict[str, Any]:
        self.facts = self._facts_of(model)
        self.facts.update(more)
        source = self.plan.question.source
        logger.debug("%s, asked of %s; question from %s", self.decision, model, source)
        self.announce(model, self.facts)
        return self.facts

    def _facts_of(self, model: str) -> dict[str, Any]:
        return facts_of(model, self.plan, self.failover, self.watch)


def _read(
    attempt: Attempt, held: Sequence[Any], chunks: Iterator[Any]
) -> Generator[Any, None, None]:
    with attempt:
        yield from held
        yield from chunks


async def _aread(
    attempt: Attempt, held: Sequence[Any], chunks: AsyncIterator[Any]
) -> AsyncGenerator[Any, None]:
    with attempt:
        for chunk in held:
            yield chunk
        async for chunk in chunks:
            yield chunk
