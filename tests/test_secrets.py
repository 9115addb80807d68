"""A random secret, sent in any place and repeated by the server in any way, shows nowhere."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import string
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote_plus

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from keyword_router import MODELS, keyword_router
from langchain_core.load import dumps
from langchain_core.tracers import BaseTracer
from langchain_core.tracers.schemas import Run
from langchain_openai import ChatOpenAI
from llama_index.core.base.llms.types import ChatMessage, CompletionResponse, LLMMetadata
from llama_index.core.callbacks import CallbackManager
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span import BaseSpan
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from llama_index.core.llms.custom import CustomLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.llms.openai_like import OpenAILike
from pydantic import SecretStr

from avengers_core.calls.registry import flush_all
from avengers_core.collecting import collect, judge
from avengers_core.collecting.answers import endpoint_asker
from avengers_core.embedders import OpenAIEmbedder, resolve_embedder
from avengers_core.errors import AllBackendsFailedError, EmbedderError
from avengers_core.serving.backends.endpoints import find_endpoint
from avengers_langchain import AvengersChatModel
from avengers_llamaindex import AvengersLLM

PLACES = ("key", "header", "user", "password", "parameter")
ECHOES = ("body", "json", "header", "reason", "status line", "stream")
SECRETS = st.text(string.ascii_letters + string.digits + "-_.~+/=%&:@$!*'\"<>", min_size=8)
SECRETS = SECRETS.map(lambda text: f"Qz{text[:40]}7")
SOME = settings(
    max_examples=5,
    phases=[Phase.explicit, Phase.generate],  # what fails says enough, and each takes a while
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Echo(BaseHTTPRequestHandler):
    """Repeats what it was sent: the path, all headers, as they are and in plain words."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        asked = json.loads(self.rfile.read(length))
        how, status = self.server.how, self.server.status  # type: ignore[attr-defined]
        said = [self.path, unquote_plus(self.path), *self.headers.values()]
        said += self.server.said  # type: ignore[attr-defined]
        text = " and ".join(said)
        self.server.requests += 1  # type: ignore[attr-defined]
        if how == "status line":
            self.wfile.write(f"{text}\r\n\r\n".encode("latin-1", "replace"))
            self.close_connection = True
            return
        kind, body = "text/plain", text
        if how == "json":
            kind, body = "application/json", json.dumps({"error": {"message": text, "code": text}})
        if how == "stream" and asked.get("stream"):
            kind, status = "text/event-stream", 200
            body = f"data: {json.dumps({'error': {'message': text, 'code': 500}})}\n\n"
        data = body.encode()
        self.send_response(status, text if how == "reason" else "No")
        if how == "header":
            self.send_header("x-error", text)
            self.send_header("retry-after", text)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients that hang up are no matter."""


@pytest.fixture(scope="module")
def echo() -> Iterator[Any]:
    server = Server(("127.0.0.1", 0), Echo)
    server.how, server.status, server.requests, server.said = "body", 500, 0, []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


class Traces(BaseTracer):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def _persist_run(self, run: Run) -> None:
        self.text += str(run.__dict__)


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        # What clients log of their own requests is theirs.
        if record.name.startswith("avengers"):
            self.text += self.format(record)


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    logging.getLogger("avengers_core").setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)
    logging.getLogger("avengers_core").setLevel(logging.NOTSET)


def sent(echo: Any, place: str, secret: str) -> dict[str, Any]:
    """URL, key, headers and parameters of a client that sends a secret in some place."""
    host = f"127.0.0.1:{echo.server_address[1]}/v1"
    user = {"user": f"{quote(secret, safe='')}@", "password": f"u:{quote(secret, safe='')}@"}
    return {
        "url": f"http://{user.get(place, '')}{host}",
        "key": secret if place == "key" else "a-plain-word-for-a-key",
        "headers": {"X-Tenant": secret} if place == "header" else {},
        "query": {"code": secret} if place == "parameter" else {},
    }


def shown_by(error: BaseException) -> str:
    parts = [str(error), repr(error), "".join(traceback.format_exception(error)), str(error.args)]
    if isinstance(error, AllBackendsFailedError | EmbedderError):
        parts += [str(pickle.dumps(error)), str(getattr(error, "tried", ""))]
    return "\n".join(parts)


def forms(secret: str) -> set[str]:
    quoted = {secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1]}
    return quoted | {repr(secret)[1:-1], repr(repr(secret))[2:-2]}


def absent(secret: str, *texts: str) -> None:
    for text in texts:
        for form in forms(secret):
            at = text.find(form)
            assert at < 0, text[max(0, at - 200) : at + 200]


def langchain(at: dict[str, Any], made: bool, **options: Any) -> AvengersChatModel:
    if made:
        return AvengersChatModel(router=keyword_router(), **own(at), **options)
    backends = {
        m: ChatOpenAI(
            model=m,
            base_url=at["url"],
            api_key=at["key"],
            default_headers=at["headers"],
            default_query=at["query"],
            max_retries=0,
        )
        for m in MODELS
    }
    return AvengersChatModel(router=keyword_router(), models=backends, **options)


def traced(exported: tuple[Any, Any]) -> str:
    """All that OpenTelemetry exports of calls."""
    spans, reader = exported
    found = [span.to_json() for span in spans.get_finished_spans()]
    assert "avengers.failover" in str(found)
    spans.clear()
    return "".join((*found, reader.get_metrics_data().to_json()))


def own(at: dict[str, Any]) -> dict[str, Any]:
    sent_along = {"default_headers": at["headers"], "default_query": at["query"]}
    return {"model_settings": {k: v for k, v in sent_along.items() if v}, "api_key": at["key"]}


def llamaindex(at: dict[str, Any], made: bool, **options: Any) -> AvengersLLM:
    if made:
        return AvengersLLM(router=keyword_router(), **own(at), **options)
    backends = {
        m: OpenAILike(
            model=m,
            api_base=at["url"],
            api_key=at["key"],
            default_headers=at["headers"],
            additional_kwargs={"extra_query": at["query"]},
            is_chat_model=True,
            max_retries=0,
        )
        for m in MODELS
    }
    return AvengersLLM(router=keyword_router(), models=backends, **options)


def failed(call: Callable[[], Any]) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        call()
    return shown_by(caught.value)


@pytest.mark.parametrize("plugin", [langchain, llamaindex])
@SOME
@given(
    made=st.booleans(),
    secret=SECRETS,
    place=st.sampled_from(PLACES),
    how=st.sampled_from(ECHOES),
    status=st.sampled_from([400, 401, 500]),
)
def test_a_secret_shows_nowhere(
    *,
    plugin: Callable[..., Any],
    made: bool,
    echo: Any,
    lines: Lines,
    exported: tuple[Any, Any],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    secret: str,
    place: str,
    how: str,
    status: int,
) -> None:
    echo.how, echo.status, echo.said, lines.text, before = how, status, [secret], "", echo.requests
    at = sent(echo, place, secret)
    monkeypatch.setenv("AVENGERS_BASE_URL", at["url"])
    log = tmp_path_factory.mktemp("log") / "calls.db"
    traces = Traces()
    with plugin(at, made, log=str(log)) as llm:
        if plugin is langchain:
            config: Any = {"callbacks": [traces]}
            calls = [
                lambda: llm.invoke(f"hello {secret}"[:6], config),
                lambda: list(llm.stream("hello", config)),
                lambda: asyncio.run(llm.ainvoke("hello", config)),
            ]
        else:
            message = [ChatMessage("hello")]
            calls = [
                lambda: llm.chat(message),
                lambda: list(llm.stream_chat(message)),
                lambda: asyncio.run(llm.achat(message)),
            ]
        texts = [failed(call) for call in calls]
        texts += [repr(llm), str(llm), llm.model_dump_json()]
        if plugin is langchain:
            texts += [dumps(llm), llm._get_llm_string()]
        with suppress(TypeError):
            texts.append(str(pickle.dumps(llm)))
        flush_all()
    texts += [traces.text, lines.text, str(log.read_bytes()), traced(exported)]
    assert echo.requests > before
    absent(secret, *texts)


class Heard(BaseEventHandler, BaseSpanHandler[BaseSpan]):
    """What LlamaIndex tells whoever watches."""

    said: str = ""

    @classmethod
    def class_name(cls) -> str:
        return "Heard"

    def handle(self, event: Any, **_: Any) -> None:
        self.said += str(event.model_dump()) + repr(event)

    def new_span(self, id_: str, *_: Any, **__: Any) -> BaseSpan:
        return BaseSpan(id_=id_)

    def prepare_to_exit_span(self, id_: str, *_: Any, **__: Any) -> Any:
        return self.open_spans.get(id_)

    def prepare_to_drop_span(self, id_: str, *_: Any, err: Any = None, **__: Any) -> Any:
        self.said += "".join(traceback.format_exception(err)) + repr(err)
        return self.open_spans.get(id_)


class Called(BaseCallbackHandler):
    """And what its callbacks are told."""

    def __init__(self) -> None:
        super().__init__([], [])
        self.said = ""

    def on_event_start(self, *given: Any, **named: Any) -> str:
        self.said += repr((given, named))
        return ""

    def on_event_end(self, *given: Any, **named: Any) -> None:
        self.said += repr((given, named))
        for value in (given[1] or {}).values():
            if isinstance(value, BaseException):
                self.said += "".join(traceback.format_exception(value))

    def start_trace(self, *_: Any, **__: Any) -> None: ...

    def end_trace(self, *_: Any, **__: Any) -> None: ...


@SOME
@given(
    made=st.booleans(),
    secret=SECRETS,
    place=st.sampled_from(PLACES),
    how=st.sampled_from(ECHOES),
)
def test_nor_in_what_the_framework_tells_its_handlers(
    *, made: bool, echo: Any, monkeypatch: pytest.MonkeyPatch, secret: str, place: str, how: str
) -> None:
    echo.how, echo.status, echo.said = how, 401, [secret]
    at = sent(echo, place, secret)
    monkeypatch.setenv("AVENGERS_BASE_URL", at["url"])
    heard, called, root = Heard(), Called(), get_dispatcher()
    monkeypatch.setattr(root, "event_handlers", [heard])
    monkeypatch.setattr(root, "span_handlers", [heard])
    prompt = PromptTemplate("hello {name}")
    with llamaindex(at, made, callback_manager=CallbackManager([called])) as llm:
        failed(lambda: llm.chat([ChatMessage("hello")]))
        failed(lambda: llm.complete("hello"))
        failed(lambda: llm.predict(prompt, name="you"))
        failed(lambda: list(llm.stream_chat([ChatMessage("hello")])))
        failed(lambda: list(llm.stream(prompt, name="you")))
        failed(lambda: asyncio.run(llm.achat([ChatMessage("hello")])))
        failed(lambda: asyncio.run(all_of(llm.astream_chat([ChatMessage("hello")]))))
    assert heard.said
    assert "exception" in called.said
    absent(secret, heard.said, called.said)


class FrozenError(Exception):
    """It cannot be changed, and makes its text of more than its arguments."""

    __slots__ = ("said",)

    def __init__(self, said: str) -> None:
        object.__setattr__(self, "said", said)

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("immutable")

    def __str__(self) -> str:
        return f"the server said {self.said}"


@pytest.mark.parametrize("error", [RuntimeError, FrozenError])
def test_nor_of_llms_that_tell_no_callbacks(error: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(CustomLLM):
        api_key: str = "the-marker-key-1234"

        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata()

        def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
            raise error(self.api_key)

        def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
            raise error(self.api_key)

    heard, root = Heard(), get_dispatcher()
    monkeypatch.setattr(root, "event_handlers", [heard])
    monkeypatch.setattr(root, "span_handlers", [heard])
    llm = AvengersLLM(router=keyword_router(), models={MODELS[0]: Own()})
    texts = [
        failed(lambda: llm.complete("hello")),
        failed(lambda: llm.chat([ChatMessage("hello")])),
        failed(lambda: llm.predict(PromptTemplate("hello"))),
        failed(lambda: list(llm.stream_complete("hello"))),
        failed(lambda: asyncio.run(llm.acomplete("hello"))),
    ]
    assert f"{error.__name__}(" in heard.said
    absent("the-marker-key-1234", heard.said, *texts)


async def all_of(stream: Any) -> list[Any]:
    return [chunk async for chunk in await stream]


@SOME
@given(
    secret=SECRETS,
    place=st.sampled_from([place for place in PLACES if place != "header"]),
    how=st.sampled_from(ECHOES),
)
def test_nor_where_questions_are_embedded(
    echo: Any, lines: Lines, secret: str, place: str, how: str
) -> None:
    echo.how, echo.status, echo.said, lines.text = how, 400, [secret], ""
    at = sent(echo, place, secret)
    url = f"{at['url']}?code={quote(secret, safe='')}" if place == "parameter" else at["url"]
    with OpenAIEmbedder("stub", base_url=url, api_key=at["key"], max_retries=0) as embedder:
        texts = [failed(lambda: embedder.embed(["a"]))]
        texts += [repr(embedder), str(pickle.dumps(embedder)), lines.text]
    absent(secret, *texts)


@SOME
@given(secret=SECRETS, place=st.sampled_from(PLACES), how=st.sampled_from(ECHOES))
def test_nor_where_answers_are_collected_and_judged(
    echo: Any, lines: Lines, secret: str, place: str, how: str
) -> None:
    echo.how, echo.status, echo.said, lines.text = how, 400, [secret], ""
    at = sent(echo, place, secret)
    model = ChatOpenAI(
        model="m",
        base_url=at["url"],
        api_key=at["key"],
        default_headers=at["headers"],
        default_query=at["query"],
        max_retries=0,
    )
    questions = [{"query": "a", "reference": "b"}]
    collected = collect(questions, {"m": model}, "exact")
    assert collected.failures
    absent(secret, str(collected.failures), lines.text)
    ask = endpoint_asker(find_endpoint(at["url"], SecretStr(at["key"]), {}), "m", {})
    graders = [judge(lambda text: model.invoke(text).text)]
    if place not in ("header", "parameter"):  # which no endpoint is given
        graders.append(judge(ask))
    for grader in graders:
        collected = collect(questions, {"m": lambda _: "b"}, grader)
        assert collected.failures
        absent(secret, str(collected.failures), lines.text)


@given(secret=SECRETS)
def test_nor_in_an_error_of_a_function_that_holds_it(secret: str) -> None:
    class Client:
        def __init__(self) -> None:
            self.api_key = secret

        def embed(self, texts: list[str]) -> Any:
            try:
                raise LookupError(f"refused {self.api_key}")
            except LookupError as error:
                raise ValueError({"key": self.api_key, "all": [self.api_key]}) from error

    client = Client()
    for function in (client.embed, lambda texts: client.embed([*texts])):
        text = failed(lambda function=function: resolve_embedder(function).embed(["a"]))
        absent(secret, text)


@pytest.mark.parametrize("kind", [AvengersChatModel, AvengersLLM])
def test_nor_in_what_the_plugins_are_made_of(kind: Any) -> None:
    # Tools that report errors show the variables of each frame.
    secret, url = "the-marker-key-1234", "http://user:the-marker-key-1234@localhost:9/v1"
    settings = {
        "default_headers": {"x-any": secret},
        MODELS[0]: {"extra_body": {"token": secret}},
    }
    plain = "http://localhost:9/v1"
    made = kind(router=keyword_router(), base_url=plain, api_key="k", model_settings=settings)
    headers = {"x-any": secret}
    backend: Any = ChatOpenAI(model="m", base_url=url, api_key="k", default_headers=headers)
    if kind is AvengersLLM:
        backend = OpenAILike(model="m", api_base=url, api_key="k", default_headers=headers)
    given_ = kind(router=keyword_router(), models={MODELS[0]: backend})
    shown = [
        repr(llm.pool.settings) + repr(llm.pool.settings.model_settings) for llm in (made, given_)
    ]
    if kind is AvengersChatModel:
        shown.append(repr(given_.pool.get(MODELS[0])))
    absent(secret, *shown)
