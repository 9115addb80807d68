"""What a log holds: a row for each call, and one for each score that somebody gave it."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np


class Call(NamedTuple):
    """One call; the columns of the table ``calls``.

    Attributes:
        id: 32 hexadecimal digits; the answer has it, too.
        time: when it was decided, seconds since 1970 UTC.
        conversation: which it belongs to: the caller's own id where the plugin is told it, else a
            hash of what the human said first; None where nothing tells.
        question: what it was decided on; None where texts are not kept, and where there was none.
        embedder: id of the router's embedder.
        artifact: checksum of the router's artifact.
        vector: (d,) float32, little-endian, that was decided on: in a conversation it may be of
            several turns. None for a blank question.
        features: (S,) float32 :data:`~avengers_core.embedders.surface.SURFACE_FEATURES`, or None.
        decision: JSON of :meth:`avengers_core.RoutingDecision.to_dict`, or None for a call that
            could not be decided.
        chosen: the model that was to be asked first.
        propensity: the chance, above 0 and at most 1, with which ``answered_by`` was to answer (of
            ``chosen``, where nobody did): 1 where nothing was left to chance.
        explored: 1 where ``chosen`` was drawn in place of the best, else 0.
        answered_by: the model that answered, or None where all failed.
        prompt_tokens: tokens sent, the cached ones among them, or None where unknown.
        completion_tokens: tokens received, or None.
        cached_tokens: tokens of the prompt that the provider had read before, or None.
        cost: USD as the backend says, else at the artifact's prices, or None where unknown.
        seconds: from the decision to the end of the answer.
        failures: JSON list of what was tried and failed, ``model``, ``kind`` and ``message``.
    """

    id: str
    time: float
    conversation: str | None
    question: str | None
    embedder: str
    artifact: str
    vector: bytes | None
    features: bytes | None
    decision: str | None
    chosen: str | None
    propensity: float
    explored: int
    answered_by: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    cost: float | None
    seconds: float
    failures: str


class Feedback(NamedTuple):
    """How good an answer was; the columns of the table ``feedback``. The newest of a call counts.

    Attributes:
        id: of the call.
        score: in [0, 1].
        time: when it was given, seconds since 1970 UTC; in a file behind those that were there.
        source: who says so, such as ``"thumb"`` or ``"judge"``, or None.
    """

    id: str
    score: float
    time: float
    source: str | None = None

    @classmethod
    def of(cls, id: str, score: float, source: str | None = None) -> Feedback:
        """Feedback given now, checked.

        Raises:
            TypeError: an id that is no text, a score that is no number.
            ValueError: a score outside [0, 1], a blank id.
        """
        if not isinstance(id, str) or not isinstance(source, str | None):
            raise TypeError(f"id and source must be texts, got {id!r:.60} and {source!r:.60}")
        if not id.strip():
            raise ValueError("the id of a call is in its answer's metadata, got a blank one")
        if not isinstance(score, bool | int | float | np.number | np.bool_):
            raise TypeError(f"score must be a number in [0, 1], got {score!r:.60}")
        if not (math.isfinite(score) and 0 <= score <= 1):
            raise ValueError(f"score must lie in [0, 1], got {score}")
        return cls(id.strip(), float(score), time.time(), source)


Row = Call | Feedback
