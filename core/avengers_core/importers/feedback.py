"""Calls of traced runs, joined by id with what people, tests or judges thought of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from avengers_core.errors import RecordError
from avengers_core.importers.layout import Call, Feedback, Found, Read, Result, Take, by_row
from avengers_core.importers.reading.tables import Place, Row
from avengers_core.importers.values import at, known_number, number, one, shown
from avengers_core.records.names import counted, few
from avengers_core.records.record import RecordProblem

logger = logging.getLogger(__name__)

_SHOWN = 3  # ids in a message
# What feedback is of, the nearest first; "id" may be the feedback's own where it has another.
_IDS = (
    "span_id",
    "spanId",
    "context.span_id",
    "observation_id",
    "observationId",
    "run_id",
    "request_id",
    "litellm_call_id",
    "call_id",
    "response_id",
    "trace_id",
    "traceId",
    "context.trace_id",
    "session_id",
    "id",
)
_SCORES = ("score", "result.score", "value", "rating", "feedback.value")
_NAMES = ("name", "key", "annotation_name", "assessment_name", "metric")


def by_call(*keys: str) -> Callable[[Take], Read]:
    """As :func:`avengers_core.importers.layout.by_row`, where rows of feedback may lie among calls.

    Args:
        keys: that a call has, of which feedback has none.
    """

    def decorate(take: Take) -> Read:
        def either(row: Row, place: Place) -> Iterable[Found]:
            is_call = bool(row.keys() & set(keys)) or not is_feedback(row)
            return take(row, place) if is_call else feedback_in(row, place)

        return by_row(either)

    return decorate


def feedback_in(row: Row, place: Place) -> Iterator[Feedback]:
    """The feedback of a row that has an id and a score, as most tools and tables have it.

    Raises:
        ValueError: there is no id, or no score.
    """
    del place
    of = one(row, *_IDS)
    if of is None:
        raise ValueError(f"expected feedback with one of {', '.join(_IDS)}, got {shown(dict(row))}")
    if not any(at(row, key) is not None or key in row for key in _SCORES):
        raise ValueError(f"expected feedback with a score or value, got {shown(dict(row))}")
    yield from scored(of, one(row, *_NAMES), number(one(row, *_SCORES)))


def is_feedback(row: Row) -> bool:
    """Whether a row has an id and a score."""
    return any(at(row, key) is not None for key in _IDS) and any(
        at(row, key) is not None for key in _SCORES
    )


def scored(of: Any, name: Any, value: Any) -> Iterator[Feedback]:
    """What is thought of a step; nothing where the value is no number."""
    if (score := known_number(value)) is not None:
        yield Feedback(str(of), str(name or "score"), score)


def graded(found: Sequence[Found], source: object) -> list[Result | RecordProblem]:
    """A result of each call of a model; results and problems stay as they are.

    A call's scores are those of its own feedback, else those of the steps above it, the nearest
    first, else those of its trace. Several scores of one name on the same step count by their
    mean.

    Raises:
        RecordError: there is no call of a model, or none has feedback.
    """
    calls = {item.id: item for item in found if isinstance(item, Call)}
    scores = _means(item for item in found if isinstance(item, Feedback))
    results: list[Result | RecordProblem] = []
    asked = has_score = 0
    for item in found:
        if isinstance(item, Result | RecordProblem):
            results.append(item)
        elif isinstance(item, Call) and item.model is not None and calls[item.id] is item:
            own = _of(item, calls, scores)
            asked, has_score = asked + 1, has_score + bool(own)
            told = item.query, item.model, own, item.dataset, item.place
            results.append(Result(*told, index=item.id, usage=item.usage))
    problems = [item for item in results if isinstance(item, RecordProblem)]
    if not asked and not problems:
        raise RecordError(f"{source} holds no call of a model")
    steps = {_plain(of): None for item in calls.values() for of in _ids(item) if of}
    strange = [of for of in scores if of not in steps]
    if asked and not has_score:
        said = "feedback= (--feedback) takes a file of ids and scores"
        if strange:
            said = (
                f"there are scores of {few(list(map(repr, strange)), _SHOWN)}, which are ids of "
                f"none of the steps, such as {few(list(map(repr, steps)), _SHOWN)}"
            )
        rejected = f"; rejected: {len(problems):,}, the first {problems[0]}" if problems else ""
        raise RecordError(
            f"{source}: of {counted(asked, 'call')} of a model none has a score; {said}{rejected}"
        )
    if strange:
        logger.warning(
            "%s: the scores of %s are left out: %s",
            source,
            counted(len(strange), "step that is not there", "steps that are not there"),
            few(list(map(repr, strange)), _SHOWN),
        )
    return results


def _ids(call: Call) -> tuple[str | None, ...]:
    """What feedback on a step, on the one above it or on the whole names."""
    return call.id, call.parent, call.trace


def _means(feedback: Iterable[Feedback]) -> dict[str, dict[str, float]]:
    values: dict[str, dict[str, list[float]]] = {}
    for item in feedback:
        values.setdefault(_plain(item.of), {}).setdefault(item.name, []).append(item.value)
    return {
        of: {name: fmean(found) for name, found in names.items()} for of, names in values.items()
    }


def _of(
    call: Call, calls: Mapping[str, Call], scores: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """The scores of a call: its own, of those above it, of its trace."""
    above = [call.id]
    parent = call.parent
    while parent and parent not in above:  # a damaged trace may run in a circle
        above.append(parent)
        parent = calls[parent].parent if parent in calls else None
    found: dict[str, float] = {}
    for of in [call.trace or "", *reversed(above)]:
        found.update(scores.get(_plain(of), {}))
    return found


def _plain(id: str) -> str:
    """An id without the ``0x`` that some print before it."""
    return id.removeprefix("0x")
