"""The experiments of a study: run, several at a time, and summarised."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avengers_core.common.parallel import one_thread
from avengers_core.errors import RecordError
from avengers_core.evaluation.metrics import METRICS
from avengers_core.evaluation.studies.csv_table import CsvTable
from avengers_core.evaluation.studies.studies import Setting
from avengers_core.outputs import check_outputs
from avengers_core.records.loading import Source, as_records
from avengers_core.records.names import counted
from avengers_core.records.record import Records
from avengers_core.records.splitting import split_records
from avengers_core.routing.policy import NUMBERS
from avengers_core.scanning.embedding import MemoryEmbedder
from avengers_core.scanning.workers import Engine, Workers

Row = dict[str, Any]


def run(
    records: Records | Source,
    settings: Sequence[Setting],
    *,
    engine: Engine = "processes",
    jobs: int | None = None,
    output: str | os.PathLike[str] | None = None,
    append: bool = True,
    cache: str | os.PathLike[str] | None = None,
) -> list[Row]:
    """Run experiments, several at a time; every query is embedded once.

    Args:
        records: what :func:`avengers_core.load_records` returns or takes.
        settings: what to run, see :func:`avengers_core.evaluation.studies.studies.settings_for`.
        engine: who does the work: ``"memory"`` or ``"serial"``, this process; ``"processes"`` of
            this machine; or ``"ray"``.
        jobs: how many at a time; default, one for each processor. With 1 this process does them.
        output: CSV file that each row is added to as soon as it is there, so that what was done
            survives a crash; whole after each row, whatever happens.
        append: to the rows that the file has already, or else in place of them. Where columns
            differ the table has those of both, with empty cells.
        cache: SQLite file that keeps the embeddings for the next time, see
            :class:`avengers_core.embedders.CachedEmbedder`.

    Returns:
        One row a setting, in their order, with the setting's fields, its scorer options and the
        metrics of :class:`avengers_core.Report` (tidy: a row an observation, a column a variable).

    Raises:
        RecordError: an experiment has no record to fit on, or the output holds something else
            than experiments to append to.
        EmbedderError: the embedder failed.
        AvengersError: the output is an input, or the cache.
        OSError: the system's own, such as a full disk; the file keeps the rows before.
    """
    check_outputs([output, cache], [records])
    team = Workers("serial" if jobs == 1 else engine, jobs)
    table = CsvTable.read(Path(output)) if output is not None and append else CsvTable()
    records = as_records(records)
    vectors = _embed_all(records, {s.embedder for s in settings}, cache)
    options = sorted({name for s in settings for name in s.scorer_options})
    rows: list[Row] = []
    with team:
        done = team.run(_Experiments(records, vectors), settings, "experiments")
        for setting, result in zip(settings, done, strict=True):
            given = setting.scorer_options
            rows.append({**result, **{name: given.get(name) for name in options}})
            if output is not None:
                table.add(rows[-1])
                table.write(Path(output))
    return rows


def summarise(rows: Sequence[Row], by: str = "value") -> list[Row]:
    """Mean and standard deviation of each metric over the repetitions of each value.

    A saving is known only where its accuracy was reached: ``METRIC_known`` says how often.
    """
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[by], []).append(row)
    summary = []
    for value, members in groups.items():
        line: Row = {by: value, "repetitions": len(members)}
        for metric in METRICS:
            numbers = np.array([m[metric] for m in members], dtype=np.float64)
            known = numbers[~np.isnan(numbers)]
            line[f"{metric}_known"] = len(known)
            line[metric] = float(known.mean()) if len(known) else float("nan")
            line[f"{metric}_std"] = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
        summary.append(line)
    return summary


def _embed_all(
    records: Records, specs: set[str], cache: str | os.PathLike[str] | None
) -> dict[str, MemoryEmbedder]:
    """The vectors of all queries, for each embedder that is not fitted on the training part."""
    from avengers_core.embedders import CachedEmbedder, resolve_embedder

    texts = list(dict.fromkeys(r.query for r in records))
    known = {}
    for spec in sorted(specs - {"tfidf"}):
        embedder = resolve_embedder(spec) if cache is None else CachedEmbedder(spec, cache)
        known[spec] = MemoryEmbedder(embedder)
        known[spec].embed(texts)
    return known


@dataclass(frozen=True)
class _Experiments:
    """Does experiments on some records, whose queries are embedded already."""

    records: Records
    vectors: dict[str, MemoryEmbedder]

    def __call__(self, _number: int, setting: Setting) -> Row:
        from avengers_core.evaluation.evaluate import evaluate
        from avengers_core.fitting.fit import fit
        from avengers_core.routing.router import Router

        records = self.records
        if setting.held_out is None:
            train, test = split_records(records, setting.train_ratio, setting.seed)
        else:
            train = records.replace(r for r in records if r.dataset != setting.held_out)
            test = records.replace(r for r in records if r.dataset == setting.held_out)
        if not train:
            split = f"train_ratio={setting.train_ratio:g}"
            if setting.held_out is not None:
                split = f"the dataset {setting.held_out!r} held out"
            raise RecordError(
                f"{counted(len(records), 'record')} with {split}: none is left to fit on"
            )
        embedder: Any = self.vectors.get(setting.embedder, setting.embedder)
        with one_thread():  # whoever does it, so that the sums are the same
            artifact = fit(train, embedder, setting.n_clusters, setting.seed)
            stored = None if setting.embedder == "tfidf" else embedder
            router = Router(artifact, stored, setting.scorer, **setting.scorer_options)
            report = evaluate(router, test, [], on_empty="relax", **setting.limits)
        fields = {k: v for k, v in asdict(setting).items() if k not in ("scorer_options", "limits")}
        limits = {name: setting.limits.get(name) for name in NUMBERS}
        return {**fields, **limits, "n_train": len(train), "n_test": len(test), **report.metrics}
