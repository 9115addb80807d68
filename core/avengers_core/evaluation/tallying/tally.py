"""What ways of choosing models score and cost, as sums over held-out records that add up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from avengers_core.evaluation.estimating import Estimate, Guesses
from avengers_core.evaluation.results import Average, Row, router_name
from avengers_core.records.outcomes import Outcomes
from avengers_core.routing.alpha_curve import best_single

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Sum:
    """One way of choosing, summed over the queries of each of D datasets.

    Attributes:
        score: (D,) sum of known scores.
        scored: (D,) how many are known.
        cost: (D,) sum of known costs, USD.
        priced: (D,) how many are known, on average where chance chooses.
        chosen: (D, M) queries that each model was chosen for.
        known: (D,) how many of them have a known score, also where the others are estimated; on
            average where chance chooses.
        estimates: of score and cost over all queries, for where not every result is known; None
            where only known results count.
    """

    score: Floats
    scored: Floats
    cost: Floats
    priced: Floats
    chosen: Floats
    known: Floats
    estimates: tuple[Estimate, Estimate] | None = None

    @classmethod
    def of(cls, outcomes: Outcomes, score: Floats, cost: Floats, chosen: Floats) -> Sum:
        """Sum up (n,) scores and costs, NaN where unknown, and (n, M) shares of the choice."""
        dataset, d = outcomes.dataset, len(outcomes.datasets)

        def total(values: Floats) -> Floats:
            return np.bincount(dataset, weights=values, minlength=d).astype(np.float64)

        scored = total(~np.isnan(score))
        return cls(
            total(np.nan_to_num(score)),
            scored,
            total(np.nan_to_num(cost)),
            total(~np.isnan(cost)),
            np.stack([total(column) for column in chosen.T], axis=1),
            scored,
        )

    @classmethod
    def of_best(cls, outcomes: Outcomes, chosen: npt.NDArray[np.bool_]) -> Sum:
        """Sum up the best score among (n, M) models chosen, and what all of them cost."""
        score = np.where(chosen, outcomes.scores, np.nan)
        score = np.fmax.reduce(score, axis=1)
        cost = np.where(chosen, outcomes.costs, 0.0).sum(axis=1)
        return cls.of(outcomes, score, cost, chosen.astype(np.float64))

    @classmethod
    def of_choice(cls, outcomes: Outcomes, choice: Ints, guesses: Guesses | None = None) -> Sum:
        """Sum up what the (n,) models chosen scored and cost."""
        rows = np.arange(len(outcomes))
        chosen = np.zeros(outcomes.scores.shape)
        chosen[rows, choice] = 1
        known = cls.of(
            outcomes, outcomes.scores[rows, choice], outcomes.costs[rows, choice], chosen
        )
        if guesses is None:
            return known
        estimates = (
            Estimate.of(outcomes, choice, outcomes.scores, guesses.score),
            Estimate.of(outcomes, choice, outcomes.costs, guesses.cost),
        )
        return replace(known, estimates=estimates)

    @classmethod
    def of_chance(cls, outcomes: Outcomes, singles: Sequence[Sum]) -> Sum:
        """What choosing uniformly at random comes to on average, from the M models' own sums.

        A query counts as priced to the share of the models whose cost is known, so that the mean
        and the total are of the same calls.
        """
        n, m = outcomes.scores.shape
        chosen = np.full((n, m), 1 / m)
        scores = cls.of(outcomes, _mean_of_known(outcomes.scores), np.full(n, np.nan), chosen)
        return replace(
            scores,
            cost=np.sum([s.cost for s in singles], axis=0) / m,
            priced=np.sum([s.priced for s in singles], axis=0) / m,
            known=np.sum([s.known for s in singles], axis=0) / m,
        )

    def __add__(self, other: Sum) -> Sum:
        sums = {name: getattr(self, name) + getattr(other, name) for name in _SUMS}
        if self.estimates is None or other.estimates is None:
            return Sum(**sums)
        (a, b), (c, d) = self.estimates, other.estimates
        return Sum(**sums, estimates=(a + c, b + d))

    def completed(self, scored: Mask, priced: Mask) -> Sum:
        """The sums over all queries: where results are missing, with estimates of them.

        Args:
            scored: (M,) whether any score is known of each model.
            priced: (M,) whether any cost is.
        """
        if self.estimates is None:
            return self
        of_score, of_cost = self.estimates
        score, n = of_score.complete(self.score, self.scored, scored)
        cost, n_cost = of_cost.complete(self.cost, self.priced, priced)
        return Sum(score, n, cost, n_cost, self.chosen, self.known)

    @property
    def means(self) -> Floats:
        """(D,) mean score by dataset, NaN where none is known."""
        return _divide(self.score, self.scored)

    def accuracy(self, average: Average) -> float:
        """Mean score over datasets or over queries; NaN where none is known."""
        if average == "query":
            return float(_divide(self.score.sum(), self.scored.sum()))
        known = self.means[self.scored > 0]
        return float(known.mean()) if len(known) else float("nan")

    @property
    def mean_cost(self) -> float:
        """USD a call, over the queries with a known cost; NaN where there is none."""
        return float(_divide(self.cost.sum(), self.priced.sum()))


_SUMS = ("score", "scored", "cost", "priced", "chosen", "known")


@dataclass(frozen=True)
class Tally:
    """Sums over held-out records of every way of choosing that an evaluation compares.

    Attributes:
        models: the M model ids.
        datasets: the D dataset names.
        queries: (D,) queries of each dataset.
        singles: of always choosing one model, by model.
        routed: of a router, by alpha.
        oracle: of choosing, for each query, the best model, and of those the cheapest.
        random: expectation of choosing uniformly at random.
        teams: of a router's best few models answering together, by alpha.
        team_size: how many these are, where enough are eligible.
        relaxed: queries that no model meets the limits for.
    """

    models: tuple[str, ...]
    datasets: tuple[str, ...]
    queries: Floats
    singles: tuple[Sum, ...]
    routed: dict[float, Sum]
    oracle: Sum
    random: Sum
    teams: dict[float, Sum]
    team_size: int
    relaxed: int

    @classmethod
    def collect(
        cls,
        outcomes: Outcomes,
        choices: Mapping[float, Ints],
        teams: Mapping[float, npt.NDArray[np.bool_]],
        team_size: int = 1,
        *,
        relaxed: int = 0,
        guesses: Guesses | None = None,
    ) -> Tally:
        """Sum up records.

        Args:
            outcomes: n records.
            choices: alpha -> (n,) column of the model that a router chose.
            teams: alpha -> (n, M) the models that answer together.
            team_size: how many these are, where enough are eligible.
            relaxed: how many of the queries no model meets the limits for.
            guesses: what is expected of every model, which stands in for results that are not
                known; default, only known results count.
        """
        n, m = outcomes.scores.shape
        # Unknown scores and costs are sorted last: worse, and more expensive, than any.
        best = np.lexsort((outcomes.costs, -outcomes.scores), axis=1)[:, 0]
        singles = tuple(Sum.of_choice(outcomes, np.full(n, j), guesses) for j in range(m))
        counts = np.bincount(outcomes.dataset, minlength=len(outcomes.datasets))
        return cls(
            outcomes.models,
            outcomes.datasets,
            counts.astype(np.float64),
            singles,
            {alpha: Sum.of_choice(outcomes, choice, guesses) for alpha, choice in choices.items()},
            Sum.of_choice(outcomes, best),
            Sum.of_chance(outcomes, singles),
            {alpha: Sum.of_best(outcomes, team) for alpha, team in teams.items()},
            team_size,
            relaxed,
        )

    def __add__(self, other: Tally) -> Tally:
        """The tally of both; models, datasets, alphas and team size must be the same."""
        return replace(
            self,
            queries=self.queries + other.queries,
            singles=tuple(a + b for a, b in zip(self.singles, other.singles, strict=True)),
            routed={alpha: s + other.routed[alpha] for alpha, s in self.routed.items()},
            oracle=self.oracle + other.oracle,
            random=self.random + other.random,
            teams={alpha: s + other.teams[alpha] for alpha, s in self.teams.items()},
            relaxed=self.relaxed + other.relaxed,
        )

    def only(self, alphas: Iterable[float]) -> Tally:
        """The tally with the router, and its teams, at these alphas only."""
        wanted = set(alphas)
        return replace(
            self,
            routed={alpha: s for alpha, s in self.routed.items() if alpha in wanted},
            teams={alpha: s for alpha, s in self.teams.items() if alpha in wanted},
        )

    def rows(self, average: Average) -> tuple[Row, ...]:
        """Every single model, the router at each alpha, the baselines, and the teams."""
        return tuple(self.completed()._rows(average))

    @property
    def complete(self) -> bool:
        """Whether every model's score is known on every query."""
        return all(s.scored.sum() >= self.queries.sum() for s in self.singles)

    def completed(self) -> Tally:
        """The tally with estimates in place of what is not known, all on the same queries."""
        scored = np.array([s.scored.any() for s in self.singles])
        priced = np.array([s.priced.any() for s in self.singles])
        singles = tuple(s.completed(scored, priced) for s in self.singles)
        random = self.random
        if not self.complete and any(s.estimates is not None for s in self.singles):
            m = len(singles)
            random = replace(
                random,
                **{
                    name: np.sum([getattr(s, name) for s in singles], axis=0) / m
                    for name in ("score", "scored", "cost", "priced")
                },
            )
        return replace(
            self,
            singles=singles,
            routed={alpha: s.completed(scored, priced) for alpha, s in self.routed.items()},
            random=random,
        )

    def _rows(self, average: Average) -> Iterator[Row]:
        for model, single in zip(self.models, self.singles, strict=True):
            yield self._row(model, "model", single)
        for alpha, routed in self.routed.items():
            yield self._row(router_name(alpha), "router", routed, alpha)
        accuracy = np.array([s.accuracy(average) for s in self.singles])
        cost = np.array([s.mean_cost for s in self.singles])
        yield self._row("best single", "baseline", self.singles[best_single(accuracy, cost)])
        if not np.isnan(cost).all():
            cheapest = int(np.lexsort((-accuracy, cost))[0])
            yield self._row("cheapest", "baseline", self.singles[cheapest])
        yield self._row("best per dataset", "baseline", self._best_per_dataset())
        yield self._row("oracle", "baseline", self.oracle)
        yield self._row("random", "baseline", self.random)
        for alpha, team in self.teams.items():
            yield self._row(f"best of {self.team_size} (alpha {alpha:g})", "team", team, alpha)

    def _best_per_dataset(self) -> Sum:
        means = np.stack([s.means for s in self.singles])
        cost = np.stack([_divide(s.cost, s.priced) for s in self.singles])
        best = np.lexsort((cost, -means), axis=0)[0]
        rows = np.arange(len(best))
        each = {name: np.stack([getattr(s, name) for s in self.singles]) for name in _SUMS}
        return Sum(**{name: sums[best, rows] for name, sums in each.items()})

    def _row(self, name: str, kind: str, total: Sum, alpha: float | None = None) -> Row:
        """The row of one way of choosing."""
        means = total.means
        there = [d for d in range(len(self.datasets)) if self.queries[d] > 0]
        shares = total.chosen.sum(axis=0) / max(self.queries.sum(), 1)
        return Row(
            name=name,
            kind=kind,
            accuracy=dict(sorted((self.datasets[d], float(means[d])) for d in there)),
            dataset_mean=total.accuracy("dataset"),
            query_mean=total.accuracy("query"),
            mean_cost=total.mean_cost,
            total_cost=float(total.cost.sum()) if total.priced.any() else float("nan"),
            priced=float(total.priced.sum()),
            shares={m: float(s) for m, s in zip(self.models, shares, strict=True)},
            alpha=alpha,
            known=float(total.known.sum()),
        )


def _mean_of_known(values: Floats) -> Floats:
    known = ~np.isnan(values)
    return _divide(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1))


def _divide(total: npt.ArrayLike, count: npt.ArrayLike) -> Floats:
    """``total / count``, NaN where the count is 0."""
    total, count = np.asarray(total, dtype=np.float64), np.asarray(count, dtype=np.float64)
    mean: Floats = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean
