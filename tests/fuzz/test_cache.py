"""A damaged cache gives the right vectors or one EmbedderError; never wrong ones."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from avengers_core.embedders import CachedEmbedder, CallableEmbedder
from avengers_core.errors import EmbedderError

from .conftest import EDITS, cases, check_message, damaged

TEXTS = [f"text {i}" for i in range(60)]


def embed(texts: list[str]) -> Any:
    rows = np.array([[int(t.split()[1]) + 1, 1.0, 2.0] for t in texts])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("cache") / "good.sqlite"
    CachedEmbedder(CallableEmbedder(embed, id="x"), path).embed(TEXTS)
    return path


@cases(1500)
@given(EDITS)
def test_bytes_of_the_file(good, tmp_path_factory, edits):
    path = tmp_path_factory.getbasetemp() / "damaged.sqlite"
    for beside in path.parent.glob("damaged.sqlite*"):
        os.unlink(beside)
    path.write_bytes(damaged(edits, good.read_bytes()))
    try:
        vectors = CachedEmbedder(CallableEmbedder(embed, id="x"), path).embed(TEXTS)
    except EmbedderError as error:
        check_message(error, path.name)
    else:
        np.testing.assert_allclose(vectors, embed(TEXTS), atol=1e-6)
