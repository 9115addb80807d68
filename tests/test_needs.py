"""What a call needs of a model, and how long its prompt is, in both plugins."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from keyword_router import EASY, HARD
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI
from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    CitableBlock,
    DocumentBlock,
    ImageBlock,
    LLMMetadata,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.llms.mock import MockLLM
from llama_index.llms.openai import OpenAIResponses
from llama_index.llms.openai_like import OpenAILike
from pydantic import SecretStr
from stub_server import StubServer

from avengers_core import Router
from avengers_core.errors import NoEligibleModelError
from avengers_core.serving.backends.capabilities import MEDIA, Needs
from avengers_core.serving.question import Request
from avengers_langchain import AvengersChatModel
from avengers_langchain.question import read
from avengers_llamaindex import AvengersLLM
from avengers_llamaindex.question import from_messages

DATA = base64.b64encode(b"\x89PNG" + bytes(3_000)).decode()
KEY = SecretStr("k")


def media_of(request: Request) -> set[str]:
    (needs,) = request.needs
    return {kind for kind in MEDIA if getattr(needs, kind)}


LANGCHAIN_BLOCKS: list[tuple[dict[str, Any], set[str]]] = [
    ({"type": "text", "text": "hello"}, set()),
    ({"type": "image", "base64": DATA, "mime_type": "image/png"}, {"images"}),
    ({"type": "image_url", "image_url": {"url": "https://host/a.png"}}, {"images"}),
    ({"type": "image", "source": {"type": "base64", "data": DATA}}, {"images"}),
    ({"type": "file", "base64": DATA, "mime_type": "application/pdf"}, {"files"}),
    ({"type": "file", "file": {"file_data": f"data:application/pdf;base64,{DATA}"}}, {"files"}),
    ({"type": "document", "source": {"type": "url", "url": "https://host/a.pdf"}}, {"files"}),
    ({"type": "document", "source": {"type": "text", "data": "words"}}, set()),
    ({"type": "text-plain", "text": "words"}, set()),
    ({"type": "audio", "base64": DATA, "mime_type": "audio/wav"}, {"audio"}),
    ({"type": "input_audio", "input_audio": {"data": DATA, "format": "wav"}}, {"audio"}),
    ({"type": "video", "url": "https://host/a.mp4"}, {"video"}),
    ({"type": "media", "mime_type": "video/mp4", "file_uri": "gs://a"}, {"video"}),
    ({"type": "tool_result", "content": [{"type": "image", "base64": DATA}]}, {"images"}),
]


@pytest.mark.parametrize(("block", "needs"), LANGCHAIN_BLOCKS)
def test_content_of_langchain(block: dict[str, Any], needs: set[str]) -> None:
    for message in (HumanMessage([block]), ToolMessage([block], tool_call_id="1")):
        request = read([HumanMessage("What is this?"), message], {})
        assert media_of(request) == needs
        assert request.tokens >= (1_000 if needs == {"images"} else 5)
    assert media_of(read([AIMessage([block]), HumanMessage("And this?")], {})) == set()


LLAMAINDEX_BLOCKS: list[tuple[Any, set[str]]] = [
    (TextBlock(text="hello"), set()),
    (ImageBlock(image=DATA.encode(), image_mimetype="image/png"), {"images"}),
    (ImageBlock(url="https://host/a.png"), {"images"}),
    (AudioBlock(audio=DATA.encode(), format="wav"), {"audio"}),
    (VideoBlock(url="https://host/a.mp4", video_mimetype="video/mp4"), {"video"}),
    (DocumentBlock(data=DATA.encode(), document_mimetype="application/pdf"), {"files"}),
    (DocumentBlock(data=b"words", document_mimetype="text/plain"), set()),
    (
        CitableBlock(
            title="t", source="s", content=[DocumentBlock(url="https://h/a.pdf", title="a")]
        ),
        {"files"},
    ),
]


@pytest.mark.parametrize(("block", "needs"), LLAMAINDEX_BLOCKS)
def test_content_of_llamaindex(block: Any, needs: set[str]) -> None:
    for role in ("user", "tool"):
        request = from_messages([ChatMessage("What?"), ChatMessage(role=role, blocks=[block])], {})
        assert media_of(request) == needs
        assert request.tokens >= (1_000 if needs == {"images"} else 3)
        assert request.counted().needs[0].tokens >= (1_000 if needs == {"images"} else 2)
    answer = ChatMessage(role="assistant", blocks=[block])
    assert media_of(from_messages([answer, ChatMessage("And this?")], {})) == set()


LINES = "x = 1\n" * 20_000  # 30,000 tokens at four bytes each
CALL: Any = {"name": "write", "args": {"text": LINES}, "id": "1"}


def test_everything_in_a_prompt_of_langchain_has_a_length() -> None:
    human = HumanMessage("hello")
    raw: dict[str, Any] = {"type": "tool_use", "name": "write", "input": {"text": LINES}, "id": "1"}
    long: list[list[Any]] = [
        [SystemMessage(LINES), human],
        [human, AIMessage("", tool_calls=[CALL])],
        [human, AIMessage([raw], tool_calls=[CALL])],  # the same call, said twice
        [human, AIMessage([raw])],
        [human, AIMessage("", tool_calls=[CALL]), ToolMessage("ok", tool_call_id="1")],
        [
            human,
            AIMessage(
                "",
                invalid_tool_calls=[
                    {
                        "name": "w",
                        "args": LINES,
                        "id": "1",
                        "error": None,
                        "type": "invalid_tool_call",
                    }
                ],
            ),
        ],
        [human, ToolMessage(LINES, tool_call_id="1")],
        [human, ToolMessage([{"type": "text", "text": LINES}], tool_call_id="1")],
        [human, AIMessage([{"type": "web_search_tool_result", "content": [{"title": LINES}]}])],
        [human, AIMessage("", additional_kwargs={"reasoning_content": LINES})],
    ]
    for messages in long:
        tokens = read(messages, {}).tokens
        assert 29_000 < tokens < 45_000, messages
    request = read([AIMessage([{"type": "thinking", "thinking": "", "signature": LINES}])], {})
    assert request.tokens < 100


def test_everything_in_a_prompt_of_llamaindex_has_a_length() -> None:
    function = {"name": "write", "arguments": json.dumps({"text": LINES})}
    beside = {"tool_calls": [{"id": "1", "type": "function", "function": function}]}
    long: list[ChatMessage] = [
        ChatMessage(role="system", content=LINES),
        ChatMessage(role="assistant", additional_kwargs=beside),
        ChatMessage(
            role="assistant",
            blocks=[ToolCallBlock(tool_name="write", tool_kwargs={"text": LINES})],
        ),
        ChatMessage(role="tool", content=LINES),
        ChatMessage(role="assistant", blocks=[ThinkingBlock(content=LINES)]),
        ChatMessage(
            blocks=[
                DocumentBlock(data=base64.b64encode(LINES.encode()), document_mimetype="text/plain")
            ]
        ),
        ChatMessage(blocks=[CitableBlock(title="t", source="s", content=[TextBlock(text=LINES)])]),
    ]
    for message in long:
        request = from_messages([ChatMessage("hello"), message], {})
        assert 29_000 < request.tokens < 45_000, message
        assert request.counted().needs[0].tokens > 10_000, message
    tools = [{"type": "function", "function": {"name": "f", "description": LINES}}]
    assert from_messages([ChatMessage("hello")], {"tools": tools}).tokens > 29_000


def test_what_was_read_before() -> None:
    def read_by(llm: type, *answers: str) -> dict[str, int]:
        messages: list[Any] = []
        for model in answers:
            mark = {"avengers": {"model": model}}
            if llm is AvengersLLM:
                messages += [
                    ChatMessage(LINES),
                    ChatMessage(role="assistant", content="Well.", additional_kwargs=mark),
                ]
            else:
                messages += [HumanMessage(LINES), AIMessage("Well.", response_metadata=mark)]
        if llm is AvengersLLM:
            return dict(from_messages([*messages, ChatMessage("ok")], {}).cached_tokens)
        return dict(read([*messages, HumanMessage("ok")], {}).cached_tokens)

    for llm in (AvengersChatModel, AvengersLLM):
        assert read_by(llm) == {}
        assert read_by(llm, EASY) == {EASY: 30_000}
        assert read_by(llm, EASY, HARD, EASY) == {HARD: 60_002, EASY: 90_004}


# -- what backends take --


class AnyLLM(MockLLM):
    """Of a class of which nothing is known."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_chat_model=True)

    def chat(self, messages: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


def media_need(kind: str) -> Needs:
    named: dict[str, Any] = {kind: True}
    return Needs(**named)


def openai(**settings: Any) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-5", api_key=KEY, **settings)


def test_what_real_classes_take(router: Router) -> None:
    def known(backend: Any) -> tuple[set[str], str | None]:
        """What a class does not take, where another does; and its provider."""
        chat = hasattr(backend, "metadata") and hasattr(backend, "chat")
        other: Any = AnyLLM() if chat else FakeListChatModel(responses=["x"])
        models = {EASY: backend, HARD: other}
        llm: Any = (AvengersLLM if chat else AvengersChatModel)(router=router, models=models)
        cannot = {kind for kind in MEDIA if EASY in llm.pool.unable((media_need(kind),))}
        return cannot, llm.pool.capabilities(EASY).provider

    cannot, provider = known(openai())
    assert ("video" in cannot, provider) == (True, "openai")
    assert known(openai(base_url="http://host/v1"))[1] is None
    assert known(OpenAIResponses(model="gpt-5", api_key="k")) == ({"audio", "video"}, "openai")
    compatible = OpenAILike(model="m", api_base="http://h", is_chat_model=True)
    assert known(compatible) == ({"video"}, None)
    assert known(MockLLM()) == (set(MEDIA), None)
    chat_anthropic = pytest.importorskip("langchain_anthropic").ChatAnthropic
    claude = chat_anthropic(model_name="claude-sonnet-4-6", api_key=KEY)
    assert known(claude) == ({"audio", "video"}, "anthropic")
    chat_google = pytest.importorskip("langchain_google_genai").ChatGoogleGenerativeAI
    gemini = chat_google(model="gemini-2.5-pro", google_api_key=KEY)
    assert known(gemini) == (set(), "google")


SERVER_TOOLS: list[tuple[dict[str, Any], str]] = [
    ({"type": "web_search_20250305", "name": "web_search"}, "anthropic"),
    ({"type": "code_execution_20250825", "name": "code_execution"}, "anthropic"),
    ({"type": "web_search_preview"}, "openai"),
    ({"type": "web_search_preview_2025_03_11"}, "openai"),
    ({"type": "code_interpreter", "container": {"type": "auto"}}, "openai"),
    ({"type": "image_generation"}, "openai"),
    ({"google_search": {}}, "google"),
    ({"urlContext": {}}, "google"),
]


@pytest.mark.parametrize(("tool", "provider"), SERVER_TOOLS)
def test_a_tool_that_a_provider_runs_goes_to_that_provider(
    router: Router, tool: dict[str, Any], provider: str
) -> None:
    models = {EASY: FakeListChatModel(responses=["x"]), HARD: FakeListChatModel(responses=["y"])}
    for llm in (AvengersChatModel, AvengersLLM):
        given: Any = models if llm is AvengersChatModel else dict.fromkeys(models, MockLLM())
        able = {HARD: {"provider": provider, "tools": None}, EASY: {"provider": "other"}}
        if llm is AvengersLLM:
            routed = llm(router=router, models=given, capabilities=able)
            plan = routed._asked(
                "chat", from_messages([ChatMessage("hello")], {"tools": [tool]}), (), {}
            ).plan
        else:
            routed = llm(router=router, models=given, capabilities=able)
            plan = routed._asked(
                "generate", [HumanMessage("hello")], None, None, {"tools": [tool]}
            ).plan
        assert plan.decide().model == HARD
        assert provider in plan.decide().ineligible[EASY]


def test_a_function_is_for_everybody(router: Router) -> None:
    def look() -> str:
        """Look."""
        return ""

    llm = AvengersChatModel(router=router, models={EASY: openai(), HARD: openai()})
    plan = llm._asked("generate", [HumanMessage("hello")], None, None, {"tools": [look]}).plan
    assert {EASY, HARD} == {c.model for c in plan.decide().candidates}


def test_two_providers_tools_at_once_are_for_nobody(router: Router) -> None:
    llm = AvengersChatModel(router=router, models={EASY: openai()})
    with pytest.raises(NoEligibleModelError):
        llm.bind_tools([SERVER_TOOLS[0][0], SERVER_TOOLS[2][0]]).invoke("hello")


def test_text_only_classes_are_asked_text_only(router: Router, server: StubServer) -> None:
    picture = [ChatMessage(blocks=[TextBlock(text="hello"), LLAMAINDEX_BLOCKS[1][0]])]
    sees = OpenAILike(model=HARD, api_base=server.url, api_key="k", is_chat_model=True)
    llm = AvengersLLM(router=router, models={EASY: MockLLM(), HARD: sees})
    found = llm.chat(picture).additional_kwargs["avengers"]
    assert found["model"] == HARD
    assert "images" in found["ineligible"][EASY]
    assert llm.chat([ChatMessage("hello")]).additional_kwargs["avengers"]["model"] == EASY
    # Where nobody takes it, there is a note in its place; where that is said of all, an error.
    alone = AvengersLLM(router=router, models={EASY: MockLLM()})
    assert "image left out" in str(alone.chat(picture).message.content)
    blind = {EASY: {"images": False}}
    with pytest.raises(NoEligibleModelError, match="images"):
        AvengersLLM(router=router, models={EASY: MockLLM()}, capabilities=blind).chat(picture)
