"""Several answers to one call, and the one that most of them agree on."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from avengers_core.errors import AllBackendsFailedError
from avengers_core.routing.decision import RoutingDecision
from avengers_core.serving.answering import Answering
from avengers_core.serving.plan import Plan
from avengers_core.serving.resilience.failover import FailedAttempt
from avengers_core.serving.voting import ballots, elect, voted_facts
from avengers_core.serving.watching.outcome import Outcome
from avengers_core.serving.watching.watch import Watch


@dataclass
class Vote:
    """Several answers to one call, at once, and the one that most of them agree on.

    It has the methods of :class:`Answering`. Backends that fail do not vote. A stream is one chunk,
    for the winner is not known before the last answer is there.

    Attributes:
        ballots: one for each answer; their method gives whole answers.
        watch: follows the call, where anybody wants to know of it.
    """

    ballots: Sequence[Answering]
    watch: Watch | None = None

    def run(self) -> Any:
        """The majority's answer.

        Raises:
            AllBackendsFailedError: no backend answered at all.
            Exception: a bad request, as for a single answer.
        """
        with self._watched():
            with ThreadPoolExecutor(len(self.ballots)) as pool:
                # Each thread gets the caller's context: its hint, its collectors, its span.
                cast = [pool.submit(copy_context().run, _cast, ballot) for ballot in self.ballots]
            return self._elected([answer.result() for answer in cast])

    async def arun(self) -> Any:
        """:meth:`run`, asynchronously."""
        with self._watched():
            casting = [asyncio.ensure_future(_acast(ballot)) for ballot in self.ballots]
            try:
                return self._elected(await asyncio.gather(*casting))
            finally:
                for task in casting:  # if one of them raised, nobody waits for the others
                    task.cancel()

    def stream(self) -> Iterator[Any]:
        """:meth:`run` as a stream of one chunk."""
        return iter([self.run()])

    async def astream(self) -> AsyncGenerator[Any, None]:
        """:meth:`stream`, asynchronously."""
        answer = await self.arun()

        async def one() -> AsyncGenerator[Any, None]:
            yield answer

        return one()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        watch = self.watch
        if watch is None:
            yield
            return
        try:
            with watch.current():
                yield
        except Exception as error:
            watch.over(Outcome(None, tried=self._tried, error=error))
            raise

    @property
    def _tried(self) -> list[FailedAttempt]:
        return [failed for ballot in self.ballots for failed in ballot.failover.tried]

    def _elected(self, answers: Sequence[Any]) -> Any:
        cast = [
            (ballot, answer)
            for ballot, answer in zip(self.ballots, answers, strict=True)
            if not isinstance(answer, AllBackendsFailedError)
        ]
        if not cast:
            raise AllBackendsFailedError(
                "\n".join(dict.fromkeys(map(str, answers))),
                tuple(self._tried),
            )
        given = [answer for _, answer in cast]
        election = elect([ballot.says(answer) for ballot, answer in cast])
        facts = voted_facts([ballot.facts for ballot, _ in cast], election, self._tried)
        if self.watch is not None:
            facts |= self.watch.facts
            costs = [ballot.cost(ballot.facts["model"]) for ballot, _ in cast]
            known = [cost for cost in costs if cost is not None]
            self.watch.over(
                Outcome(
                    facts["model"],
                    reduce(add, [ballot.tokens for ballot, _ in cast]),
                    sum(known) if len(known) == len(costs) else None,
                    tried=self._tried,
                )
            )
        return cast[election.winner][0].merged(given, election.winner, facts)


class AskedCall(ABC):
    """A call under way: decided, and answered by one, or by majority.

    Attributes:
        plan: how it is to be decided.
    """

    plan: Plan

    @abstractmethod
    def answering(self, decision: RoutingDecision, one_of_several: bool) -> Answering:
        """What answers it by a decision, alone or as a ballot."""

    def run(self) -> Any:
        """The answer; raises what :meth:`Plan.decide` and :meth:`Answering.run` raise."""
        return self._by(self.plan.decide()).run()

    async def arun(self) -> Any:
        """:meth:`run`, asynchronously."""
        return await self._by(await self.plan.adecide()).arun()

    def stream(self) -> Any:
        """An iterator of its chunks; the first is awaited here."""
        return self._by(self.plan.decide()).stream()

    async def astream(self) -> AsyncGenerator[Any, None]:
        """:meth:`stream`, asynchronously."""
        return await self._by(await self.plan.adecide()).astream()

    def _by(self, decision: RoutingDecision) -> Answering | Vote:
        how = self.plan.how
        if not how.is_vote:
            return self.answering(decision, False)
        each = ballots(decision, how.votes or 1, how.vote_over)
        return Vote([self.answering(ballot, True) for ballot in each], self.plan.watch(decision))


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
