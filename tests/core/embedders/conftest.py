"""An embedding endpoint on the loopback interface, and an embedder that needs nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from children import hash_vectors

DIM = 32


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that give up waiting are part of the tests


Reply = tuple[int, Any, dict[str, str]]


class Replies:
    """Things an endpoint should not do, for ``Endpoint.script``."""

    @staticmethod
    def status(status: int, message: str = "try again") -> Callable[[dict[str, Any]], Reply]:
        # The client honours this header, so that tests need not sit out its back-off.
        return lambda body: (status, error(message), {"retry-after-ms": "1"})

    @staticmethod
    def payload(
        payload: Any, content_type: str = "application/json"
    ) -> Callable[[dict[str, Any]], Reply]:
        return lambda body: (200, payload, {"Content-Type": content_type})

    @staticmethod
    def vectors(
        make: Callable[[list[str]], Any], order: list[int] | None = None
    ) -> Callable[[dict[str, Any]], Reply]:
        return lambda body: (200, embeddings(make(body["input"]), order), {})


class Endpoint:
    """A stub of ``/v1/embeddings``: answers from ``script`` first, then as it should."""

    replies = Replies

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.script: list[Callable[[dict[str, Any]], Reply]] = []
        self.limit: int | None = None  # characters in a text
        self.dim = DIM
        self.delay = 0.0
        self.active = self.most_active = 0
        self._lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Or each answer waits 40 ms for the acknowledgement of its headers.
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                body["path"], body["key"] = self.path, self.headers["Authorization"]
                status, payload, headers = endpoint.answer(body)
                data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
                self.send_response(status)
                for name, value in ({"Content-Type": "application/json"} | headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, body: dict[str, Any]) -> Reply:
        with self._lock:
            self.requests.append(body)
            self.active += 1
            self.most_active = max(self.most_active, self.active)
            scripted = self.script.pop(0) if self.script else None
        try:
            time.sleep(self.delay)
            return scripted(body) if scripted else self.good(body)
        finally:
            with self._lock:
                self.active -= 1

    def good(self, body: dict[str, Any]) -> Reply:
        texts = body["input"]
        if any(not text for text in texts):
            return 400, error("input cannot be an empty string"), {}
        if self.limit and (longest := max(map(len, texts))) > self.limit:
            return (
                400,
                error(
                    f"This model's maximum context length is {self.limit} tokens, however you "
                    f"requested {longest} tokens. Please reduce the length of the input."
                ),
                {},
            )
        return 200, embeddings(hash_vectors(texts, body.get("dimensions", self.dim))), {}

    @property
    def sent(self) -> list[str]:
        """All texts in the order in which they came."""
        return [text for request in self.requests for text in request["input"]]


def error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": None}}


def embeddings(vectors: Any, order: list[int] | None = None) -> dict[str, Any]:
    rows = np.asarray(vectors).tolist()
    items = [{"object": "embedding", "index": i, "embedding": row} for i, row in enumerate(rows)]
    return {
        "object": "list",
        "model": "stub",
        "data": [items[i] for i in order] if order is not None else items,
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    for prefix in ("EMBEDDING", "OPENAI"):
        monkeypatch.delenv(f"{prefix}_BASE_URL", raising=False)
        monkeypatch.delenv(f"{prefix}_API_KEY", raising=False)
    stub = Endpoint()
    yield stub
    stub.server.shutdown()
    stub.server.server_close()


@pytest.fixture
def vectors_of() -> Callable[..., np.ndarray]:
    return hash_vectors
