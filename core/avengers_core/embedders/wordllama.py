"""The embedded default: WordLlama's token table, read straight from the installed package.

`WordLlama <https://github.com/dleemiller/WordLlama>`_ embeds a text as the mean of the vectors of
its tokens. The package ships both files that this needs, so there is no network and no key.
Its own ``load`` wants to download the second one all the same, and its ``embed`` pads every text
of a batch to the longest one, hence this module.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avengers_core.common.progress import progress
from avengers_core.embedders.base import Vectors, as_texts, embed_aside, normalise, well_formed
from avengers_core.errors import EmbedderError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ID_PREFIX = "wordllama/l2_supercat-"
# The lengths that the table was trained to be cut to (Matryoshka), among those in the package.
DIMS = (64, 128, 256)

_BATCH_TEXTS = 256
_BATCH_CHARS = 250_000
# Beyond this many tokens, counting them and one product with the table is faster, and needs no
# copy of the rows.
_MANY_TOKENS = 8_192
# Words whose tokens are remembered: some 8 MB, and nine in ten of those in unlike queries.
_WORDS = 32_768
_LONG_WORD = 40


class WordLlamaEmbedder:
    """WordLlama ``l2_supercat`` vectors: local, no key, 0.02 to 0.2 ms for a query.

    Equal to ``WordLlama.load().embed(texts, norm=True)``, but for texts without a token, which
    are zero here. All instances of a process share one table (32 MB at dim 256), which is not
    part of a pickle.

    Args:
        dim: 256, or 128 or 64 for the leading part of each vector.

    Raises:
        EmbedderError: the package ``wordllama`` is missing or does not hold the two files.
        ValueError: another dim.
    """

    def __init__(self, dim: int = 256) -> None:
        if dim not in DIMS:
            raise ValueError(f"dim must be one of {DIMS}, got {dim!r}")
        self.id = f"{ID_PREFIX}{dim}"
        self.dim = dim
        self._tokenizer, self._tokens, self._table = _load(dim)
        # Same tokens without the character offsets; tokenizers < 0.20 has only the slower one.
        self._encode_batch = getattr(
            self._tokenizer, "encode_batch_fast", self._tokenizer.encode_batch
        )

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See :meth:`avengers_core.embedders.Embedder.embed`."""
        texts = as_texts(texts)
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        if len(texts) == 1:
            # Not the batch call, which starts a pool of threads.
            self._pool(self._tokens(texts[0]), vectors[0])
            return vectors
        for start, stop in progress(_batches(texts), desc="embedding", unit="batch"):
            encodings = self._encode_batch(texts[start:stop], add_special_tokens=False)
            for encoding, vector in zip(encodings, vectors[start:stop], strict=True):
                self._pool(encoding.ids, vector)
        return vectors

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """:meth:`embed`, in a thread where it would hold the event loop for milliseconds."""
        return await embed_aside(self.embed, texts)

    def token_ids(self, text: str) -> list[int]:
        """The tokens of a text."""
        return self._tokens(well_formed(text))

    def token_vectors(self, tokens: Sequence[int]) -> Vectors:
        """(k, dim) the vectors of k tokens, of any length; their sum points where :meth:`embed`
        does."""
        return self._table.take(tokens, axis=0)

    def token_norms(self) -> list[float]:
        """The length of the vector of every token."""
        norms: list[float] = np.sqrt(np.einsum("ij,ij->i", self._table, self._table)).tolist()
        return norms

    def _pool(self, tokens: list[int], out: Vectors) -> None:
        """Write the normalised sum of the rows of some tokens; it points where the mean does."""
        if not tokens:
            return
        # Adding up text by text is faster than np.add.reduceat over a whole batch (measured: 4 x).
        if len(tokens) <= _MANY_TOKENS:
            np.add.reduce(self._table.take(tokens, axis=0), axis=0, out=out)
        else:
            np.matmul(_counts(tokens, len(self._table)), self._table, out=out)
        normalise(out)

    def __reduce__(self) -> tuple[Any, ...]:
        return WordLlamaEmbedder, (self.dim,)

    def __repr__(self) -> str:
        return f"WordLlamaEmbedder(dim={self.dim})"


def _counts(tokens: list[int], size: int) -> Vectors:
    return np.bincount(tokens, minlength=size).astype(np.float32)


def _batches(texts: list[str]) -> list[tuple[int, int]]:
    """Ranges of texts that are short enough to tokenise at once in bounded memory."""
    ranges: list[tuple[int, int]] = []
    start = chars = 0
    for i, text in enumerate(texts):
        chars += len(text)
        if i + 1 - start == _BATCH_TEXTS or chars >= _BATCH_CHARS or i + 1 == len(texts):
            ranges.append((start, i + 1))
            start, chars = i + 1, 0
    return ranges


def _by_word(tokenizer: Tokenizer) -> Callable[[str], list[int]]:
    """What gives the tokens of a text, word by word, and remembers those of short words.

    That is exact, for no token of this vocabulary goes on behind a word into a space, and takes
    half the time on queries that were not seen before. Texts that name a special token, which
    parts words too, and those with a long word, as in languages that write none, are tokenised
    whole.
    """
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    names_special = re.compile("|".join(map(re.escape, special))).search
    spaced = re.compile("▁+[^▁]*").findall
    merge = tokenizer.model.tokenize

    # A word is what is behind a space: others at its front belong to it.
    def words_of(text: str) -> list[str]:
        if "  " not in text and "▁" not in text and not text.startswith(" "):
            return text.split(" ")
        return [word[1:] for word in spaced("▁" + text.replace(" ", "▁"))]

    @lru_cache(maxsize=_WORDS)
    def remembered(word: str) -> tuple[int, ...]:
        return tuple(token.id for token in merge("▁" + word))  # what the file's normaliser makes

    def tokens(text: str) -> list[int]:
        words = words_of(text) if text else []
        if max(map(len, words), default=0) >= _LONG_WORD or names_special(text):
            whole: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
            return whole
        return [*chain.from_iterable(map(remembered, words))]

    return tokens


@lru_cache(maxsize=len(DIMS))
def _load(dim: int) -> tuple[Tokenizer, Callable[[str], list[int]], Vectors]:
    from safetensors import safe_open
    from tokenizers import Tokenizer

    spec = find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations:
        raise EmbedderError(
            "the default embedder reads its table from the package wordllama, which is not "
            "installed: pip install 'wordllama>=0.2.2'"
        )
    package = Path(spec.submodule_search_locations[0])
    vocabulary = package / "tokenizers" / "l2_supercat_tokenizer_config.json"
    weights = package / "weights" / "l2_supercat_256.safetensors"
    for file in (vocabulary, weights):
        if not file.is_file():
            raise EmbedderError(
                f"the installed package wordllama has no {file.relative_to(package)}; releases "
                f"0.2.2 and later have it: pip install -U wordllama"
            )
    try:
        with safe_open(str(weights), framework="numpy") as arrays:
            # Half precision in the file; single precision is five times as fast to add up.
            table = arrays.get_tensor("embedding.weight")[:, :dim].astype(np.float32, order="C")
        tokenizer = Tokenizer.from_file(str(vocabulary))
    except Exception as error:  # tokenizers raises nothing more specific
        raise EmbedderError(f"the files in {package} cannot be read: {error}") from error
    if tokenizer.get_vocab_size() > len(table):
        raise EmbedderError(
            f"the files in {package} do not fit each other: {tokenizer.get_vocab_size()} tokens, "
            f"{len(table)} vectors"
        )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    table.setflags(write=False)
    return tokenizer, _by_word(tokenizer), table
