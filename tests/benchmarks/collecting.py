"""What strategies of collecting are worth, on complete tables that answer like an endpoint.

    python tests/benchmarks/collecting.py records.jsonl.gz... [--shares .1 .2] [--seeds 5]

For each share of all calls: the AIQ, on held-out questions (30 % of each dataset), of the router
that is fitted on what a strategy asked; beside it the full table's. Means over the seeds, and in
brackets the mean difference to random picks with its standard error.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avengers_core import Records, Router, fit, load_records, split_records
from avengers_core.collecting.adaptive import Adaptive
from avengers_core.collecting.strategies import Strategy, Table, random_picks
from avengers_core.embedders import CallableEmbedder
from avengers_core.embedders.wordllama import WordLlamaEmbedder
from avengers_core.evaluation.metrics import aiq
from avengers_core.records.outcomes import to_outcomes
from avengers_core.records.questions import as_questions

Mask = npt.NDArray[np.bool_]
_ALPHAS = np.linspace(0, 1, 21)


def complete(path: Path) -> Records:
    """The records that have a score of every model."""
    records = load_records(path)
    m = len(records.models)
    scored = (sum(s is not None for s in r.scores.values()) for r in records)
    return records.replace(r for r, n in zip(records, scored, strict=True) if n == m)


def asked(strategy: Strategy, records: Records, budget: int) -> Mask:
    """(n, M) what a strategy asks for within a budget."""
    table = to_outcomes(records)
    done = np.zeros(table.scores.shape, dtype=bool)
    while (left := budget - int(done.sum())) > 0:
        known = [np.where(done, a, np.nan) for a in (table.scores, table.costs)]
        cells = list(strategy(Table(known[0], known[1], done.copy()), left))
        if not cells:
            break
        for cell in cells[:left]:
            done[cell] = True
    return done


def only(records: Records, mask: Mask) -> Records:
    """The results that were asked for, and the questions that were not, as `collect` gives them."""
    models = records.models
    kept, others = [], []
    for record, row in zip(records, mask, strict=True):
        names = [m for m, there in zip(models, row, strict=True) if there]
        if names:
            part = {
                "scores": {m: record.scores[m] for m in names},
                "usages": {m: record.usages[m] for m in names if m in record.usages},
            }
            kept.append(record.model_copy(update=part))
        else:
            others.append({"query": record.query, "dataset": record.dataset})
    got = Records(kept, order=models)
    got.unanswered = as_questions(others) if others else ()
    return got


class Bench:
    """One table, split once for each seed."""

    def __init__(self, path: Path) -> None:
        self.records = complete(path)
        model = WordLlamaEmbedder()
        texts = list(dict.fromkeys(r.query for r in self.records))
        vectors = dict(zip(texts, model.embed(texts), strict=True))
        self.embedder = CallableEmbedder(
            lambda queries: np.array([vectors[q] for q in queries]), id=model.id, dim=model.dim
        )

    def aiq(self, seed: int, strategy: str, share: float) -> float:
        """Of the router that is fitted on what is asked."""
        split = split_records(self.records, 0.7, seed=seed)
        train, test = split.train, split.test
        n, m = len(train), len(train.models)
        mask = np.ones((n, m), dtype=bool)
        if strategy != "full":
            queries = [r.query for r in train]
            plan = (
                partial(random_picks, seed=seed)
                if strategy == "random"
                else Adaptive(queries, seed)
            )
            mask = asked(plan, train, int(share * n * m))
        artifact = fit(only(train, mask), self.embedder, seed=seed, n_init=1)
        router = Router(artifact, self.embedder)
        known, out = to_outcomes(train, train.models), to_outcomes(test, train.models)
        best = known.scores.mean(axis=0).argmax()
        mean_cost = out.costs.mean(axis=0)
        queries, rows = router.embed(out.queries), np.arange(len(out))
        column = np.array([train.models.index(model) for model in router.models])
        chosen = [column[router.route_vectors(queries, alpha=a)] for a in _ALPHAS]
        score, cost = (
            np.array([table[rows, c].mean() for c in chosen]) for table in (out.scores, out.costs)
        )
        return float(aiq(score, cost, mean_cost.min(), mean_cost[best]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", nargs="+", type=Path)
    parser.add_argument("--shares", nargs="+", type=float, default=[0.05, 0.1, 0.2, 0.4])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--strategies", nargs="+", default=["random", "adaptive"])
    given = parser.parse_args(arguments)
    for path in given.records:
        bench = Bench(path)
        full = [bench.aiq(seed, "full", 1.0) for seed in range(given.seeds)]
        print(f"{path.name}: full {np.mean(full):.4f} {np.round(full, 4)}", flush=True)
        for share in given.shares:
            found = {
                name: np.array([bench.aiq(seed, name, share) for seed in range(given.seeds)])
                for name in given.strategies
            }
            for name, values in found.items():
                off = values - found[given.strategies[0]]
                print(
                    f"  {share:4.0%} {name:10s} {values.mean():.4f}  ({off.mean():+.4f} ± "
                    f"{off.std(ddof=1) / np.sqrt(len(off)) if len(off) > 1 else 0:.4f}; "
                    f"{values.mean() - np.mean(full):+.4f} to full)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
