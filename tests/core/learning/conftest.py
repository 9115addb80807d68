"""A month of made-up calls: three topics, three models, one of which may get worse on one topic."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avengers_core import Router, RouterArtifact, fit
from avengers_core.calls import Call, Feedback
from avengers_core.calls.store import open_log
from avengers_core.calls.store import write as write_rows
from avengers_core.embedders import CallableEmbedder
from avengers_core.learning.reading import LoggedCall

TOPICS = ("algebra", "poetry", "law")
# Chance of a right answer by topic, and USD a call.
SKILL = {"big": (0.92, 0.62, 0.65), "small": (0.72, 0.70, 0.62), "tiny": (0.35, 0.60, 0.68)}
COST = {"big": 0.004, "small": 0.001, "tiny": 0.0005}
START = 1_772_323_200.0  # 1 March 2026, UTC
DAY = 86400.0
A_DAY, WORSE_ON, WORSE = 60, 15, 0.4
ALPHA = 0.8

Month = Callable[..., list[LoggedCall]]


def topic_vectors(texts: list[str]) -> np.ndarray:
    """(n, 6): a corner for each topic, and a little of the text's own number."""
    out = np.zeros((len(texts), 6))
    for row, text in zip(out, texts, strict=True):
        name, number = text.split()
        row[TOPICS.index(name)] = 1.0
        # All different: queries that are equally like the records would have no familiarity.
        row[3:] = np.sin(int(number) * np.array([1.0, 1.7, 2.3])) / 10
    return out


@pytest.fixture(scope="session")
def topics() -> CallableEmbedder:
    return CallableEmbedder(topic_vectors, id="test/topics", dim=6)


@pytest.fixture(scope="session")
def artifact(topics: CallableEmbedder) -> RouterArtifact:
    """Fitted on 450 records from before the month."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "query": f"{topic} {i}",
            "records": {m: int(rng.random() < p[t]) for m, p in SKILL.items()},
            "usages": {m: {"cost": COST[m]} for m in SKILL},
            "dataset": topic,
        }
        for i in range(150)
        for t, topic in enumerate(TOPICS)
    ]
    fitted = fit(rows, topics, n_clusters=3, refine=False)
    return replace(fitted, info=fitted.info.model_copy(update={"created": "2026-03-01"}))


@pytest.fixture(scope="session")
def month(topics: CallableEmbedder) -> Month:
    """The graded calls of some days, decided by an artifact."""

    def calls(
        artifact: RouterArtifact, seed: int, days: Iterable[int] = range(30), worse: bool = False
    ) -> list[LoggedCall]:
        at = [(day, i) for day in days for i in range(A_DAY)]
        rng = np.random.default_rng([seed, at[0][0]])
        topic = rng.integers(3, size=len(at))
        texts = [f"{TOPICS[t]} {rng.integers(10**6)}" for t in topic]
        router = Router(artifact, topics)
        chosen = router.route_vectors(router.embed(texts), alpha=ALPHA)
        found = []
        for (day, i), text, t, j in zip(at, texts, topic, chosen, strict=True):
            model = router.models[j]
            gone = worse and day >= WORSE_ON and (model, t) == ("big", 0)
            time = START + (day + i / A_DAY) * DAY
            score = float(rng.random() < (WORSE if gone else SKILL[model][t]))
            found.append(
                LoggedCall(
                    time=time,
                    model=model,
                    question=text,
                    alpha=ALPHA,
                    cost=COST[model],
                    score=score,
                    graded=time + 60,
                )
            )
        return found

    return calls


@pytest.fixture
def write_log(tmp_path: Path) -> Callable[[Iterable[LoggedCall]], Path]:
    """Writes calls as the plugins' ``log=`` does."""

    def write(calls: Iterable[LoggedCall]) -> Path:
        path = tmp_path / "calls.sqlite"
        rows: list[Call | Feedback] = []
        for i, call in enumerate(calls):
            decision = json.dumps({"alpha": call.alpha, "familiarity": call.familiarity})
            empty = dict.fromkeys(Call._fields)
            rows.append(
                Call(
                    **{
                        **empty,
                        "id": str(i),
                        "time": call.time,
                        "question": call.question,
                        "decision": decision,
                        "answered_by": call.model,
                        "cost": call.cost,
                    }
                )
            )
            if call.score is not None:
                rows.append(Feedback(str(i), call.score, call.graded, "test"))
        with closing(open_log(path)) as log:
            write_rows(log, rows)
        return path

    return write
