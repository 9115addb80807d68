"""Which languages an artifact's embedder knows: everyday questions beside their English twins.

    python scripts/languages.py [ARTIFACT]

For each language: the mean cosine to the English twin, how often that twin is the nearest of the
English questions, and the median familiarity.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from avengers_core import Router

questions: dict[str, list[str]] = json.loads(
    Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
)
router = Router.load(sys.argv[1]) if len(sys.argv) > 1 else Router.default()
english = router.embedder.embed(questions["English"])
print("| language | cosine to twin | twin is nearest | familiarity |\n| --- | --- | --- | --- |")
for language, texts in questions.items():
    cosine = router.embedder.embed(texts) @ english.T
    nearest = cosine.argmax(axis=1) == np.arange(len(texts))
    known = [d.familiarity for d in router.route_batch(texts)]
    familiarity = "unknown" if None in known else f"{np.median(np.array(known, dtype=float)):.3f}"
    print(f"| {language} | {cosine.diagonal().mean():.2f} | {nearest.mean():.0%} | {familiarity} |")
