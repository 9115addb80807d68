"""The next candidate answers when a backend fails; what two say is the caller's fault is raised.

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
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Literal, NamedTuple

from avengers_core.common.ranges import check_whole
from avengers_core.errors import AllBackendsFailedError
from avengers_core.redaction import NO_SECRETS, Secrets, describe, mask
from avengers_core.routing.decision import RoutingDecision
from avengers_core.serving.resilience.faults import Failure, classify
from avengers_core.serving.resilience.health import BackendHealth

logger = logging.getLogger(__name__)

OnRefusal = Literal["raise", "next"]


class FailedAttempt(NamedTuple):
    """One model that was tried and failed; the message is shortened and without keys."""

    model: str
    kind: str
    message: str


class Attempt:
    """One candidate's turn: a context manager around the call.

    An error that another model may do better with is noted and swallowed; any other is raised, and
    names the model.

    Attributes:
        model: whose turn it is.
    """

    def __init__(self, model: str, failover: Failover) -> None:
        self.model = model
        self._failover = failover
        self._begun = failover.health.now()
        self._committed = False
        self._handed_on = False

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
        health = self._failover.health
        if error is None:
            if not self._handed_on:
                health.record_success(self.model, self._begun)
            self._handed_on = False
            return False
        failure = classify(error)
        if failure.blame == "nobody" or not isinstance(error, Exception):
            if self._committed:  # nobody wants the rest of it, which is no fault of the model's
                health.record_success(self.model, self._begun)
            else:
                health.release(self.model)
            return False
        if failure.blame == "backend":
            health.record_failure(
                self.model,
                limited=failure.kind == "rate_limit",
                retry_after=failure.retry_after,
                begun=self._begun,
            )
        else:
            health.release(self.model)
        raised = self._failover.note(self.model, failure, error)
        if self._committed:
            _name(raised, self.model)
        elif self._failover.goes_on(failure, raised):
            return True
        if raised is not error:
            raise raised from None
        return False


class Failover:
    """The attempts at one call: the candidates in order, those that are resting last.

    A resting backend is a long shot, but better than no answer. A request that a backend refuses
    goes to one of another kind, if there is one; if that refuses too, the first error is raised:
    two who say that it is the caller's fault are believed. One that is too long goes to larger
    windows.

    Args:
        decision: whose candidates.
        health: of the backends.
        max_attempts: how many candidates to try; default all.
        kind_of: model -> what kind of backend it has; default, all are of one.
        window_of: model -> its context window, tokens, or None where it is not known.
        on_refusal: what to do if a backend refuses a request for its content: ``"raise"``, or
            ``"next"``.
        secrets: gives what is known to be secret of the backends, which their errors must not show.

    Attributes:
        decision: as given, as ``health``.
        health: see there.

    Raises:
        ValueError: ``max_attempts`` is under 1.
    """

    def __init__(
        self,
        decision: RoutingDecision,
        health: BackendHealth,
        *,
        max_attempts: int | None = None,
        kind_of: Callable[[str], Hashable] = lambda _: None,
        window_of: Callable[[str], int | None] = lambda _: None,
        on_refusal: OnRefusal = "raise",
        secrets: Callable[[], Secrets] = lambda: NO_SECRETS,
    ) -> None:
        if max_attempts is not None:
            check_whole("max_attempts", max_attempts, 1)
        self.decision = decision
        self.health = health
        self._max_attempts = max_attempts
        self._kind_of = kind_of
        self._window_of = window_of
        self._on_refusal = on_refusal
        self._secrets = secrets
        self._tried: list[FailedAttempt] = []
        self._last: Exception | None = None
        self._refusals: list[tuple[str, str, Exception]] = []
        self._resting = set[str]()

    @property
    def tried(self) -> tuple[FailedAttempt, ...]:
        """The attempts that failed so far."""
        return tuple(self._tried)

    def __iter__(self) -> Iterator[Attempt]:
        left = list(self.decision.ranking)
        while left and (self._max_attempts is None or len(self._tried) < self._max_attempts):
            model = self._next(left)
            if model is None:
                return
            left.remove(model)
            yield Attempt(model, self)

    def _next(self, left: Sequence[str]) -> str | None:
        if self._refusals:
            left = self._after_refusal(left)
        for model in left:
            if model not in self._resting and self.health.admit(model):
                return model
            self._resting.add(model)
        return left[0] if left else None

    def _after_refusal(self, left: Sequence[str]) -> Sequence[str]:
        """Those that may see a request differently than those who refused it, best first."""
        refuser, kind, _ = self._refusals[-1]
        if kind == "too_long":
            refused = [self._window_of(m) or 0 for m, k, _ in self._refusals if k == kind]
            windows = {model: self._window_of(model) for model in left}
            larger = [model for model in left if (windows[model] or 0) > max(refused)]
            return larger + [model for model in left if windows[model] is None]
        same = self._kind_of(refuser)
        return sorted(left, key=lambda model: self._kind_of(model) == same)

    def note(self, model: str, failure: Failure, error: Exception) -> Exception:
        """Remember that an attempt failed.

        Returns:
            The error, without secrets; or another, that says as much, where it would show some
            whatever is done.
        """
        secrets = self._secrets()
        message = describe(error, secrets)
        logger.info("%s failed (%s): %s", model, failure.kind, message)
        self._tried.append(FailedAttempt(model, failure.kind, message))
        self._last = shown = error if mask(error, secrets) else None
        if shown is None:
            shown = AllBackendsFailedError(f"{model}: {failure.kind}: {message}", self.tried)
        if failure.blame == "request":
            self._refusals.append((model, failure.kind, shown))
        return shown

    def goes_on(self, failure: Failure, error: Exception) -> bool:
        """Whether the next candidate gets a chance after an error.

        Raises:
            Exception: the first refusal, where this is the second.
        """
        if failure.blame != "request":
            return True
        if failure.kind == "too_long" and self._window_of(self._refusals[-1][0]) is not None:
            return True  # as long as there are larger windows
        if failure.kind == "content":
            if self._on_refusal == "next":
                return True
            _name(error, self._refusals[-1][0])
            return False
        if len(self._refusals) < 2:
            return True
        first = self._refused()
        first.__suppress_context__ = True  # the second may show what cannot be masked
        raise first

    def _refused(self) -> Exception:
        """The first of the refusals; it names all who refused."""
        first = self._refusals[0][2]
        _name(first, *dict.fromkeys(model for model, _, _ in self._refusals))
        return first

    def left_alone(self, model: str) -> list[str]:
        """Those that rank before the model that answers, and were not asked, for they rest."""
        ranking = self.decision.ranking
        spared = self._resting - {attempt.model for attempt in self._tried}
        return [better for better in ranking[: ranking.index(model)] if better in spared]

    def chance(self, model: str) -> float:
        """The chance with which a model was to answer, in (0, 1].

        Those that failed in this call, or are resting, are known to be down; what would have
        happened to others, had they been asked, is not.
        """
        exploration = self.decision.exploration
        if exploration is None:
            return 1.0
        tried = {attempt.model for attempt in self._tried}
        down = {m for m in exploration.ranking if m in tried or not self.health.available(m)}
        return exploration.chance(model, down - {model}, took_over=bool(tried - {model}))

    def exhausted(self) -> Exception:
        """The error to raise when no attempt is left.

        A refusal, if all who were asked refused; else an :class:`AllBackendsFailedError` that says
        what each model failed with, and has the last error as its cause.
        """
        if self._refusals and len(self._refusals) == len(self._tried):
            return self._refused()
        each = "".join(f"\n- {t.model}: {t.kind}: {t.message}" for t in self._tried)
        untried = len(self.decision.ranking) - len(self._tried)
        rest = f"\n{untried} more were not tried" if untried > 0 else ""
        message = f"every model that was tried failed:{each}{rest}"
        error = AllBackendsFailedError(message, self.tried)
        error.__cause__ = self._last
        return error


def _name(error: Exception, *models: str) -> None:
    """Let an error of a backend say whose it is; its class and its attributes stay as they are."""
    said = f"asked of {' and '.join(models)}"
    with suppress(Exception):  # what an error is made of may be anything
        if said in str(error):
            return
        if error.args and isinstance(error.args[0], str) and str(error) == error.args[0]:
            error.args = (f"{error.args[0]} ({said})", *error.args[1:])
        elif hasattr(error, "add_note"):
            error.add_note(said)
