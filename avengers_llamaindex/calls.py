"""One call handed to the chosen backend's same method, and to the next one if that fails.

Four forms of the same loop, for plain and streamed answers, blocking and asynchronous. A stream
counts as answered with its first chunk: before that the next candidate can take over unnoticed,
after that an error is the caller's.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import aclosing, closing, nullcontext
from dataclasses import dataclass
from typing import Any

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse

from avengers_core.errors import AllBackendsFailedError, EmptyResponseError
from avengers_core.routing.decision import RoutingDecision
from avengers_core.routing.policy import OF_A_CALL
from avengers_core.serving.failover import Attempt, Failover
from avengers_llamaindex.backends import Backends
from avengers_llamaindex.events import announce
from avengers_llamaindex.routing_text import Request

logger = logging.getLogger(__name__)

_NOTHING = object()
_SETTINGS = frozenset(OF_A_CALL)
# What is given to these by name are the template's variables.
_OF_TEMPLATES = frozenset(
    prefix + name
    for prefix in ("", "a")
    for name in (
        "predict",
        "stream",
        "structured_predict",
        "stream_structured_predict",
    )
)


@dataclass
class Call:
    """One routed call.

    Attributes:
        method: name of the backend's method.
        request: what the call is about.
        decision: who is to answer.
        backends: where they are found.
        failover: the attempts.
    """

    method: str
    request: Request
    decision: RoutingDecision
    backends: Backends
    failover: Failover

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The answer of the first backend that gives one.

        Raises:
            AllBackendsFailedError: none did.
            Exception: what a backend raised that the next one could not help either, such as a
                bad request.
        """
        for attempt in self.failover:
            with attempt:
                answer = self._start(attempt, args, kwargs)
                return _tag(answer, self._answered_by(attempt))
        raise self._exhausted()

    async def arun(self, *args: Any, **kwargs: Any) -> Any:
        """:meth:`run`, asynchronously."""
        for attempt in self.failover:
            with attempt:
                answer = await self._start(attempt, args, kwargs)
                return _tag(answer, self._answered_by(attempt))
        raise self._exhausted()

    def stream(self, *args: Any, **kwargs: Any) -> Generator[Any, None, None]:
        """The chunks of the first backend that sends one; the first is awaited here."""
        for attempt in self.failover:
            with attempt:
                chunks = iter(self._start(attempt, args, kwargs))
                first = _there(next(chunks, _NOTHING))
                attempt.commit(handed_on=True)
                return _replay(attempt, first, chunks, self._answered_by(attempt))
        raise self._exhausted()

    async def astream(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        """:meth:`stream`, asynchronously."""
        for attempt in self.failover:
            with attempt:
                chunks = aiter(await self._start(attempt, args, kwargs))
                first = _there(await anext(chunks, _NOTHING))
                attempt.commit(handed_on=True)
                return _areplay(attempt, first, chunks, self._answered_by(attempt))
        raise self._exhausted()

    def _start(self, attempt: Attempt, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        # Some LLMs extend the lists and dicts they are given: the next attempt needs them as they
        # were.
        if self.method not in _OF_TEMPLATES and (misplaced := sorted(_SETTINGS & kwargs.keys())):
            raise TypeError(
                f"{', '.join(misplaced)}: settings of AvengersLLM, not of a call; for one call: "
                f"llm.model_copy(update={{...}}).{self.method}(...), and for one model: exclude= "
                f"all others, or ask that LLM itself"
            )
        fresh = {key: _copied(value) for key, value in kwargs.items()}
        method = getattr(self.backends.llm(attempt.model), self.method)
        return method(*map(_copied, args), **fresh)

    def _answered_by(self, attempt: Attempt) -> dict[str, Any]:
        facts = self._facts(attempt.model)
        logger.debug("%s: %s, asked of %s", self.method, self.decision, attempt.model)
        announce(self.method, attempt.model, facts)
        return facts

    def _exhausted(self) -> AllBackendsFailedError:
        announce(self.method, None, self._facts(self.decision.model))
        return self.failover.exhausted()

    def _facts(self, model: str) -> dict[str, Any]:
        return {**self.failover.report(model), "question_from": self.request.question.source}


def _there(first: Any) -> Any:
    if first is _NOTHING:
        raise EmptyResponseError
    return first


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, list | dict) else value


def _tag(answer: Any, facts: dict[str, Any]) -> Any:
    """The answer with the decision in it; texts and objects of the user's classes stay as they are.

    A copy: the backend's callbacks have seen the original, and it may be one that a cache keeps.
    """
    if not isinstance(answer, ChatResponse | CompletionResponse):
        return answer
    tagged = {**answer.additional_kwargs, "avengers": facts}
    return answer.model_copy(update={"additional_kwargs": tagged})


def _replay(
    attempt: Attempt, first: Any, rest: Iterator[Any], facts: dict[str, Any]
) -> Generator[Any, None, None]:
    # Whoever stops reading early must not leave the backend's connection open; and a stream that
    # breaks is remembered against its backend.
    with closing(rest) if isinstance(rest, Generator) else nullcontext(), attempt:
        yield _tag(first, facts)
        for chunk in rest:
            yield _tag(chunk, facts)


async def _areplay(
    attempt: Attempt, first: Any, rest: AsyncIterator[Any], facts: dict[str, Any]
) -> AsyncGenerator[Any, None]:
    async with aclosing(rest) if isinstance(rest, AsyncGenerator) else nullcontext():
        with attempt:
            yield _tag(first, facts)
            async for chunk in rest:
                yield _tag(chunk, facts)
