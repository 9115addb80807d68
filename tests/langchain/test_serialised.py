"""Keys stay secret, serialised forms come back, caches keep models apart."""

from __future__ import annotations

import copy
import importlib
import json
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import openai
import pytest
from children import child, forget, forks
from keyword_router import EASY, HARD, MODELS, SPARE, keyword_embedder
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.load import dumps, loads
from langchain_core.prompts import PromptTemplate
from langchain_core.tracers import BaseTracer
from langchain_core.tracers.schemas import Run
from langchain_openai import ChatOpenAI
from pydantic import ValidationError
from stub_server import StubServer

from avengers_core import Router, fit
from avengers_core.errors import AllBackendsFailedError
from avengers_langchain import AvengersChatModel, routing_hint

MARKER = "the-marker-key-4711"


@pytest.fixture(params=["backends", "own"])
def secretive(
    request: pytest.FixtureRequest,
    router: Router,
    server: StubServer,
    backend: Callable[..., ChatOpenAI],
) -> AvengersChatModel:
    """A chat model whose backends, or own settings, hold the marker."""
    if request.param == "own":
        return AvengersChatModel(router=router, base_url=server.url, api_key=MARKER)
    models = {m: backend(m, api_key=MARKER) for m in MODELS}
    return AvengersChatModel(router=router, models=models)


class Traces(BaseTracer):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def _persist_run(self, run: Run) -> None:
        self.text += str(run.model_dump() if hasattr(run, "model_dump") else run.__dict__)


def test_keys_are_in_no_text(secretive: AvengersChatModel) -> None:
    texts = [
        repr(secretive),
        str(secretive),
        dumps(secretive),
        str(secretive.asdict()),
        secretive._get_llm_string(),
        repr(secretive.pool.router),
        repr(secretive.bind_tools([])),
        repr(secretive.with_structured_output({"title": "X", "type": "object"})),
    ]
    assert MARKER not in "\n".join(texts)


@pytest.mark.parametrize("status", [None, 400, 401, 500])
def test_keys_are_in_no_trace(
    secretive: AvengersChatModel, server: StubServer, status: int | None
) -> None:
    for model in MODELS if status else ():
        server.fail(model, status=status)
    traces = Traces()
    for call in (secretive.invoke, lambda *a: list(secretive.stream(*a))):
        with suppress(openai.BadRequestError, AllBackendsFailedError):
            call("hello", {"callbacks": [traces]})
    assert {r.key for r in server.requests} == {MARKER}
    assert traces.text
    assert MARKER not in traces.text


@pytest.mark.parametrize("status", [401, 500])
def test_keys_are_in_no_error(
    secretive: AvengersChatModel, server: StubServer, status: int
) -> None:
    for model in MODELS:
        server.fail(model, status=status)
    with pytest.raises(AllBackendsFailedError) as caught:
        secretive.invoke("hello")
    assert MARKER not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url",
    [
        f"http://u:{MARKER}@host/v1",
        f"http://{MARKER}@host/v1",
        f"http://host/v1?key={MARKER}",
        f"http://host/v1?api-version=1&x-functions-key={MARKER}",
        f"http://host/v1?sig={MARKER}",
        f"http://host/sk-{MARKER}/v1",
    ],
)
def test_no_key_is_taken_in_the_url(router: Router, url: str) -> None:
    with pytest.raises(ValidationError, match="api_key") as caught:
        AvengersChatModel(router=router, base_url=url)
    assert MARKER not in str(caught.value)


@pytest.mark.parametrize("url", ["http://my-secret.host:8000/v1", "http://host/v1?max_tokens=5"])
def test_urls_without_a_key_are_taken(router: Router, url: str) -> None:
    assert AvengersChatModel(router=router, base_url=url).base_url == url


def test_keys_are_in_no_pickle(
    backend: Callable[..., ChatOpenAI], monkeypatch: pytest.MonkeyPatch
) -> None:
    models = {"openai/gpt-5": backend("gpt-5", api_key=MARKER, http_async_client=None).bind(seed=1)}
    data = pickle.dumps(AvengersChatModel(models=models))
    assert MARKER.encode() not in data
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    inner, arguments = pickle.loads(data).pool.get("openai/gpt-5")
    assert inner.openai_api_key.get_secret_value() == "another"
    assert inner.model_name == "gpt-5"
    assert arguments == {"seed": 1}


def test_a_key_of_its_own_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="api_key") as caught:
        pickle.dumps(AvengersChatModel(base_url="http://127.0.0.1:9/v1", api_key=MARKER))
    assert MARKER not in str(caught.value)


# -- forms --


def revived(text: str) -> Any:
    return loads(
        text,
        allowed_objects=[AvengersChatModel, ChatOpenAI],
        valid_namespaces=["avengers_langchain"],
        secrets_from_env=True,
    )


@pytest.mark.filterwarnings("ignore:The function `loads` is in beta")
def test_dumps_round_trips(
    router: Router,
    backend: Callable[..., ChatOpenAI],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    router.artifact.save(tmp_path / "artifact")
    router = Router.load(tmp_path / "artifact", embedder=keyword_embedder())
    default = AvengersChatModel(
        alpha=0.3, max_cost=0.5, capabilities={"openai/gpt-5": {"tools": True}}
    )
    given = AvengersChatModel(
        router=tmp_path / "artifact",
        models={EASY: backend(EASY, http_async_client=None), HARD: "openai:gpt-x"},
        exclude=[SPARE],
        stop=["x"],
    )
    for llm in (default, given):
        again = revived(dumps(llm))
        assert dumps(again) == dumps(llm)
        assert again.asdict() == llm.asdict()
    again = revived(dumps(given))
    assert again.models[EASY].openai_api_base == given.models[EASY].openai_api_base
    assert again.models[HARD] == "openai:gpt-x"


@pytest.mark.filterwarnings("ignore:The function `loads` is in beta")
def test_a_router_in_memory_is_not_serialised_and_says_so(llm: AvengersChatModel) -> None:
    data = json.loads(dumps(llm))
    assert data["kwargs"]["router"]["type"] == "not_implemented"
    with pytest.raises(NotImplementedError, match="avengers_core"):
        revived(dumps(llm))


def test_pickle_and_copies(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVENGERS_BASE_URL", "http://127.0.0.1:9/v1")
    llm = AvengersChatModel(router=None, alpha=0.3, models=["openai/gpt-5"], stop=["x"])
    again = pickle.loads(pickle.dumps(llm))
    assert again.asdict() == llm.asdict()
    assert copy.deepcopy(llm).pool is llm.pool
    assert copy.copy(llm).pool is llm.pool


def read_elsewhere(there: Connection, file: Path) -> None:
    """Without the package langchain, and with an older core."""
    forget("avengers_core", "avengers_langchain", "langchain")
    sys.modules.update({"langchain": None, "langchain_core.decisions": None})  # type: ignore[dict-item]
    there.send(pickle.loads(file.read_bytes()).alpha)
    plugin = importlib.import_module("avengers_langchain")
    for name in ("AvengersMiddleware", "AvengersDecisionModel"):
        try:
            getattr(plugin, name)
        except ImportError as error:
            there.send(str(error))


@forks
def test_a_pickle_works_in_another_process_that_has_not_all_packages(tmp_path: Path) -> None:
    llm = AvengersChatModel(alpha=0.3, models={"openai/gpt-5": "openai:gpt-5"})
    (tmp_path / "llm.pickle").write_bytes(pickle.dumps(llm))
    with child(read_elsewhere, tmp_path / "llm.pickle") as (_, here):
        assert here.recv() == 0.3
        assert "pip install 'avengers-router[langchain]'" in here.recv()
        assert "langchain-core>=1.8" in here.recv()


def test_backends_that_can_not_be_pickled_safely_are_refused(router: Router) -> None:
    class Own(FakeListChatModel):
        key: str = MARKER

        @classmethod
        def is_lc_serializable(cls) -> bool:
            return False

    llm = AvengersChatModel(models={"openai/gpt-5": Own(responses=["hi"])})
    with pytest.raises(TypeError, match="openai/gpt-5") as caught:
        pickle.dumps(llm)
    assert MARKER not in str(caught.value)


# -- the framework's cache of answers --


@pytest.fixture
def cache() -> Iterator[InMemoryCache]:
    cache = InMemoryCache()
    set_llm_cache(cache)
    yield cache
    set_llm_cache(None)


def test_an_answer_is_replayed_for_the_same_call_only(
    llm: AvengersChatModel, server: StubServer, cache: InMemoryCache
) -> None:
    first = llm.invoke("prove")
    again = llm.invoke("prove")
    assert server.asked == [HARD]
    assert again.content == first.content
    assert again.response_metadata["avengers"]["model"] == HARD
    assert llm.invoke("prove", alpha=0).response_metadata["avengers"]["model"] == EASY
    assert llm.model_copy(update={"alpha": 0.01}).invoke("prove").content != first.content
    assert llm.invoke("prove", model=SPARE).content != first.content
    with routing_hint("hello"):
        assert llm.invoke("prove").response_metadata["avengers"]["model"] == EASY
    config: Any = {"metadata": {"routing_query": "hello"}}
    assert llm.invoke("prove", config).response_metadata["avengers"]["model"] == EASY


def test_the_same_text_with_another_question_is_not_replayed(
    llm: AvengersChatModel, cache: InMemoryCache
) -> None:
    cases = [("{context} {question}", "hello", "prove", EASY)]
    cases += [("{question} {context}", "prove", "hello", HARD)]  # which both make "prove hello"
    for template, question, context, model in cases:
        chain = PromptTemplate.from_template(template) | llm
        answer = chain.invoke({"context": context, "question": question})
        assert answer.content == f"{model} says: prove hello"


def test_the_cache_key_differs_by_all_that_decides(
    router: Router, backend: Callable[..., ChatOpenAI], backends: Any
) -> None:
    other = Router(
        fit(
            [{"query": "a", "records": dict.fromkeys(MODELS, 1.0), "dataset": "d", "index": 0}],
            keyword_embedder(),
            n_clusters=1,
        ),
        embedder=keyword_embedder(),
    )
    scored = Router(router.artifact, router.embedder, "reference")
    options = Router(router.artifact, router.embedder, "reference", top_k=1)
    models = [
        AvengersChatModel(router=router, models=backends),
        AvengersChatModel(router=router, models={EASY: backends[EASY]}),
        AvengersChatModel(router=router, models={**backends, HARD: backend(HARD, temperature=1)}),
        AvengersChatModel(router=router, models={**backends, HARD: backends[HARD].bind(seed=1)}),
        AvengersChatModel(router=other, models=backends),
        AvengersChatModel(router=scored, models=backends),
        AvengersChatModel(router=options, models=backends),
        AvengersChatModel(router=router, models=backends, alpha=0.1),
        AvengersChatModel(router=router, models=backends, exclude=[EASY]),
        AvengersChatModel(router=router, models=backends, target_saving=0.2),
        AvengersChatModel(router=router, models=backends, temperature=0.3),
        AvengersChatModel(router=router, base_url="http://a/v1"),
        AvengersChatModel(router=router, base_url="http://b/v1"),
    ]
    keys = [model._get_llm_string() for model in models]
    assert len(set(keys)) == len(keys)
    same = AvengersChatModel(router=router, models=backends)
    assert same._get_llm_string() == keys[0]


def test_an_answer_is_not_replayed_for_who_knows_more_of_the_backends(
    llm: AvengersChatModel, cache: InMemoryCache
) -> None:
    assert llm.invoke("hello").response_metadata["avengers"]["model"] == EASY
    told = llm.model_copy(update={"capabilities": {EASY: {"context_window": 1}}})
    assert told.invoke("hello").response_metadata["avengers"]["model"] != EASY


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("default_headers", {"X-Tenant": MARKER}),
        ("default_query", {"code": MARKER}),
        ("base_url", f"http://user:{MARKER}@127.0.0.1:9/v1"),
        ("base_url", f"user:{MARKER}@127.0.0.1:9/v1"),
        ("openai_proxy", f"http://user:{MARKER}@127.0.0.1:9"),
        ("model_kwargs", {"extra_headers": {"X-Tenant": MARKER}}),
        ("model_kwargs", {"extra_headers": [["X-Tenant", MARKER]]}),
        ("model_kwargs", {"extra_query": MARKER}),
    ],
)
def test_what_is_sent_along_shows_nowhere(
    router: Router, backend: Callable[..., ChatOpenAI], field: str, value: Any
) -> None:
    models = {m: backend(m, http_async_client=None, **{field: value}) for m in MODELS}
    llm = AvengersChatModel(router=router, models=models)
    with pytest.raises(TypeError, match=r"default_|base|proxy|model_kwargs") as raised:
        pickle.dumps(llm)
    assert MARKER not in str(raised.value)
    traces = Traces()
    with suppress(Exception):  # nobody answers at the URL
        llm.invoke("hello", config={"callbacks": [traces]})
    assert traces.text
    for text in (dumps(llm), llm.model_dump_json(), repr(llm), traces.text):
        assert MARKER not in text


def test_backends_without_a_serialised_form_do_not_show_their_repr(router: Router) -> None:
    class Own(FakeListChatModel):
        header: str

    models = {m: Own(responses=[], header=MARKER) for m in MODELS}
    llm = AvengersChatModel(router=router, models=models)
    assert MARKER not in dumps(llm)


def test_a_check_that_fails_shows_nothing(
    router: Router, backend: Callable[..., ChatOpenAI], monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = AvengersChatModel(router=router, models={m: backend(m, api_key=MARKER) for m in MODELS})

    def broken(*_: Any) -> None:
        raise RuntimeError(MARKER)

    monkeypatch.setattr("avengers_langchain.serialization.field_that_shows", broken)
    traces = Traces()
    llm.invoke("hello", config={"callbacks": [traces]})
    assert "ChatOpenAI, left out" in traces.text
    assert MARKER not in traces.text + dumps(llm)
    with pytest.raises(TypeError, match=EASY) as raised:
        pickle.dumps(llm)
    assert MARKER not in "".join(traceback.format_exception(raised.value))


def test_what_holds_nothing_secret_is_written(
    router: Router, backend: Callable[..., ChatOpenAI]
) -> None:
    llm = AvengersChatModel(router=router, models={m: backend(m) for m in MODELS})
    assert dumps(llm).count('"ChatOpenAI"') >= len(MODELS)
