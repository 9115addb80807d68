"""The Ray engine, in a process of its own: Ray takes seconds to start and starts others."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from jobs import REFUSES
from printed import words

from avengers_core import AvengersError, RouterArtifact, bulk, fit
from avengers_core.scanning import on_ray

pytest.importorskip("ray")

pytestmark = pytest.mark.early

DYING = """
import os, signal
from pathlib import Path
from avengers_core.errors import OptionalDependencyError

class Dies:
    def __init__(self, mark):
        self.mark = mark

    def __call__(self, number, part):
        if number == 1 and not os.path.exists(self.mark):
            Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number * 10

class Counts:
    def __init__(self):
        self.calls = 0

    def __call__(self, number, part):
        self.calls += 1
        return self.calls

class Raises:
    def __call__(self, number, part):
        if number == 2:
            raise OptionalDependencyError("gold", "mine")
"""
# Known to Ray's workers only when they are given these: each start of one takes a second or two.
KILLING = """
import os, signal
from avengers_core.scanning import on_ray, pool

on_ray.MOST_CRASHES = pool.MOST_CRASHES = 2

class Kills:
    def __call__(self, number, part):
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
"""
SCRIPT = """
import json, os
from pathlib import Path
import ray
from avengers_core import RouterArtifact, distributed
from avengers_core.scanning import on_ray
from avengers_core.records.sources.parts import plan
from dying_jobs import Counts, Dies, Raises, refuse
from killing_jobs import Kills

def error_of(job):
    try:
        list(on_ray.run_on_ray(job, plan("../logs", 4000)[:3], 1))
    except Exception as error:
        return [type(error).__name__, str(error)]

if __name__ == "__main__":
    # Processes that have nothing to do stay for what comes next.
    kept = {"idle_worker_killing_time_threshold_ms": 600_000, "num_workers_soft_limit": 4}
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, _system_config=kept)
    # The workers of a Ray that runs already are somewhere else.
    where = ray.remote(num_cpus=1)(lambda: os.getcwd())
    before = ray.get(where.remote())
    os.mkdir("elsewhere")
    os.chdir("elsewhere")
    # Workers are one more than there are processors, and then one.
    fitted = distributed.fit("../logs", n_clusters=5, workers=2, part_bytes=4000)
    fitted.artifact.save("../artifact")
    size = dict(workers=1, part_bytes=4000)
    routed = distributed.route(fitted.artifact, "../logs", "../out", alpha=0.7, **size)
    report, _ = distributed.evaluate(fitted.artifact, "../logs", [0.5], **size)
    survived = list(on_ray.run_on_ray(Dies("mark"), plan("../logs", 4000)[:4], 1))
    Path("../figures.json").write_text(json.dumps({
        "problems": [[p.row, p.reason] for p in fitted.problems.first],
        "routed": [routed.rows, routed.rejected],
        "accuracy": report.at(0.5).query_mean,
        "survived": survived,
        "calls": list(on_ray.run_on_ray(Counts(), plan("../logs", 4000)[:3], 1)),
        "raised": error_of(Raises()),
        "refused": error_of(refuse),
        "local": error_of(lambda number, part: part),
        "moved": ray.get(where.remote()) != before,
        "killed": error_of(Kills()),
    }))
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory, make_records):
    folder = tmp_path_factory.mktemp("ray")
    rows = make_records(150)
    (folder / "logs").mkdir()
    lines = list(map(json.dumps, rows))
    (folder / "logs" / "1.jsonl").write_text("\n".join([*lines[:70], "{broken"]))
    (folder / "logs" / "2.jsonl").write_text("\n".join(lines[70:]))
    (folder / "dying_jobs.py").write_text(DYING + REFUSES)
    (folder / "killing_jobs.py").write_text(KILLING)
    (folder / "script.py").write_text(SCRIPT)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    run = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return folder, rows, json.loads((folder / "figures.json").read_text())


def test_the_artifact_is_that_of_one_process(done):
    folder, rows, _ = done
    found = RouterArtifact.load(folder / "artifact")
    serial = bulk.fit(folder / "logs", n_clusters=5, engine="serial", part_bytes=4000).artifact
    for other in (serial, fit(rows, n_clusters=5)):
        np.testing.assert_array_equal(found.centroids, other.centroids)
        for name, values in found.statistics.arrays().items():
            np.testing.assert_allclose(values, other.statistics.arrays()[name], atol=1e-9)
        for name, values in found.refinement.arrays().items():
            np.testing.assert_allclose(values, other.refinement.arrays()[name], atol=1e-9)


def test_bad_rows_are_collected_with_their_numbers(done):
    _, _, figures = done
    ((row, reason),) = figures["problems"]
    assert row == 71
    assert "JSON" in words(reason)
    assert figures["routed"] == [150, 1]


def test_the_decisions_are_those_of_one_process(done, tmp_path):
    folder, _, figures = done
    artifact = RouterArtifact.load(folder / "artifact")
    serial = bulk.route(
        artifact, folder / "logs", tmp_path / "out", engine="serial", part_bytes=4000, alpha=0.7
    )
    for file in serial.files:
        mine, others = (
            [json.loads(line) for line in text.splitlines()]
            for text in (file.read_text(), (folder / "out" / file.name).read_text())
        )
        assert [(m["row"], m.get("model")) for m in mine] == [
            (o["row"], o.get("model")) for o in others
        ]
    report, _ = bulk.evaluate(artifact, folder / "logs", [0.5], engine="serial")
    assert figures["accuracy"] == pytest.approx(report.at(0.5).query_mean)


def test_a_killed_worker_is_replaced(done):
    _, _, figures = done
    assert figures["survived"] == [0, 10, 20, 30]


def test_a_worker_has_one_job_for_all_its_parts(done):
    _, _, figures = done
    assert figures["calls"] == [1, 2, 3]


def test_errors_are_those_of_the_job(done):
    _, _, figures = done
    name, message = figures["raised"]
    assert name == "OptionalDependencyError"
    assert "gold" in words(message)
    assert "avengers-router[mine]" in message


def test_an_error_that_no_other_process_can_read_is_told(done):
    _, _, figures = done
    name, message = figures["refused"]
    assert name == "AvengersError"
    assert {"slow", "down"} <= words(message)


def test_a_job_that_cannot_be_sent_is_an_error(done):
    _, _, figures = done
    assert figures["local"][0] == "AvengersError"


def test_tasks_of_others_are_where_they_were(done):
    _, _, figures = done
    assert not figures["moved"]


def test_a_part_that_kills_every_worker_ends_the_job(done):
    _, _, figures = done
    name, message = figures["killed"]
    assert name == "AvengersError"
    assert {"2", "1"} <= words(message)


def test_an_address_that_nobody_answers_at_fails_at_once(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    with pytest.raises(AvengersError, match=f"RAY_ADDRESS='127.0.0.1:{port}'"):
        on_ray.start()
