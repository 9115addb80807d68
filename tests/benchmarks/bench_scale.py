"""Speed and memory of fitting and routing files, by engine.

    python tests/benchmarks/bench_scale.py --records 1000000 --engines serial,processes,ray

Made-up records of 13 models are written to a folder, then fitted and routed by each engine in a
process of its own. Start-up (of worker processes, of Ray) is what the same calls take on 500
records; it is subtracted, and shown.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from avengers_core import RouterArtifact, bulk
from avengers_core.routing.decision.explaining import text_table

MODELS = [f"model-{i:02d}" for i in range(13)]
PRICES = np.geomspace(1e-7, 1e-5, len(MODELS))
TOPICS = 40
FILES = 16


def write(folder: Path, n: int, files: int = FILES) -> float:
    """Write n records in some files; returns their size in GB."""
    rng = np.random.default_rng(0)
    words = np.array(["".join(rng.choice(list("etaoinshrdlcum"), 6)) for _ in range(20_000)])
    skill = rng.uniform(0.2, 0.95, (TOPICS, len(MODELS)))
    folder.mkdir(parents=True, exist_ok=True)
    for part in range(files):
        with (folder / f"day-{part:03d}.jsonl").open("w") as out:
            for index in range(part * n // files, (part + 1) * n // files):
                topic = int(rng.integers(TOPICS))
                chosen = np.minimum(rng.geometric(0.01, 50) + 400 * topic, len(words) - 1)
                solved = rng.random(len(MODELS)) < skill[topic]
                tokens = rng.integers(50, 900, len(MODELS))
                row = {
                    "query": " ".join(words[chosen]),
                    "records": dict(zip(MODELS, map(int, solved), strict=True)),
                    "usages": {
                        m: {"cost": float(t * p), "prompt_tokens": 80, "completion_tokens": int(t)}
                        for m, t, p in zip(MODELS, tokens, PRICES, strict=True)
                    },
                    "dataset": f"topic-{topic}",
                    "index": index,
                }
                out.write(json.dumps(row) + "\n")
    return sum(f.stat().st_size for f in folder.iterdir()) / 1e9


class PeakMemory:
    """The largest resident size of any process of this run, by what it is, in MB."""

    def __init__(self) -> None:
        self.driver = self.worker = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._done.wait(0.2):
            self.driver = max(self.driver, me.memory_info().rss / 1e6)
            for process in me.children(recursive=True):
                try:
                    name = " ".join(process.cmdline())
                    if "spawn_main" in name or "ray::" in name:
                        self.worker = max(self.worker, process.memory_info().rss / 1e6)
                except psutil.Error:
                    continue


def measure(folder: Path, engine: str, workers: int) -> None:
    """Fit and route a folder; print figures as one JSON object."""
    if engine == "ray":
        from avengers_core.scanning import on_ray

        on_ray.start()
    with PeakMemory() as peak, tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        fitted = bulk.fit(folder, engine=engine, workers=workers)
        fit_seconds = time.perf_counter() - start
        start = time.perf_counter()
        written = bulk.route(fitted.artifact, folder, scratch, engine=engine, workers=workers)
        route_seconds = time.perf_counter() - start
        fitted.artifact.save(Path(scratch) / "artifact")
        saved = RouterArtifact.load(Path(scratch) / "artifact")
    figures = {
        "records": fitted.records,
        "fit": fit_seconds,
        "route": route_seconds,
        "rows": written.rows,
        "driver": peak.driver,
        "worker": peak.worker,
        "checksum": float(saved.statistics.score.sum()),
        "centroids": saved.centroids.tobytes().hex()[:4096],
    }
    print(json.dumps(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--engines", default="serial,processes")
    parser.add_argument("--workers", type=int, default=psutil.cpu_count())
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.folder, arguments.measure, arguments.workers)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch) / "records"
        size = write(folder, arguments.records)
        write(Path(scratch) / "few", 500, 1)
        print(f"{arguments.records:,} records, {size:.2f} GB, {arguments.workers} workers\n")
        rows, base = [], {}
        for engine in arguments.engines.split(","):
            few, all_ = (run(f, engine, arguments.workers) for f in (Path(scratch) / "few", folder))
            fit, route = (all_[k] - few[k] for k in ("fit", "route"))
            base.setdefault("fit", fit)
            base.setdefault("route", route)
            base.setdefault("centroids", all_["centroids"])
            base.setdefault("checksum", all_["checksum"])
            same = (
                all_["centroids"] == base["centroids"]
                and abs(all_["checksum"] - base["checksum"]) < 1e-6
            )
            rows.append(
                [
                    engine,
                    f"{fit:.1f}",
                    f"{all_['records'] / fit:,.0f}",
                    f"{fit / base['fit']:.2f}",
                    f"{route:.1f}",
                    f"{all_['rows'] / route:,.0f}",
                    f"{route / base['route']:.2f}",
                    f"{few['fit']:.1f} + {few['route']:.1f}",
                    f"{all_['driver']:.0f}",
                    f"{all_['worker']:.0f}",
                    "yes" if same else "NO",
                ]
            )
            print(f"{engine} done", file=sys.stderr)
        heading = [
            "engine",
            "fit, s",
            "records/s",
            "of the first",
            "route, s",
            "queries/s",
            "of the first",
            "start-up, s",
            "driver, MB",
            "worker, MB",
            "same artifact",
        ]
        print(text_table(heading, rows))


def run(folder: Path, engine: str, workers: int) -> dict[str, float]:
    """The figures of one engine, from a process of its own."""
    command = [sys.executable, __file__, "--measure", engine, "--folder", str(folder)]
    done = subprocess.run(
        [*command, "--workers", str(workers)], stdout=subprocess.PIPE, text=True, check=True
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    main()
