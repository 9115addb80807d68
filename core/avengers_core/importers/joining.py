"""Results of single models, joined into one row for each query."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

from avengers_core.errors import RecordError
from avengers_core.importers.layout import Result, Scale
from avengers_core.records.names import counted
from avengers_core.records.record import RecordProblem

logger = logging.getLogger(__name__)


def joined(
    found: Iterable[Result | RecordProblem],
    source: object,
    *,
    score_key: Sequence[str] = (),
    scale: Scale | None = None,
    ranked: bool = True,
) -> Iterator[Any]:
    """Rows as ``load_records`` takes them, and the problems in their place.

    A model's second result on the same query begins another row, and so does a result with a
    propensity: each was chosen by itself.

    Args:
        found: results of single models.
        source: what messages call it.
        score_key: names of scores; of each result, the first that it has counts. Default: the
            only one, or the first of the dataset where they are ranked.
        scale: lowest and highest score, those beyond are rejected one by one. Default: [0, 1], and
            a score beyond refuses all, for on a scale of 1 to 5 the worst would look like a 1.
        ranked: whether the scores of a result are in the order in which they count.

    Raises:
        RecordError: no such score, one of several that must be named, or scores on another scale.
    """
    items = list(found)
    results = [item for item in items if isinstance(item, Result)]
    choose = _choice(results, source, score_key, ranked)
    if scale is None:
        scores = [r.scores[name] for r in results if (name := choose(r)) is not None]
        _refuse_other_scales(source, [score for score in scores if score is not None])
    rows: dict[Hashable, list[dict[str, Any]]] = {}  # in order of first appearance
    without = 0
    for item in items:
        if isinstance(item, RecordProblem):
            yield item
        elif (name := choose(item)) is None:
            without += 1
        else:
            try:
                score = scaled(item.scores[name], scale)
                _add(item, score, rows.setdefault(item.key or (item.dataset, item.query), []))
            except ValueError as error:
                yield item.place.problem(error, item.query)
    if without:
        logger.warning(
            "%d of %s without a score%s: left out",
            without,
            counted(len(results), "result"),
            f" {' or '.join(map(repr, score_key))}" if score_key else "",
        )
    yield from itertools.chain.from_iterable(rows.values())


def scaled(score: float | None, scale: Scale | None) -> float | None:
    """A score brought to [0, 1].

    Raises:
        ValueError: it lies outside of the scale.
    """
    if score is None:
        return None
    low, high = scale or (0.0, 1.0)
    if not low <= score <= high:
        raise ValueError(f"the score {score:g} lies outside of [{low:g}, {high:g}]")
    return (score - low) / (high - low)


def _choice(
    results: Sequence[Result], source: object, score_key: Sequence[str], ranked: bool
) -> Callable[[Result], str | None]:
    """The name of the score that counts for a result, or None where the result has it not."""
    found: dict[str, dict[str, None]] = {}  # dataset -> names, in the order in which they rank
    for result in results:
        found.setdefault(result.dataset, {}).update(dict.fromkeys(result.scores))
    names = list(dict.fromkeys(name for own in found.values() for name in own))
    ranking_first = {dataset: next(iter(own), "") for dataset, own in found.items()}

    def choose(result: Result) -> str | None:
        for wanted in score_key or (ranking_first[result.dataset],):
            if wanted in result.scores:
                return wanted
            # A metric may come with several filters of the answer, "exact_match,strict-match".
            for name in result.scores if score_key else ():
                if name.partition(",")[0] == wanted:
                    return name
        return None

    if score_key and results and not any(map(choose, results)):
        raise RecordError(
            f"{source}: no result has a score {' or '.join(map(repr, score_key))}; there are "
            f"{sorted(names)}"
        )
    if results and not names:
        raise RecordError(f"{source}: of {counted(len(results), 'result')} none has a score")
    if not score_key and not ranked and len(names) > 1:
        raise RecordError(
            f"{source}: there are the scores {sorted(names)}; pick one with score_key= "
            f"(--score-key)"
        )
    if not score_key and any(len(own) > 1 for own in found.values()):
        taken = sorted(set(ranking_first.values()))
        logger.warning(
            "%s: the score %s counts; there are also %s (score_key=, --score-key)",
            source,
            ", ".join(map(repr, taken)),
            ", ".join(repr(name) for name in names if name not in taken) or "others of these",
        )
    return choose


def _add(result: Result, score: float | None, rows: list[dict[str, Any]]) -> None:
    """Put a result into the first row on its query that has none of its model, or into another."""
    alone = {} if result.propensity is None else {"propensity": result.propensity}
    others = (r for r in rows if result.model not in r["records"] and "propensity" not in r)
    row = None if alone else next(others, None)
    if row is None:
        row = {
            "query": result.query,
            "records": {},
            "usages": {},
            "dataset": result.dataset,
            "index": result.index,
            **alone,
        }
        rows.append(row)
    row["records"][result.model] = score
    if known := {unit: value for unit, value in result.usage.items() if value is not None}:
        row["usages"][result.model] = known


def _refuse_other_scales(source: object, scores: Sequence[float]) -> None:
    low, high = min(scores, default=0.0), max(scores, default=1.0)
    if low < 0 or high > 1:
        raise RecordError(
            f"{source}: the scores lie in [{low:g}, {high:g}], expected [0, 1]; name the lowest "
            f"and the highest that can be with scale= (--scale), or 0 and 1 to reject those beyond"
        )
