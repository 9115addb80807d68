"""One call answered several times, and by majority."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import add_usage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables.config import ContextThreadPoolExecutor

from avengers_core.errors import AllBackendsFailedError
from avengers_core.serving.voting import answer_key, elect, voted_report
from avengers_langchain.answers import Answering, tag_run
from avengers_langchain.calls import as_chunk


@dataclass
class Poll:
    """Several answers to one call, in parallel, and the one that most of them agree on.

    It has the methods of :class:`avengers_langchain.answers.Answering`. A stream is one chunk:
    the winner is not known before the last answer is there. Backends that fail do not vote.

    Attributes:
        ballots: one for each answer.
    """

    ballots: Sequence[Answering]

    def generate(self, run_manager: Any) -> ChatResult:
        """The majority's answer.

        Raises:
            AllBackendsFailedError: no backend answered at all.
            Exception: a bad request, as for a single answer.
        """
        with ContextThreadPoolExecutor(len(self.ballots)) as pool:
            return _elected(list(pool.map(_cast, self.ballots)), run_manager)

    async def agenerate(self, run_manager: Any) -> ChatResult:
        """:meth:`generate`, asynchronously."""
        casting = [asyncio.ensure_future(_acast(ballot)) for ballot in self.ballots]
        try:
            return _elected(await asyncio.gather(*casting), run_manager)
        finally:
            for task in casting:  # if one of them raised, nobody waits for the others
                task.cancel()

    def stream(self, run_manager: Any) -> Iterator[ChatGenerationChunk]:
        """:meth:`generate` as a stream of one chunk."""
        yield as_chunk(self.generate(run_manager))

    async def astream(self, run_manager: Any) -> AsyncIterator[ChatGenerationChunk]:
        """:meth:`stream`, asynchronously."""
        yield as_chunk(await self.agenerate(run_manager))


def _cast(ballot: Answering) -> ChatResult | AllBackendsFailedError:
    try:
        return ballot.generate(None)
    except AllBackendsFailedError as error:
        return error


async def _acast(ballot: Answering) -> ChatResult | AllBackendsFailedError:
    try:
        return await ballot.agenerate(None)
    except AllBackendsFailedError as error:
        return error


def _elected(
    answers: Sequence[ChatResult | AllBackendsFailedError], run_manager: Any
) -> ChatResult:
    results = [answer for answer in answers if isinstance(answer, ChatResult)]
    failed = [answer for answer in answers if not isinstance(answer, ChatResult)]
    if not results:
        raise AllBackendsFailedError("\n".join(dict.fromkeys(map(str, failed))))
    messages = [result.generations[0].message for result in results]
    election = elect([_key(message) for message in messages])
    each = [message.response_metadata["avengers"] for message in messages]
    winner = messages[election.winner]
    facts = voted_report(each, election)
    metadata = {**winner.response_metadata, "avengers": facts}
    update: dict[str, Any] = {"response_metadata": metadata}
    usage = None
    for message in messages:
        if isinstance(message, AIMessage):
            usage = add_usage(usage, message.usage_metadata)
    if usage is not None:
        update["usage_metadata"] = usage
    metadata.pop("token_usage", None)  # of the winner alone
    generation = results[election.winner].generations[0]
    generation = generation.model_copy(update={"message": winner.model_copy(update=update)})
    tag_run(run_manager, facts["model"])
    output = {"model_name": metadata["model_name"], "avengers": facts}
    return ChatResult(generations=[generation], llm_output=output)


def _key(message: BaseMessage) -> str:
    """What a message says; the tools that it calls, if it does."""
    if isinstance(message, AIMessage) and message.tool_calls:
        calls = [(call["name"], call["args"]) for call in message.tool_calls]
        return json.dumps(calls, sort_keys=True, default=str)
    return answer_key(str(message.text))
