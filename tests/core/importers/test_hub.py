"""Data sets of the hub, with the hub's own client replaced by a folder."""

from __future__ import annotations

import io
import json
import tarfile
from fnmatch import fnmatch

import pytest

from avengers_core import RecordError, load_records
from avengers_core.importers import hub, import_records


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A data set as the client would leave it in its cache."""
    asked = {}

    def snapshot_download(repo_id, **arguments):
        asked.update(arguments, repo_id=repo_id)
        return str(tmp_path)

    def hf_hub_download(repo_id, filename, **arguments):
        asked.update(arguments, repo_id=repo_id)
        return str(tmp_path / filename)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", hf_hub_download)
    return tmp_path, asked


ROW = {"query": "q", "task_name": "t", "model_name": "m", "performance": 1}


def test_a_repository_and_one_file_of_it(repository):
    folder, asked = repository
    (folder / "data").mkdir()
    (folder / "data" / "a.json").write_text(json.dumps([ROW]))
    records = load_records(import_records(hub.download("someone/results")))
    assert len(records) == 1
    assert (asked["repo_id"], asked["repo_type"]) == ("someone/results", "dataset")
    records = load_records(import_records(hub.download("someone/results/data/a.json")))
    assert len(records) == 1


def test_all_archives_of_a_repository_are_imported(repository):
    folder, _ = repository
    for n in (1, 2):
        data = json.dumps([{**ROW, "query": f"q{n}"}]).encode()
        with tarfile.open(folder / f"part{n}.tar.gz", "w:gz") as archive:
            member = tarfile.TarInfo("r.json")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    records = load_records(import_records(hub.download("someone/results")))
    assert [r.query for r in records] == ["q1", "q2"]


def test_what_can_be_imported_is_asked_for(repository):
    _, asked = repository
    hub.download("someone/results")
    for name in ("a.csv", "a.jsonl.gz", "a.ndjson", "a.tar.gz", "a.tar.xz", "a.tgz", "a.tar"):
        assert any(fnmatch(name, pattern) for pattern in asked["allow_patterns"]), name
    assert not any(fnmatch("weights.safetensors", p) for p in asked["allow_patterns"])


def test_routerbench_is_refused_as_the_pickle_that_it_is(repository):
    folder, asked = repository
    (folder / "routerbench_0shot.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(RecordError, match="pickle"):
        import_records(hub.download("routerbench"))
    assert asked["repo_id"] == "withmartian/routerbench"


def test_an_unknown_name(repository):
    with pytest.raises(RecordError, match=r"'mine'.*llmrouterbench"):
        hub.download("mine")


def test_a_hub_that_can_not_be_reached_is_one_clear_error(monkeypatch):
    def fails(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fails)
    with pytest.raises(RecordError, match=r"llmrouterbench.*OSError: no network"):
        hub.download("llmrouterbench")
