"""One call answered: by the first candidate that can, with the decision in the answer."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.tracers.base import BaseTracer

from avengers_core.errors import EmptyResponseError
from avengers_core.routing.decision import RoutingDecision
from avengers_core.serving.failover import Attempt, Failover
from avengers_langchain.calls import Call, Target, closing
from avengers_langchain.runtime import Runtime
from avengers_langchain.structured import ANSWERED_BY

logger = logging.getLogger(__name__)


@dataclass
class Answering:
    """A call under way.

    The four methods are one loop in four forms: the next candidate takes over from one that
    fails, in a stream until the first chunk has gone out.

    Attributes:
        call: what is asked.
        decision: who is to answer.
        runtime: where they are found.
    """

    call: Call
    decision: RoutingDecision
    runtime: Runtime

    def __post_init__(self) -> None:
        self._failover = Failover(
            self.decision, self.runtime.health, max_attempts=self.call.max_attempts
        )
        source = self.call.request.question.source
        logger.debug("%s; question from %s", self.decision, source)

    def generate(self, run_manager: Any) -> ChatResult:
        """The answer of the first backend that gives one.

        Raises:
            AllBackendsFailedError: none did.
            Exception: what a backend raised that no other could help, such as a bad request.
        """
        for attempt in self._failover:
            with attempt:
                result = self._target(attempt).generate(run_manager)
                return self._tagged(result, attempt.model, run_manager)
        raise self._failover.exhausted()

    async def agenerate(self, run_manager: Any) -> ChatResult:
        """:meth:`generate`, asynchronously."""
        for attempt in self._failover:
            with attempt:
                result = await self._target(attempt).agenerate(run_manager)
                return self._tagged(result, attempt.model, run_manager)
        raise self._failover.exhausted()

    def stream(self, run_manager: Any) -> Iterator[ChatGenerationChunk]:
        """The chunks of the first backend that sends one."""
        for attempt in self._failover:
            with attempt:
                marker = _Marker(self._facts(attempt.model), attempt)
                for chunk in self._target(attempt).stream(run_manager):
                    yield marker.mark(chunk)
                yield from marker.rest()
                return
        raise self._failover.exhausted()

    async def astream(self, run_manager: Any) -> AsyncIterator[ChatGenerationChunk]:
        """:meth:`stream`, asynchronously."""
        for attempt in self._failover:
            with attempt:
                marker = _Marker(self._facts(attempt.model), attempt)
                async for chunk in closing(self._target(attempt).astream(run_manager)):
                    yield marker.mark(chunk)
                for chunk in marker.rest():
                    yield chunk
                return
        raise self._failover.exhausted()

    def _target(self, attempt: Attempt) -> Target:
        return self.call.target(attempt.model, self.runtime.backends)

    def _facts(self, model: str) -> dict[str, Any]:
        return {
            **self._failover.report(model),
            "question_from": self.call.request.question.source,
        }

    def _tagged(self, result: ChatResult, model: str, run_manager: Any) -> ChatResult:
        """A backend's answer with the decision in it; a copy, for caches may hold the original."""
        facts = self._facts(model)
        output = {"model_name": model, **(result.llm_output or {})}
        generations = []
        for generation in result.generations:
            message = generation.message
            metadata = {**output, **message.response_metadata, "avengers": facts}
            message = message.model_copy(update={"response_metadata": metadata})
            generations.append(generation.model_copy(update={"message": message}))
        tag_run(run_manager, model)
        output["avengers"] = facts
        return result.model_copy(update={"generations": generations, "llm_output": output})


def tag_run(run_manager: Any, model: str) -> None:
    """Tag a run with who answered it, also in the tracers that have begun it already."""
    if run_manager is None:
        return
    tag = f"avengers:{model}"
    run_manager.tags = [*(run_manager.tags or ()), tag]
    for handler in run_manager.handlers:
        if isinstance(handler, BaseTracer):
            run = handler.run_map.get(str(run_manager.run_id))
            if run is not None:
                run.tags = [*(run.tags or ()), tag]


class _Marker:
    """Marks one stream's chunks."""

    def __init__(self, facts: dict[str, Any], attempt: Attempt) -> None:
        self._facts = facts
        self._attempt = attempt
        self._content: str | list[Any] | None = None
        self._named = False
        self._done = False

    def mark(self, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
        message = chunk.message
        extra: dict[str, Any] = {}
        if self._content is None:
            self._attempt.commit()  # it goes out: nobody else can take over now
            extra[ANSWERED_BY] = self._attempt.model
            self._content = "" if isinstance(message.content, str) else []
        info = {**(chunk.generation_info or {}), **message.response_metadata}
        self._named |= "model_name" in info
        if getattr(message, "chunk_position", None) == "last" and not self._done:
            extra |= self._final()
        if extra:
            message.response_metadata = {**message.response_metadata, **extra}
        return chunk

    def rest(self) -> Iterator[ChatGenerationChunk]:
        """A chunk for the decision, where the backend named none as its last.

        Raises:
            EmptyResponseError: it sent none at all.
        """
        if self._content is None:
            raise EmptyResponseError
        if not self._done:
            message = AIMessageChunk(
                content=self._content, response_metadata=self._final(), chunk_position="last"
            )
            yield ChatGenerationChunk(message=message)

    def _final(self) -> dict[str, Any]:
        self._done = True
        name = {} if self._named else {"model_name": self._attempt.model}
        return {**name, "avengers": self._facts}
