"""Write the numbers that the second half of the demo evaluates on: vectors and results, no texts.

    python scripts/make_models2026.py models2026.jsonl.gz

The records are public results, question by question, of 28 models of 2026 and late 2025: software
issues (OpenHands index, June 2026, MIT), facts (IKP, July 2026, CC BY 4.0, 19PINE-AI), everyday
prompts (BenchPress, April 2026, MIT, M. Stent) and tricky questions (epoch-bench, MIT). What stays
of a question is its vector, its surface features, and what each model scored and cost.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from avengers_core import load_records
from avengers_core.embedders import resolve_embedder
from avengers_core.embedders.surface import surface
from avengers_core.records.outcomes import to_outcomes

NUMBERS = Path(__file__).parents[1] / "examples" / "data" / "models2026.npz"


def main() -> None:
    outcomes = to_outcomes(load_records(Path(sys.argv[1]), strict=True))
    embedder = resolve_embedder("wordllama")
    np.savez_compressed(
        NUMBERS,
        embedder=np.array(embedder.id),
        models=np.array(outcomes.models),
        datasets=np.array(outcomes.datasets),
        dataset=outcomes.dataset.astype(np.int8),
        # Half precision moves no cosine by more than 0.0005.
        vectors=embedder.embed(outcomes.queries).astype(np.float16),
        surface=surface(outcomes.queries),
        scores=outcomes.scores.astype(np.float16),
        costs=outcomes.costs.astype(np.float32),
    )
    print(NUMBERS, f"{NUMBERS.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
