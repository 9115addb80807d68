"""The embedded default: mean of WordLlama's token vectors. No network, no key, about 0.1 ms."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avengers_core.embedders.base import Vectors, as_texts, chunked
from avengers_core.errors import EmbedderError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MODEL = "l2_supercat"
DIMS = (64, 128, 256)  # the model was trained so that its first 64 and 128 numbers stand alone

_WEIGHTS = Path("weights", f"{MODEL}_256.safetensors")
_TOKENIZER = Path("tokenizers", f"{MODEL}_tokenizer_config.json")

# What is tokenized at once: enough to use all cores, little enough to bound memory.
_CHUNK_TEXTS = 1024
_CHUNK_CHARACTERS = 4_000_000
_CHUNK_TOKENS = 8192
# An event loop may be blocked for this many characters (about 1 ms); more goes to a thread.
_INLINE_CHARACTERS = 4000


class WordLlamaEmbedder:
    """WordLlama ``l2_supercat`` vectors, equal to ``WordLlama.embed(texts, norm=True)``.

    Reads the two files that the installed ``wordllama`` package carries, without importing it:
    its own loader looks in another folder and then downloads. The matrix (33 MB at 256
    dimensions) is read at the first use and shared by all instances of the process. Instances are
    thread-safe, and pickle without the matrix.

    Args:
        dim: 64, 128 or 256 (default): the first so many numbers of each token vector.

    Raises:
        ValueError: another dimension.
    """

    def __init__(self, dim: int = 256) -> None:
        if dim not in DIMS:
            raise ValueError(f"dim must be one of {DIMS}, got {dim!r}")
        self.dim = dim
        self.id = f"wordllama/{MODEL}-{dim}"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed n texts; a text without tokens (the empty one) gives zeros.

        Returns:
            (n, dim) float32 unit rows.

        Raises:
            EmbedderError: the ``wordllama`` package, or one of its two files, is not there.
            TypeError: not a list of texts.
        """
        texts = as_texts(texts)
        out = np.zeros((len(texts), self.dim), dtype=np.float32)
        if not texts:
            return out
        encode, matrix = _model(self.dim)
        row = 0
        for chunk in chunked(texts, _CHUNK_TEXTS, _CHUNK_CHARACTERS):
            for encoding in encode(chunk, add_special_tokens=False):
                _mean(matrix, encoding.ids, out[row])
                row += 1
        # Not np.linalg.norm, which computes the same bits in twice the time for one row.
        length = np.sqrt(np.add.reduce(out * out, axis=1, keepdims=True))
        np.divide(out, length, out=out, where=length > 0)
        return out

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """:meth:`embed`; few and short texts at once, more of them in a thread."""
        if self.dim in _models and sum(map(len, texts)) <= _INLINE_CHARACTERS:
            return self.embed(texts)
        return await asyncio.to_thread(self.embed, texts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(dim={self.dim})"


def _mean(matrix: Vectors, ids: list[int], out: Vectors) -> None:
    """Write the mean of the rows ``ids`` of ``matrix`` to ``out``.

    Long texts go by parts, carrying the sum into the first row of the next part, which keeps the
    order of the additions, so the bits, and bounds the memory.
    """
    if not ids:
        return
    for start in range(0, len(ids), _CHUNK_TOKENS):
        rows = matrix.take(ids[start : start + _CHUNK_TOKENS], axis=0)
        if start:
            rows[0] += out
        np.add.reduce(rows, axis=0, out=out)
    out /= np.float32(len(ids))


_models: dict[int, tuple[Any, Vectors]] = {}
_lock = threading.Lock()


def _model(dim: int) -> tuple[Any, Vectors]:
    """The tokenizer's batch function and the (vocabulary, dim) matrix."""
    if dim not in _models:
        with _lock:
            if dim not in _models:
                folder = _folder()
                tokenizer = _read_tokenizer(folder / _TOKENIZER)
                # The fast one (tokenizers 0.20) does not track where in the text each token is.
                encode = getattr(tokenizer, "encode_batch_fast", tokenizer.encode_batch)
                _models[dim] = (encode, _read_matrix(folder / _WEIGHTS, dim))
    return _models[dim]


def _folder() -> Path:
    spec = importlib.util.find_spec("wordllama")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(location)
        if (folder / _WEIGHTS).is_file() and (folder / _TOKENIZER).is_file():
            return folder
    if spec is None:
        raise EmbedderError("the wordllama package is not installed: pip install wordllama")
    raise EmbedderError(
        f"the installed wordllama package ({spec.origin}) lacks {_WEIGHTS} or {_TOKENIZER}. "
        f"Reinstall it: pip install --force-reinstall wordllama"
    )


def _read_tokenizer(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise EmbedderError(f"{path} can not be read ({error}). Reinstall wordllama.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _read_matrix(path: Path, dim: int) -> Vectors:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="np") as file:
            weights = file.get_tensor("embedding.weight")
    except (OSError, SafetensorError) as error:
        raise EmbedderError(f"{path} can not be read ({error}). Reinstall wordllama.") from error
    return np.ascontiguousarray(weights[:, :dim], dtype=np.float32)
