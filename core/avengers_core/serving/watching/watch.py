"""One call, watched from its decision to the end of its answer."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic_core import to_json

from avengers_core.calls.rows import Call
from avengers_core.calls.writing import CallLog
from avengers_core.embedders.surface import surface
from avengers_core.redaction import NO_SECRETS, Secrets, redacted
from avengers_core.routing.decision import RoutingDecision
from avengers_core.routing.router import Router
from avengers_core.serving.watching.outcome import Outcome

if TYPE_CHECKING:
    from avengers_core.serving.watching.telemetry import CallSpan, Telemetry


@dataclass(frozen=True)
class Watching:
    """Who wants to know of calls.

    Attributes:
        log: where rows go, if anywhere.
        log_text: whether they may hold the question.
        telemetry: what makes spans and counts, if anything.
        conversation: which the call belongs to, if anything tells.
        secrets: gives what is known to be secret, and neither logged nor traced.
    """

    log: CallLog | None = None
    log_text: bool = True
    telemetry: Telemetry | None = None
    conversation: str | None = None
    secrets: Callable[[], Secrets] = lambda: NO_SECRETS


class Watch:
    """One call.

    Args:
        watching: who wants to know of it.
        router: what decided it.
        question: on which text.
        decision: what came of it.

    Attributes:
        id: of the call.
    """

    __slots__ = (
        *("id", "_begun", "_decision", "_over", "_question", "_router", "_span", "_time"),
        "_watching",
    )

    def __init__(
        self, watching: Watching, router: Router, question: str, decision: RoutingDecision
    ) -> None:
        self.id = os.urandom(16).hex()
        self._watching = watching
        self._router = router
        self._question = question
        self._decision = decision
        self._time = time.time()
        self._begun = time.perf_counter()
        self._span: CallSpan | None = None
        if watching.telemetry is not None:
            self._span = watching.telemetry.begin(self.id, decision, watching.conversation)
        self._over = False

    @property
    def facts(self) -> dict[str, str]:
        """For the answer: the call's id, and the conversation's, which the next turn reads."""
        conversation = self._watching.conversation
        return {"id": self.id, **({} if conversation is None else {"conversation": conversation})}

    @contextmanager
    def current(self) -> Iterator[None]:
        """While backends are asked: their spans are below the call's."""
        if self._span is None:
            yield
        else:
            with self._span.current():
                yield

    def over(self, outcome: Outcome) -> None:
        """The answer is there, or will never be; what comes later does not count."""
        if self._over:
            return
        self._over = True
        seconds = time.perf_counter() - self._begun
        if self._span is not None:
            self._span.end(outcome, self._watching.secrets())
        if self._watching.log is not None:
            self._decision = self._decision.packed()
            if outcome.error is not None:  # it holds frames and all that is in them
                outcome = outcome._replace(error=None)
            self._watching.log.put(partial(self._row, outcome, seconds))

    def _row(self, outcome: Outcome, seconds: float) -> Call:
        decision, artifact = self._decision, self._router.artifact
        query, features = decision.query, None
        if query is not None:
            known = surface([self._question]) if query.surface is None else query.surface
            features = known[0].astype("<f4").tobytes()
        text = self._question if self._watching.log_text and self._question.strip() else None
        return Call(
            id=self.id,
            time=self._time,
            conversation=self._watching.conversation,
            question=self._plain(text),
            embedder=artifact.info.embedder,
            artifact=artifact.checksum,
            vector=None if query is None else np.asarray(query.vectors[0], dtype="<f4").tobytes(),
            features=features,
            decision=to_json(_short(decision.to_dict())).decode(),
            chosen=decision.model,
            propensity=outcome.propensity,
            explored=int(decision.explored),
            answered_by=outcome.model,
            prompt_tokens=outcome.tokens.prompt,
            completion_tokens=outcome.tokens.completion,
            cached_tokens=outcome.tokens.cached,
            cost=outcome.cost,
            seconds=seconds,
            failures=json.dumps([failure._asdict() for failure in outcome.tried]),
        )

    def _plain(self, text: str | None) -> str | None:
        """A text without secrets, fit for a database."""
        if text is None:
            return None
        return (
            redacted(self._watching.secrets().masked(text))
            .encode("utf-8", "replace")
            .decode("utf-8")
        )


def _short(decision: Mapping[str, Any]) -> dict[str, Any]:
    """Without the reasons in words, which take most of the room and can be worked out again."""
    return {**decision, "ineligible": list(decision["ineligible"])}
