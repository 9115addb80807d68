"""Scorers: how the statistics of the clusters near a query rank the models.

All have one shape: the utility of every model for every query is ``features(queries) @
table(alpha)``. The features of a query say how much each cluster counts for it, and more where a
scorer knows more; the table says how good each model is there at the alpha asked for. Expected
score and cost are the same features times two tables that do not depend on alpha.

======================  =======================================================================
``ReferenceScorer``     the published code (github.com/ZhangYiqun018/AvengersPro)
``PaperScorer``         what its paper writes (arXiv 2508.12631, section 3)
``CalibratedScorer``    this package's own, and the default
======================  =======================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.routing.scoring.base import Scorer, check_option
from avengers_core.routing.scoring.calibrated import CalibratedScorer
from avengers_core.routing.scoring.published import PaperScorer, ReferenceScorer

__all__ = [
    "SCORERS",
    "CalibratedScorer",
    "PaperScorer",
    "ReferenceScorer",
    "Scorer",
    "check_options",
    "make_scorer",
]

SCORERS: dict[str, type[ReferenceScorer] | type[PaperScorer] | type[CalibratedScorer]] = {
    cls.name: cls for cls in (ReferenceScorer, PaperScorer, CalibratedScorer)
}


def make_scorer(artifact: RouterArtifact, name: str | None = None, **options: Any) -> Scorer:
    """The scorer of that name for an artifact.

    Args:
        artifact: the artifact.
        name: ``reference``, ``paper`` or ``calibrated``; default, the artifact's own.
        options: of the scorer; what is not given is taken from the artifact if the scorer is
            its own, else from the scorer's defaults.

    Raises:
        ValueError: no such scorer or option.
    """
    name = name or artifact.info.scorer
    if name == artifact.info.scorer:
        options = {**artifact.info.scorer_options, **options}
    check_options(name, options)
    try:
        return SCORERS[name](artifact, **options)
    except TypeError as error:
        raise ValueError(f"scorer {name!r}: {error}") from None


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise ValueError for a scorer that there is not, an option it has not, or a value of one."""
    if name not in SCORERS:
        raise ValueError(f"no scorer {name!r}; there are {sorted(SCORERS)}")
    known = {n: list(signature(s).parameters)[1:] for n, s in SCORERS.items()}  # less the artifact
    if unknown := sorted(set(options) - set(known[name])):
        others = [f'scorer="{n}"' for n in known if set(unknown) <= set(known[n])]
        hint = f"; give {' or '.join(others)}" if others else ""
        raise ValueError(f"the scorer {name!r} has no option {unknown}; it has {known[name]}{hint}")
    for option, value in options.items():
        if value is not None:
            check_option(option, value)
