"""The next candidate answers when a backend fails; what is the caller's own fault is raised.

::

    failover = Failover(decision, health)
    for attempt in failover:
        with attempt:                       # swallows what the next candidate may do better
            return call(attempt.model)
    raise failover.exhausted()

The same loop serves asynchronous calls, and streams, which call :meth:`Attempt.commit` when the
first chunk has gone out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple

from avengers_core.errors import AllBackendsFailedError
from avengers_core.redaction import describe
from avengers_core.routing.decision import Candidate, RoutingDecision
from avengers_core.serving.faults import classify
from avengers_core.serving.health import BackendHealth

logger = logging.getLogger(__name__)


class FailedAttempt(NamedTuple):
    """One model that was tried and failed; the message is shortened and without keys."""

    model: str
    kind: str
    message: str


class Attempt:
    """One candidate's turn: a context manager around the call.

    An error that another model may do better with is noted and swallowed; any other is raised.

    Attributes:
        candidate: whose turn it is.
    """

    def __init__(
        self, candidate: Candidate, health: BackendHealth, tried: list[FailedAttempt]
    ) -> None:
        self.candidate = candidate
        self._health = health
        self._tried = tried
        self._committed = False
        self._handed_on = False

    @property
    def model(self) -> str:
        """The candidate's model."""
        return self.candidate.model

    def commit(self, *, handed_on: bool = False) -> None:
        """The answer has begun to reach the caller: from here on errors are raised.

        Args:
            handed_on: the rest of it comes under another ``with`` of this attempt, which will see
                how it ends.
        """
        self._committed = True
        self._handed_on = handed_on

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is None:
            if not self._handed_on:
                self._health.record_success(self.model)
            self._handed_on = False
            return False
        failure = classify(error)
        if not failure.fail_over:
            if self._committed:  # nobody wants the rest of it, which is no fault of the model's
                self._health.record_success(self.model)
            return False
        self._health.record_failure(self.model, retry_after=failure.retry_after)
        message = describe(error)
        logger.info("%s failed (%s): %s", self.model, failure.kind, message)
        self._tried.append(FailedAttempt(self.model, failure.kind, message))
        return not self._committed


class Failover:
    """The attempts at one call: the candidates in order, those that are resting last.

    A resting backend is a long shot, but better than no answer.

    Args:
        decision: whose candidates.
        health: of the backends.
        max_attempts: how many candidates to try; default all.

    Raises:
        ValueError: ``max_attempts`` is under 1.
    """

    def __init__(
        self, decision: RoutingDecision, health: BackendHealth, *, max_attempts: int | None = None
    ) -> None:
        if max_attempts is not None and max_attempts < 1:
            raise ValueError(f"max_attempts must be at least 1, got {max_attempts}")
        self._decision = decision
        self._health = health
        self._max_attempts = max_attempts
        self._tried: list[FailedAttempt] = []

    @property
    def tried(self) -> tuple[FailedAttempt, ...]:
        """The attempts that failed so far."""
        return tuple(self._tried)

    def __iter__(self) -> Iterator[Attempt]:
        turns = self._turns()
        limit = self._max_attempts
        for n, candidate in enumerate(turns):
            if n == limit:
                return
            yield Attempt(candidate, self._health, self._tried)

    def _turns(self) -> Iterator[Candidate]:
        resting = []
        for candidate in self._decision.candidates:
            if self._health.admit(candidate.model):
                yield candidate
            else:
                resting.append(candidate)
        yield from resting

    def report(self, model: str) -> dict[str, Any]:
        """Who answered, what was expected of it, and who failed before, as plain JSON types.

        Short, for it goes along with every answer: of the other candidates it only has the order.
        """
        decision = self._decision
        answered = next(c for c in decision.candidates if c.model == model)
        return {
            "model": model,
            "alpha": decision.alpha,
            "expected_score": answered.expected_score,
            "expected_cost": answered.expected_cost,
            "scorer": decision.scorer,
            "basis": decision.basis,
            "relaxed": decision.relaxed,
            "prompt_tokens": decision.prompt_tokens,
            "ranking": [c.model for c in decision.candidates],
            "ineligible": dict(decision.ineligible),
            "clusters": [v.to_dict() for v in decision.clusters],
            "tried": [t._asdict() for t in self._tried],
        }

    def exhausted(self) -> AllBackendsFailedError:
        """The error to raise when no attempt is left: each model and what it failed with."""
        each = "".join(f"\n- {t.model}: {t.kind}: {t.message}" for t in self._tried)
        untried = len(self._decision.candidates) - len(self._tried)
        rest = f"\n{untried} more were not tried (max_attempts)" if untried > 0 else ""
        message = f"every model that was tried failed:{each}{rest}"
        return AllBackendsFailedError(message, self.tried)
