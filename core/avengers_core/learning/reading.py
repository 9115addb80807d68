"""Reading a log of calls into columns."""

from __future__ import annotations

import json
import logging
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from avengers_core.common.arrays import Floats
from avengers_core.common.ranges import check_number
from avengers_core.embedders.surface import SURFACE_FEATURES, surface
from avengers_core.errors import RecordError
from avengers_core.learning.calls import Calls
from avengers_core.learning.fading import made
from avengers_core.records.names import counted, one_line
from avengers_core.records.record import MOST_AMOUNT
from avengers_core.records.sources.logs import LAST, answered_calls
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.policy import DEFAULT_ALPHA
from avengers_core.routing.queries import Queries
from avengers_core.routing.router import Router

logger = logging.getLogger(__name__)

_RANGES = {
    **dict.fromkeys(("time", "graded"), (0.0, LAST)),
    **dict.fromkeys(("score", "alpha", "familiarity"), (0.0, 1.0)),
    "propensity": (sys.float_info.min, 1.0),
    **dict.fromkeys(("cost", "prompt_tokens", "completion_tokens"), (0.0, MOST_AMOUNT)),
    **dict.fromkeys(("promised_score", "promised_cost"), (-MOST_AMOUNT, MOST_AMOUNT)),
}
"""In what the numbers of a call lie, where they are known."""


class LoggedCall(NamedTuple):
    """One answered call, with its score if somebody gave one.

    Attributes:
        time: seconds since 1970 UTC.
        model: who answered.
        question: the text, or None where texts are not kept.
        vector: (d,) of the embedder that decided, or None.
        embedder: its id; None: the router's.
        surface: its surface features, or None.
        alpha: the weight that the decision was made with.
        promised_score: expected of the model that answered, or None.
        promised_cost: likewise, USD, or None.
        familiarity: of the query, in [0, 1], or None.
        cost: USD, or None.
        prompt_tokens: or None.
        completion_tokens: or None.
        propensity: chance in (0, 1] with which the model that answered was chosen, or None.
        score: in [0, 1], or None.
        graded: when its first score came, seconds since 1970 UTC, or None.
    """

    time: float
    model: str
    question: str | None = None
    vector: Sequence[float] | npt.NDArray[np.float32] | None = None
    embedder: str | None = None
    surface: Sequence[float] | npt.NDArray[np.float32] | None = None
    alpha: float = DEFAULT_ALPHA
    promised_score: float | None = None
    promised_cost: float | None = None
    familiarity: float | None = None
    cost: float | None = None
    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    propensity: float | None = None
    score: float | None = None
    graded: float | None = None


CallSource = str | PathLike[str] | Iterable[LoggedCall]
"""The path of a log that the plugins' ``log=`` wrote, or its calls."""


def logged_calls(path: str | PathLike[str]) -> Iterator[LoggedCall]:
    """The answered calls of a log, each with its last score.

    Rows that hold what the plugins do not write are left out, and told in the log.

    Raises:
        RecordError: the file is no log.
    """
    file = Path(path)
    if not file.is_file():
        raise RecordError(f"{file}: no such log of calls")
    damaged: list[str] = []
    for row in answered_calls(str(file)):
        try:
            yield _call(row)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            damaged.append(f"{row['id']!r:.60}: {error}")
    if damaged:
        logger.warning(
            "%s: %s cannot be read, so left out; the first, %s",
            file,
            counted(len(damaged), "call"),
            one_line(damaged[0]),
        )


def _call(row: sqlite3.Row) -> LoggedCall:
    decision = json.loads(row["decision"] or "{}")
    found = (c for c in decision.get("candidates", ()) if c["model"] == row["answered_by"])
    promise: dict[str, Any] = next(found, {})
    told = {
        **{name: row[name] for name in row.keys() if name in LoggedCall._fields},  # noqa: SIM118
        "model": row["answered_by"],
        "vector": _array(row["vector"]),
        "surface": _array(row["features"]),
        "alpha": decision.get("alpha", DEFAULT_ALPHA),
        "promised_score": promise.get("expected_score"),
        "promised_cost": promise.get("expected_cost"),
        "familiarity": decision.get("familiarity"),
    }
    for name, (low, high) in _RANGES.items():
        if told[name] is not None or name == "time":
            check_number(name, told[name], low, high)
    text, features = told["question"], told["surface"]
    if not (text is None or isinstance(text, str)):
        raise TypeError(f"expected a text as question, got {type(text).__name__}")
    if not text and features is not None and len(features) != len(SURFACE_FEATURES):
        raise ValueError(f"expected {len(SURFACE_FEATURES)} features, got {len(features)}")
    return LoggedCall(**told)


def _array(blob: bytes | None) -> npt.NDArray[np.float32] | None:
    if blob is None:
        return None
    array = np.frombuffer(blob, dtype="<f4")
    if not np.isfinite(array).all():
        raise ValueError("a vector holds NaN or infinity")
    return array


def read_calls(source: CallSource, router: Router) -> Calls:
    """The answered calls of models that the router knows, as columns.

    Vectors are the log's. Where it has none, or those of another embedder, queries are embedded; a
    call whose text was not kept either is left out, and counted.

    Args:
        source: the log.
        router: whose embedder and models are meant; it says what to expect of a model, and how
            like its records a query is, where the log does not, or was written before its artifact
            was fitted.

    Raises:
        RecordError: the log cannot be read.
        EmbedderMismatchError: its vectors have another length than the embedder's.
    """
    rows = logged_calls(source) if isinstance(source, str | PathLike) else source
    known = set(router.models)
    found = sorted((row for row in rows if row.model in known), key=lambda row: row.time)
    own = {None, router.artifact.info.embedder}
    found = [row if row.embedder in own else row._replace(vector=None) for row in found]
    foreign = sum(row.embedder not in own and not row.question for row in found)
    found = [
        row for row in found if row.question or (row.vector is not None and row.surface is not None)
    ]
    models = tuple(dict.fromkeys(row.model for row in found))
    column = {model: j for j, model in enumerate(models)}
    calls = Calls(
        queries=_queries(found, router),
        models=models,
        answered=np.array([column[row.model] for row in found], dtype=np.int64),
        **{name: _column(found, name) for name in Calls.numbers()},
        left_out=foreign,
    )
    return _with_expectations(calls, router)


def _column(rows: Sequence[LoggedCall], name: str) -> Floats:
    return np.array([getattr(row, name) for row in rows], dtype=np.float64)  # None becomes NaN


def _queries(rows: Sequence[LoggedCall], router: Router) -> Queries:
    """Vectors and features: of the texts, or as the log keeps them."""
    dim = router.artifact.dim
    vectors = np.zeros((len(rows), dim), dtype=np.float32)
    features = np.zeros((len(rows), len(SURFACE_FEATURES)), dtype=np.float32)
    texts = [i for i, row in enumerate(rows) if row.vector is None]
    if texts:
        embedded = router.embed([str(rows[i].question) for i in texts])
        vectors[texts] = embedded.vectors
        features[texts] = embedded.surface
    for i, row in enumerate(rows):
        if row.vector is None:
            continue
        given = np.asarray(row.vector, dtype=np.float32)
        router.artifact.check_dimension(given[None, :])
        vectors[i] = given
        features[i] = surface([row.question])[0] if row.question else row.surface
    return Queries(vectors, features)


def _with_expectations(calls: Calls, router: Router) -> Calls:
    """What the router expects, where the log does not say what was expected."""
    open_ = np.isnan(calls.promised_score)
    # What is like the records of another fit need not be like those of this one.
    strange = np.isnan(calls.familiarity) | (calls.time < made(router.artifact))
    if not (open_ | strange).any():
        return calls
    engine = router.engine
    features = engine.scorer.features(calls.queries)
    if (familiarity := engine.familiarity(features)) is not None:
        known = np.where(strange, familiarity, calls.familiarity)
        calls = replace(calls, familiarity=known)
    if not open_.any():
        return calls
    ranking = engine.rank(features, 0.5, RoutingCall().relaxed)
    column = np.array([router.models.index(m) for m in calls.models], dtype=np.int64)
    at = np.arange(len(calls)), column[calls.answered]
    return replace(
        calls,
        promised_score=np.where(open_, ranking.score[at], calls.promised_score),
        promised_cost=np.where(open_, ranking.cost[at], calls.promised_cost),
    )
