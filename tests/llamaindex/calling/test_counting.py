"""Answers that have no place for tokens: what the log knows of them."""

from __future__ import annotations

import inspect
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.llms.types import CompletionResponse, LLMMetadata
from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.llms.llm import LLM
from llama_index.core.prompts import PromptTemplate
from stub_server import StubServer

from avengers_core import Router
from avengers_llamaindex import AvengersLLM
from avengers_llamaindex.arguments import OF_TEMPLATES

HARD = "test/hard"
PROMPT = PromptTemplate("Prove {what}")


class Song(BaseModel):
    """A song."""

    title: str


async def finished(result: Any) -> None:
    """Read any of the four forms of an answer to its end."""
    if inspect.isawaitable(result):
        result = await result
    if hasattr(result, "__aiter__"):
        async for _ in result:
            pass
    elif hasattr(result, "__next__"):
        for _ in result:
            pass


def noted(llm: AvengersLLM, path: Path) -> list[tuple[Any, ...]]:
    llm.close()
    with closing(sqlite3.connect(path)) as log:
        columns = "prompt_tokens, completion_tokens, answered_by"
        return log.execute(f"SELECT {columns} FROM calls ORDER BY time, id").fetchall()


@pytest.mark.parametrize("method", sorted(OF_TEMPLATES))
async def test_texts_and_objects_have_tokens(
    method: str, router: Router, backends: dict[str, LLM], server: StubServer, tmp_path: Path
) -> None:
    if "stream" in method:
        for llm in backends.values():
            llm.additional_kwargs = {"stream_options": {"include_usage": True}}
    path = tmp_path / "calls.sqlite"
    llm = AvengersLLM(router=router, models=backends, log=path)
    args = (Song, PROMPT) if "structured" in method else (PROMPT,)
    await finished(getattr(llm, method)(*args, what="a theorem"))
    ((prompt, completion, _),) = noted(llm, path)
    used = [request.usage for request in server.requests if request.usage]
    assert prompt == sum(u["prompt_tokens"] for u in used) > 0
    assert completion == sum(u["completion_tokens"] for u in used) > 0


def test_only_the_model_that_answered_is_counted(
    make_llm: Any, server: StubServer, tmp_path: Path
) -> None:
    path = tmp_path / "calls.sqlite"
    llm = make_llm(log=path)
    server.fail(HARD, status=500)
    llm.predict(PROMPT, what="it")
    ((prompt, _, model),) = noted(llm, path)
    assert model != HARD
    assert prompt == server.requests[-1].usage["prompt_tokens"]


class Chatty(CustomLLM):
    """A chat of which is a completion; only that says its tokens."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_chat_model=True)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        usage = {"prompt_tokens": 5, "completion_tokens": 2}
        return CompletionResponse(text="Yes.", raw={"usage": usage})

    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
        raise NotImplementedError


def test_a_chat_that_is_a_completion_counts_once(router: Router, tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    llm = AvengersLLM(router=router, models=dict.fromkeys(router.models, Chatty()), log=path)
    llm.predict(PROMPT, what="it")
    ((prompt, completion, _),) = noted(llm, path)
    assert (prompt, completion) == (5, 2)


def test_an_unknown_count_stays_unknown(router: Router, tmp_path: Path) -> None:
    class Silent(Chatty):
        @llm_completion_callback()
        def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
            return CompletionResponse(text="Yes.")

    path = tmp_path / "calls.sqlite"
    llm = AvengersLLM(router=router, models=dict.fromkeys(router.models, Silent()), log=path)
    llm.predict(PROMPT, what="it")
    ((prompt, completion, _),) = noted(llm, path)
    assert prompt is completion is None
