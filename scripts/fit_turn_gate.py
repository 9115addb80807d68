"""Fit what tells a follow-up ("go on", "danke") from a question of its own; print how well it does.

Reads ``turns.txt`` beside it, lists in many languages, and writes ``gate.json`` of
``avengers_core.routing.turns``::

    python scripts/fit_turn_gate.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold, cross_val_predict

from avengers_core.routing.turns.gate import BUCKETS, gate_features, write_gate

TURNS = Path(__file__).with_name("turns.txt")


def read_turns() -> list[tuple[str, bool, str]]:
    """(language, whether it is a question of its own, text); headings read ``## de follow``."""
    turns, language, kind = [], "", ""
    for line in TURNS.read_text().splitlines():
        if line.startswith("## "):
            language, kind = line[3:].split()
        elif line.strip():
            turns.append((language, kind == "new", line))
    return turns


def matrix_of(texts: Sequence[str]) -> csr_matrix:
    """(n, 262 + BUCKETS) what the gate looks at."""
    each = [features for text in texts if (features := gate_features(text)) is not None]
    meaning = csr_matrix(np.array([[*f.sizes, *(f.total / f.length)] for f in each]))
    ends = np.cumsum([0, *(len(features.buckets) for features in each)])
    weights = np.concatenate([[f.weight] * len(f.buckets) for f in each])
    columns = np.concatenate([sorted(features.buckets) for features in each])
    return hstack([meaning, csr_matrix((weights, columns, ends), (len(each), BUCKETS))]).tocsr()


def report(name: str, chance: npt.NDArray[np.floating], own: npt.NDArray[np.bool_]) -> None:
    """Print which share of both kinds is told right."""
    follow_ups, questions = np.mean(chance[~own] < 0.5), np.mean(chance[own] > 0.5)
    print(f"{name}: {follow_ups:.1%} of follow-ups, {questions:.1%} of questions")


def main() -> None:
    """Fit, print, write."""
    languages, kinds, texts = zip(*read_turns(), strict=True)
    features = matrix_of(texts)
    own = np.array(kinds)
    model = LogisticRegression(C=2, class_weight="balanced", max_iter=2000)
    each = len(set(languages))
    print(f"{len(texts)} turns in {each} languages, {own.sum()} of them questions; held out:")
    folds = StratifiedKFold(10, shuffle=True, random_state=0)
    for name, cv, groups in (
        ("a tenth", folds, None),
        ("a language", LeaveOneGroupOut(), languages),
    ):
        chance = cross_val_predict(
            model, features, own, cv=cv, groups=groups, method="predict_proba"
        )
        report(name, chance[:, 1], own)
    model.fit(features, own)
    weights = model.coef_[0]
    write_gate(weights[:-BUCKETS], weights[-BUCKETS:], float(model.intercept_[0]))


if __name__ == "__main__":
    main()
