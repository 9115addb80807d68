"""Several answers to one call, and the one that most of them give."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse

from avengers_core.errors import AllBackendsFailedError
from avengers_core.serving.voting import answer_key, elect, voted_report
from avengers_llamaindex.calls import Call

# The methods whose answers are texts that can be compared once they are complete.
VOTED = frozenset({"chat", "achat", "complete", "acomplete", "predict", "apredict"})


@dataclass
class Vote(Call):
    """A call that is answered several times at once.

    Attributes:
        ballots: one call for each answer.
    """

    ballots: Sequence[Call] = ()

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The answer that most ballots give.

        Raises:
            AllBackendsFailedError: no ballot was answered.
            Exception: what a backend raised that is the caller's own fault.
        """
        with ThreadPoolExecutor(len(self.ballots)) as pool:
            # Each thread gets the caller's context: its hint, its collectors, its span.
            answers = [
                pool.submit(copy_context().run, ballot.run, *args, **kwargs)
                for ballot in self.ballots
            ]
        return self._elected([answer.exception() or answer.result() for answer in answers])

    async def arun(self, *args: Any, **kwargs: Any) -> Any:
        """:meth:`run`, asynchronously."""
        answers = (ballot.arun(*args, **kwargs) for ballot in self.ballots)
        return self._elected(await asyncio.gather(*answers, return_exceptions=True))

    def _elected(self, answers: Sequence[Any]) -> Any:
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, AllBackendsFailedError):
                raise answer
        given = [answer for answer in answers if not isinstance(answer, AllBackendsFailedError)]
        if not given:
            raise answers[0]
        election = elect([answer_key(_text(answer)) for answer in given])
        winner = given[election.winner]
        if isinstance(winner, ChatResponse | CompletionResponse):
            facts = [answer.additional_kwargs["avengers"] for answer in given]
            winner.additional_kwargs["avengers"] = voted_report(facts, election)
        return winner


def _text(answer: Any) -> str:
    if isinstance(answer, ChatResponse):
        return answer.message.content or ""
    return str(answer)
