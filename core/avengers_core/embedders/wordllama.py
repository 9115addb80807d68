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
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from avengers_core.common.progress import progress
from avengers_core.embedders.base import Vectors, as_texts, embed_aside, normalise, well_formed
from avengers_core.errors import EmbedderError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ID_PREFIX = "wordllama/l2_supercat-"
# The lengths that the table was trained to be cut to (Matryoshka), among those in the package.
DIMS = (64, 128, 256)

# So many take half the time one by one: turns of a conversation, which are asked for together.
_FEW_TEXTS = 4
_BATCH_TEXTS = 256
_BATCH_CHARS = 250_000
# Beyond this many tokens, counting them and one product with the table is faster, and needs no
# copy of the rows.
_MANY_TOKENS = 8_192
# Words whose tokens are remembered: some 8 MB, and nine in ten of those in unlike queries.
_WORDS = 32_768
_LONG_WORD = 40
# Texts whose sums are remembered: whoever asked whether a turn of a conversation goes on with those
# before it asks for its vector next.
_TEXTS, _MOST_CHARS = 64, 200


class Summed(NamedTuple):
    """What a text is made of.

    Attributes:
        tokens: k of them.
        total: (dim,) the sum of their vectors, which points where the text's own vector does.
        length: L2 norm of the sum; 0 without a token.
    """

    tokens: Sequence[int]
    total: Vectors
    length: float


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
        self._summed = _summed(dim)
        # Same tokens without the character offsets; tokenizers < 0.20 has only the slower one.
        self._encode_batch = getattr(
            self._tokenizer, "encode_batch_fast", self._tokenizer.encode_batch
        )

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See :meth:`avengers_core.embedders.Embedder.embed`."""
        texts = as_texts(texts)
        if 0 < len(texts) <= _FEW_TEXTS:
            # Not the batch call, which starts a pool of threads.
            rows = [total / (length or 1.0) for _, total, length in map(self._summed, texts)]
            return rows[0][None] if len(rows) == 1 else np.stack(rows)
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for start, stop in progress(_batches(texts), desc="embedding", unit="batch"):
            encodings = self._encode_batch(texts[start:stop], add_special_tokens=False)
            for encoding, vector in zip(encodings, vectors[start:stop], strict=True):
                vector[:] = _sum_of(encoding.ids, self._table)
                normalise(vector)
        return vectors

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """:meth:`embed`, in a thread where it would hold the event loop for milliseconds."""
        return await embed_aside(self.embed, texts)

    def token_ids(self, text: str) -> list[int]:
        """The tokens of a text."""
        return self._tokens(well_formed(text))

    def summed(self, text: str) -> Summed:
        """The tokens of a text, and the sum of their vectors."""
        return self._summed(well_formed(text))

    def token_norms(self) -> list[float]:
        """The length of the vector of every token."""
        norms: list[float] = np.sqrt(np.einsum("ij,ij->i", self._table, self._table)).tolist()
        return norms

    def __reduce__(self) -> tuple[Any, ...]:
        return WordLlamaEmbedder, (self.dim,)

    def __repr__(self) -> str:
        return f"WordLlamaEmbedder(dim={self.dim})"


def _sum_of(tokens: list[int], table: Vectors) -> Vectors:
    """The sum of the rows of some tokens; it points where the mean does."""
    # Adding up text by text is faster than np.add.reduceat over a whole batch (measured: 4 x).
    if len(tokens) <= _MANY_TOKENS:
        total: Vectors = np.add.reduce(table.take(tokens, axis=0), axis=0)
        return total
    return _counts(tokens, len(table)) @ table


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
def _summed(dim: int) -> Callable[[str], Summed]:
    """What adds up the tokens of a text, and remembers short texts."""
    _, tokens_of, table = _load(dim)

    def summed(text: str) -> Summed:
        tokens = tokens_of(text)
        total = _sum_of(tokens, table)
        return Summed(tokens, total, sqrt(total.dot(total)))

    remembered = lru_cache(maxsize=_TEXTS)(summed)
    return lambda text: remembered(text) if len(text) <= _MOST_CHARS else summed(text)


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
