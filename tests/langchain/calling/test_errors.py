"""What a call fails with is of LangChain's kinds, too: its retries and its summaries go by them."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from keyword_router import HARD, MODELS
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware
from langchain_core import exceptions
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from stub_server import StubServer

from avengers_core import NoEligibleModelError, Router
from avengers_core.errors import AllBackendsFailedError, ContentRefusedError
from avengers_langchain import AvengersChatModel, AvengersMiddleware, Capabilities
from avengers_langchain.errors import as_langchain_names_them

knows_kinds = pytest.mark.skipif(
    not hasattr(exceptions, "ModelError"), reason="this langchain-core has no kinds of failures"
)


async def asked(llm: BaseChatModel, how: str) -> Any:
    if how == "ainvoke":
        return await llm.ainvoke("hello")
    if how == "stream":
        return list(llm.stream("hello"))
    if how == "astream":
        return [chunk async for chunk in llm.astream("hello")]
    return llm.invoke("hello", votes=3 if how == "vote" else None)


async def failing(llm: BaseChatModel, how: str) -> Any:
    with pytest.raises(AllBackendsFailedError) as caught:
        await asked(llm, how)
    return caught.value


@knows_kinds
@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream", "vote"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, "ModelRateLimitError"),
        (503, "ModelAPIError"),
        (401, "ModelAuthenticationError"),
        (404, "ModelNotFoundError"),
    ],
)
async def test_all_failed_in_one_way(
    llm: AvengersChatModel, server: StubServer, how: str, status: int, kind: str
) -> None:
    for model in MODELS:
        server.fail(model, status=status)
    error = await failing(llm, how)
    assert isinstance(error, getattr(exceptions, kind))
    assert error.is_retryable is (status in (429, 503))
    assert type(error).__name__ == "AllBackendsFailedError"


@knows_kinds
async def test_to_ask_again_may_help_where_one_was_only_busy(
    llm: AvengersChatModel, server: StubServer
) -> None:
    for model, status in zip(MODELS, (401, 429, 404), strict=True):
        server.fail(model, status=status)
    assert (await failing(llm, "invoke")).is_retryable


@knows_kinds
@pytest.mark.parametrize("status", [401, 429])
@pytest.mark.parametrize("by", ["model", "middleware"])
def test_langchains_retries_ask_again_where_it_may_help(
    router: Router, backends: dict[str, Any], server: StubServer, by: str, status: int
) -> None:
    for model in MODELS:
        server.fail(model, status=status)
    retries = ModelRetryMiddleware(max_retries=1, initial_delay=0, on_failure="error")
    if by == "model":
        llm = AvengersChatModel(router=router, models=backends)
        agent = create_agent(llm, [], middleware=[retries])
    else:
        routes = AvengersMiddleware(router=router, models=backends)
        agent = create_agent(backends[HARD], [], middleware=[retries, routes])
    with pytest.raises(AllBackendsFailedError):
        agent.invoke({"messages": [("human", "hello")]})
    assert len(server.asked) == (6 if status == 429 else 3)


def test_a_prompt_that_is_too_long_for_all(router: Router, backends: dict[str, Any]) -> None:
    short = dict.fromkeys(MODELS, Capabilities(context_window=10))
    llm = AvengersChatModel(router=router, models=backends, capabilities=short)
    with pytest.raises(exceptions.ContextOverflowError) as caught:
        llm.invoke("hello " * 100)
    assert isinstance(caught.value, NoEligibleModelError)
    assert set(caught.value.reasons) == set(MODELS)
    structured = llm.with_structured_output({"title": "A", "description": "b", "type": "object"})
    with pytest.raises(exceptions.ContextOverflowError):
        structured.invoke("hello " * 100)


def test_what_else_leaves_nobody_is_no_matter_of_length(llm: AvengersChatModel) -> None:
    with pytest.raises(NoEligibleModelError) as caught:
        llm.invoke("hello", max_cost=0)
    assert not isinstance(caught.value, exceptions.ContextOverflowError)


@knows_kinds
def test_a_withheld_answer(router: Router) -> None:
    withheld = AIMessage("", response_metadata={"finish_reason": "content_filter"})
    backends = {m: GenericFakeChatModel(messages=iter([withheld])) for m in MODELS}
    with pytest.raises(ContentRefusedError) as caught:
        AvengersChatModel(router=router, models=backends).invoke("hello")
    assert isinstance(caught.value, exceptions.ModelRefusalError)
    assert caught.value.raw_message is None


@pytest.mark.parametrize(
    "error",
    [
        AllBackendsFailedError("all failed", ()),
        NoEligibleModelError("nobody", {"a": "too dear"}),
        ContentRefusedError("content_filter"),
    ],
)
def test_errors_go_between_processes(error: Any) -> None:
    with pytest.raises(type(error)) as caught, as_langchain_names_them():
        raise error
    assert caught.value is error
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_the_backends_name_for_itself_is_kept(router: Router) -> None:
    class SaysItOfGenerations(GenericFakeChatModel):
        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            result = super()._generate(*args, **kwargs)
            result.generations[0].generation_info = {"model_name": "a-model-of-today"}
            return result

    backends = {m: SaysItOfGenerations(messages=iter([AIMessage("Hi")])) for m in MODELS}
    message = AvengersChatModel(router=router, models=backends).invoke("hello")
    assert message.response_metadata["model_name"] == "a-model-of-today"
