"""Tar archives: alone, several in a folder, in each other; and pickles in them."""

from __future__ import annotations

import base64
import io
import json
import random
import re
import tarfile
from pathlib import Path

import pytest

from avengers_core import RecordError, load_records
from avengers_core.importers import import_records


def result(query: str, model: str = "m", score: float = 1) -> dict[str, object]:
    return {"query": query, "task_name": "t", "model_name": model, "performance": score}


def archive(file: Path, members: dict[str, object], kind: str = "gz") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, f"w:{kind}") as out:
        for name, content in members.items():
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            out.addfile(member, io.BytesIO(data))
    return file


def test_a_file_of_rows_may_have_tar_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "r.tar.json").write_text(json.dumps([result("q")]))
    assert len(load_records(import_records(tmp_path))) == 1


@pytest.mark.parametrize("name", ["r.tar", "r.tar.gz", "r.tgz", "r.tar.bz2", "r.tar.xz", "r.bin"])
def test_an_archive_of_any_kind(tmp_path: Path, name: str) -> None:
    kind = name.rpartition(".")[2].replace("tgz", "gz")
    kind = kind if kind in ("gz", "bz2", "xz") else ""
    file = archive(tmp_path / name, {"b.json": [result("b")], "a.json": [result("a")]}, kind)
    assert [r.query for r in load_records(import_records(file))] == ["a", "b"]


@pytest.mark.parametrize("name", ["r.tar.gz", "folder/r.jsonl"])
def test_records_in_an_archive_or_a_folder_are_told(tmp_path: Path, name: str) -> None:
    record = {"query": "q", "records": {"a": 1}}
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "r.jsonl").write_text(json.dumps(record))
    file = archive(tmp_path / "r.tar.gz", {"r.json": [record]})
    with pytest.raises(RecordError, match="records already"):
        list(import_records(file if name.endswith("gz") else tmp_path / "folder"))


def test_all_archives_of_a_folder_are_read_after_its_files_in_order(tmp_path: Path) -> None:
    archive(tmp_path / "two.tar.gz", {"r.json": [result("q3", "b"), result("q4")]})
    archive(tmp_path / "one" / "a.tar.gz", {"r.json": [result("q2"), {"query": "bad"}]})
    (tmp_path / "z.json").write_text(json.dumps([result("q1"), result("q3")]))
    records = load_records(import_records(tmp_path))
    assert [r.query for r in records] == ["q1", "q3", "q2", "q4"]
    assert records[1].scores == {"m": 1, "b": 1}  # joined over the archives
    (problem,) = records.problems
    assert problem.reason == f"{tmp_path.name}/one/a.tar.gz/r.json: no 'model_name'"


def test_the_folders_of_llmrouterbench_are_told_from_the_archive(tmp_path: Path) -> None:
    old = {"records": [{"score": 0, "prompt": "q"}]}
    new = {"records": [{"score": 1, "prompt": "q"}]}
    archive(tmp_path / "a.tar.gz", {"aime/test/m/2025.json": new, "aime/test/n/2025.json": old})
    archive(tmp_path / "b.tar.gz", {"aime/test/m/2024.json": old})
    (record,) = load_records(import_records(tmp_path))
    assert (record.dataset, record.scores) == ("aime", {"m": 1, "n": 0})
    (tmp_path / "flat").mkdir()
    flat = archive(tmp_path / "flat" / "bench.tar.gz", {"m/2025.json": new})
    assert load_records(import_records(flat)).datasets == ("flat",)  # not a temporary folder


def test_archives_in_archives(tmp_path: Path) -> None:
    file = archive(tmp_path / "r.tar.gz", {"r.json": [result("q")]})
    for i in range(2):
        file = archive(tmp_path / f"{i}.tar.gz", {"inner.tar.gz": file.read_bytes()})
    assert len(load_records(import_records(file))) == 1
    deeper = archive(tmp_path / "deeper.tar.gz", {"inner.tar.gz": file.read_bytes()})
    with pytest.raises(RecordError, match=r"\b3\b"):
        list(import_records(deeper))


def test_what_is_no_archive_is_not_passed_over(tmp_path: Path) -> None:
    archive(tmp_path / "a.tar.gz", {"r.json": [result("q")]})
    (tmp_path / "b.tar.gz").write_bytes(b"not found")
    with pytest.raises(RecordError, match=r"b\.tar\.gz"):
        list(import_records(tmp_path))
    (tmp_path / "b.tar.gz").rename(tmp_path / "._b.tar.gz")  # notes of macOS
    assert len(load_records(import_records(tmp_path))) == 1


@pytest.mark.parametrize("kind", ["bz2", "xz"])
def test_an_archive_that_is_damaged_within(tmp_path: Path, kind: str) -> None:
    content = base64.b64encode(random.Random(0).randbytes(200_000))
    file = archive(tmp_path / f"r.tar.{kind}", {"r.json": content}, kind)
    data = bytearray(file.read_bytes())
    data[100_000:100_100] = random.Random(1).randbytes(100)
    file.write_bytes(data)
    with pytest.raises(RecordError, match=re.escape(file.name)):
        list(import_records(file))


def test_an_archive_that_would_write_outside_is_refused(tmp_path: Path) -> None:
    archive(tmp_path / "evil.tar.gz", {"../../evil.json": []})
    with pytest.raises(RecordError, match=r"evil\.tar\.gz"):
        list(import_records(tmp_path / "evil.tar.gz"))


def test_a_pickle_in_an_archive_is_refused(tmp_path: Path) -> None:
    file = archive(tmp_path / "r.tar.gz", {"data.pkl": b"\x80\x04N."})
    with pytest.raises(RecordError, match=r"data\.pkl.*to_parquet"):
        list(import_records(file))
    with pytest.raises(RecordError, match=r"e\.tar\.gz"):
        list(import_records(archive(tmp_path / "e.tar.gz", {"README": b""})))
