"""Studies over repeated splits."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path

import pytest
from in_process import stay_in_process

from avengers_core import load_records, studies
from avengers_core.errors import RecordError
from avengers_core.studies import Setting, run, settings_for, summarise

SAMPLE = Path(__file__).parents[4] / "examples" / "data" / "sample.jsonl"


@pytest.fixture(scope="module")
def records():
    return load_records(SAMPLE)[::3]  # of every dataset, and quick


def test_settings_cross_values_and_seeds(records):
    settings = settings_for("clusters", records, Setting(), [1, 2], [4, 8])
    assert [(s.n_clusters, s.seed) for s in settings] == [(4, 1), (4, 2), (8, 1), (8, 2)]
    assert {s.study for s in settings} == {"clusters"}


def test_leave_one_out_takes_every_dataset(records):
    settings = settings_for("leave-one-out", records, Setting(), [0])
    assert [s.held_out for s in settings] == list(records.datasets)


def test_unknown_study(records):
    with pytest.raises(ValueError, match="'depth'"):
        settings_for("depth", records, Setting(), [0])


def test_run_is_tidy_deterministic_and_kept_on_disk(records, tmp_path, monkeypatch):
    stay_in_process(monkeypatch)
    settings = settings_for("clusters", records, Setting(), [0, 1], [4, 12])
    settings += settings_for("leave-one-out", records, Setting(n_clusters=8), [0])[:1]
    output = tmp_path / "rows.csv"
    rows = run(records, settings, jobs=2, output=output)
    assert [(r["n_clusters"], r["seed"]) for r in rows] == [
        (4, 0),
        (4, 1),
        (12, 0),
        (12, 1),
        (8, 0),
    ]
    assert all(r["n_train"] + r["n_test"] == len(records) for r in rows)
    assert rows[-1]["n_test"] == sum(r.dataset == records.datasets[0] for r in records)
    with output.open(newline="") as file:
        kept = list(csv.DictReader(file))
    assert sorted(float(r["aiq"]) for r in kept) == sorted(r["aiq"] for r in rows)
    assert run(records, settings[:1], jobs=1) == rows[:1]


def test_every_study_runs_in_this_process(records):
    for study in studies.STUDIES:
        settings = settings_for(study, records, Setting(n_clusters=6), [0])[:1]
        (row,) = run(records, settings, jobs=1)
        assert 0 < row["aiq"] < 1 + 1e-9, study


def test_summary_takes_mean_and_spread():
    rows = [
        {"value": "a", **dict.fromkeys(studies.METRICS, 1.0)},
        {"value": "a", **dict.fromkeys(studies.METRICS, 3.0)},
        {"value": "b", **dict.fromkeys(studies.METRICS, math.nan)},
    ]
    a, b = summarise(rows)
    assert (a["aiq"], a["aiq_std"], a["repetitions"]) == (2.0, pytest.approx(math.sqrt(2)), 2)
    assert math.isnan(b["aiq"])
    assert (a["aiq_known"], b["aiq_known"]) == (2, 0)


def test_scorer_options_are_columns(records, tmp_path):
    settings = settings_for("top-k", records, Setting(n_clusters=6), [0], [2])
    settings += settings_for("beta", records, Setting(n_clusters=6), [0], [5.0])
    rows = run(records, settings, jobs=1, output=tmp_path / "rows.csv")
    assert [(r["top_k"], r["beta"]) for r in rows] == [(2, None), (None, 5.0)]
    with (tmp_path / "rows.csv").open(newline="") as file:
        kept = list(csv.DictReader(file))
    assert sorted((r["top_k"], r["beta"]) for r in kept) == [("", "5.0"), ("2", "")]


@pytest.mark.parametrize(
    ("study", "values", "message"),
    [
        ("clusters", ["many"], "'clusters'.*'many'"),
        ("clusters", [8, 0], r"'clusters'.*\b1\b.*\b0\b"),
        ("clusters", [2.5], r"\b2\.5\b"),
        ("clusters", [math.inf], r"\binf\b"),
        ("top-k", ["0"], "'top-k'.*'0'"),
        ("beta", ["1", "x"], "'beta'.*'x'"),
        ("beta", [math.nan], r"\bnan\b"),
        ("train-ratio", [1], r"'train-ratio'.*\b1\b.*\b1\b"),
        ("scorer", ["best"], "'best'"),
        ("leave-one-out", ["nowhere"], r"\['nowhere'\]"),
    ],
)
def test_values_that_can_not_be_tried(records, study, values, message):
    with pytest.raises(ValueError, match=message):
        settings_for(study, records, Setting(), [0], values)


def test_a_scorer_without_the_option_is_found_before_the_work(records):
    with pytest.raises(ValueError, match=r"'paper'.*beta"):
        settings_for("beta", records, Setting(scorer="paper"), [0])


def test_limits_and_a_cache(records, tmp_path):
    dear = Setting(n_clusters=4)
    settings = [dear, dataclasses.replace(dear, limits={"max_cost": 0.0})]
    free, limited = run(records, settings, jobs=1, cache=tmp_path / "vectors.sqlite")
    assert limited["max_cost"] == 0
    assert limited["perf_gain"] < free["perf_gain"]
    assert (tmp_path / "vectors.sqlite").exists()


def test_studies_of_unlike_options_share_a_file(records, tmp_path):
    output = tmp_path / "rows.csv"
    for study, values in (("clusters", [2]), ("beta", [7, 9]), ("clusters", [3])):
        settings = settings_for(study, records, Setting(n_clusters=4), [0], values)
        run(records, settings, jobs=1, output=output)
    with output.open(newline="") as file:
        kept = list(csv.DictReader(file))
    assert [(row["study"], row["n_clusters"], row["beta"]) for row in kept] == [
        ("clusters", "2", ""),
        ("beta", "4", "7.0"),
        ("beta", "4", "9.0"),
        ("clusters", "3", ""),
    ]
    assert all(0 < float(row["aiq"]) < 1 for row in kept)


def test_a_split_that_leaves_none_says_so(records):
    with pytest.raises(RecordError, match=r"120 records.*train_ratio=0\.001"):
        run(records, [Setting(train_ratio=0.001)], jobs=1)
    one = Setting(held_out=records.datasets[0])
    only = records.replace(r for r in records if r.dataset == one.held_out)
    with pytest.raises(RecordError, match=f"'{one.held_out}'"):
        run(only, [one], jobs=1)
