"""What a study varies, and the settings of its experiments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Annotated, Any, NamedTuple

from pydantic import Field, TypeAdapter

from avengers_core.common.ranges import check_seed
from avengers_core.records.record import Records
from avengers_core.routing.scoring import check_options

# Each takes seconds.
_MOST_SETTINGS = 100_000


@dataclass(frozen=True)
class Setting:
    """One experiment: a split, a fit and an evaluation.

    Attributes:
        study: which study it belongs to.
        value: the value of what the study varies.
        n_clusters: clusters of the fit.
        scorer: of the router.
        scorer_options: and its options.
        train_ratio: share of each dataset that is fitted on.
        seed: of split and clustering.
        embedder: spec of the embedder.
        held_out: a dataset to leave out of fitting and to evaluate on alone, or None.
        limits: of :class:`~avengers_core.routing.policy.Policy` that are numbers. A query for which
            no model meets them goes to the nearest model.
    """

    study: str = ""
    value: str | float = ""
    n_clusters: int = 60
    scorer: str = "calibrated"
    scorer_options: dict[str, Any] = field(default_factory=dict)
    train_ratio: float = 0.7
    seed: int = 42
    embedder: str = "wordllama"
    held_out: str | None = None
    limits: dict[str, Any] = field(default_factory=dict)


def settings_for(
    study: str, records: Records, base: Setting, seeds: Iterable[int], values: Sequence[Any] = ()
) -> list[Setting]:
    """The settings of a named study.

    Args:
        study: one of :data:`STUDIES`. ``"top-k"`` takes the scorer ``"reference"`` in place of
            ``"calibrated"``, where all clusters vote.
        records: tell the datasets for ``leave-one-out``.
        base: what is not varied.
        seeds: one repetition each; the same splits for every value.
        values: what to try; default, the study's own list. Numbers may be text.

    Raises:
        ValueError: no such study, a value that cannot be tried in it, or a scorer without one of
            the options.
    """
    if study not in STUDIES:
        raise ValueError(f"no study {study!r}; there are {sorted(STUDIES)}")
    default, expected, made, vary = STUDIES[study]
    tried = tuple(values) or default or records.datasets
    if not default and (unknown := sorted(set(map(str, tried)) - set(records.datasets))):
        raise ValueError(f"no record has the dataset {unknown}; there are {records.datasets}")
    each = list(islice(seeds, _MOST_SETTINGS // max(len(tried), 1) + 1))
    if len(each) * len(tried) > _MOST_SETTINGS:
        raise ValueError(
            f"expected at most {_MOST_SETTINGS:,} experiments, got more: {len(tried):,} values, "
            f"each with all repetitions"
        )
    for seed in each:
        check_seed(seed)
    settings = []
    for given in tried:
        try:
            value = made(given)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"study {study!r} varies {expected}, got {given!r}") from None
        varied = vary(replace(base, study=study, value=value), value)
        check_options(varied.scorer, varied.scorer_options)
        settings += [replace(varied, seed=seed) for seed in each]
    return settings


class Study(NamedTuple):
    """What a study varies.

    Attributes:
        values: tried by default; none, the datasets of the records.
        expected: what a value must be, in words.
        made: a value of what was given; raises ValueError where it cannot be tried.
        vary: a setting with such a value.
    """

    values: tuple[Any, ...]
    expected: str
    made: Callable[[Any], str | float]
    vary: Callable[[Setting, Any], Setting]


def _made(kind: Any) -> Callable[[Any], Any]:
    return TypeAdapter(kind).validate_python


_COUNTS = "whole numbers of at least 1"
_count = _made(Annotated[int, Field(ge=1)])

STUDIES: dict[str, Study] = {
    "clusters": Study(
        (8, 16, 25, 40, 60, 100, 150), _COUNTS, _count, lambda s, v: replace(s, n_clusters=v)
    ),
    "top-k": Study(
        (1, 2, 3, 5, 8, 12),
        _COUNTS,
        _count,
        lambda s, v: replace(
            s,
            scorer="reference" if s.scorer == "calibrated" else s.scorer,
            scorer_options={**s.scorer_options, "top_k": v},
        ),
    ),
    "beta": Study(
        (5.0, 10.0, 15.0, 20.0, 30.0, 50.0),
        "finite numbers of at least 0",
        _made(Annotated[float, Field(ge=0, allow_inf_nan=False)]),
        lambda s, v: replace(s, scorer_options={**s.scorer_options, "beta": v}),
    ),
    "train-ratio": Study(
        (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9),
        "numbers between 0 and 1",
        _made(Annotated[float, Field(gt=0, lt=1)]),
        lambda s, v: replace(s, train_ratio=v),
    ),
    "embedder": Study(
        ("wordllama", "tfidf"), "embedders", str, lambda s, v: replace(s, embedder=v)
    ),
    "scorer": Study(
        ("calibrated", "paper", "reference"), "scorers", str, lambda s, v: replace(s, scorer=v)
    ),
    "leave-one-out": Study((), "datasets", str, lambda s, v: replace(s, held_out=v)),
}
