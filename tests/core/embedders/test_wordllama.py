from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from avengers_core.embedders import WordLlamaEmbedder
from avengers_core.embedders import wordllama as module
from avengers_core.errors import EmbedderError

TEXTS = [
    "What is the capital of France?",
    "a",
    "  leading and trailing  ",
    "def f(x):\n\treturn x ** 2  # square",
    "Příliš žluťoučký kůň",
    "数学の証明を書いてください。",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "<s> special </s> tokens <unk>",
    "line\r\nbreaks\u2028and\0nul",
    "word " * 700,
]


@pytest.fixture(scope="module")
def embedder() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


def test_equals_wordllama(
    embedder: WordLlamaEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wordllama = pytest.importorskip("wordllama")
    # Its releases look for the tokenizer in the download cache only, so the package is put there.
    monkeypatch.setenv("HOME", str(tmp_path))
    cache = tmp_path / ".cache" / "wordllama"
    cache.parent.mkdir()
    cache.symlink_to(Path(wordllama.__file__).parent)
    reference = wordllama.WordLlama.load(cache_dir=cache, disable_download=True)
    expected = reference.embed(TEXTS, norm=True)
    np.testing.assert_allclose(embedder.embed(TEXTS), expected, atol=2e-6)


def test_shorter_vectors_are_the_leading_part(embedder: WordLlamaEmbedder) -> None:
    short = WordLlamaEmbedder(64)
    leading = embedder.embed(TEXTS)[:, :64]
    leading /= np.linalg.norm(leading, axis=1, keepdims=True)
    np.testing.assert_allclose(short.embed(TEXTS), leading, atol=2e-6)
    assert (short.id, short.dim) == ("wordllama/l2_supercat-64", 64)


def test_contract(embedder: WordLlamaEmbedder) -> None:
    assert (embedder.id, embedder.dim) == ("wordllama/l2_supercat-256", 256)
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), 256)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert embedder.embed([]).shape == (0, 256)
    assert embedder.embed(tuple(TEXTS)).tobytes() == vectors.tobytes()


def test_a_text_without_a_token_is_zero(embedder: WordLlamaEmbedder) -> None:
    assert not embedder.embed([""]).any()
    vectors = embedder.embed(["a", "", "b"])
    assert not vectors[1].any()
    assert vectors[[0, 2]].any(axis=1).all()


def test_same_vector_alone_and_in_company(embedder: WordLlamaEmbedder) -> None:
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    assert alone.tobytes() == embedder.embed(TEXTS).tobytes()
    assert alone[:3].tobytes() == embedder.embed(TEXTS[:3]).tobytes()
    assert alone.tobytes() == embedder.embed(TEXTS * 60)[-len(TEXTS) :].tobytes()


@given(st.text(st.sampled_from("ab ▁é数\n<s>/unk"), max_size=40) | st.text(max_size=60))
@example("a <s> b")
@example("<unk>")
@example("x" * 60 + " y ")
def test_tokens_word_by_word_are_those_of_the_whole(text: str) -> None:
    embedder = WordLlamaEmbedder()
    whole = embedder._tokenizer.encode(text, add_special_tokens=False).ids
    for _ in ("not seen before", "remembered"):
        assert embedder.token_ids(text) == whole


def test_no_token_goes_on_behind_a_word(embedder: WordLlamaEmbedder) -> None:
    assert not [token for token in embedder._tokenizer.get_vocab() if "▁" in token.lstrip("▁")]


def test_ill_formed_and_huge_texts(embedder: WordLlamaEmbedder) -> None:
    huge = "prove that 1 + 1 = 2 " * 50_000
    texts = ["\ud800", "a\udfffb", "\0", huge, "a" * 200_000]
    vectors = embedder.embed(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors[3] @ embedder.embed(["prove that 1 + 1 = 2 " * 50])[0] > 0.999
    assert vectors[4].tobytes() == embedder.embed(texts[4:])[0].tobytes()


def test_counting_tokens_gives_the_same_sum(
    embedder: WordLlamaEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    added_up = embedder.embed(TEXTS)
    monkeypatch.setattr(module, "_MANY_TOKENS", 0)
    np.testing.assert_allclose(embedder.embed(TEXTS), added_up, atol=2e-6)


def test_batches_are_bounded_and_complete() -> None:
    texts = ["x"] * 600 + ["y" * 900_000, "z" * 900_000] + ["w"] * 3
    ranges = module._batches(texts)
    assert [i for start, stop in ranges for i in range(start, stop)] == list(range(len(texts)))
    assert max(stop - start for start, stop in ranges) == 256
    assert max(sum(len(t) for t in texts[a:b]) for a, b in ranges) < 2_000_000
    assert module._batches([]) == []


def test_threads_share_one_embedder(embedder: WordLlamaEmbedder) -> None:
    expected = embedder.embed(TEXTS).tobytes()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: embedder.embed(TEXTS).tobytes(), range(40)))
    assert set(results) == {expected}


async def test_async_equals_sync(
    embedder: WordLlamaEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = embedder.embed(TEXTS).tobytes()
    moved = []
    to_thread = asyncio.to_thread
    monkeypatch.setattr(asyncio, "to_thread", lambda *a: moved.append(1) or to_thread(*a))
    assert (await embedder.aembed(TEXTS[:1])).tobytes() == expected[: 256 * 4]
    assert not moved
    assert (await embedder.aembed(TEXTS * 10))[: len(TEXTS)].tobytes() == expected
    assert moved


def test_pickle_does_not_carry_the_table(embedder: WordLlamaEmbedder) -> None:
    data = pickle.dumps(embedder)
    assert len(data) < 1000
    copy = pickle.loads(data)
    assert copy._table is embedder._table
    assert copy.embed(TEXTS).tobytes() == embedder.embed(TEXTS).tobytes()


@pytest.mark.parametrize("dim", [0, 100, 512, "256"])
def test_refuses_other_dims(dim: int) -> None:
    with pytest.raises(ValueError, match=f"dim.*{dim!r}"):
        WordLlamaEmbedder(dim)


class TestBrokenInstallation:
    @pytest.fixture(autouse=True)
    def _fresh(self) -> Iterator[None]:
        loaded = module._load
        module._load = module.lru_cache(maxsize=1)(loaded.__wrapped__)
        yield
        module._load = loaded

    def _package(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        spec = SimpleNamespace(submodule_search_locations=[str(folder)])
        monkeypatch.setattr(module, "find_spec", lambda name: spec)

    def test_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "find_spec", lambda name: None)
        with pytest.raises(EmbedderError, match=r"pip install 'wordllama>=0\.2\.2'"):
            WordLlamaEmbedder()

    def test_files_missing(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self._package(monkeypatch, tmp_path)
        with pytest.raises(EmbedderError, match=r"l2_supercat_tokenizer_config\.json"):
            WordLlamaEmbedder()

    def test_files_damaged(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        for name in (
            "tokenizers/l2_supercat_tokenizer_config.json",
            "weights/l2_supercat_256.safetensors",
        ):
            (tmp_path / name).parent.mkdir()
            (tmp_path / name).write_bytes(b"not what it should be")
        self._package(monkeypatch, tmp_path)
        with pytest.raises(EmbedderError, match=tmp_path.name):
            WordLlamaEmbedder()
