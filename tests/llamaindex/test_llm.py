"""Construction, metadata, copies and serialised forms of AvengersLLM."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from keyword_router import keyword_embedder, keyword_records
from llama_index.core.base.llms.types import ChatMessage, LLMMetadata, MessageRole
from llama_index.core.llms import MockLLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel, ValidationError
from stub_server import StubServer

from avengers_core import Router, fit
from avengers_core.embedders import CallableEmbedder
from avengers_core.errors import AvengersError, NoEligibleModelError
from avengers_llamaindex import AvengersLLM, Capabilities
from avengers_llamaindex.delegating import DelegatingLLM

EASY, HARD, SPARE = "test/easy", "test/hard", "test/spare"
KEY = "sk-the-key-of-a-test"

# Public methods that do not call a model, and two that call tools in between: those reach the
# backends through chat_with_tools, so that no tool is called twice when a backend fails.
OWN = {"metadata", "class_name", "to_payload", "convert_chat_messages", "as_structured_llm"}
COMPOSED = {"predict_and_call", "apredict_and_call"}


def test_every_public_method_is_handed_on() -> None:
    public = {
        name
        for cls in (FunctionCallingLLM, *FunctionCallingLLM.__mro__[1:3])
        for name, member in vars(cls).items()
        if inspect.isfunction(inspect.unwrap(member) if callable(member) else member)
        and not name.startswith(("_", "set_", "check_"))
    }
    assert {"chat", "astream_structured_predict", "chat_with_tools"} <= public
    assert public - set(vars(DelegatingLLM)) - OWN - COMPOSED == set()


async def test_every_kind_of_answer_says_who_gave_it(llm: AvengersLLM) -> None:
    messages = [ChatMessage(content="prove it")]
    answers = [
        llm.chat(messages),
        *llm.stream_chat(messages),
        await llm.achat(messages),
        *[chunk async for chunk in await llm.astream_chat(messages)],
        llm.complete("prove it"),
        *llm.stream_complete("prove it"),
        await llm.acomplete("prove it"),
        *[chunk async for chunk in await llm.astream_complete("prove it")],
    ]
    for answer in answers:
        decision = answer.additional_kwargs["avengers"]
        assert (decision["model"], decision["alpha"], decision["tried"]) == (HARD, 0.5, [])
        assert decision["expected_score"] > 0.9
        assert decision["expected_cost"] == pytest.approx(0.02, rel=0.1)
    json.dumps(decision)


def test_alpha_and_constraints(make_llm: Any) -> None:
    def picked(question: str = "prove it", **arguments: Any) -> str:
        response = make_llm(**arguments).complete(question)
        return str(response.additional_kwargs["avengers"]["model"])

    assert picked() == HARD
    assert picked(alpha=0.0) == EASY
    assert picked(alpha=None, performance_weight=0.0, cost_sensitivity=2.0) == EASY
    assert picked(exclude=[HARD]) == SPARE
    assert picked(max_cost=0.015) == SPARE
    assert picked("hello", min_score=0.9, exclude=[EASY], on_empty="relax") == SPARE
    with pytest.raises(NoEligibleModelError, match="min_score"):
        picked("hello", min_score=0.9, exclude=[EASY])


def test_targets_in_place_of_alpha(make_llm: Any, router: Router) -> None:
    for target in ({"target_cost": 0.005}, {"target_score": 0.9}, {"target_saving": 0.5}):
        ((name, value),) = target.items()
        expected = router.alpha_for(**{name.removeprefix("target_"): value})
        llm = make_llm(alpha=None, **target)
        decisions = [llm.complete(q).additional_kwargs["avengers"] for q in ("prove", "hello")]
        assert [d["alpha"] for d in decisions] == [expected, expected]
    with pytest.raises(AvengersError):
        make_llm(alpha=None, target_cost=1e-9).complete("prove")


def test_a_copy_with_another_alpha_shares_the_backends(llm: AvengersLLM) -> None:
    cheap = llm.model_copy(update={"alpha": 0.0})
    decisions = [x.complete("prove it").additional_kwargs["avengers"] for x in (llm, cheap)]
    assert [d["model"] for d in decisions] == [HARD, EASY]
    assert cheap.pool is llm.pool
    only = llm.model_copy(update={"models": {EASY: llm.models[EASY]}})
    assert only.complete("prove it").additional_kwargs["avengers"]["model"] == EASY
    assert llm.complete("prove it").additional_kwargs["avengers"]["model"] == HARD
    for update in ({"models": {}}, {"system_prompt": "Be kind."}, {"alhpa": 0.9}):
        with pytest.raises(ValidationError, match=next(iter(update))):
            llm.model_copy(update=update)


def test_settings_that_do_not_go_together(make_llm: Any) -> None:
    llm = make_llm(alpha=None, target_cost=0.005)
    with pytest.raises(ValueError, match="alpha"):
        llm.alpha = 0.9
    with pytest.raises(ValueError, match="alpha"):
        llm.model_copy(update={"alpha": 0.9})
    with pytest.raises(ValueError, match="max_cost"):
        llm.max_cost = -1
    llm.exclude = [SPARE]
    assert llm.complete("prove").additional_kwargs["avengers"]["ineligible"].keys() == {SPARE}
    copied = llm.model_copy(update={"alpha": 0.9, "target_cost": None})
    assert copied.complete("prove").additional_kwargs["avengers"]["alpha"] == 0.9
    llm.target_cost = None
    llm.alpha = 0.8
    assert llm.complete("prove").additional_kwargs["avengers"]["alpha"] == 0.8


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"alpha": 1.5}, r"alpha must lie in \[0, 1\]"),
        ({"no_question_alpha": -1}, r"alpha must lie in \[0, 1\]"),
        ({"target_cost": 0.1}, "give one of alpha, target_cost"),
        ({"cost_sensitivity": 0.5}, "give one of alpha"),
        ({"alpha": None, "cost_sensitivity": -1}, "must not be negative"),
        ({"exclude": ["nobody"]}, "nobody"),
        ({"exclude": "test/easy"}, "exclude"),
        ({"min_score": 2}, "min_score"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"models": {"nobody": MockLLM()}}, r"models=.*\['nobody'\]"),
        ({"models": {}}, "models="),
        ({"capabilities": {"nobody": Capabilities()}}, r"capabilities=.*\['nobody'\]"),
        ({"timeout": 5}, "timeout"),
        ({"system_prompt": "Be kind."}, "system_prompt"),
        ({"alhpa": 0.4}, "alhpa"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], complaint: str, make_llm: Any) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        make_llm(**arguments)
    assert KEY not in str(caught.value)


def test_wrong_models_and_routers(router: Router, tmp_path: Path) -> None:
    for models in ({EASY: object()}, [MockLLM()], EASY, MockLLM(), 5, [1], iter([EASY])):
        with pytest.raises(TypeError, match="models"):
            AvengersLLM(router=router, models=models)
    with pytest.raises(ValidationError, match="nothing"):
        AvengersLLM(router=tmp_path / "nothing")


def test_router_from_a_path(router: Router, tmp_path: Path) -> None:
    records = [{"query": f"some words {i}", "records": {"a": 1.0}} for i in range(4)]
    fit(records, embedder="tfidf", n_clusters=1).save(tmp_path)
    llm = AvengersLLM(router=tmp_path, models={"a": MockLLM(max_tokens=3)})
    assert str(llm.complete("some words")) == "text text text"
    assert llm.to_dict()["router"] == str(tmp_path)
    again = AvengersLLM.from_dict(llm.to_dict(), models={"a": MockLLM(max_tokens=2)})
    assert str(again.complete("some words")) == "text text"


def test_default_router() -> None:
    llm = AvengersLLM()
    assert len(llm.to_dict()) > 5
    assert llm.metadata.is_chat_model


class Told(MockFunctionCallingLLM):
    """Its metadata is what the test says."""

    told: LLMMetadata = LLMMetadata()

    @property
    def metadata(self) -> LLMMetadata:
        return self.told


def test_metadata_holds_of_whichever_model_answers(router: Router) -> None:
    told = [
        LLMMetadata(context_window=8000, num_output=-1, is_chat_model=True),
        LLMMetadata(
            context_window=16000,
            num_output=500,
            is_chat_model=True,
            is_function_calling_model=True,
            system_role=MessageRole.USER,
        ),
        LLMMetadata(context_window=4000, num_output=300, is_chat_model=False),
    ]
    models = {EASY: Told(), HARD: Told(), SPARE: Told()}
    for model, metadata in zip(models.values(), told, strict=True):
        model.told = metadata
    metadata = AvengersLLM(router=router, models=models).metadata
    assert (metadata.context_window, metadata.num_output) == (4000, 300)
    assert metadata.is_chat_model is False
    assert metadata.is_function_calling_model is True
    assert metadata.system_role == MessageRole.USER
    assert metadata.model_name == "avengers"
    without = AvengersLLM(router=router, models=models, exclude=[HARD, SPARE]).metadata
    assert (without.context_window, without.num_output) == (8000, -1)
    assert without.is_chat_model is True
    assert without.is_function_calling_model is False
    taught = {SPARE: Capabilities(context_window=9000, tools=True)}
    metadata = AvengersLLM(
        router=router, models={SPARE: models[SPARE]}, capabilities=taught
    ).metadata
    assert (metadata.context_window, metadata.is_function_calling_model) == (9000, True)


def test_no_key_in_any_form(llm: AvengersLLM) -> None:
    forms = [repr(llm), str(llm), str(llm.to_dict()), llm.to_json(), llm.model_dump_json()]
    if hasattr(llm, "to_payload"):  # llama-index-core 0.14.23
        forms.append(str(llm.to_payload()))
    for form in forms:
        assert KEY not in form


def test_dict_round_trip(llm: AvengersLLM, router: Router, backends: dict[str, LLM]) -> None:
    data = llm.model_copy(update={"exclude": (SPARE,)}).to_dict()
    assert data["models"] == [EASY, HARD, SPARE]
    again = AvengersLLM.from_dict(data, router=router, models=backends)
    assert again.to_dict() == data
    with pytest.raises(ValueError, match="router"):
        AvengersLLM.from_dict(data)


def test_it_has_a_schema() -> None:
    schema = AvengersLLM.model_json_schema()
    assert schema["properties"]["model_settings"]["type"] == "object"


@pytest.mark.parametrize("messages", ["hello", ChatMessage("hello"), ["hello"], None])
async def test_messages_that_are_none(llm: AvengersLLM, server: StubServer, messages: Any) -> None:
    with pytest.raises(TypeError, match="ChatMessage"):
        llm.chat(messages)
    with pytest.raises(TypeError, match="ChatMessage"):
        await llm.achat(messages)
    assert server.asked == []


def test_deepcopy_shares_router_and_backends(llm: AvengersLLM, server: StubServer) -> None:
    llm.complete("hello")  # clients hold locks, which cannot be copied
    twin = copy.deepcopy(llm)
    twin.alpha = 0.0
    assert twin.complete("prove it").additional_kwargs["avengers"]["model"] == EASY
    assert llm.complete("prove it").additional_kwargs["avengers"]["model"] == HARD


def test_pickle(
    router: Router, server: StubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    records = [{"query": f"some words {i}", "records": {"a": 1.0}} for i in range(4)]
    fit(records, embedder="tfidf", n_clusters=1).save(tmp_path)
    for models in (["a"], {"a": MockLLM(max_tokens=3)}):
        llm = AvengersLLM(router=Router.load(tmp_path), models=models, alpha=0.7)
        llm.alpha = 0.8
        if isinstance(models, list):
            llm.system_prompt = "Be kind."
        monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
        monkeypatch.setenv("AVENGERS_API_KEY", KEY)
        llm.complete("some words")
        data = pickle.dumps(llm)
        assert KEY.encode() not in data
        structured = pickle.loads(pickle.dumps(llm.as_structured_llm(Out)))
        assert (structured.output_cls, structured.llm.alpha) == (Out, 0.8)
        again = pickle.loads(data)
        assert again.to_dict() == llm.to_dict()
        assert again.complete("some words").additional_kwargs["avengers"]["model"] == "a"


def test_pickle_refuses_to_write_keys(llm: AvengersLLM) -> None:
    for subject in (llm, llm.as_structured_llm(Out)):
        with pytest.raises(TypeError, match=r"'test/easy'.*api_key") as caught:
            pickle.dumps(subject)
        assert KEY not in str(caught.value)


def test_pickle_says_what_is_in_the_way(router: Router) -> None:
    records = [{"query": f"some words {i}", "records": {EASY: 1.0}} for i in range(4)]
    embedder = CallableEmbedder(lambda texts: [[1.0, 0.0]] * len(texts), id="mine")
    llm = AvengersLLM(router=Router(fit(records, embedder, n_clusters=1), embedder), models=[EASY])
    with pytest.raises(TypeError, match="router="):
        pickle.dumps(llm)


def test_backends_that_change_later(llm: AvengersLLM, server: StubServer) -> None:
    pool = llm.pool
    llm.models = {EASY: llm.models[EASY]}
    assert llm.pool is not pool
    assert llm.pool.health is not pool.health
    llm.complete("prove it")
    assert server.answered_by == [EASY]
    with pytest.raises(ValueError, match="system_prompt"):
        llm.system_prompt = "Be kind."
    assert llm.system_prompt is None


class Out(BaseModel):
    """Out."""

    x: int


def test_the_backends_own_prompts_and_parsers_hold(
    llm: AvengersLLM, backends: dict[str, LLM], server: StubServer
) -> None:
    backends[HARD].system_prompt = "Be exact."
    backends[HARD].output_parser = PydanticOutputParser(Out)
    server.replies[HARD] = lambda body: '{"x": 3}'
    assert llm.predict(PromptTemplate("Prove {what}"), what="it") == "x=3"
    sent = server.requests[0].body["messages"]
    assert sent[0] == {"role": "system", "content": "Be exact."}
    assert "JSON schema" in sent[-1]["content"]


@pytest.fixture
def embedded(backends: dict[str, LLM]) -> tuple[Router, dict[str, LLM], Any]:
    """A router of its own, its backends, and an artifact in which another model replaces HARD."""
    records = keyword_records()
    embedder = keyword_embedder()
    for record in (others := [dict(record) for record in records]):
        for part in ("records", "usages"):
            record[part] = {m.replace(HARD, "test/new"): v for m, v in record[part].items()}
    options: dict[str, Any] = {"n_clusters": 2, "refine": False}
    router = Router(fit(records, embedder, **options), embedder)
    return router, backends, fit(others, embedder, **options)


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("exclude", [EASY], (EASY,)),
        ("alpha", "0.3", 0.3),
        ("votes", 3, 3),
        ("max_attempts", 2, 2),
    ],
)
@pytest.mark.filterwarnings("error")
def test_settings_that_change_later_are_what_they_would_be_at_first(
    llm: AvengersLLM, name: str, value: Any, kept: Any
) -> None:
    copy = llm.model_copy(update={name: value})
    setattr(llm, name, value)
    for changed in (copy, llm):
        assert getattr(changed, name) == kept
        assert changed.to_dict()[name] == kept


@pytest.mark.parametrize(
    "update",
    [{"max_cost": "cheap"}, {"votes": 0}, {"vote_over": "x"}, {"max_attempts": 0}, {"alpha": 2}],
)
def test_settings_that_can_not_be_are_refused_when_they_change(
    llm: AvengersLLM, update: dict[str, Any]
) -> None:
    ((name, value),) = update.items()
    before = getattr(llm, name)
    with pytest.raises(ValueError, match=name):
        llm.model_copy(update=update)
    with pytest.raises(ValueError, match=name):
        setattr(llm, name, value)
    assert getattr(llm, name) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": EASY}, "model="),
        ({"timeout": 0, "models": None}, "timeout"),
        ({"max_retries": -1, "models": None}, "max_retries"),
        ({"router": ""}, "router="),
    ],
)
def test_arguments_that_can_not_be(make_llm: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make_llm(**arguments)
