"""One way to ask any model."""

from __future__ import annotations

import importlib
import json

import pytest

from avengers_core.collecting import Answer
from avengers_core.collecting.answers import asker, endpoint_asker
from avengers_core.records.prices import Price
from avengers_core.serving.backends.endpoints import find_endpoint


def optional(module):
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def test_functions_plain_and_asynchronous():
    async def later(text):
        return Answer(text.upper(), cost=1.0)

    assert asker("m", str.upper)("hi") == Answer("HI")
    assert asker("m", later)("hi") == Answer("HI", cost=1.0)
    with pytest.raises(TypeError, match="m"):
        asker("m", len)("hi")
    with pytest.raises(TypeError, match="m"):
        asker("m", 3)


def test_langchain_chat_models(server):
    langchain_openai = pytest.importorskip("langchain_openai")
    model = langchain_openai.ChatOpenAI(model="a/b", base_url=server.url, api_key="k")
    answer = asker("a/b", model)("Hello")
    assert answer.text == server.requests[-1].body["messages"][-1]["content"] or answer.text
    usage = server.requests[-1].usage
    assert (answer.prompt_tokens, answer.completion_tokens) == (
        usage["prompt_tokens"],
        usage["completion_tokens"],
    )


def test_llamaindex_llms(server):
    openai_like = pytest.importorskip("llama_index.llms.openai_like")
    llm = openai_like.OpenAILike(model="a/b", api_base=server.url, api_key="k", is_chat_model=True)
    answer = asker("a/b", llm)("Hello")
    usage = server.requests[-1].usage
    assert answer.text
    assert (answer.prompt_tokens, answer.completion_tokens) == (
        usage["prompt_tokens"],
        usage["completion_tokens"],
    )


def test_an_endpoint(server):
    endpoint = find_endpoint(server.url)
    answer = endpoint_asker(endpoint, "a/b", {"max_tokens": 5})("Hello")
    request = server.requests[-1]
    assert request.model == "a/b"
    assert request.body["max_tokens"] == 5
    assert answer.text
    assert answer.prompt_tokens == request.usage["prompt_tokens"]


COMPLETION = {"id": "c", "object": "chat.completion", "created": 1, "model": "a/b"}


@pytest.mark.parametrize(
    ("content", "reason"), [("It is for", "error"), ("", "stop"), (None, "length")]
)
def test_a_reply_that_is_no_answer_has_no_text_but_a_cost(server, content, reason):
    choice = {"index": 0, "message": {"role": "assistant", "content": content}}
    choice["finish_reason"] = reason
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "cost": 0.25}
    reply = json.dumps({**COMPLETION, "choices": [choice], "usage": usage})
    server.fail("a/b", body=reply, times=None)
    askers = [endpoint_asker(find_endpoint(server.url), "a/b", {})]
    if openai := optional("langchain_openai"):
        asked = openai.ChatOpenAI(model="a/b", base_url=server.url, api_key="k")
        askers.append(asker("m", asked))
    if openai_like := optional("llama_index.llms.openai_like"):
        asked = openai_like.OpenAILike(
            model="a/b", api_base=server.url, api_key="k", is_chat_model=True
        )
        askers.append(asker("m", asked))
    for ask in askers:
        answer = ask("Hello")
        assert answer.text == ""
        assert (answer.prompt_tokens, answer.completion_tokens) == (9, 4)


def test_limits_of_rates_are_waited_for(server):
    server.fail("a/b", status=429, retry_after=0.01, times=5)
    assert endpoint_asker(find_endpoint(server.url), "a/b", {})("Hello").text
    assert len(server.requests) == 6


def test_a_page_in_place_of_a_reply_is_named(server):
    server.fail("a/b", body="<html>Sign in</html>", kind="text/html", times=None)
    with pytest.raises(ValueError, match="Sign in"):
        endpoint_asker(find_endpoint(server.url), "a/b", {})("Hello")


@pytest.mark.parametrize(
    "amounts",
    [{"cost": float("nan")}, {"cost": -1.0}, {"cost": "1"}, {"prompt_tokens": 1e300}],
)
def test_an_answer_that_no_record_can_hold_is_none(amounts):
    with pytest.raises(ValueError, match=next(iter(amounts))):
        Answer("x", **amounts)
    with pytest.raises(TypeError, match="3"):
        Answer(3)


def test_price():
    answer = Answer("x", prompt_tokens=1000, completion_tokens=100)
    assert answer.priced(Price(1e-6, 5e-6)).cost == pytest.approx(0.0015)
    assert answer.priced(None) == answer
    assert Answer("x", cost=0.0, prompt_tokens=1, completion_tokens=1).priced(Price(1, 1)).cost == 0
    assert Answer("x", prompt_tokens=1000).priced(Price(1, 1)).cost is None
