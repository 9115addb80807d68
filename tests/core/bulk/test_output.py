"""Output folders under kills and under two jobs at a time."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from avengers_core import AvengersError, bulk
from avengers_core.bulk import files as module
from avengers_core.bulk import output
from avengers_core.bulk.files import plan
from avengers_core.bulk.output import clean, whole


def test_what_killed_workers_left_is_removed_and_missed_by_nobody(folder, in_memory, tmp_path):
    out = tmp_path / "out"
    bulk.route(in_memory, folder, out, engine="serial")
    (out / ".tmp-0-part-00000.jsonl").write_text("half a li")
    bulk.route(in_memory, folder, out, engine="serial")
    assert not list(out.glob(".tmp-*"))
    assert not [f for f in module.expand(out) if "/.tmp" in f]
    file = out / "part-00000.jsonl"
    with whole(file) as unfinished:
        unfinished.write_text("mine")
        clean(out)  # by the same job, started twice, which is done before this one
    assert "mine" not in file.read_text()
    with pytest.raises(FileNotFoundError), whole(out / "part-99999.jsonl"):
        pass


def test_one_job_that_begins_many_times_at_once_is_never_refused(folder, tmp_path):
    parts = plan(folder)

    def begin(number):
        return output.prepare(tmp_path / str(number // 8), {"job": 1}, parts, ".jsonl")

    with ThreadPoolExecutor(8) as pool:
        assert all(len(files) == len(parts) for files in pool.map(begin, range(400)))


def test_of_two_jobs_that_begin_at_once_in_a_folder_one_is_refused(folder, in_memory, tmp_path):
    parts = plan(folder)

    def begin(number):
        try:
            return output.prepare(tmp_path / "out", {"job": number}, parts, ".jsonl") and number
        except AvengersError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(begin, range(1, 9)))
    (winner,) = [r for r in results if isinstance(r, int)]
    assert json.loads((tmp_path / "out" / "job.json").read_text())["job"] == winner
    assert all("other job" in r for r in results if r != winner)
