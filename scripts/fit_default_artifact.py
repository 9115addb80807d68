"""Fit the artifact that ships with the package.

    python scripts/fit_default_artifact.py flagship13.jsonl.gz

The records carry, for each query, the published mean accuracy and mean cost of each model on the
query's benchmark (LLMRouterBench, arXiv 2601.07206, tables 9 and 10), not a result on that query.
So the artifact knows which models are good and cheap at which kind of question, and nothing finer.
"""

from __future__ import annotations

import sys
from pathlib import Path

from avengers_core import fit, load_records
from avengers_core.routing.router import DEFAULT_ARTIFACT

# USD per million prompt tokens, as listed in the README of github.com/ynulihao/LLMRouterBench.
INPUT_PRICES = {
    "anthropic/claude-sonnet-4": 3.00,
    "deepseek/deepseek-chat-v3-0324": 0.25,
    "deepseek/deepseek-r1-0528": 0.50,
    "deepseek/deepseek-v3.1-terminus": 0.27,
    "google/gemini-2.5-flash": 0.30,
    "google/gemini-2.5-pro": 1.25,
    "internlm/intern-s1": 0.18,
    "moonshotai/kimi-k2-0905": 0.50,
    "openai/gpt-5": 1.25,
    "openai/gpt-5-chat": 1.25,
    "qwen/qwen3-235b-a22b-2507": 0.09,
    "qwen/qwen3-235b-a22b-thinking-2507": 0.30,
    "z-ai/glm-4.6": 0.60,
}

NOTE = (
    "Scores and costs are published means of whole benchmarks (LLMRouterBench, arXiv 2601.07206, "
    "tables 9 and 10), the same for every query of a benchmark; some texts are stand-ins from a "
    "sister benchmark. Good for trying things out and as a starting point; fit on records of your "
    "own queries before you rely on it."
)


def main() -> None:
    records = load_records(Path(sys.argv[1]), strict=True)
    artifact = fit(
        records,
        n_clusters=60,
        seed=42,
        # Results that are the same for a whole benchmark say nothing of single queries; a
        # refinement would learn to tell the benchmarks apart by the length of their texts.
        refine=False,
        input_prices={model: price / 1e6 for model, price in INPUT_PRICES.items()},
        source="5,027 queries of 8 benchmarks with benchmark-level results of 13 models",
        note=NOTE,
    )
    artifact.save(DEFAULT_ARTIFACT)
    print(DEFAULT_ARTIFACT, artifact)


if __name__ == "__main__":
    main()
