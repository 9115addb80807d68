"""An OpenAI-compatible server on 127.0.0.1 that answers by rule and fails on demand.

It speaks chat completions (plain and streamed, usage, tool calls, JSON schema, JSON mode, image
parts) and embeddings, keeps connections alive, and notes every request, so that tests can assert
which model answered. What it says is a function of the request::

    with StubServer() as server:
        server.fail("openai/gpt-5", status=429, retry_after=7, times=1)
        ChatOpenAI(base_url=server.url, api_key="any", model="openai/gpt-5").invoke("Hi")
        assert [r.model for r in server.requests] == ["openai/gpt-5"]
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import random
import re
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from typing_extensions import Self

Json = dict[str, Any]
EMBEDDING_DIM = 32
_MESSAGES = {
    400: ("invalid_request_error", "This request is not valid."),
    401: ("invalid_request_error", "Incorrect API key provided: {key} (check your key)."),
    404: ("invalid_request_error", "The model does not exist."),
    429: ("rate_limit_error", "Rate limit reached."),
    500: ("server_error", "The server had an error."),
    503: ("server_error", "The engine is overloaded."),
}


@dataclass
class Fault:
    """How a model fails.

    Attributes:
        status: answer with this status.
        retry_after: with this ``Retry-After`` header, seconds.
        delay: wait this long before answering, seconds.
        drop_after: break the connection after this many chunks of a stream (0: before the first).
        malformed: answer with broken JSON.
        body: answer with this and status 200, whatever was asked for.
        kind: the content type of that.
        code: the error's code, such as ``content_policy_violation``.
        times: how often; None: always.
        rate: only this share of the calls, at random with a fixed seed.
    """

    status: int | None = None
    retry_after: float | None = None
    delay: float = 0.0
    drop_after: int | None = None
    malformed: bool = False
    body: str | None = None
    kind: str = "application/json"
    code: str | None = None
    times: int | None = None
    rate: float = 1.0


@dataclass
class Recorded:
    """One request.

    Attributes:
        path: such as ``/v1/chat/completions``.
        model: whom it asks.
        body: its JSON.
        key: the bearer token.
        ok: whether it was answered (in a dropped stream: not).
        usage: the tokens that were reported for it.
        title: the header ``X-Title``.
        query: the parameters of its address.
        at: when it came, seconds of a monotonic clock.
    """

    path: str
    model: str
    body: Json
    key: str
    title: str = ""
    query: Json = field(default_factory=dict)
    at: float = field(default_factory=time.monotonic)
    ok: bool = False
    usage: Json | None = None


class ThreadedServer:
    """A server on 127.0.0.1 in a thread of its own; a context manager.

    Args:
        routes: what it serves.
    """

    def __init__(self, routes: list[Route]) -> None:
        config = uvicorn.Config(
            Starlette(routes=routes),
            host="127.0.0.1",
            port=0,
            log_level="critical",
            timeout_keep_alive=60,
            lifespan="off",
            ws="none",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    @property
    def origin(self) -> str:
        """Where it is, without a path."""
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{type(self).__name__} did not start within 10 s")
            time.sleep(0.005)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(timeout=5)


class StubServer(ThreadedServer):
    """The server.

    Attributes:
        requests: every request so far.
        replies: model (or ``"*"``) -> function of the request's JSON that gives the text of the
            answer, or an assistant message, in place of the rule.
    """

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.replies: dict[str, Callable[[Json], str | Json]] = {}
        self._faults: dict[str, list[Fault]] = {}
        self._random = random.Random(0)
        self._resets = 0
        routes = [
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/embeddings", self._embed, methods=["POST"]),
        ]
        super().__init__(routes)

    @property
    def url(self) -> str:
        """Base URL for clients."""
        return f"{self.origin}/v1"

    @property
    def answered_by(self) -> list[str]:
        """The models of the requests that were answered, in order."""
        return [r.model for r in self.requests if r.ok]

    @property
    def asked(self) -> list[str]:
        """The models of all requests, in order."""
        return [r.model for r in self.requests]

    def fail(self, model: str, **fault: Any) -> None:
        """Let a model fail; the arguments are those of :class:`Fault`."""
        self._faults.setdefault(model, []).append(Fault(**fault))

    def reset(self) -> None:
        """Forget requests, faults and replies."""
        self.requests.clear()
        self.replies.clear()
        self._faults.clear()
        self._random.seed(0)
        self._resets += 1

    # -- handlers --

    async def _chat(self, request: Request) -> Response:
        recorded = await self._record(request)
        fault = self._next_fault(recorded.model)
        if fault.delay:
            resets = self._resets
            await asyncio.sleep(fault.delay)
            if resets != self._resets:  # who asked has given up, and another test is on by now
                return Response(status_code=503)
        if fault.body is not None:
            return Response(fault.body, media_type=fault.kind)
        if fault.malformed:
            return Response('{"id": "chatcmpl-1", "choices": [{', media_type="application/json")
        if fault.status is not None:
            return _error(fault, recorded.key)
        body = recorded.body
        if problem := _invalid(body):
            return _error(Fault(status=400, code=problem), recorded.key)
        reply = self.replies.get(recorded.model) or self.replies.get("*") or answer
        message = reply(body)
        if isinstance(message, str):
            message = _stopped(message, body.get("stop"))
        message = {"role": "assistant", "content": None, **_as_message(message)}
        usage = _usage(body, message)
        if body.get("stream"):
            chunks = _chunks(body, message, usage)
            return StreamingResponse(
                self._stream(chunks, fault, recorded, usage), media_type="text/event-stream"
            )
        recorded.ok, recorded.usage = True, usage
        finish = "tool_calls" if message.get("tool_calls") else "stop"
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        return JSONResponse(
            {**_envelope(body, "chat.completion"), "choices": [choice], "usage": usage}
        )

    async def _stream(
        self, chunks: list[Json], fault: Fault, recorded: Recorded, usage: Json
    ) -> AsyncIterator[str]:
        for i, chunk in enumerate(chunks):
            if i == fault.drop_after:
                raise ConnectionAbortedError("dropped on demand")
            yield f"data: {json.dumps(chunk)}\n\n"
            await asyncio.sleep(0)
        # Before the client knows that this was all, or it could look too early.
        recorded.ok, recorded.usage = True, usage
        yield "data: [DONE]\n\n"

    async def _embed(self, request: Request) -> Response:
        recorded = await self._record(request)
        fault = self._next_fault(recorded.model)
        if fault.status is not None:
            return _error(fault, recorded.key)
        given = recorded.body["input"]
        texts = [given] if isinstance(given, str) else given
        vectors = [embedding(str(text)) for text in texts]
        packed = recorded.body.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": i, "embedding": _packed(v) if packed else v}
            for i, v in enumerate(vectors)
        ]
        tokens = sum(len(str(text).split()) for text in texts)
        recorded.ok, recorded.usage = True, {"prompt_tokens": tokens, "total_tokens": tokens}
        return JSONResponse(
            {"object": "list", "data": data, "model": recorded.model, "usage": recorded.usage}
        )

    async def _record(self, request: Request) -> Recorded:
        body = await request.json()
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        recorded = Recorded(request.url.path, body.get("model", ""), body, key)
        recorded.title = request.headers.get("x-title", "")
        recorded.query = dict(request.query_params)
        self.requests.append(recorded)
        return recorded

    def _next_fault(self, model: str) -> Fault:
        for fault in self._faults.get(model, []):
            if fault.times == 0 or self._random.random() >= fault.rate:
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return Fault()


# -- what it says --


def answer(body: Json) -> str | Json:
    """The rule: call a tool if there are tools and none was called yet, fill a schema, or echo."""
    messages = body["messages"]
    text = user_text(messages)
    choice = body.get("tool_choice")
    tools = [t["function"] for t in body.get("tools") or () if "function" in t]
    forced = choice in ("required", "any") or isinstance(choice, Mapping)
    asked = messages[-1]["role"] == "user"
    if tools and choice != "none" and (forced or asked):
        return {"tool_calls": [_tool_call(_pick(tools, choice, text), text, body)]}
    kind = (body.get("response_format") or {}).get("type")
    if kind == "json_schema":
        return json.dumps(filled(body["response_format"]["json_schema"]["schema"], text))
    if kind == "json_object":
        keys = re.findall(r"[`'\"](\w+)[`'\"]", text) or ["answer"]
        return json.dumps({key: f"a {key}" for key in keys})
    results = [m for m in messages if m["role"] == "tool"]
    if results and not asked:
        return f"{body['model']} says the result is {_text(results[-1]['content'])}"
    return f"{body['model']} says: {text[-200:]}"


def filled(schema: Json, text: str, definitions: Json | None = None, name: str = "") -> Any:
    """A value of a JSON schema, with the numbers and the quoted words of a text."""
    definitions = definitions or schema.get("$defs") or schema.get("definitions") or {}
    if "$ref" in schema:
        return filled(definitions[schema["$ref"].rpartition("/")[2]], text, definitions, name)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return filled(schema[key][0], text, definitions, name)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties", {})
        return {n: filled(s, text, definitions, n) for n, s in properties.items()}
    if kind == "array":
        return [filled(schema.get("items", {"type": "string"}), text, definitions, name)]
    numbers = re.findall(r"-?\d+(?:\.\d+)?", text)
    if kind == "integer":
        return int(float(numbers[0])) if numbers else 3
    if kind == "number":
        return float(numbers[0]) if numbers else 3.0
    if kind == "boolean":
        return True
    quoted = re.findall(r"['\"`]([^'\"`]+)['\"`]", text)
    return quoted[0] if quoted else f"a {name or 'text'}"


def embedding(text: str) -> list[float]:
    """A unit vector of the words of a text: texts that share words are near each other."""
    vector = [0.0] * EMBEDDING_DIM
    for word in re.findall(r"\w+", text.lower()) or [text]:
        digest = hashlib.sha256(word.encode()).digest()
        vector[digest[0] % EMBEDDING_DIM] += 1.0 if digest[1] % 2 else -1.0
    norm = sum(x * x for x in vector) ** 0.5 or 1.0
    return [x / norm for x in vector]


def user_text(messages: list[Json]) -> str:
    """The text of the last message of the user."""
    texts = [_text(m["content"]) for m in messages if m["role"] == "user"]
    return texts[-1] if texts else ""


def _text(content: Any) -> str:
    if isinstance(content, str) or content is None:
        return content or ""
    return " ".join(part.get("text", "") for part in content if part.get("type") == "text")


def _pick(tools: list[Json], choice: Any, text: str) -> Json:
    if isinstance(choice, Mapping):
        wanted = choice.get("function", choice).get("name")
        return next(t for t in tools if t["name"] == wanted)
    return next((t for t in tools if t["name"] in text), tools[0])


def _tool_call(tool: Json, text: str, body: Json) -> Json:
    arguments = filled(tool.get("parameters") or {"type": "object"}, text)
    digest = hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest()[:12]
    call = {"name": tool["name"], "arguments": json.dumps(arguments, ensure_ascii=False)}
    return {"id": f"call_{digest}", "type": "function", "function": call}


def _as_message(reply: str | Json) -> Json:
    return {"content": reply} if isinstance(reply, str) else reply


def _stopped(text: str, stop: str | list[str] | None) -> str:
    for mark in [stop] if isinstance(stop, str) else stop or ():
        text = text.partition(mark)[0]
    return text


def _invalid(body: Json) -> str | None:
    """What OpenAI rejects too: results of tools that nobody called."""
    called: set[str] = set()
    for message in body["messages"]:
        called |= {call["id"] for call in message.get("tool_calls") or ()}
        if message["role"] == "tool" and message.get("tool_call_id") not in called:
            return "tool_message_without_call"
    return None


def _usage(body: Json, message: Json) -> Json:
    prompt = len(json.dumps(body["messages"])) // 4 + len(json.dumps(body.get("tools") or "")) // 4
    completion = max(1, len(json.dumps(message.get("tool_calls") or message["content"])) // 4)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _envelope(body: Json, kind: str) -> Json:
    return {"id": "chatcmpl-stub", "object": kind, "created": 1, "model": body["model"]}


def _chunks(body: Json, message: Json, usage: Json) -> list[Json]:
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    if message.get("content"):
        deltas += [{"content": piece} for piece in re.findall(r"\s*\S+|\s+$", message["content"])]
    for i, call in enumerate(message.get("tool_calls") or ()):
        arguments = call["function"]["arguments"]
        head = {**call, "index": i, "function": {**call["function"], "arguments": ""}}
        deltas.append({"tool_calls": [head]})
        for start in range(0, len(arguments), 8):
            piece = {"arguments": arguments[start : start + 8]}
            deltas.append({"tool_calls": [{"index": i, "function": piece}]})
    envelope = _envelope(body, "chat.completion.chunk")
    with_usage = (body.get("stream_options") or {}).get("include_usage")
    if with_usage:
        envelope["usage"] = None
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    chunks = [
        {**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    chunks.append(
        {**envelope, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
    )
    if with_usage:
        chunks.append({**envelope, "choices": [], "usage": usage})
    return chunks


def _error(fault: Fault, key: str) -> Response:
    status = fault.status or 500
    kind, message = _MESSAGES.get(status, ("server_error", f"Status {status}."))
    headers = {}
    if fault.retry_after is not None:
        headers["retry-after"] = f"{fault.retry_after:g}"
    error = {"message": message.format(key=key), "type": kind, "code": fault.code, "param": None}
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
