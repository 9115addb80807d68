"""How a backend's method is asked, and how its answer says who gave it and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    MessageRole,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.bridge.pydantic import BaseModel

from avengers_core.routing.decision import RoutingDecision
from avengers_core.serving.answering import Answering
from avengers_core.serving.ensemble import AskedCall
from avengers_core.serving.history import has_words
from avengers_core.serving.plan import Plan
from avengers_core.serving.resilience.failover import Attempt
from avengers_core.serving.resilience.withheld import ended_in
from avengers_core.serving.settings import OF_A_CALL
from avengers_core.serving.voting import text_key
from avengers_core.serving.watching.outcome import Tokens
from avengers_llamaindex.arguments import OF_TEMPLATES, STOP, accepted
from avengers_llamaindex.backends import Backends
from avengers_llamaindex.calling.counting import Count
from avengers_llamaindex.calling.masking import mask_errors_of
from avengers_llamaindex.calling.stopping import cut_at
from avengers_llamaindex.calling.usage import tokens_of
from avengers_llamaindex.events import announce
from avengers_llamaindex.history.writers import mark, says
from avengers_llamaindex.telling import OF_TEXTS, TellingLLM
from avengers_llamaindex.wording import CONFIG

# A vote is on whole answers.
_WHOLE = {
    prefix + stream: prefix + whole
    for prefix in ("", "a")
    for stream, whole in (
        ("stream_chat", "chat"),
        ("stream_complete", "complete"),
        ("stream", "predict"),
        ("stream_structured_predict", "structured_predict"),
        ("stream_chat_with_tools", "chat_with_tools"),
    )
}


def own_settings(method: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What a call's arguments by name say about who answers; taken out of them."""
    if not arguments or method in OF_TEMPLATES:
        return {}
    return {name: arguments.pop(name) for name in OF_A_CALL if name in arguments}


@dataclass(eq=False)
class Asked(AskedCall):
    """A call under way, to be decided and answered.

    Attributes:
        method: name of the backend's method.
        args: its arguments by position.
        kwargs: its arguments by name.
        plan: how it is to be decided.
        backends: who can answer.
    """

    method: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    plan: Plan
    backends: Backends

    def answering(self, decision: RoutingDecision, one_of_several: bool) -> LLMAnswering:
        return LLMAnswering(self, decision, one_of_several)


class LLMAnswering(Answering):
    """One answer of an LLM.

    Args:
        asked: the call.
        decision: who is to answer.
        one_of_several: it is a ballot.
    """

    def __init__(self, asked: Asked, decision: RoutingDecision, one_of_several: bool) -> None:
        super().__init__(asked.plan, decision, asked.backends, one_of_several=one_of_several)
        self._asked = asked
        whole = _WHOLE.get(asked.method, asked.method)
        self._method = whole if one_of_several else asked.method
        self._count: Count | None = None
        self._cut: Sequence[str] = ()  # stop sequences that the one who is asked does not know
        self._stops = False

    def start(self, attempt: Attempt) -> Any:
        # Some LLMs extend the lists and dicts they are given: the next attempt needs them as they
        # were.
        asked = self._asked
        kwargs = dict(asked.kwargs)
        for key, value in kwargs.items():
            kwargs[key] = _copied(value)
        args = tuple(map(_copied, asked.args))
        model, backends = attempt.model, asked.backends
        backend, said = backends.get(model), backends.said(model)
        mask_errors_of(backend)
        # Of this call, of all of them, and of those to Gemini's class.
        told = {
            *kwargs,
            *(getattr(backend, "additional_kwargs", None) or ()),
            *said.get(CONFIG, ()),
        }
        args, kwargs, cut = accepted(self._method, args, kwargs, model, backend, said=said)
        self._cut = cut or backends.stops.get(model, ())
        self._stops = bool(self._cut) or not told.isdisjoint(STOP)
        asks = TellingLLM(backend, said) if said and self._method in OF_TEXTS else backend
        answer = self._answer(getattr(asks, self._method), args, kwargs)
        return cut_at(answer, self._cut) if self._cut else answer

    def _answer(self, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._asked.plan.watching is None or self._method not in OF_TEMPLATES:
            return method(*args, **kwargs)
        self._count = Count()  # of the model that is asked now
        return self._count.asked(method, *args, **kwargs)

    def tag(self, answer: Any, facts: Mapping[str, Any]) -> Any:
        # Texts and objects of the user's classes stay as they are.
        if not isinstance(answer, ChatResponse | CompletionResponse):
            return answer
        update: dict[str, Any] = {
            "additional_kwargs": {**answer.additional_kwargs, "avengers": facts}
        }
        if isinstance(answer, ChatResponse):
            # A memory keeps the message alone, and who wrote it matters to whoever reads it next.
            message = answer.message
            marked = {**message.additional_kwargs, "avengers": mark(facts)}
            update["message"] = message.model_copy(update={"additional_kwargs": marked})
        return answer.model_copy(update=update)

    def has_word(self, answer: Any) -> bool:
        return _says_anything(answer)

    def shows_thoughts(self, chunk: Any) -> bool:
        return _shows_thoughts(chunk)

    @property
    def follows_results(self) -> bool:
        messages = self._asked.args[0] if self._asked.args else None
        return isinstance(messages, Sequence) and bool(messages) and _is_of_tool(messages[-1])

    def told(self, answer: Any) -> Any:
        if isinstance(answer, str):  # of which nothing is told
            return {"finish_reason": "stop"} if self._cut else None
        beside = getattr(answer, "additional_kwargs", {})
        if "finish_reason" in beside:
            return beside
        # Anthropic's class says there in each chunk whether it is the last.
        message = getattr(getattr(answer, "message", None), "additional_kwargs", {})
        return message if "stop_reason" in message else getattr(answer, "raw", None)

    @property
    def stops(self) -> bool:
        return self._stops

    def spent(self, answer: Any) -> Tokens | None:
        return self._count.tokens if self._count is not None else tokens_of(answer)

    def marker(self, facts: dict[str, Any]) -> _Marker:
        return _Marker(self, facts)

    def says(self, answer: Any) -> str:
        if isinstance(answer, ChatResponse):
            calls = [b for b in answer.message.blocks if isinstance(b, ToolCallBlock)]
            given = [(block.tool_name, block.tool_kwargs) for block in calls]
            return text_key(answer.message.content or "", given)
        if isinstance(answer, BaseModel) and not isinstance(answer, CompletionResponse):
            return str(answer.model_dump_json())
        return text_key(str(answer))

    def merged(self, answers: Sequence[Any], winner: int, facts: dict[str, Any]) -> Any:
        answer = self.tag(answers[winner], facts)
        if self._asked.method in _WHOLE and isinstance(answer, ChatResponse | CompletionResponse):
            text = answer.message.content if isinstance(answer, ChatResponse) else answer.text
            answer = answer.model_copy(update={"delta": text})
        return answer

    def announce(self, model: str | None, facts: dict[str, Any]) -> None:
        llm = None if model is None else partial(self._asked.backends.get, model)
        announce(self._asked.method, model, facts, llm)


@dataclass
class _Marker:
    """Every chunk has the decision."""

    answering: LLMAnswering
    facts: dict[str, Any]
    finished: bool | None = None  # None: nothing was said of it

    def mark(self, chunk: Any) -> Any:
        if not self.finished and (ended := ended_in(self.answering.told(chunk))) is not None:
            self.finished = ended
        return self.answering.tag(chunk, self.facts)

    def rest(self) -> Iterable[Any]:
        # The framework says it after the last chunk.
        self.answering.tokens = self.answering.spent(None) or self.answering.tokens
        if self.finished is False:
            self.facts["truncated"] = True  # which all chunks share
        return ()


def _says_anything(answer: Any) -> bool:
    """Whether there is a word, a tool call or anything else but thoughts in an answer, or a part
    of one."""
    if isinstance(answer, ChatResponse):
        message = answer.message
        if any(map(says, message.blocks)):
            return True
        return _is_word(answer.delta) or bool(message.additional_kwargs.get("tool_calls"))
    if isinstance(answer, CompletionResponse):
        return _is_word(answer.text) or _is_word(answer.delta)
    return _is_word(answer) if isinstance(answer, str) else True


def _is_word(text: str | None) -> bool:
    return has_words(text or "")


def _shows_thoughts(chunk: Any) -> bool:
    """Whether it shows any of the model's thoughts: a stream of them goes out as it comes."""
    if not isinstance(chunk, ChatResponse):
        return False
    if chunk.additional_kwargs.get("thinking_delta"):
        return True
    return any(isinstance(b, ThinkingBlock) and b.content for b in chunk.message.blocks)


def _is_of_tool(message: Any) -> bool:
    return isinstance(message, ChatMessage) and message.role == MessageRole.TOOL


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, list | dict) else value
