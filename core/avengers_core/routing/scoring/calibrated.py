"""The default scorer."""

from __future__ import annotations

from typing import Any

import numpy as np

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.clusters import Posterior, ratio, shrunk_means, unit
from avengers_core.artifact.estimation.cells import Beliefs
from avengers_core.artifact.estimation.costs import expected_costs
from avengers_core.artifact.estimation.inference import credible
from avengers_core.artifact.estimation.pricing import highest_input_prices
from avengers_core.artifact.estimation.process import places
from avengers_core.artifact.refinement import Hyperparameters
from avengers_core.common.arrays import Floats
from avengers_core.common.parallel import one_thread
from avengers_core.embedders.surface import tokens
from avengers_core.routing.queries import Queries
from avengers_core.routing.scoring.alpha_scale import AlphaScale
from avengers_core.routing.scoring.base import ClusterScorer

# Of numbers in single precision, as queries are routed by.
_ROUNDING = 1e-6
# The most that score counts: of models that are expected to be equally good the cheaper is taken at
# alpha 1, too. What is left to cost is little beside any other difference, and more than rounding.
_MOST_WEIGHT = 1 - 1e-5


class CalibratedScorer(ClusterScorer):
    """Expected score and cost, weighed over all clusters, also of models hardly seen near a query.

    The weight of cluster c for the query x is proportional to ``N_c exp(beta cos(x, mu_c))``. The
    expected score and cost of a model there come from the sums of all clusters and models, see
    :mod:`avengers_core.artifact.estimation.cells`; in artifacts of older versions they are its
    means, shrunk to its overall mean ``g_m``: ``(s + m0 g_m) / (n + m0)``. Where the artifact
    holds a :class:`Refinement`, the clusters are those of embedding and surface features together,
    and the expected score is averaged with that of a ridge regression in this space, which is heard
    the less the fewer records a model has; the cost follows the length of the prompt. With p and c
    the expected score and cost, the utility is ``w p / r_p - (1 - w) c / r_c``, where
    ``r_p`` and ``r_c`` are constants of the artifact: the median over clusters, weighted by their
    records, of the range over models of p and of c. The weight w rises with alpha from 0 to 1, see
    :class:`AlphaScale`; in artifacts of older versions it is alpha. A hundred thousandth is always
    left to cost, so that of equally good models the cheaper is taken.

    Args:
        artifact: the artifact.
        beta: sharpness of the weights, at least 0.
        m0: records' worth of shrinkage of costs (in artifacts of older versions of scores, too),
            at least 0.
        mix: weight of the regression against the clusters, in [0, 1].

    What is not given was chosen by cross-validation when the artifact was fitted; without a
    refinement beta is 20 and m0 is 5.

    Source: docs/research.md of this project.
    """

    name = "calibrated"
    linear = True
    dtype = np.float32
    _humble = True

    def __init__(
        self,
        artifact: RouterArtifact,
        *,
        beta: float | None = None,
        m0: float | None = None,
        mix: float | None = None,
    ) -> None:
        r = artifact.refinement and artifact.refinement.effective()
        statistics = artifact.statistics if r is None else r.statistics
        chosen = Hyperparameters() if r is None else r.hyperparameters
        beta = chosen.beta if beta is None else beta
        m0 = chosen.m0 if m0 is None else m0
        mix = chosen.mix if mix is None else mix
        centroids = artifact.centroids if r is None else r.centroids
        if artifact.info.cells != "separate":
            self.min_support = 0.0
        super().__init__(artifact, statistics, centroids, beta=beta, m0=m0, mix=mix)
        s = self.statistics
        self.needs_surface = r is not None
        self._augment = None if r is None else r.augment
        if artifact.info.cells != "separate":
            score = artifact.beliefs.scores
            smooth = artifact.info.reads_cells("smooth")
            where = places(centroids, ratio(s.topics, s.size[:, None])) if smooth else None
            with one_thread():
                cost = expected_costs(s, m0, where)
        else:
            score = shrunk_means(s.score, s.n, m0)
            cost = shrunk_means(s.cost, s.n_cost, m0)
        directions = offset = None
        if r is None or mix == 0:
            self._tables(score, cost)
        else:
            # Votes sum to 1, so the regression's offset can ride on them.
            heard = np.full(score.shape[1], mix)
            if artifact.info.reads_cells("held") and artifact.beliefs.told is not None:
                heard *= credible(artifact.beliefs.told)
            score = (1 - heard) * score + heard * r.linear.offset
            directions = r.linear.directions
            offset = -(r.linear.center @ directions)
            self._tables(score, cost, heard * r.linear.coefficients)
        self._project = Posterior(
            centroids,
            s.size,
            beta,
            directions=directions,
            offset=offset,
            spare=2,
            # Without a refinement the clusters that vote are those that likeness is told by.
            near=self._near if self.knows_familiarity and (r or not beta) else None,
        )
        self.width = self._project.width
        self._gain = self.score_table / _typical_range(score, s.size)
        self._loss = self._cost / _typical_range(cost[:, self._priced], s.size)
        if artifact.info.alpha == "costs":
            center, priced = self.center_features(), self._priced
            gain, loss = center @ self._gain[:, priced], center @ self._loss[:, priced]
            self.scale = AlphaScale.of_costs(gain, loss, s.size)

    def _highest_prices(self, cost: Floats) -> Floats | None:
        bounded = self._artifact.info.reads_cells("bounded")
        return highest_input_prices(cost, self._usual_tokens) if bounded else None

    @property
    def _beliefs(self) -> Beliefs:
        return self._artifact.beliefs

    def features(self, queries: Queries, out: Floats | None = None) -> Floats:
        space: Floats = queries.vectors
        lengths: Floats | float = 1.0
        if self._augment is not None:
            space, lengths = self._augment.with_lengths(queries.vectors, queries.surface)
        features, cosine = self._project.likened(space, out)
        self._look(queries, features, cosine * lengths)
        return self._with_tokens(features, queries)

    def _with_tokens(self, features: Floats, queries: Queries) -> Floats:
        length: Any = queries.prompt_tokens
        if length is None and self._augment is not None and queries.surface is not None:
            length = tokens(queries.surface)
        if length is not None:
            usual = features[self._votes].dot(self._usual_tokens)
            if len(usual) == 1 and not isinstance(length, np.ndarray):  # numbers are quicker
                features[0, -1] = length - usual.item()
            else:
                features[:, -1] = length - usual
        return features

    def center_features(self) -> Floats:
        centers = unit(self._centroids)
        features = self._project(centers)
        features[:, -2] = 1.0
        return self._with_tokens(features, Queries(centers))

    def table(self, alpha: float) -> Floats:
        weight = _MOST_WEIGHT * self.scale.weight(alpha)
        return weight * self._gain - (1 - weight) * self._loss


def _typical_range(table: Floats, size: Floats) -> float:
    """Median over clusters, weighted by their records, of the range over models.

    The widest range where that is nothing, and the numbers' own size where all are.
    """
    if table.shape[1] == 0:
        return 1.0
    spread = np.ptp(table, axis=1)
    order = np.argsort(spread)
    mass = np.cumsum(size[order])
    middle = spread[order[np.searchsorted(mass, mass[-1] / 2)]]
    # A range that is but the rounding of the numbers would make that decide.
    size_of_all = float(np.abs(table).max())
    found = (float(r) for r in (middle, spread.max()) if r > _ROUNDING * size_of_all)
    return next(found, size_of_all) or 1.0
