"""Fit the artifact that ships with the package, and measure it on held-out questions.

    python scripts/fit_default_artifact.py models2026.jsonl.gz flagship13.jsonl.gz
    python scripts/fit_default_artifact.py models2026.jsonl.gz flagship13.jsonl.gz --held-out

Scores: public results, question by question, of models of 2026 and late 2025 (OpenHands index, IKP
facts, BenchPress, epoch-bench). What these sets do not ask, such as mathematics, science, law and
programming, is known of four of the models, as published means of whole benchmarks (LLMRouterBench,
arXiv 2601.07206, table 9); the others are inferred from how models go together.

Costs: list prices of OpenRouter on a stated day times the tokens of a *call*, which are the length
of an answer to such a question, as claude-sonnet-4 gives it without long thinking, times how many
more tokens the model writes for everything than claude-sonnet-4 does.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone

import genai_prices
import numpy as np
import numpy.typing as npt
from genai_prices import calc_price

from avengers_core import Router, RouterArtifact, fit, load_records, split_records
from avengers_core.embedders import resolve_embedder
from avengers_core.embedders.tokens import estimate_tokens
from avengers_core.fitting.clustering import cluster
from avengers_core.records import Record, Records, Usage
from avengers_core.records.prices import Price, find_prices
from avengers_core.routing.router import DEFAULT_ARTIFACT

DAY = datetime(2026, 11, 28, tzinfo=timezone.utc)
YARDSTICK = "anthropic/claude-sonnet-4"
# Answered by every model, with lengths: they say who writes how much.
FACTS = "ikp/"
# Agents, whose costs are of many calls, each with all that was said before.
AGENTS = {"openhands/swe-bench", "openhands/swt-bench", "tau2"}
# A turn of a customer service agent: a few sentences, or the call of a tool.
TURN_TOKENS = 300
# A published mean says no more of a thousand questions than of a few; these are the topic's sample.
MOST_PUBLISHED = 250
# A mark on an everyday prompt is a mean of a dozen checks or more, the others are right or wrong.
EVERYDAY, CHECKS = "benchpress/", 8
QUERIES_A_CLUSTER = 45
# What clusters are called, by the beginning of a dataset's name.
TOPICS = {
    "openhands/": "software issues",
    "ikp/": "facts",
    "simpleqa": "facts",
    "benchpress/": "everyday prompts",
    "arenahard": "everyday prompts",
    "epoch-bench/": "what depends on what",
    "aime": "mathematics",
    "livemathbench": "mathematics",
    "livecodebench": "programming",
    "gpqa": "science",
    "mmlupro": "exam questions",
    "tau2": "customer service",
}
SPLITS = 6
# How often models' scores are exchanged, question by question, to see what chance makes of them.
EXCHANGES = 200
NOTE = (
    "Scores: public results of single questions (software issues, facts, everyday prompts, tricky "
    "questions); on mathematics, science, law and programming of four models only, as published "
    "means of whole benchmarks (LLMRouterBench, arXiv 2601.07206), the others inferred. Costs: "
    f"list prices of {DAY:%Y-%m-%d} times the length of a usual answer; long thinking on hard "
    "questions costs several times as much. Good for trying things out and as a starting point; "
    "fit on records of your own queries before you rely on it."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("measured", help="results question by question: models2026.jsonl.gz")
    parser.add_argument("published", help="means of benchmarks: flagship13.jsonl.gz")
    parser.add_argument("--held-out", action="store_true", help="fit on 70 %%, and only measure")
    options = parser.parse_args()
    measured = load_records(options.measured, strict=True)
    published = load_records(options.published, strict=True)
    prices = find_prices([m for m in measured.models if is_served(m)], "genai-prices", DAY)
    lengths = Lengths(measured, published, prices)
    measured = lengths.counted(measured, prices)
    published = lengths.counted(a_few_each(published), prices)
    if options.held_out:
        measure(measured, published, prices)
        return
    artifact = fitted([*measured, *published], prices)
    artifact.save(DEFAULT_ARTIFACT)
    print(DEFAULT_ARTIFACT, artifact, f"{artifact.nbytes / 1e6:.2f} MB")


def fitted(records: Iterable[Record], prices: Mapping[str, Price]) -> RouterArtifact:
    """The artifact of some records."""
    records = Records(records)
    times = [CHECKS if r.dataset.startswith(EVERYDAY) else 1 for r in records]
    often = [
        record.model_copy(update={"dataset": topic(record.dataset)})
        for record, n in zip(records, times, strict=True)
        for _ in range(n)
    ]
    return fit(
        often,
        centroids=clusters_of_each_topic(often),
        # Lengths tell these benchmarks apart, but not the topics of other people's questions.
        refine=False,
        scorer_options={"beta": 40},  # sharper than usual: the clusters are small, and of one kind
        models=list(prices),
        prices=prices,
        source=f"{len(records):,} questions of {len(records.datasets)} public benchmarks",
        note=NOTE,
    )


def clusters_of_each_topic(records: list[Record]) -> npt.NDArray[np.float32]:
    """Centroids: the questions of a topic are clustered by themselves, so that none is drowned."""
    embedder = resolve_embedder("wordllama")
    centroids = []
    for topic in dict.fromkeys(record.dataset for record in records):
        queries = list(dict.fromkeys(r.query for r in records if r.dataset == topic))
        n = -(-len(queries) // QUERIES_A_CLUSTER)
        centroids.append(cluster(embedder.embed(queries), n, seed=42, n_init=10))
    return np.concatenate(centroids)


def topic(dataset: str) -> str:
    """What questions of a dataset are about."""
    return next(name for start, name in TOPICS.items() if dataset.startswith(start))


class Lengths:
    """Tokens of a call, by dataset and model.

    Args:
        measured: results with token counts on :data:`FACTS`.
        published: results with the published cost of :data:`YARDSTICK`.
        prices: of the models that count.
    """

    def __init__(self, measured: Records, published: Records, prices: Mapping[str, Price]) -> None:
        written: dict[str, list[float]] = defaultdict(list)
        for record in measured:
            for model, usage in record.usages.items():
                if record.dataset.startswith(FACTS) and usage.completion_tokens is not None:
                    written[model].append(usage.completion_tokens)
        usual = np.mean(written[YARDSTICK])
        self.wordiness = {model: float(np.mean(written[model]) / usual) for model in prices}

        answers: dict[str, list[float]] = defaultdict(list)
        price = prices[YARDSTICK]
        for record in published:
            paid = record.usages.get(YARDSTICK)
            if paid is not None and paid.cost is not None:
                asked = price.input * estimate_tokens(record.query)
                answers[record.dataset].append((paid.cost - asked) / price.output)
        for record in measured:  # of an agent's calls, what their cost is worth in answers
            for model, usage in record.usages.items():
                if record.dataset in AGENTS and model in prices and usage.cost is not None:
                    worth = prices[model].output * self.wordiness[model]
                    answers[record.dataset].append(usage.cost / worth)
        self.answer = {dataset: float(np.median(n)) for dataset, n in answers.items()}
        self.answer["tau2"] = TURN_TOKENS

    def counted(self, records: Records, prices: Mapping[str, Price]) -> Records:
        """The results of the models that have a price, with tokens where they have none."""
        counted = (self._counted(record, prices) for record in records)
        return Records(record for record in counted if record.scores)

    def _counted(self, record: Record, prices: Mapping[str, Price]) -> Record:
        scores = {model: s for model, s in record.scores.items() if model in prices}
        usages = {}
        for model in scores:
            usage = record.usages.get(model, Usage())
            written = usage.completion_tokens
            if written is None:
                written = round(self.answer[record.dataset] * self.wordiness[model])
            asked = usage.prompt_tokens or estimate_tokens(record.query)
            usages[model] = Usage(prompt_tokens=asked, completion_tokens=written)
        return record.model_copy(update={"scores": scores, "usages": usages})


def is_served(model: str) -> bool:
    """Whether OpenRouter lists the model on :data:`DAY`."""
    try:
        calc_price(
            genai_prices.Usage(input_tokens=1),
            model,
            provider_id="openrouter",
            genai_request_timestamp=DAY,
        )
    except LookupError:
        return False
    return True


def a_few_each(records: Records) -> Records:
    """At most :data:`MOST_PUBLISHED` questions of each benchmark, drawn at random."""
    rng = np.random.default_rng(42)
    kept: list[Record] = []
    for dataset in records.datasets:
        of_it = [record for record in records if record.dataset == dataset]
        kept += [of_it[i] for i in sorted(rng.permutation(len(of_it))[:MOST_PUBLISHED].tolist())]
    return records.replace(kept)


def measure(measured: Records, published: Records, prices: Mapping[str, Price]) -> None:
    """Fit on 70 % of each dataset, and compare with single models on the rest, set by set.

    Where some models have not answered a question, all are compared on those that the router's
    choice has answered, and single models that lack a tenth of them are left out.
    """
    rows = defaultdict(list)
    for seed in range(SPLITS):
        train, test = split_records(measured, seed=seed)
        router = Router(fitted([*train, *published], prices))
        for name in dict.fromkeys(r.dataset.split("/")[0] for r in test):
            of_set = [r for r in test if r.dataset.split("/")[0] == name]
            rows[name].append(compared(router, of_set))
    print(f"alpha 1, held out, mean of {SPLITS} splits")
    print("set: router, best single, best if all were alike, random, promised; router less random")
    for name, values in rows.items():
        mean = np.mean(values, axis=0)
        print(f"{name:12s}", *(f"{value:.3f}" for value in mean[:-1]), f"± {mean[-1]:.3f}")


def compared(router: Router, records: list[Record]) -> tuple[float, ...]:
    """Scores at alpha 1, and the standard error of the router's beside a random pick's.

    Returns:
        Of the router; of the best single model in hindsight, and of what that would be if models
        differed by chance alone; at random; as promised; the standard error.
    """
    models = sorted({m for r in records for m, score in r.scores.items() if score is not None})
    scores = np.array([[r.scores.get(m, np.nan) for m in models] for r in records], dtype=float)
    decisions = router.route_batch([r.query for r in records], alpha=1, models=models)
    picked = scores[np.arange(len(records)), [models.index(d.model) for d in decisions]]
    known = ~np.isnan(picked)
    scores, picked = scores[known], picked[known]
    single = scores[:, np.isnan(scores).mean(axis=0) < 0.1]
    rng = np.random.default_rng(0)
    alike = [np.nanmean(rng.permuted(single, axis=1), axis=0).max() for _ in range(EXCHANGES)]
    at_random = np.nanmean(scores, axis=1)
    return (
        float(picked.mean()),
        float(np.nanmean(single, axis=0).max()),
        float(np.mean(alike)),
        float(at_random.mean()),
        float(np.mean([d.expected_score for d in decisions])),
        float((picked - at_random).std() / len(picked) ** 0.5),
    )


if __name__ == "__main__":
    main()
