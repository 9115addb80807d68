"""One call, watched from its decision to the end of its answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic_core import to_json

from avengers_core.calls.rows import Call
from avengers_core.calls.writing import CallLog
from avengers_core.common.arrays import Floats
from avengers_core.embedders.surface import surface
from avengers_core.redaction import NO_SECRETS, Secrets, redacted
from avengers_core.routing.decision import RoutingDecision
from avengers_core.routing.router import Router
from avengers_core.serving.watching.ids import new_id
from avengers_core.serving.watching.outcome import Outcome
from avengers_core.serving.watching.telemetry import CallSpan, Telemetry

if TYPE_CHECKING:
    from avengers_core.artifact.artifact import RouterArtifact


_NOWHERE: AbstractContextManager[None] = nullcontext()


class Watching(NamedTuple):
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
        self.id = new_id()
        self._watching = watching
        self._router = router
        self._question = question
        self._decision = decision
        self._time = time.time()
        self._begun = time.perf_counter()
        self._span: CallSpan | None = None
        if watching.telemetry is not None:
            self._span = CallSpan(watching.telemetry, self.id, decision, watching.conversation)
        self._over = False

    @property
    def facts(self) -> dict[str, str]:
        """For the answer: the call's id, and the conversation's, which the next turn reads."""
        conversation = self._watching.conversation
        return {"id": self.id, **({} if conversation is None else {"conversation": conversation})}

    def current(self) -> AbstractContextManager[Any]:
        """While backends are asked: their spans are below the call's."""
        return _NOWHERE if self._span is None else self._span.current()

    def over(self, outcome: Outcome) -> None:
        """The answer is there, or will never be; what comes later does not count."""
        if self._over:
            return
        self._over = True
        seconds = time.perf_counter() - self._begun
        if self._span is not None:
            self._span.end(outcome, self._watching.secrets())
        if (log := self._watching.log) is not None:
            query = self._decision.query
            noted = _Noted(
                self.id,
                self._time,
                seconds,
                self._question,
                self._decision.flat(),
                self._router.artifact,
                None if query is None else query.vectors,
                None if query is None else query.surface,
                self._watching,
                # An error holds all that was on its way.
                outcome if outcome.error is None else outcome._replace(error=None),
            )
            log.put(_row, noted)


class _Noted(NamedTuple):
    """What waits until a row is made of it, in the log's thread: all in one object."""

    id: str
    time: float
    seconds: float
    question: str
    decision: tuple[Any, ...]
    artifact: RouterArtifact
    vectors: Floats | None
    surface: Floats | None
    watching: Watching
    outcome: Outcome


def _row(noted: _Noted) -> Call:
    watching, outcome = noted.watching, noted.outcome
    decision = RoutingDecision.of_flat(noted.decision)
    told = decision.to_dict()
    features = noted.surface
    if noted.vectors is not None and features is None:
        features = surface([noted.question])
    text = noted.question if watching.log_text and noted.question.strip() else None
    return Call(
        id=noted.id,
        time=noted.time,
        conversation=watching.conversation,
        question=None if text is None else _plain(text, watching.secrets()),
        embedder=noted.artifact.info.embedder,
        artifact=noted.artifact.checksum,
        vector=_bytes(noted.vectors),
        features=_bytes(features),
        # Without the reasons in words, which take most of the room and can be worked out again.
        decision=to_json({**told, "ineligible": list(told["ineligible"])}).decode(),
        chosen=decision.model,
        propensity=outcome.propensity,
        explored=int(decision.explored),
        answered_by=outcome.model,
        prompt_tokens=outcome.tokens.prompt,
        completion_tokens=outcome.tokens.completion,
        cached_tokens=outcome.tokens.cached,
        cost=outcome.cost,
        seconds=noted.seconds,
        failures=json.dumps([failure._asdict() for failure in outcome.tried]),
    )


def _plain(text: str, secrets: Secrets) -> str:
    """A text without secrets, fit for a database."""
    return redacted(secrets.masked(text)).encode("utf-8", "replace").decode("utf-8")


def _bytes(rows: Floats | None) -> bytes | None:
    return None if rows is None else np.asarray(rows[0], dtype="<f4").tobytes()
