from __future__ import annotations

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from avengers_core.embedders import TfidfEmbedder
from avengers_core.errors import EmbedderError

SUBJECTS = ["algebra proof of a theorem", "python code review", "flight change", "poem on the sea"]
TEXTS = [
    f"{a} {b} Number{i % 7} ÜBER straße 数学 {'again ' * (i % 5)}"
    for i, (a, b) in enumerate((a, b) for a in SUBJECTS for b in SUBJECTS * 3)
]
UNSEEN = [
    "proof of the sea theorem, again again",
    "PYTHON Flight\0poem über",
    "nothing known zzz",
    "",
]


@pytest.fixture(scope="module")
def embedder() -> TfidfEmbedder:
    return TfidfEmbedder.fit(TEXTS, dim=8)


def test_equals_scikit_learn(embedder: TfidfEmbedder) -> None:
    vectorizer = TfidfVectorizer(max_features=20_000, sublinear_tf=True, dtype=np.float32)
    svd = TruncatedSVD(8, random_state=42)
    svd.fit(vectorizer.fit_transform(TEXTS))
    expected = svd.transform(vectorizer.transform(TEXTS + UNSEEN))
    norm = np.linalg.norm(expected, axis=1, keepdims=True)
    expected = np.divide(expected, norm, out=np.zeros_like(expected), where=norm > 0)
    vectors = embedder.embed(TEXTS + UNSEEN)
    signs = np.sign((vectors * expected).sum(axis=0))  # singular vectors have none of their own
    np.testing.assert_allclose(vectors * signs, expected, atol=2e-5)


def test_contract(embedder: TfidfEmbedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), 8)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert embedder.embed([]).shape == (0, 8)
    assert not embedder.embed(["", "zzz unknown", "\ud800"]).any()
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    assert alone.tobytes() == vectors.tobytes()
    assert embedder.embed(["theorem proof " * 80_000]).any()


async def test_async_and_threads(embedder: TfidfEmbedder) -> None:
    expected = embedder.embed(TEXTS).tobytes()
    assert (await embedder.aembed(TEXTS[:2])).tobytes() == expected[: 2 * 8 * 4]
    assert (await embedder.aembed(TEXTS * 20))[: len(TEXTS)].tobytes() == expected
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: embedder.embed(TEXTS).tobytes(), range(8))) == {expected}


def test_similar_texts_are_close(embedder: TfidfEmbedder) -> None:
    query, same, other = embedder.embed(["algebra theorem", "a proof in algebra", "flight change"])
    assert query @ same > query @ other


def test_arrays_bring_it_back(embedder: TfidfEmbedder) -> None:
    arrays = embedder.to_arrays()
    assert {name: a.dtype.kind for name, a in arrays.items()} == {
        "vocabulary": "u",
        "idf": "f",
        "components": "f",
    }
    copy = TfidfEmbedder.from_arrays({name: a.copy() for name, a in arrays.items()})
    assert copy.id == embedder.id
    assert copy.embed(TEXTS + UNSEEN).tobytes() == embedder.embed(TEXTS + UNSEEN).tobytes()
    again = pickle.loads(pickle.dumps(embedder))
    assert (again.id, again.dim) == (embedder.id, 8)


def test_arrays_are_not_shared_with_the_caller(embedder: TfidfEmbedder) -> None:
    arrays = {name: a.copy() for name, a in embedder.to_arrays().items()}
    copy = TfidfEmbedder.from_arrays(arrays)
    arrays["components"][:] = 0
    assert copy.embed(TEXTS).tobytes() == embedder.embed(TEXTS).tobytes()


def test_id_is_the_content(embedder: TfidfEmbedder) -> None:
    assert embedder.id.startswith("tfidf/")
    assert TfidfEmbedder.fit(TEXTS, dim=8).id == embedder.id
    assert TfidfEmbedder.fit(TEXTS, dim=7).id != embedder.id
    assert TfidfEmbedder.fit(TEXTS[1:], dim=8).id != embedder.id


@pytest.mark.parametrize(
    ("texts", "dim"),
    [(["one two three", "four five"], 2), (["word"], 1), (["same text"] * 50, 1), (["a b cc"], 1)],
)
def test_dim_shrinks_to_what_there_is(texts: list[str], dim: int) -> None:
    embedder = TfidfEmbedder.fit(texts)
    assert embedder.dim == dim
    np.testing.assert_allclose(np.linalg.norm(embedder.embed(texts), axis=1), 1, atol=1e-6)


def test_max_features_keeps_the_most_frequent() -> None:
    embedder = TfidfEmbedder.fit(["common rare", "common other", "common"], max_features=1)
    assert embedder.to_arrays()["vocabulary"].tobytes() == b"common"


@pytest.mark.parametrize("texts", [[], [""], ["a", "? !", "\ud800"]])
def test_no_text_has_a_word(texts: list[str]) -> None:
    with pytest.raises(EmbedderError, match=f"{len(texts)} texts"):
        TfidfEmbedder.fit(texts)


@pytest.mark.parametrize("arguments", [{"dim": 0}, {"max_features": 0}])
def test_arguments_are_checked(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        TfidfEmbedder.fit(TEXTS, **arguments)


def test_damaged_arrays_are_refused(embedder: TfidfEmbedder) -> None:
    good = embedder.to_arrays()
    nan = good["components"].copy()
    nan[3, 3] = np.nan
    bad = [
        ({name: good[name] for name in ("idf", "vocabulary")}, "'components'"),
        (good | {"idf": good["idf"][1:]}, "do not fit each other"),
        (good | {"components": good["components"].T}, "do not fit each other"),
        (good | {"components": nan}, "NaN"),
        (good | {"components": good["components"][:, :0]}, "no dimension"),
        (good | {"vocabulary": np.frombuffer(b"\xff\xfe", dtype=np.uint8)}, "damaged"),
    ]
    for arrays, message in bad:
        with pytest.raises(EmbedderError, match=message):
            TfidfEmbedder.from_arrays(arrays)
    with pytest.raises(EmbedderError, match="twice"):
        TfidfEmbedder(["a", "a"], np.ones(2, np.float32), np.ones((2, 1), np.float32))


def test_routing_needs_no_scikit_learn(
    embedder: TfidfEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = embedder.to_arrays()
    for name in ("sklearn", "scipy", *sys.modules):
        if name.partition(".")[0] in ("sklearn", "scipy"):
            monkeypatch.setitem(sys.modules, name, None)
    copy = TfidfEmbedder.from_arrays(arrays)
    assert copy.embed(["proof of a theorem"]).any()
    assert copy.id == embedder.id
