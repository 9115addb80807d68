"""What both plugins note of calls, and how they explore."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stub_server
from keyword_router import EASY, HARD, SPARE
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from llama_index.core import PromptTemplate
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.core.llms import ChatMessage
from stub_server import StubServer

from avengers_core import Router
from avengers_core.errors import AllBackendsFailedError, LogError
from avengers_core.routing.decision.candidates import Exploration
from avengers_core.serving.settings import serving
from avengers_langchain import AvengersChatModel
from avengers_llamaindex import AvengersLLM

PLUGINS: tuple[Any, ...] = (AvengersChatModel, AvengersLLM)
_KEY = "sk-proj-abcdefghijklmnop1234567890"


@pytest.fixture
def endpoint(server: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment names."""
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    monkeypatch.setenv("AVENGERS_API_KEY", _KEY)


@pytest.fixture(params=PLUGINS)
def plugin(request: pytest.FixtureRequest, endpoint: None) -> Any:
    return request.param


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.sqlite"


@pytest.fixture
def llm(plugin: Any, router: Router, path: Path) -> Iterator[Any]:
    with plugin(router=router, log=path) as made:
        yield made


def asked(llm: Any, question: str, **arguments: Any) -> dict[str, Any]:
    if isinstance(llm, AvengersChatModel):
        found: dict[str, Any] = llm.invoke(question, **arguments).response_metadata["avengers"]
    else:
        found = llm.complete(question, **arguments).additional_kwargs["avengers"]
    return found


def streamed(llm: Any, question: str) -> dict[str, Any]:
    if isinstance(llm, AvengersChatModel):
        chunks = list(llm.stream(question))
        metadata = [c.response_metadata for c in chunks if "avengers" in c.response_metadata]
        found: dict[str, Any] = metadata[-1]["avengers"]
        return found
    found = list(llm.stream_complete(question))[-1].additional_kwargs["avengers"]
    return found


def noted(llm: Any, path: Path, table: str = "calls") -> list[dict[str, Any]]:
    llm.close()
    order = "time, id" if table == "calls" else "rowid"
    with closing(sqlite3.connect(path)) as log:
        log.row_factory = sqlite3.Row
        return [dict(row) for row in log.execute(f"SELECT * FROM {table} ORDER BY {order}")]


def test_a_call_is_noted(llm: Any, router: Router, path: Path) -> None:
    found = asked(llm, "Prove it")
    (call,) = noted(llm, path)
    assert call["id"] == found["id"]
    assert call["question"] == "Prove it"
    assert call["answered_by"] == call["chosen"] == HARD
    assert call["propensity"] == 1
    assert call["explored"] == 0
    assert call["artifact"] == router.artifact.checksum
    assert call["prompt_tokens"] > 0
    assert call["completion_tokens"] > 0
    vector = np.frombuffer(call["vector"], "<f4")
    assert vector == pytest.approx(router.embedder.embed(["Prove it"])[0])
    decision = json.loads(call["decision"])
    assert [c["model"] for c in decision["candidates"]] == found["ranking"]
    assert json.loads(call["failures"]) == []


def test_without_texts(plugin: Any, router: Router, path: Path) -> None:
    llm = plugin(router=router, log=path, log_text=False)
    asked(llm, "Prove it")
    (call,) = noted(llm, path)
    assert call["question"] is None
    assert call["vector"]
    assert call["features"]
    assert b"Prove" not in path.read_bytes()


@pytest.mark.parametrize(
    ("idle", "beside"),
    [({"log_text": False}, {"log": print}), ({"explore": 0.1, "votes": 3}, {"votes": None})],
)
def test_a_setting_of_no_effect_is_told_once(
    plugin: Any,
    router: Router,
    caplog: pytest.LogCaptureFixture,
    idle: dict[str, Any],
    beside: dict[str, Any],
) -> None:
    serving._note_idle.cache_clear()
    plugin(router=router, **{**idle, **beside})
    assert not caplog.messages
    plugin(router=router, **idle).model_copy(update={"alpha": 0.2})
    (said,) = caplog.messages
    assert said.startswith(next(iter(idle)))


def test_a_stream_is_noted_at_its_end(llm: Any, path: Path) -> None:
    found = streamed(llm, "Prove it")
    (call,) = noted(llm, path)
    assert call["id"] == found["id"]
    assert call["answered_by"] == HARD


async def test_asynchronous_calls_and_streams(llm: Any, path: Path) -> None:
    if isinstance(llm, AvengersChatModel):
        await llm.ainvoke("Prove it")
        _ = [chunk async for chunk in llm.astream("hello")]
    else:
        await llm.acomplete("Prove it")
        _ = [chunk async for chunk in await llm.astream_complete("hello")]
    assert [call["answered_by"] for call in noted(llm, path)] == [HARD, EASY]


def test_failures_are_noted_without_keys(llm: Any, server: StubServer, path: Path) -> None:
    server.fail(HARD, status=401)
    found = asked(llm, "Prove it")
    for model in (HARD, SPARE, EASY):
        server.fail(model, status=500)
    with pytest.raises(AllBackendsFailedError):
        asked(llm, "Prove it")
    first, second = noted(llm, path)
    assert first["answered_by"] == found["model"] != HARD
    assert first["chosen"] == HARD
    assert [failure["model"] for failure in json.loads(first["failures"])] == [HARD]
    assert second["answered_by"] is None
    assert len(json.loads(second["failures"])) == 3
    assert _KEY.encode() not in path.read_bytes()


def test_keys_in_questions_are_masked(llm: Any, path: Path) -> None:
    asked(llm, f"Prove it, my key is {_KEY}")
    (call,) = noted(llm, path)
    assert "Prove it" in call["question"]
    assert _KEY.encode() not in path.read_bytes()


def test_cost_is_tokens_times_price(plugin: Any, router: Router, path: Path) -> None:
    price = {HARD: (1e-3, 2e-3), EASY: (1e-5, 1e-5), SPARE: (1e-4, 1e-4)}
    llm = plugin(router=Router(router.artifact.reprice(price), router.embedder), log=path)
    found = asked(llm, "Prove it")
    (call,) = noted(llm, path)
    paid, answered = price[found["model"]]
    expected = paid * call["prompt_tokens"] + answered * call["completion_tokens"]
    assert call["cost"] == pytest.approx(expected)


@pytest.mark.parametrize("own_key", [False, True])
def test_what_the_endpoint_charged_goes_before_prices(
    llm: Any, path: Path, monkeypatch: pytest.MonkeyPatch, own_key: bool
) -> None:
    usage: dict[str, Any] = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    # With a key of the caller's own the endpoint charges a fee, and the provider the rest.
    fee, upstream = (0.01, 0.24) if own_key else (0.25, 0.25)
    usage |= {"cost": fee, "cost_details": {"upstream_inference_cost": upstream}}
    usage["is_byok"] = own_key
    monkeypatch.setattr(stub_server, "_usage", lambda *_: usage)
    asked(llm, "Prove it")
    (call,) = noted(llm, path)
    assert (call["prompt_tokens"], call["cost"]) == (5, 0.25)


def test_a_vote_is_one_call(llm: Any, path: Path) -> None:
    found = asked(llm, "Prove it", votes=3)
    one = asked(llm, "Prove it")
    calls = {call["id"]: call for call in noted(llm, path)}
    assert set(calls) == {found["id"], one["id"]}
    assert calls[found["id"]]["prompt_tokens"] == 3 * calls[one["id"]]["prompt_tokens"]


def test_feedback_joins_the_calls(llm: Any, path: Path) -> None:
    ids = [asked(llm, question)["id"] for question in ("Prove it", "hello")]
    llm.feedback(ids[0], 0)
    llm.feedback(ids[0], 1, "thumb")
    assert [(row["id"], row["score"]) for row in noted(llm, path, "feedback")] == [
        (ids[0], 0.0),
        (ids[0], 1.0),
    ]
    with pytest.raises(ValueError, match="score"):
        llm.feedback(ids[0], 2)


def test_feedback_without_a_log(plugin: Any, router: Router) -> None:
    with pytest.raises(LogError):
        plugin(router=router).feedback("a", 1)


def test_a_function_takes_rows(plugin: Any, router: Router) -> None:
    taken: list[dict[str, Any]] = []
    with plugin(router=router, log=taken.append) as llm:
        found = asked(llm, "Prove it")
        llm.feedback(found["id"], 0.5)
    assert [row["id"] for row in taken] == [found["id"]] * 2
    assert taken[0]["answered_by"] == HARD
    assert taken[1]["score"] == 0.5


def test_copies_share_the_log(llm: Any, path: Path) -> None:
    asked(llm, "Prove it")
    asked(llm.model_copy(update={"alpha": 0}), "Prove it")
    assert [call["answered_by"] for call in noted(llm, path)] == [HARD, EASY]


def test_a_log_that_cannot_be_written_breaks_no_call(llm: Any, path: Path) -> None:
    asked(llm, "hello")
    llm.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert asked(llm, "Prove it")["model"] == HARD
        other.execute("ROLLBACK")
    assert len(noted(llm, path)) == 2


# -- exploring --


def test_exploring_asks_others_as_often_as_it_says(plugin: Any, router: Router) -> None:
    llm = plugin(router=router, explore=0.5, explore_seed=3)
    found = [asked(llm, "Prove it") for _ in range(30)]
    again = plugin(router=router, explore=0.5, explore_seed=3)
    assert [f["model"] for f in found[:10]] == [
        asked(again, "Prove it")["model"] for _ in range(10)
    ]
    counts = Counter(f["model"] for f in found)
    assert counts[HARD] == pytest.approx(15, abs=8)
    assert counts[EASY] > 0
    assert counts[SPARE] > 0
    for f in found:
        assert f["explored"] is (f["model"] != HARD)
        assert f["propensity"] == (0.5 if f["model"] == HARD else 0.25)


def test_nothing_is_said_of_chances_where_there_are_none(plugin: Any, router: Router) -> None:
    llm = plugin(router=router, explore=0.5)
    for arguments in ({"explore": 0}, {"model": HARD}, {"models": [HARD]}, {"votes": 2}):
        assert "propensity" not in asked(llm, "Prove it", **arguments)


def test_the_limits_hold_of_those_who_are_drawn(plugin: Any, router: Router) -> None:
    llm = plugin(router=router, explore=1.0, exclude=[SPARE])
    assert {asked(llm, "Prove it")["model"] for _ in range(5)} == {EASY}


def test_the_chance_of_who_answers_in_place_of_another(
    plugin: Any, router: Router, server: StubServer
) -> None:
    llm = plugin(router=router, explore=0.5, explore_seed=1, failure_threshold=1, cooldown=100)
    server.fail(HARD, status=500)
    found = [asked(llm, "Prove it") for _ in range(30)]
    after = found[10:]  # by now the best one is known to be down
    models = {f["model"] for f in after}
    assert models == {EASY, SPARE}
    chances = {f["model"]: f["propensity"] for f in after}
    assert chances == pytest.approx({SPARE: 0.75, EASY: 0.25})


def test_never_in_a_tool_loop(router: Router, server: StubServer, plugin: Any) -> None:
    llm = plugin(router=router, explore=1.0)
    if plugin is AvengersChatModel:
        began = AIMessage(
            "",
            tool_calls=[{"name": "f", "args": {}, "id": "1"}],
            response_metadata={"avengers": {"model": HARD}},
        )
        messages = [HumanMessage("Prove it"), began, ToolMessage("3", tool_call_id="1")]
        for _ in range(5):
            assert llm.invoke(messages).response_metadata["avengers"]["model"] == HARD
    else:
        called = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        began_there = ChatMessage(
            role="assistant",
            content="",
            additional_kwargs={"tool_calls": [called], "avengers": {"model": HARD}},
        )
        result = ChatMessage(role="tool", content="3", additional_kwargs={"tool_call_id": "1"})
        chat = [ChatMessage("Prove it"), began_there, result]
        for _ in range(5):
            assert llm.chat(chat).additional_kwargs["avengers"]["model"] == HARD


def test_chances_add_up(router: Router) -> None:
    ranking = router.models
    draw = random.Random(0)
    for _ in range(50):
        share = draw.random()
        exploration = Exploration(share, ranking)
        down = {m for m in ranking if draw.random() < 0.4}
        up = [m for m in ranking if m not in down]
        if up:
            assert sum(exploration.chance(m, down) for m in up) == pytest.approx(1)


def turns(llm: Any, *said: str, **told: Any) -> list[Any]:
    """A conversation, each turn asked with the answers before it as the plugin gave them."""
    history: list[Any] = []
    for text in said:
        if isinstance(llm, AvengersChatModel):
            history += [HumanMessage(text)]
            history += [llm.invoke(history, **told)]
        else:
            history += [ChatMessage(text)]
            history += [llm.chat(history, **told).message]
    return history


def test_turns_of_a_conversation_can_be_joined(llm: Any, path: Path) -> None:
    turns(llm, "hello", "and now?", "go on")
    turns(llm, "Prove it", "and now?")
    conversations = [call["conversation"] for call in noted(llm, path)]
    assert len(conversations) == 5
    assert len(set(conversations[:3])) == len(set(conversations[3:])) == 1
    assert conversations[0] != conversations[-1]


def test_a_history_that_was_cut_short_still_tells_its_conversation(llm: Any, path: Path) -> None:
    history = turns(llm, "hello", "and now?")
    cut = [*history[2:], HumanMessage("go on")]
    if isinstance(llm, AvengersChatModel):
        llm.invoke(cut)
    else:
        llm.chat([*history[2:], ChatMessage("go on")])
    assert len({call["conversation"] for call in noted(llm, path)}) == 1


def test_a_history_of_plain_texts_tells_its_conversation(llm: Any, path: Path) -> None:
    turns(llm, "hello")
    if isinstance(llm, AvengersChatModel):
        llm.invoke([HumanMessage("hello"), AIMessage("Yes?"), HumanMessage("go on")])
    else:
        said = [("user", "hello"), ("assistant", "Yes?"), ("user", "go on")]
        llm.chat([ChatMessage(text, role=role) for role, text in said])
    assert len({call["conversation"] for call in noted(llm, path)}) == 1


def test_conversations_hold_no_text(plugin: Any, router: Router, path: Path) -> None:
    llm = plugin(router=router, log=path, log_text=False)
    turns(llm, "Opening words", "and now?")
    calls = noted(llm, path)
    assert all(call["conversation"] for call in calls)
    assert b"Opening words" not in path.read_bytes()


@pytest.mark.usefixtures("endpoint")
def test_a_conversation_that_has_a_name_keeps_it(router: Router, path: Path) -> None:
    llm = AvengersChatModel(router=router, log=path)
    llm.invoke("hello", config={"metadata": {"session_id": 7}})
    chain = llm | (lambda answer: answer)
    chain.invoke("hello", config={"configurable": {"thread_id": "t1"}})
    chain.invoke("hello", config={"configurable": {"thread_id": _KEY}})
    *named, secret = [call["conversation"] for call in noted(llm, path)]
    assert named == ["7", "t1"]
    assert secret
    assert _KEY.encode() not in path.read_bytes()


@pytest.mark.usefixtures("endpoint")
def test_tags_name_a_conversation(router: Router, path: Path) -> None:
    llm = AvengersLLM(router=router, log=path)

    async def agent() -> None:
        await FunctionAgent(llm=llm, system_prompt="Help.").run("hello")

    with instrument_tags({"session_id": "s1", "user": "u"}):
        llm.complete("hello")
        list(llm.stream_chat([ChatMessage("hello")]))
        llm.predict(PromptTemplate("{question}"), question="hello")
        asyncio.run(agent())
    with instrument_tags({"conversation_id": 7}):
        turns(llm, "hello", "and now?")
    llm.complete("hello")
    *named, other = [call["conversation"] for call in noted(llm, path)]
    assert named == ["s1"] * 4 + ["7"] * 2
    assert other not in {"s1", "7"}


@pytest.mark.usefixtures("endpoint")
def test_a_graph_names_its_thread(router: Router, path: Path) -> None:
    graphs = pytest.importorskip("langgraph.graph")
    llm = AvengersChatModel(router=router, log=path)
    graph = graphs.StateGraph(graphs.MessagesState)
    graph.add_node("answer", lambda state: {"messages": [llm.invoke(state["messages"])]})
    graph.add_edge(graphs.START, "answer")
    app = graph.compile()
    app.invoke({"messages": "hello"}, config={"configurable": {"thread_id": "t1"}})
    (call,) = noted(llm, path)
    assert call["conversation"] == "t1"
