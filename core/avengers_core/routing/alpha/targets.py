"""The alpha that is expected to meet a target, found once for what is asked often."""

from __future__ import annotations

from collections.abc import Mapping

from avengers_core.routing.alpha.curve import AlphaCurve, expected_curve
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.engine import Engine
from avengers_core.routing.queries import Queries

_MOST_REMEMBERED = 1000


class Targets:
    """The alphas of an engine that meet targets.

    Args:
        engine: artifact and scorer.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._alphas: dict[str, float] = {}

    def curve(self, queries: Queries | None, call: RoutingCall) -> AlphaCurve:
        """Expected score and cost as functions of alpha.

        Args:
            queries: a sample of what will be asked; None, the artifact's own clusters, each
                weighed by its records.
            call: the limits.

        Raises:
            NoEligibleModelError: the limits leave nobody for a query.
            ValueError: a sample of no queries.
        """
        scorer = self._engine.scorer
        if queries is not None:
            if not len(queries):
                raise ValueError("expected at least one query, got none")
            return expected_curve(self._engine, scorer.features(queries), call, None)
        sizes = scorer.statistics.size
        filled = sizes > 0
        features = scorer.center_features()[filled]
        return expected_curve(self._engine, features, call, sizes[filled])

    def alpha(self, targets: Mapping[str, float | None], call: RoutingCall) -> float:
        """The alpha that meets a target over the artifact's own clusters.

        Args:
            targets: ``cost``, ``score`` or ``saving`` -> what is aimed at.
            call: the limits.

        Raises:
            AvengersError: no alpha meets it.
            ValueError: not exactly one target.
        """
        # Found once: it takes a pass over all clusters.
        key = repr((sorted(targets.items()), call))
        alpha = self._alphas.get(key)
        if alpha is None:
            alpha = self.curve(None, call).alpha_for(**targets)
            if len(self._alphas) < _MOST_REMEMBERED:
                self._alphas[key] = alpha
        return alpha
