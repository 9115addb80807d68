"""Whatever a file holds, an import gives records and problems, or says why it cannot be read."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avengers_core import RecordError, Records, load_records
from avengers_core.importers import LAYOUTS, import_records
from avengers_core.importers.reading import tables
from avengers_core.importers.reading.archives import opened

EXAMPLES = {path.name: path for path in Path(__file__).with_name("examples").glob("*/*/")}


def keys(value: object) -> set[str]:
    """All keys in a value, at any depth."""
    if isinstance(value, list):
        return set().union(*map(keys, value))
    if isinstance(value, dict):
        return {*value, *keys(list(value.values()))}
    return set()


def example(layout: str) -> list[dict[str, Any]]:
    with opened(EXAMPLES[layout]) as files:
        return [dict(row) for file in files for row in tables.rows(file) if isinstance(row, dict)]


# The names that the importers look for, so that the values beneath them are reached.
NAMES = {layout: sorted(keys(example(layout))) for layout in LAYOUTS}
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 2),
    st.just(10**400),
    st.floats(),
    st.sampled_from(
        ["", "q", "1", "0.5", "nan", "['a']", "[{[]: 1}]", "[1]", '{"a": 1}', "{", "x.y"]
    ),
    st.text(max_size=5),
)


def values(names: list[str]) -> st.SearchStrategy:
    return st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=6)
        ),
        max_leaves=12,
    )


def rows(layout: str) -> st.SearchStrategy:
    names = NAMES[layout]
    row = st.dictionaries(st.sampled_from(names), values(names), min_size=1, max_size=len(names))
    return st.lists(row | values(names), min_size=1, max_size=4)


def imported(file: Path, layout: str | None) -> Records | None:
    try:
        records = load_records(import_records(file, layout))
        assert all(s is None or 0 <= s <= 1 for r in records for s in r.scores.values())
        return records
    except RecordError as error:
        assert str(error)  # noqa: PT017 -- an import may be refused, but has to say why
        return None


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow])
@given(content=st.data())
def test_json(layout: str, content: st.DataObject) -> None:
    form = content.draw(st.sampled_from(["json", "jsonl", "data"]))
    items = content.draw(rows(layout))
    texts = {
        "json": lambda: json.dumps(items),
        "jsonl": lambda: "\n".join(map(json.dumps, items)),
        "data": lambda: json.dumps({"data": items}),
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"rows.{form.replace('data', 'json')}"
        file.write_text(texts[form]())
        imported(file, layout)
        imported(file, None)


def changed(value: Any, draw: Any) -> Any:
    """A value with something in it that was not there."""
    if isinstance(value, dict | list) and value and draw(st.integers(0, 4)):
        place = draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))))
        inner = {**value} if isinstance(value, dict) else [*value]
        inner[place] = changed(value[place], draw)
        return inner
    return draw(SCALARS | st.just([]) | st.just({}) | st.just([{}]))


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(content=st.data())
def test_examples_with_something_changed(layout: str, content: st.DataObject) -> None:
    items = example(layout)
    for _ in range(content.draw(st.integers(1, 3))):
        at = content.draw(st.integers(0, len(items) - 1))
        items[at] = changed(items[at], content.draw)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        file.write_text(json.dumps(items))
        imported(file, layout)
        imported(file, None)


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow])
@given(content=st.data())
def test_tables(layout: str, content: st.DataObject) -> None:
    names = NAMES[layout]
    header = content.draw(st.lists(st.sampled_from(names), min_size=1, max_size=8))
    cell = values(names).map(lambda v: v if isinstance(v, str) else json.dumps(v))
    lines = content.draw(st.lists(st.lists(cell, max_size=9), max_size=4))
    out = io.StringIO()
    csv.writer(out, escapechar="\\").writerows([header, *lines])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"
        file.write_text(out.getvalue(), encoding="utf-8", errors="surrogatepass", newline="")
        imported(file, layout)
        imported(file, None)


def _parquet() -> bytes:
    rows = [{"prompt": "q", "eval_name": "e", "m": i / 3, "n": [i]} for i in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), out := io.BytesIO())
    return out.getvalue()


def _tar(kind: str) -> bytes:
    with tarfile.open(fileobj=(out := io.BytesIO()), mode=f"w:{kind}") as archive:
        for name in ("a/b.json", "link"):
            member = tarfile.TarInfo(name)
            data = b'[{"query": "q", "model_name": "m", "performance": 1}]'
            if name == "link":
                member.type, member.linkname = tarfile.LNKTYPE, "a/b.json"
            else:
                member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


WHOLE = {
    "rows.parquet": _parquet(),
    "rows.tar": _tar(""),
    "rows.tar.gz": _tar("gz"),
    "rows.tar.xz": _tar("xz"),
    "rows.tar.bz2": _tar("bz2"),
    "rows.csv": b'prompt,m\r\n"a\nb",1\r\n',
    "rows.json": b'{"records": [{"score": 1, "prompt": "q"}]}',
}


@pytest.mark.parametrize("name", WHOLE)
@given(changes=st.lists(st.tuples(st.integers(0, 20_000), st.binary(max_size=3)), max_size=3))
def test_damaged_files(name: str, changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(WHOLE[name])
    for at, new in changes:
        start = at % (len(data) + 1)
        # Without new bytes, the rest is cut off.
        data[start : start + len(new) if new else None] = new
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(data)
        imported(file, None)
        imported(file, "routerbench")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("deep", ["[" * 20_000, '{"a":' * 10_000, "[" * 500 + "]" * 500])
def test_what_is_nested_too_deeply_is_a_problem(tmp_path: Path, layout: str, deep: str) -> None:
    keys = NAMES[layout]
    lines = [f'{{"{key}": {deep}}}' for key in keys] + [json.dumps({key: deep}) for key in keys]
    (tmp_path / "rows.jsonl").write_text("\n".join([*lines, '{"model": "m"}', "[1]"]))
    imported(tmp_path / "rows.jsonl", layout)
