"""One call: who answers, through which method, with what in it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from uuid import UUID

import pytest
from keyword_router import EASY, HARD, SPARE
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import (
    FakeListChatModel,
    FakeMessagesListChatModel,
)
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import ConfigurableField
from langchain_core.tracers.base import BaseTracer
from langchain_core.tracers.context import collect_runs
from pydantic import BaseModel, ValidationError
from stub_server import StubServer

from avengers_core import Router
from avengers_core.errors import AllBackendsFailedError, AvengersError, NoEligibleModelError
from avengers_core.routing.alpha import targets
from avengers_langchain import AvengersChatModel, Capabilities

EASY_QUESTION, HARD_QUESTION = "What is the capital of France?", "Prove this theorem"


def answered_by(message: Any) -> str:
    return str(message.response_metadata["avengers"]["model"])


async def gathered(chunks: Any) -> AIMessageChunk:
    total = None
    async for chunk in chunks:
        total = chunk if total is None else total + chunk
    assert isinstance(total, AIMessageChunk)
    return total


def summed(chunks: Any) -> AIMessageChunk:
    total = None
    for chunk in chunks:
        total = chunk if total is None else total + chunk
    assert isinstance(total, AIMessageChunk)
    return total


# -- every way of calling --


@pytest.mark.parametrize(("question", "model"), [(EASY_QUESTION, EASY), (HARD_QUESTION, HARD)])
async def test_each_method_reaches_the_same_method_of_the_chosen_backend(
    llm: AvengersChatModel, server: StubServer, question: str, model: str
) -> None:
    answers = [
        llm.invoke(question),
        await llm.ainvoke(question),
        *llm.batch([question, question]),
        *await llm.abatch([question, question]),
        summed(llm.stream(question)),
        await gathered(llm.astream(question)),
    ]
    assert [answered_by(answer) for answer in answers] == [model] * 8
    assert {answer.content for answer in answers} == {f"{model} says: {question}"}
    assert server.answered_by == [model] * 8
    assert [bool(r.body.get("stream")) for r in server.requests] == [False] * 6 + [True] * 2


async def test_events(llm: AvengersChatModel) -> None:
    events = [e async for e in llm.astream_events(HARD_QUESTION, version="v2")]
    assert events[0]["event"] == "on_chat_model_start"
    assert UUID(events[0]["run_id"]).version == 7  # as the framework's own: they sort by time
    assert "".join(
        str(e["data"]["chunk"].text) for e in events if e["event"] == "on_chat_model_stream"
    ) == (f"{HARD} says: {HARD_QUESTION}")
    assert events[-1]["event"] == "on_chat_model_end"
    assert answered_by(events[-1]["data"]["output"]) == HARD


def test_a_batch_is_routed_one_by_one(llm: AvengersChatModel) -> None:
    answers = llm.batch([EASY_QUESTION, HARD_QUESTION, "hello"])
    assert [answered_by(answer) for answer in answers] == [EASY, HARD, EASY]


def test_generate_with_several_prompts(llm: AvengersChatModel) -> None:
    result = llm.generate([[HumanMessage(EASY_QUESTION)], [HumanMessage(HARD_QUESTION)]])
    assert [answered_by(g[0].message) for g in result.generations] == [EASY, HARD]  # type: ignore[union-attr]


def test_backends_that_can_not_stream_still_do(router: Router) -> None:
    answer = AIMessage(
        "whole",
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        tool_calls=[{"name": "f", "args": {"x": 1}, "id": "1", "type": "tool_call"}],
    )
    backend = FakeMessagesListChatModel(responses=[answer])
    llm = AvengersChatModel(router=router, models={EASY: backend})
    total = summed(llm.stream("hello"))
    assert (total.content, total.tool_calls, total.usage_metadata) == (
        answer.content,
        answer.tool_calls,
        answer.usage_metadata,
    )
    assert answered_by(total) == EASY
    assert answered_by(asyncio.run(gathered(llm.astream("hello")))) == EASY
    assert "avengers" not in answer.response_metadata  # what the backend holds is its own


# -- usage and traces: one run a call --


class Runs(BaseCallbackHandler):
    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []
        self.ended: list[Any] = []
        self.tags: list[Any] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.started.append(kwargs)

    def on_llm_end(self, response: Any, *, tags: Any = None, **kwargs: Any) -> None:
        self.ended.append(response)
        self.tags.append(tags)


async def test_usage_is_what_the_backend_alone_counts(
    llm: AvengersChatModel, backends: dict[str, BaseChatModel]
) -> None:
    async def usage(model: BaseChatModel) -> list[Any]:
        counted = []
        for call in ("invoke", "ainvoke", "stream", "astream"):
            handler = UsageMetadataCallbackHandler()
            config: Any = {"callbacks": [handler]}
            if call == "invoke":
                model.invoke(HARD_QUESTION, config)
            elif call == "ainvoke":
                await model.ainvoke(HARD_QUESTION, config)
            elif call == "stream":
                summed(model.stream(HARD_QUESTION, config))
            else:
                await gathered(model.astream(HARD_QUESTION, config))
            counted.append(handler.usage_metadata)
        return counted

    routed = await usage(llm)
    assert routed == await usage(backends[HARD])
    assert routed[0][HARD]["total_tokens"] > 0


async def test_one_run_a_call_which_carries_model_and_decision(llm: AvengersChatModel) -> None:
    for call in ("invoke", "ainvoke", "stream", "astream"):
        runs = Runs()
        config: Any = {"callbacks": [runs]}
        if call == "invoke":
            llm.invoke(HARD_QUESTION, config, alpha=0.7)
        elif call == "ainvoke":
            await llm.ainvoke(HARD_QUESTION, config, alpha=0.7)
        elif call == "stream":
            summed(llm.stream(HARD_QUESTION, config, alpha=0.7))
        else:
            await gathered(llm.astream(HARD_QUESTION, config, alpha=0.7))
        assert (len(runs.started), len(runs.ended)) == (1, 1)
        assert runs.started[0]["metadata"]["avengers_alpha"] == 0.7
        assert runs.started[0]["metadata"]["ls_provider"] == "avengers"
        assert answered_by(runs.ended[0].generations[0][0].message) == HARD
        if "stream" not in call:
            assert runs.tags == [[f"avengers:{HARD}"]]
            assert runs.ended[0].llm_output is None or HARD in str(runs.ended[0].llm_output)


def test_the_decision_in_full(llm: AvengersChatModel) -> None:
    facts = llm.invoke(HARD_QUESTION).response_metadata["avengers"]
    assert facts["model"] == HARD
    assert facts["alpha"] == 0.5
    assert facts["expected_score"] > 0.9
    assert facts["expected_cost"] == pytest.approx(0.02, rel=0.01)
    assert facts["clusters"][0]["topics"] == ["hard"]
    assert facts["tried"] == []
    assert facts["question_from"] == "message"


def test_the_last_chunk_has_it_and_the_first_names_who(llm: AvengersChatModel) -> None:
    first, *_, last = list(llm.stream(HARD_QUESTION))
    assert first.response_metadata["avengers_model"] == HARD
    assert answered_by(last) == HARD
    assert last.chunk_position == "last"


def test_an_answer_that_the_backend_keeps_is_left_as_it_was(router: Router) -> None:
    kept = ChatResult(generations=[ChatGeneration(message=AIMessage("Yes."))])

    class Keeping(FakeListChatModel):
        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            return kept

    backend = Keeping(responses=["no"])
    llm = AvengersChatModel(router=router, models={EASY: backend, HARD: backend})
    names = [llm.invoke("hello", model=m).response_metadata["model_name"] for m in (EASY, HARD)]
    assert names == [EASY, HARD]
    assert kept == ChatResult(generations=[ChatGeneration(message=AIMessage("Yes."))])


def test_model_name_is_there_once_even_if_the_backend_gives_none(router: Router) -> None:
    llm = AvengersChatModel(router=router, models={EASY: FakeListChatModel(responses=["hi"])})
    assert llm.invoke("hello").response_metadata["model_name"] == EASY
    assert summed(llm.stream("hello")).response_metadata["model_name"] == EASY


def test_one_debug_line_a_call(llm: AvengersChatModel, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "avengers_core.serving"):
        llm.invoke(HARD_QUESTION)
    (record,) = [r for r in caplog.records if r.name.startswith("avengers")]
    assert HARD in record.getMessage()
    assert HARD_QUESTION not in record.getMessage()


# -- settings --


def test_alpha_of_the_call_of_bind_and_of_the_config(llm: AvengersChatModel) -> None:
    configurable: Any = llm.configurable_fields(alpha=ConfigurableField(id="alpha"))
    assert answered_by(llm.invoke(HARD_QUESTION, alpha=0)) == EASY
    assert answered_by(llm.bind(alpha=0).invoke(HARD_QUESTION)) == EASY
    assert answered_by(summed(llm.stream(HARD_QUESTION, alpha=0))) == EASY
    assert answered_by(configurable.invoke(HARD_QUESTION)) == HARD
    config: Any = {"configurable": {"alpha": 0}}
    assert answered_by(configurable.invoke(HARD_QUESTION, config)) == EASY
    weights = {"performance_weight": 0, "cost_sensitivity": 1}
    assert answered_by(llm.invoke(HARD_QUESTION, **weights)) == EASY
    assert answered_by(llm.invoke(HARD_QUESTION)) == HARD


def test_copies_with_another_alpha_share_router_backends_and_health(
    llm: AvengersChatModel,
) -> None:
    configurable: Any = llm.configurable_fields(alpha=ConfigurableField(id="alpha"))
    other, _ = configurable._prepare({"configurable": {"alpha": 0.1}})
    assert other.alpha == 0.1
    assert other.pool is llm.pool
    assert llm.model_copy(update={"alpha": 0.9}).pool is llm.pool


def test_a_named_backend_answers_whatever_the_router_says(
    llm: AvengersChatModel, server: StubServer
) -> None:
    answer = llm.invoke(EASY_QUESTION, model=SPARE)
    assert answered_by(answer) == SPARE
    assert answer.response_metadata["model_name"] == SPARE
    assert answered_by(summed(llm.bind(model=HARD).stream(EASY_QUESTION))) == HARD
    assert "model" in server.requests[0].body
    with pytest.raises(ValueError, match="nobody/knows"):
        llm.invoke(EASY_QUESTION, model="nobody/knows")


def test_constraints(llm: AvengersChatModel, backends: dict[str, BaseChatModel]) -> None:
    router = llm.router
    assert answered_by(llm.invoke(HARD_QUESTION, exclude=[HARD])) == SPARE
    assert answered_by(llm.invoke(HARD_QUESTION, models=[EASY, SPARE])) == SPARE
    assert answered_by(llm.invoke(HARD_QUESTION, max_cost=0.015)) == SPARE
    limited = AvengersChatModel(router=router, models=backends, max_cost=0.015)
    assert answered_by(limited.invoke(HARD_QUESTION)) == SPARE
    assert answered_by(limited.invoke(HARD_QUESTION, max_cost=None)) == HARD
    with pytest.raises(NoEligibleModelError, match="max_cost"):
        llm.invoke(HARD_QUESTION, max_cost=0.0001)
    relaxed = llm.invoke(HARD_QUESTION, max_cost=0.0001, on_empty="relax")
    assert answered_by(relaxed) == EASY
    pool = AvengersChatModel(router=router, models={EASY: backends[EASY]})
    facts = pool.invoke(HARD_QUESTION).response_metadata["avengers"]
    assert facts["ineligible"][HARD] == "no backend given for it"


def test_targets_set_alpha_once(
    router: Router, backends: dict[str, BaseChatModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    traced = []
    router = Router(router.artifact, embedder=router.embedder)  # that others have not asked
    curve = targets.expected_curve
    monkeypatch.setattr(targets, "expected_curve", lambda *a: traced.append(a) or curve(*a))
    llm = AvengersChatModel(router=router, models=backends, target_cost=0.0011)
    assert traced == []
    assert answered_by(llm.invoke(HARD_QUESTION)) == EASY
    llm.invoke(EASY_QUESTION)
    assert len(traced) == 1
    best = AvengersChatModel(router=router, models=backends, target_score=0.98)
    assert answered_by(best.invoke(HARD_QUESTION)) == HARD
    impossible = AvengersChatModel(router=router, models=backends, target_cost=1e-9)
    with pytest.raises(AvengersError):
        impossible.invoke("hello")


def test_a_target_of_a_call(router: Router, backends: dict[str, BaseChatModel]) -> None:
    llm = AvengersChatModel(router=router, models=backends, alpha=1)
    message = llm.invoke(HARD_QUESTION, target_cost=0.0011)
    assert answered_by(message) == EASY
    assert message.response_metadata["avengers"]["alpha"] == router.alpha_for(cost=0.0011)
    assert answered_by(llm.bind(target_score=0.98).invoke(HARD_QUESTION)) == HARD
    with pytest.raises(ValueError, match="alpha"):
        llm.invoke(HARD_QUESTION, target_cost=0.0011, alpha=0.5)


def test_copies_are_checked_and_have_what_they_are_told(
    llm: AvengersChatModel, backends: dict[str, BaseChatModel]
) -> None:
    only = llm.model_copy(update={"models": {EASY: backends[EASY]}})
    assert answered_by(only.invoke(HARD_QUESTION)) == EASY
    assert answered_by(llm.invoke(HARD_QUESTION)) == HARD
    with pytest.raises(ValidationError, match="nowhere"):
        llm.model_copy(update={"router": "nowhere"})
    with pytest.raises(ValidationError, match=r"alpha.*\b2\b"):
        llm.model_copy(update={"alpha": 2})
    assert llm.model_copy().pool is llm.pool


@pytest.mark.parametrize(
    "arguments",
    [
        {"alpha": 1.5},
        {"alpha": 0.5, "target_cost": 0.1},
        {"alpha": 0.5, "performance_weight": 1.0},
        {"min_score": 2},
        {"max_cost": -1},
        {"exclude": ["nobody"]},
        {"models": {"nobody": FakeListChatModel(responses=[])}},
        {"models": []},
        {"capabilities": {"nobody": {}}},
        {"alfa": 0.5},
    ],
)
def test_arguments_are_checked_at_once(router: Router, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AvengersChatModel(router=router, **arguments)


def test_temperature_length_and_stop_reach_the_backends(
    router: Router, backends: dict[str, BaseChatModel], server: StubServer
) -> None:
    llm = AvengersChatModel(
        router=router, models=backends, temperature=0.25, max_tokens=77, stop=["says"]
    )
    assert llm.invoke("hello").content == f"{EASY} "
    body = server.requests[-1].body
    assert (body["temperature"], body["stop"]) == (0.25, ["says"])
    assert 77 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    llm.invoke("hello", stop=["x"], temperature=0.75)
    body = server.requests[-1].body
    assert (body["temperature"], body["stop"]) == (0.75, ["x"])


def test_arguments_bound_to_a_backend_reach_it(
    router: Router, backends: dict[str, BaseChatModel], server: StubServer
) -> None:
    bound = backends[EASY].bind(stop=["says"]).with_config(tags=["t"]).bind(seed=7)
    llm = AvengersChatModel(router=router, models={EASY: bound}, temperature=0.5)
    assert llm.invoke("hello").content == f"{EASY} "
    body = server.requests[-1].body
    assert (body["seed"], body["temperature"]) == (7, 0.5)
    assert summed(llm.stream("hello")).content == f"{EASY} "


def test_profile_says_what_holds_of_the_pool(router: Router) -> None:
    def model(**profile: Any) -> FakeListChatModel:
        return FakeListChatModel(responses=["hi"], profile=profile)  # type: ignore[arg-type]

    llm = AvengersChatModel(
        router=router,
        models={EASY: model(max_input_tokens=1000, image_inputs=False), HARD: model()},
        capabilities={HARD: Capabilities(context_window=500, images=True)},
    )
    assert llm.profile == {
        "max_input_tokens": 500,
        "tool_calling": False,
        "structured_output": False,
        "image_inputs": True,
    }


def test_the_profile_of_a_copy_is_that_of_its_pool(router: Router) -> None:
    backend = FakeListChatModel(responses=["hi"], profile={"max_input_tokens": 1000})
    llm = AvengersChatModel(router=router, models={EASY: backend})
    told = {EASY: {"context_window": 99}}
    field = ConfigurableField(id="told")
    other, _ = llm.configurable_fields(capabilities=field)._prepare(  # type: ignore[attr-defined]
        {"configurable": {"told": told}}
    )
    for copy in (other, llm.model_copy(update={"capabilities": told})):
        assert copy.profile["max_input_tokens"] == 99
    own: Any = {"max_input_tokens": 7}
    said = AvengersChatModel(router=router, models={EASY: backend}, profile=own)
    assert said.model_copy(update={"capabilities": told}).profile == own


def test_tokens_are_counted_without_a_download(llm: AvengersChatModel) -> None:
    assert llm.get_num_tokens("four score and seven") == 5
    assert llm.get_num_tokens_from_messages([HumanMessage("hello")]) > 0


# -- what the backends ask for themselves --


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_backends_own_streaming_setting_holds(
    router: Router, backend: Any, server: StubServer, streaming: bool
) -> None:
    alone = backend(EASY, streaming=streaming)
    llm = AvengersChatModel(router=router, models={EASY: alone})
    for answer in (llm.invoke("hello"), await llm.ainvoke("hello")):
        assert answer.content == alone.invoke("hello").content
        assert server.requests[-1].body.get("stream", False) is streaming
    expected = len(list(alone.stream("hello")))
    assert len(list(llm.stream("hello"))) == expected
    assert len([chunk async for chunk in llm.astream("hello")]) == expected


@pytest.mark.parametrize("streaming", [None, True])
def test_copies_still_stream(llm: AvengersChatModel, streaming: bool | None) -> None:
    llm.streaming = streaming
    expected = len(list(llm.stream("hello")))
    assert expected > 2
    configurable: Any = llm.configurable_fields(alpha=ConfigurableField(id="alpha"))
    config: Any = {"configurable": {"alpha": 0.9}}
    assert len(list(configurable.stream("hello", config))) == expected
    assert len(list(llm.model_copy(update={"alpha": 0.9}).stream("hello"))) == expected


def test_the_format_of_messages_that_all_backends_ask_for(router: Router, backend: Any) -> None:
    alone = backend(EASY, output_version="v1")
    llm = AvengersChatModel(router=router, models={EASY: alone})
    assert llm.invoke("hello").content == alone.invoke("hello").content
    assert isinstance(summed(llm.stream("hello")).content, list)
    mixed = AvengersChatModel(router=router, models={EASY: alone, HARD: backend(HARD)})
    assert isinstance(mixed.invoke("hello").content, str)


def test_a_backend_that_takes_no_run_manager(router: Router) -> None:
    class Plain(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "plain"

        def _generate(self, messages: Any, stop: Any = None) -> ChatResult:  # type: ignore[override]
            return ChatResult(generations=[ChatGeneration(message=AIMessage("yes"))])

    llm = AvengersChatModel(router=router, models={EASY: Plain()})
    assert llm.invoke("hello").content == "yes"


def test_what_is_set_later_holds(
    router: Router, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    llm = AvengersChatModel(router=router)
    llm.temperature = 0.3
    llm.invoke("hello")
    assert server.requests[-1].body["temperature"] == 0.3
    copy = llm.model_copy(update={"temperature": 0.7})
    copy.invoke("hello")
    assert server.requests[-1].body["temperature"] == 0.7
    assert copy.pool is llm.pool
    server.fail(EASY, status=500)
    configurable: Any = llm.configurable_fields(temperature=ConfigurableField(id="t"))
    before = server.asked.count(EASY)
    for _ in range(6):
        configurable.invoke("hello", {"configurable": {"t": 0.5}})
    assert server.asked.count(EASY) - before == 3  # then it rests


class Verdict(BaseModel):
    """What is thought of it."""

    text: str


@pytest.mark.parametrize("bind", ["tools", "schema"])
def test_what_a_call_takes_is_taken_with_tools_and_schemas_too(
    llm: AvengersChatModel, server: StubServer, bind: str
) -> None:
    def bound(**arguments: Any) -> Any:
        if bind == "tools":
            tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
            return llm.bind_tools([tool], **arguments)
        return llm.with_structured_output(Verdict, **arguments)

    for arguments, model in (({"alpha": 0}, EASY), ({"model": SPARE}, SPARE)):
        bound(**arguments).invoke(HARD_QUESTION)
        assert server.answered_by[-1] == model


def test_attempts_of_a_call(llm: AvengersChatModel, server: StubServer) -> None:
    server.fail(HARD, status=500)
    with pytest.raises(AllBackendsFailedError):
        llm.invoke(HARD_QUESTION, max_attempts=1)
    assert answered_by(llm.invoke(HARD_QUESTION, max_attempts=2)) == SPARE


async def test_traces_name_who_answered(llm: AvengersChatModel) -> None:
    class Tracer(BaseTracer):
        def _persist_run(self, run: Any) -> None:
            runs.append(run)

    runs: list[Any] = []
    config: Any = {"callbacks": [Tracer()], "tags": ["mine"], "metadata": {"own": 1}}
    names = {"ls_provider": "openai", "ls_model_name": HARD}
    messages = [
        llm.invoke(HARD_QUESTION, config),
        await llm.ainvoke(HARD_QUESTION, config),
        summed(llm.stream(HARD_QUESTION, config)),
        summed([chunk async for chunk in llm.astream(HARD_QUESTION, config)]),
        llm.invoke(HARD_QUESTION, config, votes=2),
    ]
    for message in messages:
        assert names.items() <= message.response_metadata.items()
    assert len(runs) == len(messages)
    for run in runs:
        assert run.tags == ["mine", f"avengers:{HARD}"]
        assert {**names, "own": 1}.items() <= run.extra["metadata"].items()
    events = [event async for event in llm.astream_events(HARD_QUESTION, version="v2")]
    assert names.items() <= events[-1]["metadata"].items()
    # Those that the framework adds to a run by itself know it, too.
    own = llm.model_copy(update={"callbacks": [Tracer()]})
    with collect_runs() as collected:
        summed(own.stream(HARD_QUESTION))
        summed([chunk async for chunk in own.astream(HARD_QUESTION)])
    for run in (*collected.traced_runs, *runs[len(messages) :]):
        assert f"avengers:{HARD}" in (run.tags or [])
    assert (len(collected.traced_runs), len(runs)) == (2, len(messages) + 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "gpt-5"}, "model="),
        ({"max_attempts": 0}, "max_attempts"),
        ({"capabilities": {EASY: {"tools": "no"}}}, "tools.*True.*False.*None.*'no'"),
        ({"capabilities": {EASY: {"tool": True}}}, r"\['tools', .*\['tool'\]"),
        ({"capabilities": ["x"]}, "capabilities="),
    ],
)
def test_errors_say_what_to_do(router: Router, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AvengersChatModel(router=router, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": "high"}, "alpha.*'high'"),
        ({"max_cost": "cheap"}, "max_cost.*'cheap'"),
        ({"min_score": "good"}, "min_score.*good"),
        ({"votes": 2.5}, r"votes.*\b2\.5\b"),
        ({"model": [EASY]}, "model=.*'test/easy'"),
    ],
)
def test_errors_of_a_call_say_what_to_do(
    llm: AvengersChatModel, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        llm.invoke("hello", **arguments)
