from __future__ import annotations

import asyncio
import os
import pickle
import re
import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from children import child, embed_when_told, embed_without_end, forks, needs_sigkill

from avengers_core.embedders import CachedEmbedder, CallableEmbedder
from avengers_core.errors import EmbedderError


class Counting:
    """Remembers what it was asked for, and fails from the n-th call on."""

    def __init__(self, vectors_of: Any, id: str = "counting", fail_at: int | None = None) -> None:
        self.calls: list[list[str]] = []
        self._vectors_of, self._fail_at = vectors_of, fail_at
        self.embedder = CallableEmbedder(self, id=id)

    def __call__(self, texts: list[str]) -> Any:
        self.calls.append(texts)
        if self._fail_at is not None and len(self.calls) >= self._fail_at:
            raise ConnectionError("gone")
        return self._vectors_of(texts)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "cache.sqlite"


@pytest.fixture
def counting(vectors_of: Any) -> Counting:
    return Counting(vectors_of)


@pytest.fixture(params=["sync", "async"])
def embed(request: pytest.FixtureRequest) -> Any:
    async def embed(embedder: CachedEmbedder, texts: list[str]) -> np.ndarray:
        return embedder.embed(texts) if request.param == "sync" else await embedder.aembed(texts)

    return embed


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])


async def test_each_text_is_embedded_once(path: Path, counting: Counting, embed: Any) -> None:
    texts = ["b", "a", "b", "", "\ud800", "\0", "a"]
    cached = CachedEmbedder(counting.embedder, path)
    first = await embed(cached, texts)
    assert counting.calls == [["b", "a", "", "\ufffd", "\0"]]
    assert first.tobytes() == counting.embedder.embed(texts).tobytes()
    second = await embed(CachedEmbedder(counting.embedder, path), [*texts, "new"])
    assert counting.calls[2:] == [["new"]]
    assert second[:-1].tobytes() == first.tobytes()
    assert second.dtype == np.float32
    assert second.flags.writeable


async def test_looks_like_its_embedder(path: Path, counting: Counting, embed: Any) -> None:
    cached = CachedEmbedder(counting.embedder, str(path))
    assert (cached.id, cached.dim, cached.path) == ("counting", 32, path)
    assert cached.embedder is counting.embedder
    assert (await embed(cached, [])).shape == (0, 32)
    with pytest.raises(TypeError, match="list"):
        await embed(cached, "text")


async def test_embedders_share_a_file_but_no_vectors(
    path: Path, vectors_of: Any, embed: Any
) -> None:
    one, two = Counting(vectors_of, "x"), Counting(lambda texts: -vectors_of(texts), "xa")
    first = await embed(CachedEmbedder(one.embedder, path), ["ab", "b"])
    second = await embed(CachedEmbedder(two.embedder, path), ["b", "ab"])
    assert two.calls == [["b", "ab"]]
    np.testing.assert_array_equal(second, -first[::-1])


async def test_what_is_done_is_kept_when_the_embedder_fails(
    path: Path, vectors_of: Any, embed: Any
) -> None:
    texts = [f"text {i}" for i in range(25)]
    failing = Counting(vectors_of, fail_at=3)
    with pytest.raises(EmbedderError, match="gone"):
        await embed(CachedEmbedder(failing.embedder, path, chunk_size=10), texts)
    assert rows(path) == 20
    good = Counting(vectors_of)
    vectors = await embed(CachedEmbedder(good.embedder, path, chunk_size=10), texts)
    assert good.calls == [texts[20:]]
    np.testing.assert_allclose(vectors, vectors_of(texts), atol=1e-6)


async def test_many_texts(path: Path, counting: Counting, vectors_of: Any, embed: Any) -> None:
    texts = [f"text {i}" for i in range(2500)]
    await embed(CachedEmbedder(counting.embedder, path), texts)
    assert [len(call) for call in counting.calls] == [1024, 1024, 452]
    again = await embed(CachedEmbedder(counting.embedder, path), texts[::-1])
    assert len(counting.calls) == 3
    np.testing.assert_allclose(again, vectors_of(texts[::-1]), atol=1e-6)


def test_texts_are_not_stored(path: Path, counting: Counting) -> None:
    CachedEmbedder(counting.embedder, path).embed(["a confidential question"])
    assert all(b"confidential" not in file.read_bytes() for file in path.parent.iterdir())


class TestDamage:
    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE vectors SET vector = zeroblob(length(vector))",
            "UPDATE vectors SET vector = substr(vector, 5)",
            "UPDATE vectors SET vector = substr(vector, 1, 8)",
            "UPDATE vectors SET vector = x''",
            "UPDATE vectors SET vector = NULL",
            "UPDATE vectors SET vector = 'text'",
            "UPDATE vectors SET vector = 7",
            "UPDATE vectors SET vector = (SELECT vector FROM vectors ORDER BY key LIMIT 1)",
        ],
    )
    def test_a_damaged_row_is_computed_again(
        self, damage: str, path: Path, counting: Counting, vectors_of: Any
    ) -> None:
        cached = CachedEmbedder(counting.embedder, path)
        cached.embed(["a", "b", "c"])
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(damage)
        for _ in range(2):
            np.testing.assert_allclose(cached.embed(["a", "b", "c"]), vectors_of("abc"), atol=1e-6)
        assert len(counting.calls) == 2

    @pytest.mark.parametrize("content", [b"not a database, but long enough", b"\0" * 5000])
    def test_a_file_of_something_else(
        self, content: bytes, tmp_path: Path, counting: Counting
    ) -> None:
        file = tmp_path / "notes.txt"
        file.write_bytes(content)
        with pytest.raises(EmbedderError, match=file.name):
            CachedEmbedder(counting.embedder, file)
        assert file.read_bytes() == content

    def test_a_database_of_something_else(self, tmp_path: Path, counting: Counting) -> None:
        file = tmp_path / "other.db"
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("CREATE TABLE vectors (key, vector)")
        with pytest.raises(EmbedderError, match=file.name):
            CachedEmbedder(counting.embedder, file)

    def test_a_later_version(self, path: Path, counting: Counting) -> None:
        CachedEmbedder(counting.embedder, path)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("PRAGMA user_version = 99")
        with pytest.raises(EmbedderError, match=r"\b99\b"):
            CachedEmbedder(counting.embedder, path)

    def test_overwritten_pages_never_give_a_wrong_vector(
        self, path: Path, counting: Counting, vectors_of: Any
    ) -> None:
        texts = [f"text {i}" for i in range(200)]
        CachedEmbedder(counting.embedder, path).embed(texts)
        content = bytearray(path.read_bytes())
        assert len(content) > 4096 * 4
        content[4096 * 3 : 4096 * 3 + 2048] = os.urandom(2048)
        path.write_bytes(content)
        try:
            vectors = CachedEmbedder(counting.embedder, path).embed(texts)
        except EmbedderError as error:
            assert path.name in str(error)  # noqa: PT017
        else:
            np.testing.assert_allclose(vectors, vectors_of(texts), atol=1e-6)

    @pytest.mark.parametrize("name", [b"vec\xe3ors", b"vec\x1bors"])
    def test_a_damaged_name_in_the_schema(
        self, name: bytes, path: Path, counting: Counting
    ) -> None:
        CachedEmbedder(counting.embedder, path)
        path.write_bytes(path.read_bytes().replace(b"vectors", name, 1))
        with pytest.raises(EmbedderError, match=path.name) as error:
            CachedEmbedder(counting.embedder, path)
        assert str(error.value).isprintable()

    def test_a_file_deleted_meanwhile_is_made_again(
        self, path: Path, counting: Counting, vectors_of: Any
    ) -> None:
        cached = CachedEmbedder(counting.embedder, path)
        cached.embed(["a"])
        for file in path.parent.iterdir():
            file.unlink()
        np.testing.assert_allclose(cached.embed(["a"]), vectors_of(["a"]), atol=1e-6)
        assert rows(path) == 1

    def test_a_folder_or_a_place_that_can_not_be(self, tmp_path: Path, counting: Counting) -> None:
        (tmp_path / "file").touch()
        for place in (tmp_path, tmp_path / "file" / "cache.sqlite"):
            with pytest.raises(EmbedderError, match=re.escape(str(place))):
                CachedEmbedder(counting.embedder, place)

    def test_the_model_behind_a_name_has_changed(
        self, path: Path, counting: Counting, vectors_of: Any
    ) -> None:
        CachedEmbedder(counting.embedder, path).embed(["a"])
        shorter = Counting(lambda texts: vectors_of(texts, 16))
        with pytest.raises(EmbedderError, match=r"\[16, 32\]"):
            CachedEmbedder(shorter.embedder, path).embed(["a", "b"])

    @pytest.mark.parametrize("value", [[[float("nan")] * 2], [[1.0, 2.0]] * 2, [1.0]])
    async def test_nonsense_of_a_foreign_embedder_is_not_stored(
        self, value: Any, path: Path, embed: Any
    ) -> None:
        class Foreign:
            id, dim = "foreign", 2

            def embed(self, texts: Any) -> Any:
                return np.array(value)

            async def aembed(self, texts: Any) -> Any:
                return self.embed(texts)

        with pytest.raises(EmbedderError, match="'foreign'"):
            await embed(CachedEmbedder(Foreign(), path), ["a"])
        assert rows(path) == 0


class TestAFileThatCannotBeUsedNow:
    """No call breaks, and it is said once."""

    @pytest.fixture
    def cached(self, path: Path, counting: Counting) -> CachedEmbedder:
        cached = CachedEmbedder(counting.embedder, path)
        cached.embed(["known"])
        return cached

    @pytest.fixture
    def check(self, cached: CachedEmbedder, embed: Any, caplog: Any, vectors_of: Any) -> Any:
        async def check() -> None:
            texts = [f"text {i}" for i in range(300)]
            for _ in range(3):
                np.testing.assert_allclose(await embed(cached, texts), vectors_of(texts), atol=1e-6)
            (said,) = caplog.records
            assert str(cached.path) in said.getMessage()
            assert len(cached.embedder._fn.calls) == 1 + 3

        return check

    async def test_a_full_disk(self, cached: CachedEmbedder, check: Any) -> None:
        resource = pytest.importorskip("resource")
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, most))
        try:
            await check()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        cached.embed(["after"])
        assert rows(cached.path) == 2, "it is used again"

    async def test_a_lock_that_lasts(
        self, cached: CachedEmbedder, check: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("avengers_core.embedders.store._BUSY_SECONDS", 0.05)
        with closing(sqlite3.connect(cached.path)) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            await check()
        again = pickle.loads(pickle.dumps(cached._store))
        again.put({b"k": np.ones(32, dtype=np.float32)})
        assert rows(cached.path) == 2, "another process does not rest"

    @pytest.mark.parametrize("reason", ["attempt to write a readonly database", "disk I/O error"])
    async def test_what_the_system_refuses(
        self, reason: str, cached: CachedEmbedder, check: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_connection: object) -> None:
            raise sqlite3.OperationalError(reason)

        monkeypatch.setattr(cached._store, "_prepare", refuse)
        await check()


def test_arguments_are_checked(path: Path, counting: Counting) -> None:
    with pytest.raises(ValueError, match="chunk_size"):
        CachedEmbedder(counting.embedder, path, chunk_size=0)
    with pytest.raises(EmbedderError, match="nonsense"):
        CachedEmbedder("nonsense", path)
    with pytest.raises(EmbedderError, match="id="):
        CachedEmbedder(lambda texts: texts, path)
    assert not path.exists()


def test_pickle(path: Path, vectors_of: Any) -> None:
    cached = CachedEmbedder(CallableEmbedder(vectors_of, id="x"), path, chunk_size=3)
    cached.embed(["a"])
    copy = pickle.loads(pickle.dumps(CachedEmbedder("wordllama", path)))
    assert (copy.id, copy.path) == ("wordllama/l2_supercat-256", path)
    assert copy.embed(["a"]).shape == (1, 256)


def test_threads(path: Path, counting: Counting, vectors_of: Any) -> None:
    cached = CachedEmbedder(counting.embedder, path, chunk_size=7)

    def work(start: int) -> None:
        texts = [f"text {(start + i) % 60}" for i in range(40)]
        np.testing.assert_allclose(cached.embed(texts), vectors_of(texts), atol=1e-6)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(0, 60, 3)))
    assert rows(path) == 60


async def test_async_does_not_block_the_loop(
    path: Path, counting: Counting, vectors_of: Any
) -> None:
    """While another connection holds the write lock, the loop goes on."""
    cached = CachedEmbedder(counting.embedder, path)
    with closing(sqlite3.connect(path, isolation_level=None)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        task = asyncio.ensure_future(cached.aembed(["a"]))
        while not counting.calls:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        assert not task.done()
        blocker.execute("ROLLBACK")
    np.testing.assert_allclose(await task, vectors_of(["a"]), atol=1e-6)


async def test_tasks_side_by_side(path: Path, counting: Counting, vectors_of: Any) -> None:
    cached = CachedEmbedder(counting.embedder, path)
    batches = [[f"text {i}", f"text {i + 1}"] for i in range(20)]
    results = await asyncio.gather(*map(cached.aembed, batches))
    for batch, vectors in zip(batches, results, strict=True):
        np.testing.assert_allclose(vectors, vectors_of(batch), atol=1e-6)


@forks
def test_forked_children(path: Path, counting: Counting, vectors_of: Any) -> None:
    cached = CachedEmbedder(counting.embedder, path, chunk_size=5)
    cached.embed(["shared"])
    children = []
    for n in range(3):
        child = os.fork()
        if child == 0:
            texts = ["shared", *(f"child {n} text {i}" for i in range(20))]
            good = np.allclose(cached.embed(texts), vectors_of(texts), atol=1e-6)
            os._exit(0 if good and len(counting.calls) == 5 else 1)
        children.append(child)
    cached.embed([f"parent {i}" for i in range(20)])
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0, 0, 0]
    assert rows(path) == 1 + 4 * 20


def test_processes_create_and_fill_one_file(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.sqlite" for n in range(15)]  # each is a race of its own to make it
    texts = [f"text {i}" for i in range(40)]
    with ExitStack() as stack:
        pipes = [
            stack.enter_context(child(embed_when_told, paths, texts[::step]))[1]
            for step in (1, -1, 2)
        ]
        for pipe in pipes:
            pipe.send("go")
        assert [pipe.poll(60) and pipe.recv() for pipe in pipes] == ["done"] * 3
    assert [rows(path) for path in paths] == [40] * 15


@needs_sigkill
def test_survives_a_killed_writer(path: Path, vectors_of: Any) -> None:
    begun = 0
    for kills in (5, 80):
        with child(embed_without_end, path) as (writer, pipe):
            for _ in range(kills):
                begun = pipe.recv()
        assert writer.exitcode == -signal.SIGKILL
        # A chunk is begun when all before it are stored.
        stored = rows(path)
        assert stored >= begun
        assert stored % 4 == 0
        asked = Counting(vectors_of, "k")
        texts = [f"text {i}" for i in range(stored)]
        vectors = CachedEmbedder(asked.embedder, path).embed(texts)
        np.testing.assert_allclose(vectors, vectors_of(texts), atol=1e-6)
        assert asked.calls == []
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_leaves_no_connection_open(path: Path, counting: Counting) -> None:
    cached = CachedEmbedder(counting.embedder, path)
    worker = threading.Thread(target=cached.embed, args=(["a"],))
    worker.start()
    worker.join()
    cached.embed(["b"])
    # The last connection folds the write-ahead log into the file and removes it.
    assert [file.name for file in path.parent.iterdir()] == [path.name]
