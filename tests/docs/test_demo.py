"""What `make demo` shows."""

from __future__ import annotations

import importlib.util
import sys
from functools import partial
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


def test_the_demo_shows_everyday_questions_and_held_out_results_and_draws_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    assert spec
    assert spec.loader
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    # A third of the clusters takes a third of the time.
    monkeypatch.setattr(demo, "fit_queries", partial(demo.fit_queries, n_clusters=20))
    reports = []
    held_out = demo.held_out
    monkeypatch.setattr(demo, "held_out", lambda: reports.append(held_out()) or reports[0])
    picture = tmp_path / "picture.png"
    monkeypatch.setattr(sys, "argv", ["demo.py", "--picture", str(picture)])
    demo.main()
    assert picture.stat().st_size
    (report,) = reports
    assert len(report.curve.models) == 16
    best, half = report.best_single, report.at(0.53)
    # Its best row beats every single model, and a cheap one costs a fraction.
    assert report.at(1.0).query_mean > best.query_mean
    assert half.query_mean > best.query_mean - 0.05
    assert half.mean_cost < best.mean_cost / 5
    assert "What is the capital of Australia?" in capsys.readouterr().out
