"""Output folders under kills and under two jobs at a time."""

from __future__ import annotations

import errno
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from avengers_core import AvengersError, bulk
from avengers_core.jobs import output
from avengers_core.jobs.output import clean, prepare, write_part
from avengers_core.records.sources import files as module
from avengers_core.records.sources.parts import plan


def test_what_killed_workers_left_is_removed_and_missed_by_nobody(folder, in_memory, tmp_path):
    out = tmp_path / "out"
    bulk.route(in_memory, folder, out, engine="serial")
    (out / ".tmp-0123456789abcdef").write_text("half a li")
    (out / ".tmp-notes").write_text("somebody's")
    bulk.route(in_memory, folder, out, engine="serial")
    assert [file.name for file in out.glob(".tmp-*")] == [".tmp-notes"]
    assert not [f for f in module.expand(out) if "/.tmp" in f]
    file = out / "part-00000.jsonl"
    (out / ".part-00000.jsonl.rows").unlink()

    def slow(unfinished):
        unfinished.write_text("mine")
        clean(out)  # by the same job, started twice, which is done before this one
        return 1, 0

    write_part(file, slow)
    assert "mine" not in file.read_text()
    with pytest.raises(FileNotFoundError):
        write_part(out / "part-99999.jsonl", slow)


def test_how_many_rows_a_part_has_is_known_after_a_kill(tmp_path):
    file = tmp_path / "part-00000.jsonl"

    def write(path):
        path.write_text('{"query": "an \\"error\\": "}\n{"error": "none"}\n')
        return 1, 1

    assert write_part(file, write) == (1, 1, False)
    assert write_part(file, write) == (1, 1, True)
    assert module.expand(tmp_path) == [str(file)], "what reads the folder sees no numbers"
    (numbers,) = tmp_path.glob(".*")
    for killed_before in (file, numbers):
        killed_before.unlink()
        assert write_part(file, write) == (1, 1, False)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs there")
def test_a_manifest_that_is_no_file_of_ours(folder, in_memory, tmp_path):
    out = tmp_path / "out"

    manifest = out / "job.json"

    def refused(make):
        out.mkdir(exist_ok=True)
        make(manifest)
        with pytest.raises(AvengersError, match=r"job\.json"):
            bulk.route(in_memory, folder, out, engine="serial")
        assert [file.name for file in out.iterdir()] == ["job.json"]
        if manifest.is_dir():
            manifest.rmdir()
        else:
            manifest.unlink()

    refused(os.mkfifo)
    refused(lambda file: file.symlink_to("/dev/zero"))
    refused(lambda file: file.mkdir())
    for content in ("", "[1, 2", "[1]", "7", '"text"', "[" * 100_000):
        refused(lambda file, content=content: file.write_text(content))


@pytest.mark.parametrize("content", ["", "[1", "[1]", "[1, 2, 3]", "7", '["1", 2]', "{}"])
def test_a_part_whose_numbers_cannot_be_read_is_done_again(tmp_path, content):
    file = tmp_path / "part-00000.jsonl"

    def write(path):
        path.write_text("{}\n")
        return 1, 0

    write_part(file, write)
    (numbers,) = tmp_path.glob(".*.rows")
    numbers.write_text(content)
    assert write_part(file, write) == (1, 0, False)
    assert write_part(file, write) == (1, 0, True)


def test_a_file_of_somebody_else_is_no_unfinished_one(folder, in_memory, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".tmp-notes").write_text("somebody's")
    with pytest.raises(AvengersError, match=re.escape(str(out))):
        bulk.route(in_memory, folder, out, engine="serial")
    (out / ".tmp-notes").rename(out / ".tmp-0123456789abcdef")
    bulk.route(in_memory, folder, out, engine="serial")
    assert not list(out.glob(".tmp-*"))


def test_input_that_goes_away_is_an_error_also_where_a_part_is_done_again(tmp_path):
    file = tmp_path / "part-00000.jsonl"
    file.touch()
    with pytest.raises(FileNotFoundError, match=r"gone\.jsonl"):
        write_part(file, lambda _: (tmp_path / "gone.jsonl").open())


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


def test_a_full_disk_leaves_no_half_of_a_manifest(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("avengers_core.common.files.os.fsync", full)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            prepare(out, {"job": "a"}, [], ".jsonl")
    assert list(out.iterdir()) == []
    assert prepare(out, {"job": "a"}, [], ".jsonl") == []
