"""Whatever holds records is read by its content, and cut into parts that hold each row once."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import re
import tarfile
import threading
import zipfile
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avengers_core import RecordError, bulk, load_records
from avengers_core.records.record import RecordProblem, parse_record
from avengers_core.records.sources import files as module
from avengers_core.records.sources.parts import Part, count_rows, numbered, plan, read


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20)), st.integers(1, 60))
def test_parts_of_a_file_hold_each_line_once(tmp_path_factory, texts, part_bytes):
    lines = [json.dumps({"t": text}).encode() for text in texts]
    file = tmp_path_factory.mktemp("part") / "f.jsonl"
    file.write_bytes(b"\n".join(lines))
    parts = plan(file, part_bytes)
    parts = numbered(parts, [count_rows(part) for part in parts])
    found = [row for part in parts for row in read(part)]
    assert found == list(enumerate(lines, 1))


def test_a_file_of_one_line_or_none(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    assert plan(tmp_path / "empty.jsonl") == []
    (tmp_path / "one.jsonl").write_text("x" * 1000)
    parts = plan(tmp_path / "one.jsonl", 10)
    assert [(p.start, p.stop) for p in parts] == [(0, 1000)]


def test_files_folders_patterns_and_addresses(folder, tmp_path):
    assert [Path(f).name for f in module.expand(folder)] == [
        "1.jsonl",
        "2.jsonl.gz",
        "3.parquet",
        "4.parquet",
    ]
    assert len(module.expand([f"{folder}/*.parquet", folder / "1.jsonl", folder])) == 4
    address = f"file://{folder}/4.parquet"
    assert len(list(read(plan(address)[0]))) == 40
    address = f"file://{folder}/2.jsonl.gz"
    assert len(list(read(plan(address)[0]))) == 60
    with pytest.raises(RecordError, match=r"\*\.xls"):
        plan(f"{folder}/*.xls")
    with pytest.raises(RecordError, match=tmp_path.name):
        plan(tmp_path)
    with pytest.raises(RecordError, match="empty"):
        plan([folder / "1.jsonl", ""])
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(RecordError, match=r"bad\.parquet"):
        plan(tmp_path / "bad.parquet")


LINES = b'{"query": "q", "records": {"a": 1}}\n' * 20


def tar(content):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("r.jsonl")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def zipped(content):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("r.jsonl", content)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("pack", "named"),
    [
        (bz2.compress, "bunzip2"),
        (lzma.compress, "unxz"),
        (lambda content: b"\x28\xb5\x2f\xfd" + content, "unzstd"),
        (zipped, "unzip"),
        (tar, "tar -xf"),
        (lambda content: gzip.compress(tar(content)), "tar -xf"),
        (lambda content: gzip.compress(gzip.compress(content)), "gunzip"),
        (lambda content: content.decode().encode("utf-16"), "iconv -f UTF-16"),
        (lambda content: content.decode().encode("utf-16-be"), "iconv -f UTF-16"),
        (lambda content: content.decode().encode("utf-32"), "iconv -f UTF-32"),
    ],
)
def test_what_is_no_text_is_named_once_and_nothing_is_read_out_of_it(tmp_path, pack, named):
    file = tmp_path / "f.jsonl"
    file.write_bytes(pack(LINES))
    (problem,) = load_records(file).problems
    assert f"`{named}" in problem.reason
    assert len(load_records(file)) == 0
    (part,) = plan(file, 100)
    ((number, found),) = read(part)
    assert (number, found.reason) == (1, problem.reason)


@pytest.mark.parametrize("start", [b"\0", b"{\0", b"BZh, ", b"ustar ", b" \xff\xfe"])
def test_a_damaged_first_line_costs_that_line_alone(start):
    found = load_records(io.BytesIO(start + b"\n" + LINES))
    assert len(found) == 20
    assert [problem.line for problem in found.problems] == [1]


ESCAPED = r"""query,records.a,dataset
"He said \"hi\", and
went",1,d
plain,0,d
"a ""doubled"" one",1,d
"C:\",0,d
"unclosed \",1,d
"\frac{1}{2} is \"half\"",1,d
"""


@pytest.mark.parametrize("engine", ["memory", "serial"])
def test_quotation_marks_behind_a_backslash(tmp_path, engine):
    (tmp_path / "spark.csv").write_text(ESCAPED)
    found = load_records(tmp_path / "spark.csv")
    if engine == "serial":
        (part,) = plan(tmp_path / "spark.csv")
        found = [parse_record(row, number) for number, row in read(part)]
    assert [(r.query, r.scores["a"]) for r in found] == [
        ('He said "hi", and\nwent', 1),
        ("plain", 0),
        ('a "doubled" one', 1),
        ("C:\\", 0),
        ("unclosed \\", 1),
        (r'\frac{1}{2} is "half"', 1),
    ]


def test_a_row_that_is_none_either_way_costs_itself_alone(tmp_path):
    text = 'query,records.a\n"open \\" and, never closed,1\ngood,1\n"of \\"three\\"",1,2\nlast,0\n'
    (tmp_path / "t.csv").write_text(text)
    found = load_records(tmp_path / "t.csv")
    assert [r.query for r in found] == ["good", "last"]
    assert [problem.line for problem in found.problems] == [2, 4]


def test_streams_of_what_is_read_by_its_path(tmp_path):
    pq.write_table(pa.table({"query": ["q"], "records.a": [1]}), tmp_path / "f.parquet")
    with (tmp_path / "f.parquet").open("rb") as stream:
        (problem,) = load_records(stream).problems
    assert "Parquet" in problem.reason


def test_parquet_without_queries_shows_its_columns(tmp_path):
    pq.write_table(pa.table({"prompt": ["hello"], "score": [1]}), tmp_path / "f.parquet")
    (problem,) = load_records(tmp_path / "f.parquet").problems
    assert "prompt" in problem.excerpt
    assert "hello" in problem.excerpt


def test_rows_of_parquet_are_cut_and_gathered(tmp_path):
    rows = [{"query": f"q{i}", "records": {"a": i % 2}} for i in range(100)]
    # Many small row groups, and one that is larger than a part.
    for size, part_bytes in ((3, 1000), (100, 200)):
        file = tmp_path / f"{size}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), file, row_group_size=size)
        parts = plan(file, part_bytes)
        assert 1 < len(parts) < 30
        assert [p.stop for p in parts[:-1]] == [p.start for p in parts[1:]]
        numbered_parts = numbered(parts, map(count_rows, parts))
        found = [row for part in numbered_parts for row in read(part)]
        assert found == list(enumerate(rows, 1))


def test_columns_of_parquet_become_what_json_would_have(tmp_path):
    expected = {
        "query": "q",
        "records": {"a": 0.5},
        "usages": {"a": {"cost": 0.25}},
        "dataset": "d",
        "index": 7,
    }
    cost = pa.array([[("cost", Decimal("0.25"))]], pa.map_(pa.string(), pa.decimal128(6, 2)))
    tables = {
        "structs": {
            "query": pa.array(["q"]).dictionary_encode(),
            "records": pa.array([{"a": 0.5, "b": None}]),
            "usages": pa.array([{"a": {"cost": Decimal("0.25")}}]),
            "dataset": pa.array(["d"], pa.large_string()),
        },
        "maps": {
            "query": pa.array([b"q"]),  # binary: text of writers that do not mark it
            "records": pa.array([[("a", 0.5), ("b", None)]], pa.map_(pa.string(), pa.float32())),
            "usages": pa.StructArray.from_arrays([cost], ["a"]),
            "dataset": pa.array([b"d"], pa.large_binary()),
        },
        "text": {
            "query": pa.array(["q"], pa.string_view()),
            "records": pa.array(['{"a": 0.5, "b": null}']),
            "usages": pa.array([b'{"a": {"cost": 0.25}}']),
            "dataset": pa.array(["d"]),
        },
    }
    for name, columns in tables.items():
        file = tmp_path / f"{name}.parquet"
        others = {"index": pa.array([7], pa.int32()), "answer": pa.array([[1.0, 2.0]])}
        pq.write_table(pa.table({**columns, **others}), file)
        nulls = {"records": {"a": 0.5, "b": None}} if name == "text" else {}
        assert list(read(plan(file)[0])) == [(1, {**expected, **nulls})], name
    pq.write_table(pa.table({"prompt": ["q"], "query": pa.nulls(1)}), tmp_path / "none.parquet")
    assert list(read(plan(tmp_path / "none.parquet")[0])) == [(1, {})]
    pq.write_table(pa.table({"prompt": ["q", "r"]}), tmp_path / "foreign.parquet")
    with pytest.raises(RecordError, match=r"\b2 rows.*foreign\.parquet:1: query"):
        bulk.fit(tmp_path / "foreign.parquet", engine="serial")


def test_a_damaged_page_of_parquet_ends_its_part_alone(tmp_path):
    file = tmp_path / "damaged.parquet"
    queries = [f"{i} " * 50 for i in range(4000)]
    records = ['{"a": 1}'] * 4000
    table = pa.table({"query": queries, "records": records})
    pq.write_table(table, file, row_group_size=1000, use_dictionary=False)
    content = bytearray(file.read_bytes())
    column = pq.ParquetFile(file).metadata.row_group(2).column(0)
    start = column.data_page_offset + column.total_compressed_size // 2
    content[start : start + 50] = bytes(50)
    file.write_bytes(content)
    parts = numbered(plan(file, 1), map(count_rows, plan(file, 1)))
    rows = [row for part in parts for row in read(part)]
    problems = [row for _, row in rows if isinstance(row, RecordProblem)]
    assert problems
    assert all(problem.reason.startswith("the file cannot be read from") for problem in problems)
    good = {number for number, row in rows if not isinstance(row, RecordProblem)}
    assert {*range(1, 2001), *range(3001, 4001)} <= good


def test_text_of_parquet_that_is_not_utf8(tmp_path):
    bad = pa.array([b"fine", b"caf\xe9"]).view(pa.string())
    pq.write_table(pa.table({"query": bad, "records": ['{"a": 1}'] * 2}), tmp_path / "f.parquet")
    rows = [row for _, row in read(plan(tmp_path / "f.parquet")[0])]
    assert [row["query"] for row in rows] == ["fine", "caf\ufffd"]


def test_a_file_is_read_once_however_it_is_named(tmp_path, monkeypatch):
    file = tmp_path / "a.jsonl"
    file.write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert module.expand([file, "a.jsonl", "./a.jsonl", "*.jsonl"]) == [str(file)]


def test_what_jobs_wrote_in_a_folder_is_not_its_input(tmp_path):
    for name in ("in.jsonl", "out/job.json", "out/part-00000.jsonl", "art/artifact.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert module.expand(tmp_path) == [str(tmp_path / "in.jsonl")]
    assert module.expand(tmp_path / "out") == [str(tmp_path / "out" / "part-00000.jsonl")]


ROWS = [
    {
        "query": 'what, "is"\nit?',
        "records": {"gpt-4.1": 0.5, "b": 1.0},
        "usages": {"gpt-4.1": {"cost": 0.25, "prompt_tokens": 3.0}},
        "dataset": "d",
        "index": 7,
    },
    {"query": "q" * 200_000, "records": {"b": 0.0}},
]


def flat(row):
    """A row as pandas flattens it."""
    return {
        "query": row["query"],
        "dataset": row.get("dataset"),
        "index": row.get("index"),
        **{f"records.{m}": s for m, s in row["records"].items()},
        **{
            f"usages.{m}.{name}": amount
            for m, usage in row.get("usages", {}).items()
            for name, amount in usage.items()
        },
        "answer": "not read",
    }


def as_table(rows, separator):
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, columns, delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


KINDS = {
    "lines": "\n".join(map(json.dumps, ROWS)).encode(),
    "array": json.dumps(ROWS).encode(),
    "indented": b"\xef\xbb\xbf\n" + json.dumps(ROWS, indent=2).encode(),
    "nested table": as_table(
        [{k: json.dumps(v) if isinstance(v, dict) else v for k, v in r.items()} for r in ROWS], ","
    ),
    "printed table": as_table(ROWS, "\t"),
    "flat table": as_table([flat(row) for row in ROWS], ";"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", [False, True])
def test_the_content_tells_the_kind(tmp_path, kind, packed):
    content = gzip.compress(KINDS[kind]) if packed else KINDS[kind]
    file = tmp_path / "records.any"
    file.write_bytes(content)
    expected = load_records(ROWS)
    assert list(load_records(file)) == list(expected)
    with file.open("rb") as stream:
        assert list(load_records(stream)) == list(expected)
        assert not stream.closed
    if not packed:
        assert list(load_records(io.StringIO(content.decode()))) == list(expected)
    parts = plan(file, 50)
    assert len(parts) == (2 if kind == "lines" and not packed else 1)
    found = [parse_record(row, number) for part in parts for number, row in read(part)]
    assert found == list(expected)


def test_parquet_may_be_flat(tmp_path):
    pq.write_table(pa.Table.from_pylist([flat(row) for row in ROWS]), tmp_path / "flat.parquet")
    assert list(load_records(tmp_path / "flat.parquet")) == list(load_records(ROWS))


@pytest.mark.parametrize(
    ("content", "good", "bad"),
    [
        (b'[{"query": "q", "records": {"a": 1}}, 7, {"query": "r", "records": {"a": 1}}]', 2, [2]),
        (b'[{"query": "q", "records": {"a": 1}}, {"query": ', 1, [2]),
        (b'[{"query": "q", "records": {"a": 1}}', 1, [2]),
        (b'[{"query": "q", "records": {"a": 1}}]\n[{"query": "r", "records": {"a": 1}}]', 1, [2]),
        (b'[{"query": "q", "records": {"a": 1}}]\n\n', 1, []),
        (b'[{"query": "q", "records": {"a": 1}}, nonsense, {"query": "r"}]', 1, [2]),
        (b'[{"query": "q\xff", "records": {"a": 1}}, {"query": "r", "records": {"a": 1}}]', 2, []),
        (b'[{"query": "q", "records": {"a": NaN}}]', 0, [1]),
        (b"[" + b'{"a":' * 100_000, 0, [1]),
        (b"[]", 0, []),
        (b'query,records.a\n"two\nlines",1\nshort\nq,7\n,1\nq,0.5', 2, [4, 5, 6]),
        (b'query,records\nq,"{""a"": 1}"\nq,nothing', 1, [3]),
        (b'query,records\nq,"{""a"": 1}"\nq,{[]: 1}', 1, [3]),
        (b"query,records.a\nq\xff,1\nr,1", 2, []),
        (b"query,records.a\nq\0,true\nr,False", 2, []),
    ],
)
def test_rows_that_are_none_are_listed_with_their_places(content, good, bad):
    records = load_records(io.BytesIO(content))
    assert len(records) == good
    assert [p.line for p in records.problems] == bad


@pytest.mark.parametrize("later", ["plain 50,1", 'closing" 50,1', '"in order, 50",1'])
def test_a_quotation_mark_that_does_not_close_costs_its_line_alone(later):
    rows = ["query,records.a", *(f"plain {i},1" for i in range(100)), '"two\nlines",1']
    rows[10], rows[51] = '"never closed 9,1', later
    records = load_records(io.BytesIO("\n".join(rows).encode()))
    assert len(records) == 100
    assert [problem.line for problem in records.problems] == [11]
    assert records[-1].query == "two\nlines"


def test_an_array_is_read_item_by_item_wherever_it_is_cut(monkeypatch):
    content = json.dumps(ROWS, indent=1).encode()
    for size in (1, 2, 3, 7, 1000):
        monkeypatch.setattr("avengers_core.records.sources.streams.CHUNK", size)
        assert list(load_records(io.BytesIO(content))) == list(load_records(ROWS))


def test_a_pipe_is_read_once_or_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for use in (load_records, plan):

        def write():
            with suppress(BrokenPipeError):
                (tmp_path / "pipe").write_bytes(KINDS["array"])

        writer = threading.Thread(target=write)
        writer.start()
        if use is load_records:
            assert len(use(tmp_path / "pipe")) == 2
        else:
            with pytest.raises(RecordError, match=re.escape(str(tmp_path))):
                use(tmp_path / "pipe")
        writer.join()


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no such device there")
def test_a_device_that_never_ends_is_refused(tmp_path):
    (tmp_path / "link.jsonl").symlink_to("/dev/zero")
    for file in ("/dev/zero", tmp_path / "link.jsonl"):
        for use in (load_records, plan):
            with pytest.raises(OSError, match=str(file)):
                use(file)
    assert len(load_records(os.devnull)) == 0  # which ends at once


def test_problems_of_files_say_which(tmp_path):
    (tmp_path / "a.jsonl").write_text("{}")
    (problem,) = load_records(tmp_path).problems
    assert (problem.file, problem.row) == (str(tmp_path / "a.jsonl"), 1)
    assert str(problem).startswith(f"{tmp_path / 'a.jsonl'}:1: ")


def test_keys_in_an_address_are_not_shown(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text("{}")
    with pytest.raises(RecordError) as refused:
        load_records("ftp://user:sesame@host/r.jsonl")
    assert "sesame" not in str(refused.value)
    assert "ftp://host/r.jsonl" in str(refused.value)
    part = Part("s3://key:sesame@b/r", "whole", 0, 9)
    assert "sesame" not in repr(part)
    assert part.file == "s3://b/r"
    assert module.public("a:b@c") == "a:b@c"
