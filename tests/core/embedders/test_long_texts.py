"""Texts of any length: the first 100,000 characters are embedded, in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avengers_core import bulk, evaluate, fit
from avengers_core.embedders import CallableEmbedder, TfidfEmbedder, WordLlamaEmbedder
from avengers_core.embedders.surface import SURFACE_FEATURES, surface
from avengers_core.embedders.tokens import MAX_CHARS

LONG = "word " * (MAX_CHARS // 5)


@pytest.mark.parametrize(
    "make", [WordLlamaEmbedder, lambda: TfidfEmbedder.fit(["word", "other", "third one"])]
)
def test_what_comes_after_does_not_count(make: Any) -> None:
    vectors = make().embed([LONG, LONG + "other", LONG[:-5] + "other"])
    assert (vectors[0] == vectors[1]).all()
    assert (vectors[0] != vectors[2]).any()


def test_a_function_of_the_user_is_given_no_more() -> None:
    lengths: list[int] = []

    def embed(texts: list[str]) -> Any:
        lengths.extend(map(len, texts))
        return np.ones((len(texts), 2))

    embedder = CallableEmbedder(embed, id="lengths", dim=2)
    fit([{"query": LONG * 2, "records": {"a": 1}}], embedder, n_clusters=1, refine=False)
    assert lengths == [MAX_CHARS]


def test_only_the_number_of_bytes_is_that_of_the_whole() -> None:
    short, long = surface([LONG, LONG + "é? " * 1000])
    differing = {name for name, a, b in zip(SURFACE_FEATURES, short, long, strict=True) if a != b}
    assert differing == {"log bytes"}
    assert np.isclose(np.expm1(long[0]), len(LONG) + 4000)


async def test_a_decision_says_what_was_left_out(toy_router: Any) -> None:
    fits, longer, blank = LONG, LONG + "é" * 7, " " * (MAX_CHARS + 7)
    batch = toy_router.route_batch([fits, longer, blank])
    assert [d.cut for d in batch] == [0, 7, 0]
    for text in (fits, longer, blank):
        assert toy_router.route(text) == toy_router.route_batch([text])[0]
    assert await toy_router.aroute(longer) == toy_router.route(longer)
    assert toy_router.route("and why?", earlier=[longer]).cut == 7


def test_lines_of_a_file_that_are_cut_say_so(
    toy_router: Any, tmp_path: Path, decisions: Any
) -> None:
    (tmp_path / "queries.txt").write_text(f"{LONG[:-1]}\n{LONG}more\n")
    done = bulk.route(toy_router, tmp_path / "queries.txt", tmp_path / "out", engine="serial")
    assert [line.get("cut", 0) for line in decisions(done)] == [0, 4]


def test_and_so_do_rows_of_vectors(toy_router: Any, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "queries.txt").write_text(f"{LONG[:-1]}\n{LONG}more\n" + "{}\n")
    done = bulk.embed(
        tmp_path / "queries.txt", tmp_path / "out", toy_router.embedder, engine="serial"
    )
    rows = [row for file in done.files for row in parquet.read_table(file).to_pylist()]
    assert [row["cut"] for row in rows] == [0, 4, None]


@pytest.mark.parametrize("engine", ["memory", "serial"])
def test_how_many_records_are_cut_is_told(
    toy_router: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, engine: Any
) -> None:
    rows = [{"query": text, "records": {"a": 1, "b": 0}} for text in ("a", LONG)]
    long = [{**row, "query": f"{LONG}{i}"} for i, row in enumerate(rows)]
    for written, cut in ((rows, 0), (rows + long, 2)):
        file = tmp_path / "records.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in written))
        caplog.clear()
        fit(file, toy_router.embedder, n_clusters=1, engine=engine, refine=False)
        report = evaluate(toy_router, file, engine=engine)
        assert sum(f"{cut} records" in text for text in caplog.messages) == (2 if cut else 0)
        assert report.setup.get("queries_cut", 0) == cut


HUGE = """
import resource
from avengers_core import Router
router = Router.default()
router.route("warm")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
texts = ["\U0001f600" * 1_600_000, "x" * 20_000_000]
for text in texts:
    router.route(text)
router.route_batch(texts)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no resource module there")
def test_memory_is_bounded() -> None:
    used = subprocess.run([sys.executable, "-c", HUGE], capture_output=True, check=True).stdout
    assert int(used) < 400  # MiB; 27 of them are the texts themselves
