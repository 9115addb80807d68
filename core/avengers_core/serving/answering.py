"""One call answered: by the first candidate that can, or by the majority of several answers.

The four forms (plain or streamed, blocking or asynchronous) of the one loop over the candidates of
a decision. A plugin says how a backend is asked and how its answer is marked.
"""

from __future__ import annotations

import asyncio
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Protocol

from avengers_core.errors import AllBackendsFailedError, EmptyResponseError
from avengers_core.routing.decision import RoutingDecision
from avengers_core.serving.failover import Attempt, Failover
from avengers_core.serving.pool import Pool
from avengers_core.serving.settings import Plan
from avengers_core.serving.voting import answer_key, ballots, elect, voted_report

logger = logging.getLogger(__name__)


class Marker(Protocol):
    """Marks the chunks of one stream with the decision."""

    def mark(self, chunk: Any) -> Any:
        """The chunk, marked."""

    def rest(self) -> Iterable[Any]:
        """What goes out after the last chunk."""


class Answering(ABC):
    """One answer to a call.

    Attributes:
        plan: what was asked for.
        decision: who is to answer.
        pool: where they are found.
        facts: of the answer, once it is there: who gave it, and why, as plain JSON types.
    """

    def __init__(self, plan: Plan, decision: RoutingDecision, pool: Pool[Any]) -> None:
        self.plan = plan
        self.decision = decision
        self.pool = pool
        self.failover = Failover(
            decision,
            pool.health,
            max_attempts=plan.max_attempts,
            kind_of=pool.kind,
            window_of=pool.window,
            on_refusal=plan.on_refusal,
        )
        self._wordless: tuple[Any, str] | None = None
        self.facts: dict[str, Any] = {}

    # -- what a plugin says --

    @abstractmethod
    def start(self, attempt: Attempt) -> Any:
        """Ask the backend whose turn it is: an answer, or chunks, or something to be awaited."""

    @abstractmethod
    def tag(self, answer: Any, facts: Mapping[str, Any]) -> Any:
        """The answer with the facts in it; a copy, for caches may hold the original."""

    # What follows is asked of those that stream, or vote.

    def marker(self, facts: dict[str, Any]) -> Marker:
        """What marks the chunks of a stream."""
        raise NotImplementedError

    def says(self, answer: Any) -> str:
        """What an answer says, to be compared with others."""
        raise NotImplementedError

    def merged(self, answers: Sequence[Any], winner: int, facts: dict[str, Any]) -> Any:
        """The winner of several answers, with the facts of the vote, and all their tokens."""
        raise NotImplementedError

    def begins(self, chunk: Any) -> bool:
        """Whether a chunk is the first that the caller has to see: from then on nobody takes over.

        Any chunk is, unless the plugin knows better.
        """
        return True

    def is_answer(self, answer: Any) -> bool:
        """Whether an answer says anything; what says nothing is only taken if nobody says more."""
        return True

    def announce(self, model: str | None, facts: dict[str, Any]) -> None:  # noqa: B027
        """Tell observers who answers, or that nobody could."""

    # -- the loop --

    def run(self) -> Any:
        """The answer of the first backend that gives one.

        Raises:
            AllBackendsFailedError: none did.
            Exception: what a backend raised that no other could help, such as a bad request.
        """
        with self._announced_if_failed():
            for attempt in self.failover:
                with attempt:
                    answer = self._there(self.start(attempt), attempt)
                    return self.tag(answer, self._answered(attempt.model))
            return self._last_resort()

    async def arun(self) -> Any:
        """:meth:`run`, asynchronously."""
        with self._announced_if_failed():
            for attempt in self.failover:
                with attempt:
                    answer = self._there(await self.start(attempt), attempt)
                    return self.tag(answer, self._answered(attempt.model))
            return self._last_resort()

    def stream(self) -> Iterator[Any]:
        """The chunks of the first backend that has a word to say, which is awaited here."""
        with self._announced_if_failed():
            for attempt in self.failover:
                with attempt:
                    chunks = iter(self.start(attempt))
                    held = self._held(chunks)
                    attempt.commit(handed_on=True)
                    return self._sent(attempt, held, chunks)
            raise self.failover.exhausted()

    async def astream(self) -> AsyncIterator[Any]:
        """:meth:`stream`, asynchronously."""
        with self._announced_if_failed():
            for attempt in self.failover:
                with attempt:
                    started = self.start(attempt)
                    chunks = aiter(await started if isawaitable(started) else started)
                    held = await self._aheld(chunks)
                    attempt.commit(handed_on=True)
                    return self._asent(attempt, held, chunks)
            raise self.failover.exhausted()

    def _there(self, answer: Any, attempt: Attempt) -> Any:
        if not self.is_answer(answer):
            self._wordless = self._wordless or (answer, attempt.model)
            raise EmptyResponseError
        return answer

    def _last_resort(self) -> Any:
        if self._wordless is None:
            raise self.failover.exhausted()
        answer, model = self._wordless
        return self.tag(answer, self._answered(model))

    @contextmanager
    def _announced_if_failed(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            self.announce(None, self._report(self.decision.model))
            raise

    def _held(self, chunks: Iterator[Any]) -> list[Any]:
        """The chunks up to the first that has to go out."""
        held = []
        for chunk in chunks:
            held.append(chunk)
            if self.begins(chunk):
                return held
        raise EmptyResponseError

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
        raise EmptyResponseError

    # Whoever stops reading early must not leave the backend's connection open; and a stream that
    # breaks is remembered against its backend.

    def _sent(
        self, attempt: Attempt, held: Sequence[Any], chunks: Iterator[Any]
    ) -> Generator[Any, None, None]:
        try:
            with attempt:
                marker = self.marker(self._answered(attempt.model))
                yield from map(marker.mark, held)
                yield from map(marker.mark, chunks)
                yield from marker.rest()
        finally:
            if isinstance(chunks, Generator):
                chunks.close()

    async def _asent(
        self, attempt: Attempt, held: Sequence[Any], chunks: AsyncIterator[Any]
    ) -> AsyncGenerator[Any, None]:
        try:
            with attempt:
                marker = self.marker(self._answered(attempt.model))
                for chunk in held:
                    yield marker.mark(chunk)
                async for chunk in chunks:
                    yield marker.mark(chunk)
                for chunk in marker.rest():
                    yield chunk
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()

    def _answered(self, model: str) -> dict[str, Any]:
        self.facts = self._report(model)
        source = self.plan.question.source
        logger.debug("%s, asked of %s; question from %s", self.decision, model, source)
        self.announce(model, self.facts)
        return self.facts

    def _report(self, model: str) -> dict[str, Any]:
        report = {**self.failover.report(model), "question_from": self.plan.question.source}
        if model == self.plan.keeps:
            report["kept"] = self.plan.kept_for
        elif self.decision.stayed and model == self.decision.model:
            report["kept"] = "prompt_cache"
        return report


@dataclass
class Vote:
    """Several answers to one call, at once, and the one that most of them agree on.

    It has the methods of :class:`Answering`. Backends that fail do not vote. A stream is one chunk,
    for the winner is not known before the last answer is there.

    Attributes:
        ballots: one for each answer; their method gives whole answers.
        facts: of the vote, once it is over.
    """

    ballots: Sequence[Answering]

    def run(self) -> Any:
        """The majority's answer.

        Raises:
            AllBackendsFailedError: no backend answered at all.
            Exception: a bad request, as for a single answer.
        """
        with ThreadPoolExecutor(len(self.ballots)) as pool:
            # Each thread gets the caller's context: its hint, its collectors, its span.
            cast = [pool.submit(copy_context().run, _cast, ballot) for ballot in self.ballots]
        return self._elected([answer.result() for answer in cast])

    async def arun(self) -> Any:
        """:meth:`run`, asynchronously."""
        casting = [asyncio.ensure_future(_acast(ballot)) for ballot in self.ballots]
        try:
            return self._elected(await asyncio.gather(*casting))
        finally:
            for task in casting:  # if one of them raised, nobody waits for the others
                task.cancel()

    def stream(self) -> Iterator[Any]:
        """:meth:`run` as a stream of one chunk."""
        return iter([self.run()])

    async def astream(self) -> AsyncIterator[Any]:
        """:meth:`stream`, asynchronously."""
        answer = await self.arun()

        async def one() -> AsyncGenerator[Any, None]:
            yield answer

        return one()

    def _elected(self, answers: Sequence[Any]) -> Any:
        cast = [
            (ballot, answer)
            for ballot, answer in zip(self.ballots, answers, strict=True)
            if not isinstance(answer, AllBackendsFailedError)
        ]
        if not cast:
            raise AllBackendsFailedError(
                "\n".join(dict.fromkeys(map(str, answers))),
                tuple(tried for error in answers for tried in error.tried),
            )
        given = [answer for _, answer in cast]
        election = elect([ballot.says(answer) for ballot, answer in cast])
        facts = voted_report([ballot.facts for ballot, _ in cast], election)
        return cast[election.winner][0].merged(given, election.winner, facts)


def answering(
    make: Callable[[RoutingDecision, bool], Answering], plan: Plan, decision: RoutingDecision
) -> Answering | Vote:
    """Who answers a call: one, or by majority.

    Args:
        make: makes an :class:`Answering` for a decision; told whether it is one of several.
        plan: says how many.
        decision: the ranking.
    """
    if plan.votes is None or plan.votes == 1:
        return make(decision, False)
    each = ballots(decision, plan.votes, plan.vote_over)
    return Vote([make(ballot, True) for ballot in each])


def _cast(ballot: Answering) -> Any:
    try:
        return ballot.run()
    except AllBackendsFailedError as error:
        return error


async def _acast(ballot: Answering) -> Any:
    try:
        return await ballot.arun()
    except AllBackendsFailedError as error:
        return error


def text_key(text: str, calls: Sequence[tuple[str, Any]] = ()) -> str:
    """What a message says: the tools that it calls, if it does, else its answer."""
    if calls:
        return json.dumps(calls, sort_keys=True, default=str)
    return answer_key(text)
