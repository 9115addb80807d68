"""What ways of choosing models score and cost, as sums over held-out records that add up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np

from avengers_core.artifact.additive import Adding
from avengers_core.artifact.clusters import ratio, sums_of_cells
from avengers_core.common.arrays import Floats, Ints, Mask, to_twelve_digits
from avengers_core.evaluation.estimating import Estimate, Guesses
from avengers_core.evaluation.rows import Average, Row, router_name
from avengers_core.records.outcomes import Outcomes
from avengers_core.routing.alpha.curve import best_single


@dataclass(frozen=True, eq=False)
class Sum(Adding):
    """One way of choosing, summed over the queries of each of D datasets.

    Attributes:
        score: (D,) sum of known scores.
        scored: (D,) how many are known.
        cost: (D,) sum of known costs, USD.
        priced: (D,) how many are known, on average where chance chooses.
        chosen: (D, M) queries that each model was chosen for.
        known: (D,) how many of them have a known score, also where the others are estimated; on
            average where chance chooses.
        known_costs: (D,) likewise how many have a known cost.
        of_score: estimates over all queries, for where not every result is known; None where only
            known results count.
        of_cost: likewise.
    """

    score: Floats
    scored: Floats
    cost: Floats
    priced: Floats
    chosen: Floats
    known: Floats
    known_costs: Floats
    of_score: Estimate | None = None
    of_cost: Estimate | None = None

    @classmethod
    def of(cls, outcomes: Outcomes, score: Floats, cost: Floats, chosen: Floats) -> Sum:
        """Sum up (n,) scores and costs, NaN where unknown, and (n, M) shares of the choice."""
        dataset, d = outcomes.dataset, len(outcomes.datasets)

        def total(values: Floats) -> Floats:
            return np.bincount(dataset, weights=values, minlength=d).astype(np.float64)

        scored, priced = total(~np.isnan(score)), total(~np.isnan(cost))
        return cls(
            total(np.nan_to_num(score)),
            scored,
            total(np.nan_to_num(cost)),
            priced,
            sums_of_cells(chosen, dataset, d),
            scored,
            priced,
        )

    @classmethod
    def of_best(cls, outcomes: Outcomes, chosen: Mask) -> Sum:
        """Sum up the best score among (n, M) models chosen, and what all of them cost."""
        score = np.where(chosen, outcomes.scores, np.nan)
        score = np.fmax.reduce(score, axis=1)
        cost = np.where(chosen, outcomes.costs, 0.0).sum(axis=1)
        return cls.of(outcomes, score, cost, chosen.astype(np.float64))

    @classmethod
    def of_choice(cls, outcomes: Outcomes, choice: Ints, guesses: Guesses | None = None) -> Sum:
        """Sum up what the (n,) models chosen scored and cost."""
        rows, (scores, costs) = np.arange(len(outcomes)), (outcomes.scores, outcomes.costs)
        chosen = np.zeros(scores.shape)
        chosen[rows, choice] = 1
        known = cls.of(outcomes, scores[rows, choice], costs[rows, choice], chosen)
        if guesses is None:
            return known
        return replace(
            known,
            of_score=Estimate.of(outcomes, choice, scores, guesses.score),
            of_cost=Estimate.of(outcomes, choice, costs, guesses.cost),
        )

    @classmethod
    def of_chance(cls, outcomes: Outcomes, singles: Sequence[Sum]) -> Sum:
        """What choosing uniformly at random comes to on average, from the M models' own sums.

        A query counts as priced to the share of the models whose cost is known, so that the mean
        and the total are of the same calls.
        """
        n, m = outcomes.scores.shape
        chosen = np.full((n, m), 1 / m)
        known = ~np.isnan(outcomes.scores)
        total = np.where(known, outcomes.scores, 0.0).sum(axis=1)
        mean = ratio(total, known.sum(axis=1), np.nan)
        scores = cls.of(outcomes, mean, np.full(n, np.nan), chosen)
        return scores.with_means(singles, "cost", "priced", "known", "known_costs")

    def with_means(self, singles: Sequence[Sum], *names: str) -> Sum:
        """The same with some sums that are the means of other ways' sums."""
        means = {name: np.mean([getattr(s, name) for s in singles], axis=0) for name in names}
        return replace(self, **means)

    def completed(self, scored: Mask, priced: Mask) -> Sum:
        """The sums over all queries: where results are missing, with estimates of them.

        Args:
            scored: (M,) whether any score is known of each model.
            priced: (M,) whether any cost is.
        """
        if self.of_score is None or self.of_cost is None:
            return self
        score, n = self.of_score.complete(self.score, self.scored, scored, most=1.0)
        cost, n_cost = self.of_cost.complete(self.cost, self.priced, priced)
        return Sum(score, n, cost, n_cost, self.chosen, self.known, self.known_costs)

    @property
    def means(self) -> Floats:
        """(D,) mean score by dataset, NaN where none is known."""
        return ratio(self.score, self.scored, np.nan)

    def accuracy(self, average: Average) -> float:
        """Mean score over datasets or over queries; NaN where none is known."""
        if average == "query":
            return float(ratio(self.score.sum(), self.scored.sum(), np.nan))
        known = self.means[self.scored > 0]
        return float(known.mean()) if len(known) else float("nan")

    @property
    def mean_cost(self) -> float:
        """USD a call, over the queries with a known cost; NaN where there is none."""
        return float(ratio(self.cost.sum(), self.priced.sum(), np.nan))


# Of the fields; the others are estimates.
_SUMS = tuple(f.name for f in fields(Sum) if not f.name.startswith("of_"))


class Way(NamedTuple):
    """A way of choosing: its name, kind and alpha, as :class:`Row` has them."""

    name: str
    kind: str
    alpha: float | None = None


ORACLE, RANDOM = Way("oracle", "baseline"), Way("random", "baseline")


@dataclass(frozen=True)
class Tally:
    """Sums over held-out records of every way of choosing that an evaluation compares.

    Attributes:
        models: the M model ids.
        datasets: the D dataset names.
        queries: (D,) queries of each dataset.
        ways: always one model, by model; a router, by alpha; for each query the best model, and of
            those the cheapest; what choosing at random is expected to come to; and a router's best
            few models answering together, by alpha.
        relaxed: queries that no model meets the limits for.
    """

    models: tuple[str, ...]
    datasets: tuple[str, ...]
    queries: Floats
    ways: dict[Way, Sum]
    relaxed: int

    @classmethod
    def collect(
        cls,
        outcomes: Outcomes,
        choices: Mapping[float, Ints],
        teams: Mapping[float, Mask],
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
        n = len(outcomes)
        # Unknown scores and costs are sorted last: worse, and more expensive, than any.
        best = np.lexsort((outcomes.costs, -outcomes.scores), axis=1)[:, 0]
        ways = {
            Way(model, "model"): Sum.of_choice(outcomes, np.full(n, j), guesses)
            for j, model in enumerate(outcomes.models)
        }
        random = Sum.of_chance(outcomes, list(ways.values()))
        for alpha, choice in choices.items():
            way = Way(router_name(alpha), "router", alpha)
            ways[way] = Sum.of_choice(outcomes, choice, guesses)
        ways |= {ORACLE: Sum.of_choice(outcomes, best), RANDOM: random}
        for alpha, team in teams.items():
            way = Way(f"best of {team_size} (alpha {alpha:g})", "team", alpha)
            ways[way] = Sum.of_best(outcomes, team)
        queries = np.bincount(outcomes.dataset, minlength=len(outcomes.datasets))
        return cls(outcomes.models, outcomes.datasets, queries.astype(np.float64), ways, relaxed)

    def __add__(self, other: Tally) -> Tally:
        """The tally of both; models, datasets, alphas and team size must be the same."""
        return replace(
            self,
            queries=self.queries + other.queries,
            ways={way: s + other.ways[way] for way, s in self.ways.items()},
            relaxed=self.relaxed + other.relaxed,
        )

    def of_kind(self, kind: str) -> list[Sum]:
        """The sums of the ways of a kind."""
        return [s for way, s in self.ways.items() if way.kind == kind]

    def only(self, alphas: Iterable[float]) -> Tally:
        """The tally with the router, and its teams, at these alphas only."""
        wanted = {None, *alphas}
        return replace(self, ways={way: s for way, s in self.ways.items() if way.alpha in wanted})

    @property
    def complete(self) -> bool:
        """Whether every model's score is known on every query, and so is its cost if any is."""
        n = self.queries.sum()
        return all(
            s.scored.sum() >= n and not 0 < s.priced.sum() < n for s in self.of_kind("model")
        )

    def completed(self) -> Tally:
        """The tally with estimates in place of what is not known, all on the same queries."""
        singles = self.of_kind("model")
        scored = np.array([s.scored.any() for s in singles])
        priced = np.array([s.priced.any() for s in singles])
        whole = replace(self, ways={w: s.completed(scored, priced) for w, s in self.ways.items()})
        if not self.complete and any(s.of_score is not None for s in singles):
            names = ("score", "scored", "cost", "priced")
            whole.ways[RANDOM] = self.ways[RANDOM].with_means(whole.of_kind("model"), *names)
        return whole

    def rows(self, average: Average) -> tuple[Row, ...]:
        """Every single model, the router at each alpha, the baselines, and the teams."""
        whole = self.completed()
        ways = [*whole.ways.items()]
        first = next(i for i, (way, _) in enumerate(ways) if way.kind == "baseline")
        ways[first:first] = whole._of_single_models(average)
        return tuple(whole._row(*way, total) for way, total in ways)

    def _of_single_models(self, average: Average) -> Iterator[tuple[Way, Sum]]:
        singles = self.of_kind("model")
        accuracy = np.array([s.accuracy(average) for s in singles])
        cost = np.array([s.mean_cost for s in singles])
        yield Way("best single", "baseline"), singles[best_single(accuracy, cost)]
        if not np.isnan(cost).all():
            # Of equals the better.
            ranked = np.lexsort((-to_twelve_digits(accuracy), to_twelve_digits(cost)))
            yield Way("cheapest", "baseline"), singles[int(ranked[0])]
        means = np.stack([s.means for s in singles])
        costs = np.stack([ratio(s.cost, s.priced, np.nan) for s in singles])
        best = np.lexsort((to_twelve_digits(costs), -to_twelve_digits(means)), axis=0)[0]
        each = ([getattr(s, name) for s in singles] for name in _SUMS)
        per_dataset = Sum(*(np.stack(sums)[best, np.arange(len(best))] for sums in each))
        yield Way("best per dataset", "baseline"), per_dataset

    def _row(self, name: str, kind: str, alpha: float | None, total: Sum) -> Row:
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
            known_costs=float(total.known_costs.sum()),
        )
