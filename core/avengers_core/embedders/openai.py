"""Any OpenAI-compatible ``/embeddings`` endpoint, through the ``openai`` client."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from avengers_core.embedders.base import Vectors, as_texts, as_unit_rows, chunked
from avengers_core.errors import EmbedderError
from avengers_core.progress import progress_bar

if TYPE_CHECKING:
    import openai

DEFAULT_URL = "https://api.openai.com/v1"

# A token of the usual byte-pair vocabularies is about 4 bytes of English, and 3 of code or of
# Chinese: texts are cut at 3 bytes a token, and cut further if the endpoint finds them too long.
BYTES_PER_TOKEN = 3
# OpenAI takes at most 300,000 tokens in one request.
_REQUEST_BYTES = 300_000 * BYTES_PER_TOKEN
# A text of so few characters is not too long, whatever the endpoint says.
_SHORTEST = 32
_TOO_LONG = re.compile(
    r"context.?length|too (long|large|many)|max\w*\W.{0,40}(token|length|context)"
    r"|token.{0,40}(limit|max|exceed|less than)|(less than|exceed|limit).{0,40}token",
    re.IGNORECASE | re.DOTALL,
)
_KEY_LIKE = re.compile(r"\b(sk|pk|key)-[\w*.-]+")
_CREDENTIALS = re.compile(r"//[^/@]*@")


class OpenAIEmbedder:
    """Embeddings from an OpenAI-compatible endpoint.

    Endpoint and key are looked up at the first call: the arguments, else ``EMBEDDING_BASE_URL``
    and ``EMBEDDING_API_KEY``, else ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY``. The OpenAI key goes
    to no other endpoint than OpenAI's or the one in ``OPENAI_BASE_URL``; another endpoint without
    a key of its own (a local server) is called without a real one. A key that was given is neither
    shown nor pickled: an unpickled embedder reads the environment.

    Requests hold up to ``batch_size`` texts, and up to ``max_concurrency`` of them are under way
    at once. The client repeats requests that failed for a passing reason (429, 5xx, connection,
    timeout) and heeds ``Retry-After``. Instances are thread-safe, and can be used from several
    event loops, one after the other or at once.

    No tokenizer is needed (they want a download): texts are cut at 3 bytes of UTF-8 for each of
    ``max_tokens``, which keeps at least three quarters of what would fit of an English text, and
    a text that the endpoint still refuses as too long is halved until it fits. Blank texts are
    not sent; they get zeros. The ``id`` holds model and ``dimensions``, not the address: the same
    model behind another address gives the same vectors.

    Args:
        model: the endpoint's name of the model.
        base_url: address of the API, such as ``http://localhost:11434/v1``.
        api_key: its key.
        dimensions: length of the vectors to ask the endpoint for, where the model lets one choose.
        dim: length of the vectors to expect; default ``dimensions``, else that of the first.
        batch_size: texts in a request, at least 1.
        max_concurrency: requests at once, at least 1.
        timeout: seconds for one request (the client's own default is 600).
        max_retries: further attempts of one request.
        max_tokens: input limit of the model, tokens a text; OpenAI's 8191 by default.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        dimensions: int | None = None,
        dim: int | None = None,
        *,
        batch_size: int = 128,
        max_concurrency: int = 8,
        timeout: float = 30.0,
        max_retries: int = 3,
        max_tokens: int = 8191,
    ) -> None:
        if not model:
            raise ValueError("model must name an embedding model, such as 'text-embedding-3-small'")
        for name, value, least in (
            ("dimensions", dimensions, 1),
            ("dim", dim, 1),
            ("batch_size", batch_size, 1),
            ("max_concurrency", max_concurrency, 1),
            ("max_retries", max_retries, 0),
            ("max_tokens", max_tokens, 1),
        ):
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        if not timeout > 0:
            raise ValueError(f"timeout must be positive (seconds), got {timeout}")
        if dim and dimensions and dim != dimensions:
            raise ValueError(f"dim ({dim}) and dimensions ({dimensions}) contradict each other")
        self.model = model
        self.base_url = base_url
        self.dimensions = dimensions
        self.batch_size = batch_size
        self.max_concurrency = max_concurrency
        self.timeout = timeout
        self.max_retries = max_retries
        self.max_tokens = max_tokens
        self.id = f"openai:{model}" + (f"@{dimensions}" if dimensions else "")
        self._dim = dim or dimensions or 0
        self._api_key = api_key
        self._reset()

    @property
    def dim(self) -> int:
        """Length of the vectors; 0 until the endpoint has told, unless it was given."""
        return self._dim

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed n texts, several requests at once.

        Returns:
            (n, dim) float32 unit rows, in the order of the texts.

        Raises:
            EmbedderError: no key, the endpoint refuses or can not be reached, or it gave another
                number or dimension of vectors than expected, or NaN.
        """
        texts = as_texts(texts)
        batches = self._batches(texts)
        with progress_bar(len(texts), "embedding", "text") as advance:

            def run(batch: list[str]) -> Vectors:
                vectors = self._run(batch)
                advance(len(batch))
                return vectors

            if len(batches) <= 1:
                return self._assemble(texts, [run(batch) for batch in batches])
            pool = ThreadPoolExecutor(min(self.max_concurrency, len(batches)))
            try:
                return self._assemble(texts, list(pool.map(run, batches)))
            finally:
                pool.shutdown(cancel_futures=True)

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """:meth:`embed` with the asynchronous client."""
        texts = as_texts(texts)
        batches = self._batches(texts)
        gate = asyncio.Semaphore(self.max_concurrency)
        with progress_bar(len(texts), "embedding", "text") as advance:

            async def run(batch: list[str]) -> Vectors:
                async with gate:
                    vectors = await self._arun(batch)
                advance(len(batch))
                return vectors

            tasks = [asyncio.ensure_future(run(batch)) for batch in batches]
            try:
                return self._assemble(texts, await asyncio.gather(*tasks))
            finally:
                # After an error, or when this call is cancelled, nothing goes on behind its back.
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def aclose(self) -> None:
        """Close the client of the running event loop; the next call makes another."""
        client = self._async_clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    def close(self) -> None:
        """Close the synchronous client; the next call makes another."""
        with self._lock:
            client, self._sync_client = self._sync_client, None
        if client is not None:
            client.close()

    # From texts to requests and back

    def _batches(self, texts: Sequence[str]) -> list[list[str]]:
        limit = self.max_tokens * BYTES_PER_TOKEN
        sent = [_cut(text, limit) for text in texts if text.strip()]
        if texts and not sent and not self._dim:
            sent = ["."]  # all blank, and how many zeros is not known: ask
        return list(chunked(sent, self.batch_size, _REQUEST_BYTES, lambda t: len(t.encode())))

    def _assemble(self, texts: Sequence[str], parts: Sequence[Vectors]) -> Vectors:
        out = np.zeros((len(texts), self._dim), dtype=np.float32)
        rows = [i for i, text in enumerate(texts) if text.strip()]
        if rows:
            out[rows] = np.concatenate(parts)
        return out

    def _exchange(self, batch: list[str]) -> Generator[list[str], Any, Vectors]:
        """What to request for a batch, given what was answered; no input or output happens here,
        so that the synchronous and the asynchronous client share it.

        Yields texts to request; is sent the answer, or thrown the client's error.
        """
        import openai

        try:
            answer = yield batch
        except openai.OpenAIError as error:
            if not _too_long(error) or (len(batch) == 1 and len(batch[0]) <= _SHORTEST):
                raise self._failure(error) from None
        except Exception as error:  # an answer that is no JSON surfaces as another library's error
            raise self._failure(error) from None
        else:
            return self._vectors(answer, len(batch))
        if len(batch) == 1:
            return (yield from self._exchange([batch[0][: len(batch[0]) // 2]]))
        middle = len(batch) // 2
        left = yield from self._exchange(batch[:middle])
        right = yield from self._exchange(batch[middle:])
        return np.concatenate([left, right])

    def _run(self, batch: list[str]) -> Vectors:
        client = self._client()
        steps = self._exchange(batch)
        try:
            request = next(steps)
            while True:
                try:
                    answer = client.embeddings.create(**self._arguments(request))
                except Exception as error:
                    request = steps.throw(error)
                else:
                    request = steps.send(answer)
        except StopIteration as done:
            vectors: Vectors = done.value
            return vectors

    async def _arun(self, batch: list[str]) -> Vectors:
        client = self._async_client()
        steps = self._exchange(batch)
        try:
            request = next(steps)
            while True:
                try:
                    answer = await client.embeddings.create(**self._arguments(request))
                except Exception as error:
                    request = steps.throw(error)
                else:
                    request = steps.send(answer)
        except StopIteration as done:
            vectors: Vectors = done.value
            return vectors

    def _arguments(self, batch: list[str]) -> dict[str, Any]:
        # Without an encoding the client asks for base64, which not every server gives.
        arguments = {"model": self.model, "input": batch, "encoding_format": "float"}
        return arguments | ({"dimensions": self.dimensions} if self.dimensions else {})

    def _vectors(self, answer: Any, n: int) -> Vectors:
        source = f"the endpoint of {self.id!r}"
        try:
            items = list(answer.data)
            indices = [getattr(item, "index", None) for item in items]
            if sorted(i for i in indices if i is not None) == list(range(n)):
                items = [items[i] for i in np.argsort(indices)]
            elif any(indices) and len(items) == n:
                raise EmbedderError(
                    f"{source}: expected vectors with the indices 0 to {n - 1}, got {indices[:9]}"
                )
            # else: without indices (all None or 0) the vectors are in the order of the texts.
            values = [item.embedding for item in items]
        except (AttributeError, TypeError):
            raise EmbedderError(
                f"{source} gave no list of embeddings; is this an OpenAI-compatible "
                f"/embeddings endpoint? It is {_CREDENTIALS.sub('//***@', self._endpoint()[0])}"
            ) from None
        vectors = as_unit_rows(values, n, self._dim, source)
        self._dim = self._dim or vectors.shape[1]
        return vectors

    def _failure(self, error: BaseException) -> EmbedderError:
        url, key = self._endpoint()
        status = getattr(error, "status_code", None)
        text = str(error).replace(key, "***") if key else str(error)
        text = _KEY_LIKE.sub("***", text)[:500]
        url = _CREDENTIALS.sub("//***@", url)
        hint = ""
        if status in (401, 403):
            hint = (
                " Check the key: api_key=, EMBEDDING_API_KEY, or OPENAI_API_KEY (which only goes "
                "to OpenAI and to OPENAI_BASE_URL)."
            )
        elif status == 404:
            hint = f" Check the address and that it serves the model {self.model!r}."
        return EmbedderError(
            f"no embeddings of {self.id!r} from {url}: {type(error).__name__}: {text}{hint}"
        )

    # Endpoint and clients

    def _endpoint(self) -> tuple[str, str]:
        """Address and key; the key is empty where none is known for that address."""
        env = os.environ
        openai_url = env.get("OPENAI_BASE_URL") or DEFAULT_URL
        url = self.base_url or env.get("EMBEDDING_BASE_URL") or openai_url
        key = self._api_key or env.get("EMBEDDING_API_KEY")
        if not key and url.rstrip("/") in (openai_url.rstrip("/"), DEFAULT_URL):
            key = env.get("OPENAI_API_KEY")
        return url, key or ""

    def _client_arguments(self) -> dict[str, Any]:
        url, key = self._endpoint()
        if not key and url.rstrip("/") == DEFAULT_URL:
            raise EmbedderError(
                f"{self.id!r} needs a key: set EMBEDDING_API_KEY (and EMBEDDING_BASE_URL for "
                f"another endpoint than OpenAI's), or OPENAI_API_KEY, or pass api_key="
            )
        return {
            "base_url": url,
            "api_key": key or "none",
            "timeout": self.timeout,
            "max_retries": self.max_retries,
        }

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._sync_client: openai.OpenAI | None = None
        self._async_clients: dict[asyncio.AbstractEventLoop, openai.AsyncOpenAI] = {}

    def _client(self) -> openai.OpenAI:
        import openai

        if self._pid != os.getpid():
            self._reset()  # connections can not be shared with the process that this one forked off
        with self._lock:
            if self._sync_client is None:
                self._sync_client = openai.OpenAI(**self._client_arguments())
            return self._sync_client

    def _async_client(self) -> openai.AsyncOpenAI:
        """The client of the running event loop: connections do not outlive their loop."""
        import openai

        if self._pid != os.getpid():
            self._reset()
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._async_clients:
                for other in [other for other in self._async_clients if other.is_closed()]:
                    del self._async_clients[other]
                # The client's own default tries to close itself from whichever loop runs when it
                # is collected; this one does not.
                http = openai.DefaultAsyncHttpxClient(timeout=self.timeout)
                self._async_clients[loop] = openai.AsyncOpenAI(
                    http_client=http, **self._client_arguments()
                )
            return self._async_clients[loop]

    def __getstate__(self) -> dict[str, Any]:
        dropped = ("_api_key", "_lock", "_pid", "_sync_client", "_async_clients")
        return {k: v for k, v in self.__dict__.items() if k not in dropped}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _api_key=None)
        self._reset()

    def __deepcopy__(self, memo: dict[int, Any]) -> OpenAIEmbedder:
        return self  # or a copy would lose the key, as a pickle does on purpose

    def __repr__(self) -> str:
        dimensions = f", dimensions={self.dimensions}" if self.dimensions else ""
        return f"{type(self).__name__}({self.model!r}{dimensions})"


def _cut(text: str, limit: int) -> str:
    """The beginning of a text, of at most ``limit`` bytes of UTF-8."""
    if len(text) * 4 <= limit:
        return text
    return text.encode()[:limit].decode(errors="ignore")


def _too_long(error: BaseException) -> bool:
    status = getattr(error, "status_code", None)
    return status in (400, 413, 422) and _TOO_LONG.search(str(error)) is not None
