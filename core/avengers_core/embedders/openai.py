"""Embeddings of any OpenAI-compatible endpoint."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

import numpy as np

from avengers_core.common.closing import Closing
from avengers_core.common.progress import progress
from avengers_core.common.ranges import check_whole
from avengers_core.embedders.base import Vectors, as_texts, as_unit_rows
from avengers_core.embedders.clients import Clients
from avengers_core.errors import EmbedderError

ID_PREFIX = "openai/"

_KNOWN_DIMS = {
    "text-embedding-3-large": 3072,
    "text-embedding-3-small": 1536,
    "text-embedding-ada-002": 1536,
}
# About 100,000 tokens: OpenAI allows 300,000 in one request.
_BATCH_CHARS = 400_000
_SHORTEST_CUT = 16
# There is no common error code for it, but servers agree on some words.
_TOO_LONG = re.compile(
    r"(max|limit|exceed|less than|too (long|large|many)).{0,60}(token|context|length|input)"
    r"|(token|context|length|input|text).{0,60}(max|limit|exceed|less than|too (long|large|many))",
    re.IGNORECASE | re.DOTALL,
)


class OpenAIEmbedder(Closing):
    """Vectors from an OpenAI-compatible ``/embeddings`` endpoint, through the ``openai`` client.

    Texts are sent in batches, a few at a time; the client repeats what fails for a moment
    (429, 5xx, a lost connection). Blank texts are not sent, since endpoints refuse them: their
    vectors are zero. Connections are kept for each process and each event loop.

    Longer texts than the model takes are cut without its tokenizer: a token is taken to be four
    ASCII characters, or one other character. Where that is too generous and the endpoint answers
    that the text is too long, that text alone is halved until it fits.

    Args:
        model: the model's name at the endpoint.
        base_url: default, ``EMBEDDING_BASE_URL``, else ``OPENAI_BASE_URL``, else OpenAI.
        api_key: default, ``EMBEDDING_API_KEY``; ``OPENAI_API_KEY`` only where the endpoint is the
            one of ``OPENAI_BASE_URL`` or OpenAI itself. Endpoints elsewhere may need none. Never
            shown and never pickled: an unpickled embedder reads the environment again.
        dim: length of the vectors to expect; default, what is known of the model, else what the
            first answer has.
        dimensions: ask the endpoint for vectors of this length; part of the id.
        batch_size: texts in one request, at least 1.
        max_concurrency: requests at once, at least 1.
        max_tokens: texts are cut to about so many tokens; 8191 is the limit of OpenAI's models.
            More than 100,000 characters are never sent.
        timeout: seconds that one attempt may take.
        max_retries: attempts after the first.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        dim: int | None = None,
        *,
        dimensions: int | None = None,
        batch_size: int = 128,
        max_concurrency: int = 8,
        max_tokens: int = 8191,
        timeout: float = 60.0,
        max_retries: int = 3,
    ) -> None:
        if not model:
            raise ValueError("model must not be empty")
        numbers = {
            "dim": dim,
            "dimensions": dimensions,
            "batch_size": batch_size,
            "max_concurrency": max_concurrency,
            "max_tokens": max_tokens,
        }
        for name, number in numbers.items():
            if number is not None:
                check_whole(name, number, 1)
        if dim and dimensions and dim != dimensions:
            raise ValueError(f"dim={dim} and dimensions={dimensions} contradict each other")
        self.id = f"{ID_PREFIX}{model}" + (f"@{dimensions}" if dimensions else "")
        self.model = model
        self.dimensions = dimensions
        self._dim = dim or dimensions or _KNOWN_DIMS.get(model)
        self._clients = Clients(base_url, api_key, timeout, max_retries)
        self._batch_size = batch_size
        self._max_concurrency = max_concurrency
        self._max_tokens = max_tokens

    @classmethod
    def from_id(cls, id: str) -> OpenAIEmbedder:
        """The embedder with this id, ``openai/<model>`` or ``openai/<model>@<dimensions>``."""
        model = id.removeprefix(ID_PREFIX)
        if match := re.fullmatch(r"(.+)@(\d+)", model):
            return cls(match[1], dimensions=int(match[2]))
        return cls(model)

    @property
    def dim(self) -> int:
        """Length of a vector; embeds one word when that is not known yet."""
        if self._dim is None:
            self._run(["dimension"])
        assert self._dim is not None
        return self._dim

    @property
    def base_url(self) -> str:
        """Where requests go, without a user's name or password."""
        return self._clients.url

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See :meth:`avengers_core.embedders.Embedder.embed`.

        Raises:
            EmbedderError: no key; the endpoint failed after all retries, or answered with another
                number of vectors, another dimension, or NaN.
        """
        texts = [_truncate(text, self._max_tokens) for text in as_texts(texts)]
        batches = self._batches(texts)
        if len(batches) <= 1:
            parts = [self._run(batch) for _, batch in batches]
        else:
            parts = self._run_all([batch for _, batch in batches])
        return self._assemble(len(texts), batches, parts, self.dim)

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """:meth:`embed` with the asynchronous client; requests are cancelled with the task."""
        texts = [_truncate(text, self._max_tokens) for text in as_texts(texts)]
        batches = self._batches(texts)
        running = asyncio.Semaphore(self._max_concurrency)

        async def bounded(batch: list[str]) -> Vectors:
            async with running:
                return await self._arun(batch)

        tasks = [asyncio.ensure_future(bounded(batch)) for _, batch in batches]
        try:
            parts = await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        if self._dim is None:
            await self._arun(["dimension"])
        return self._assemble(len(texts), batches, parts, self.dim)

    def close(self) -> None:
        """Close the connections; those of event loops that run elsewhere are closed there.

        A later use opens new ones. Whoever does not call this has them closed when the embedder is
        dropped, or with the event loop that they were opened in.
        """
        self._clients.close()

    async def aclose(self) -> None:
        """:meth:`close`, from inside an event loop, whose connections are closed at the end."""
        await self._clients.aclose()

    def _batches(self, texts: list[str]) -> list[tuple[list[int], list[str]]]:
        """The texts to send, with their positions, in groups of a bounded size."""
        batches: list[tuple[list[int], list[str]]] = []
        room = 0
        for i, text in enumerate(texts):
            if not text.strip():
                continue
            if not batches or len(batches[-1][0]) == self._batch_size or len(text) > room:
                batches.append(([], []))
                room = _BATCH_CHARS
            batches[-1][0].append(i)
            batches[-1][1].append(text)
            room -= len(text)
        return batches

    @staticmethod
    def _assemble(
        n: int, batches: list[tuple[list[int], list[str]]], parts: list[Vectors], dim: int
    ) -> Vectors:
        vectors = np.zeros((n, dim), dtype=np.float32)
        for (positions, _), part in zip(batches, parts, strict=True):
            if part.shape[1] != dim:  # the first answers may have come at the same time
                raise EmbedderError(
                    f"the endpoint returned vectors of dimension {part.shape[1]} and {dim}"
                )
            vectors[positions] = part
        return vectors

    def _run_all(self, batches: list[list[str]]) -> list[Vectors]:
        errors: list[BaseException] = []

        def run(batch: list[str]) -> Vectors:
            if errors:  # whoever waits for the results may be slow to cancel the rest
                raise CancelledError
            try:
                return self._run(batch)
            except Exception as error:
                errors.append(error)
                raise

        with ThreadPoolExecutor(min(self._max_concurrency, len(batches))) as pool:
            futures = [pool.submit(run, batch) for batch in batches]
            try:
                return [f.result() for f in progress(futures, desc="embedding", unit="request")]
            except BaseException as error:
                pool.shutdown(wait=False, cancel_futures=True)
                raise (errors or [error])[0] from None

    def _run(self, texts: list[str]) -> Vectors:
        """The vectors of one batch, in one request or, where that is too long, in several."""
        from openai import OpenAIError

        client = self._clients.here().blocking
        try:
            answer = client.embeddings.create(**self._arguments(texts))
            return self._vectors(answer, len(texts))
        except (OpenAIError, ValueError) as error:
            parts = self._shorter(texts, error)
        return np.concatenate([self._run(part) for part in parts])

    async def _arun(self, texts: list[str]) -> Vectors:
        from openai import OpenAIError

        client = self._clients.here().asynchronous
        try:
            answer = await client.embeddings.create(**self._arguments(texts))
            return self._vectors(answer, len(texts))
        except (OpenAIError, ValueError) as error:
            parts = self._shorter(texts, error)
        return np.concatenate([await self._arun(part) for part in parts])

    def _shorter(self, texts: list[str], error: Exception) -> list[list[str]]:
        """What to send in place of what was too long; raises if the error is another.

        One text that the endpoint finds too long fails a whole batch. Halving the batch finds it,
        and halving the text makes it fit.
        """
        (first, *others), half = texts, len(texts) // 2
        if not _is_too_long(error) or (not others and len(first) < _SHORTEST_CUT):
            raise EmbedderError(f"{self._who()} failed: {self._clients.describe(error)}") from None
        return [texts[:half], texts[half:]] if others else [[first[: len(first) // 2]]]

    def _arguments(self, texts: list[str]) -> dict[str, Any]:
        arguments = {"model": self.model, "input": texts, "encoding_format": "float"}
        return arguments | ({"dimensions": self.dimensions} if self.dimensions else {})

    def _vectors(self, answer: Any, n: int) -> Vectors:
        who = self._who()
        try:
            rows = [(item.index, item.embedding) for item in answer.data]
        except (AttributeError, TypeError):
            raise EmbedderError(f"{who} did not answer with a list of embeddings") from None
        if len(rows) != n:
            raise EmbedderError(f"{who} returned {len(rows)} vectors for {n} texts")
        if any(index is not None for index, _ in rows):
            position = {index: i for i, (index, _) in enumerate(rows)}
            if position.keys() != set(range(n)):
                raise EmbedderError(f"{who} returned indices that are not 0 to {n - 1}, each once")
            rows = [rows[position[i]] for i in range(n)]
        vectors = as_unit_rows([embedding for _, embedding in rows], n, self._dim, who)
        self._dim = vectors.shape[1]
        return vectors

    def _who(self) -> str:
        return f"the embedding endpoint {self.base_url} (model {self.model!r})"

    def __repr__(self) -> str:
        return f"OpenAIEmbedder({self.model!r}, base_url={self.base_url!r}, dim={self._dim})"


def _truncate(text: str, max_tokens: int) -> str:
    if len(text) <= max_tokens:
        return text
    ascii_only = len(text.encode("ascii", "ignore"))
    tokens = ascii_only / 4 + len(text) - ascii_only
    return text if tokens <= max_tokens else text[: int(len(text) * max_tokens / tokens)]


def _is_too_long(error: Exception) -> bool:
    status = getattr(error, "status_code", None)  # of the errors that are answers
    return status in (400, 413, 422) and bool(_TOO_LONG.search(str(error)))
