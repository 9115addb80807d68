"""How a chat model is asked, and how its answer says who gave it and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.ai import add_usage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from avengers_core.routing.decision import RoutingDecision
from avengers_core.serving.answering import Answering
from avengers_core.serving.ensemble import AskedCall
from avengers_core.serving.history.reasoning import CONTENT, KEPT
from avengers_core.serving.plan import Plan
from avengers_core.serving.resilience.failover import Attempt
from avengers_core.serving.resilience.withheld import ended_in
from avengers_core.serving.voting import text_key
from avengers_core.serving.watching.outcome import Tokens, charged
from avengers_langchain.backends import Backends
from avengers_langchain.calling.backend_call import BackendCall, as_chunk
from avengers_langchain.calling.calls import Call
from avengers_langchain.calling.runs import tag_run
from avengers_langchain.history.writers import THOUGHTS, says
from avengers_langchain.tools import ANSWERED_BY

Method = Literal["generate", "agenerate", "stream", "astream"]
# What stands beside the content of an answer, and is no word of it.
_NO_WORDS = {CONTENT, *KEPT, "citations", "related_questions", "search_results"}
# A vote is on whole answers.
_WHOLE: dict[Method, Method] = {"stream": "generate", "astream": "agenerate"}


@dataclass(eq=False)
class Asked(AskedCall):
    """A call under way, to be decided and answered.

    Attributes:
        call: what it brings.
        plan: how it is to be decided.
        backends: who can answer.
        method: of :class:`~avengers_langchain.calling.backend_call.BackendCall`, and of what
            answers.
        run_manager: of the router's run, for the backend.
        run_of_call: the same to :func:`tag_run`, also of a stream.
    """

    call: Call
    plan: Plan
    backends: Backends
    method: Method
    run_manager: Any
    run_of_call: Any

    def answering(self, decision: RoutingDecision, one_of_several: bool) -> ChatAnswering:
        return ChatAnswering(self, decision, one_of_several)


class ChatAnswering(Answering):
    """One answer of a chat model.

    Args:
        asked: the call.
        decision: who is to answer.
        one_of_several: it is a ballot, whose run is the vote's.
    """

    def __init__(self, asked: Asked, decision: RoutingDecision, one_of_several: bool) -> None:
        super().__init__(asked.plan, decision, asked.backends, one_of_several=one_of_several)
        self._asked = asked
        self._streamed = asked.method in _WHOLE
        self._method = _WHOLE.get(asked.method, asked.method) if one_of_several else asked.method
        self._run_manager = None if one_of_several else asked.run_manager
        self._run = None if one_of_several else asked.run_of_call
        self._traced = asked.backends.traced
        self._called: BackendCall | None = None

    def start(self, attempt: Attempt) -> Any:
        self._called = called = self._asked.call.to(attempt.model, self._asked.backends)
        return getattr(called, self._method)(self._run_manager)

    def tag(self, result: ChatResult, facts: Mapping[str, Any]) -> ChatResult:
        model = facts["model"]
        output = {"model_name": model, **self._traced(model), **(result.llm_output or {})}
        generations = []
        for generation in result.generations:
            message = generation.message
            # Some say of a generation what others say of the message, such as the model's name.
            own = {**(generation.generation_info or {}), **message.response_metadata}
            metadata = {**output, **own, "avengers": facts}
            message = message.model_copy(update={"response_metadata": metadata})
            generations.append(generation.model_copy(update={"message": message}))
        output["avengers"] = facts
        return result.model_copy(update={"generations": generations, "llm_output": output})

    def has_word(self, answer: ChatResult | ChatGenerationChunk) -> bool:
        message = _message_of(answer)
        # A refusal says something, unless somebody else is to be asked then.
        unheard = self.plan.how.on_refusal == "next" and _refusal_in(message)
        return not unheard and _says_anything(message)

    def shows_thoughts(self, chunk: ChatGenerationChunk) -> bool:
        return _shows_thoughts(chunk.message)

    @property
    def follows_results(self) -> bool:
        return isinstance(self._asked.call.messages[-1], ToolMessage)

    def told(self, answer: Any) -> Any:
        whole = isinstance(answer, ChatResult)
        said = answer.generations[0] if whole else answer
        output = answer.llm_output if whole else None
        message = said.message
        refusal = {"message": {"refusal": told}} if (told := _refusal_in(message)) else {}
        info = said.generation_info or {}
        return {**(output or {}), **info, **message.response_metadata, **refusal}

    @property
    def stops(self) -> bool:
        called = self._called
        return called is not None and bool(
            called.arguments.get("stop") or called.cut or getattr(called.backend, "stop", None)
        )

    def spent(self, answer: ChatResult | ChatGenerationChunk) -> Tokens | None:
        if isinstance(answer, ChatResult):
            return tokens_of(answer.generations[0].message, self.told(answer))
        return tokens_of(answer.message)

    def marker(self, facts: dict[str, Any]) -> ChunkMarker:
        return ChunkMarker(facts, self._traced(facts["model"]))

    def announce(self, model: str | None, facts: dict[str, Any]) -> None:
        if model is not None:
            tag_run(self._run, model, self._traced(model))

    def says(self, result: ChatResult) -> str:
        message = result.generations[0].message
        calls = message.tool_calls if isinstance(message, AIMessage) else []
        return text_key(str(message.text), [(call["name"], call["args"]) for call in calls])

    def merged(self, results: Sequence[ChatResult], winner: int, facts: dict[str, Any]) -> Any:
        generation = results[winner].generations[0]
        message = generation.message
        metadata = {**message.response_metadata, "avengers": facts}
        metadata.pop("token_usage", None)  # of the winner alone
        update: dict[str, Any] = {"response_metadata": metadata}
        usage = None
        for result in results:
            if isinstance(each := result.generations[0].message, AIMessage):
                usage = add_usage(usage, each.usage_metadata)
        if usage is not None:
            update["usage_metadata"] = usage
        generation = generation.model_copy(update={"message": message.model_copy(update=update)})
        tag_run(self._asked.run_of_call, facts["model"], self._traced(facts["model"]))
        output = {"model_name": metadata["model_name"], "avengers": facts}
        elected = ChatResult(generations=[generation], llm_output=output)
        return as_chunk(elected) if self._streamed else elected


def tokens_of(message: BaseMessage, told: Mapping[str, Any] | None = None) -> Tokens | None:
    """The tokens of an answer, if its backend says anything of them.

    Args:
        message: the answer.
        told: what else is said of it; default, the message's own metadata.
    """
    usage = message.usage_metadata if isinstance(message, AIMessage) else None
    if not usage:
        return None
    cached = usage.get("input_token_details", {}).get("cache_read")
    own = (message.response_metadata if told is None else told).get("token_usage")
    paid = None
    if isinstance(own, dict):
        upstream = (own.get("cost_details") or {}).get("upstream_inference_cost")
        paid = charged(own.get("cost"), own.get("is_byok"), upstream)
    return Tokens.of(usage.get("input_tokens"), usage.get("output_tokens"), cached, paid)


def _message_of(answer: ChatResult | ChatGenerationChunk) -> BaseMessage:
    return (answer.generations[0] if isinstance(answer, ChatResult) else answer).message


def _says_anything(message: BaseMessage) -> bool:
    """Whether there is a word, a tool call or anything else in a message but thoughts, and marks of
    its end."""
    content = message.content
    if any(map(says, [content] if isinstance(content, str) else content)):
        return True
    if isinstance(message, AIMessage) and (message.tool_calls or message.invalid_tool_calls):
        return True
    if isinstance(message, AIMessageChunk) and message.tool_call_chunks:
        return True
    # A refusal, a function call of old, sound.
    beside = message.additional_kwargs.items()
    return any(value for name, value in beside if name not in _NO_WORDS)


def _refusal_in(message: BaseMessage) -> Any:
    """What a model says in the place that its provider has for refusals."""
    blocks = message.content if isinstance(message.content, list) else ()
    told = next((b for b in blocks if isinstance(b, dict) and b.get("type") == "refusal"), {})
    return message.additional_kwargs.get("refusal") or told.get("refusal")


def _shows_thoughts(message: BaseMessage) -> bool:
    """Whether it shows any of the model's thoughts: a stream of them goes out as it comes."""
    if message.additional_kwargs.get(CONTENT):
        return True
    blocks = message.content if isinstance(message.content, list) else ()
    return any(
        isinstance(b, dict)
        and b.get("type") in THOUGHTS
        and any(b.get(name) for name in ("thinking", "reasoning", "reasoning_content", "summary"))
        for b in blocks
    )


class ChunkMarker:
    """Marks one stream's chunks: the first names who answers, the last has the decision."""

    def __init__(self, facts: dict[str, Any], traced: Mapping[str, str]) -> None:
        self._facts = facts
        self._traced = traced
        self._empty: str | list[Any] | None = None
        self._named = False
        self._done = False
        self._finished: bool | None = None  # None: nothing was said of it

    def mark(self, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
        """The chunk, marked."""
        message = chunk.message
        extra: dict[str, Any] = {}
        if self._empty is None:
            extra[ANSWERED_BY] = self._facts["model"]
            self._empty = "" if isinstance(message.content, str) else []
        info = {**(chunk.generation_info or {}), **message.response_metadata}
        self._named |= "model_name" in info
        if info and not self._finished:
            self._finished = bool(ended_in(info))
        if getattr(message, "chunk_position", None) == "last" and not self._done:
            extra |= self._final()
        if extra:
            message.response_metadata = {**message.response_metadata, **extra}
        return chunk

    def rest(self) -> Iterator[ChatGenerationChunk]:
        """A chunk for the decision, where the backend named none as its last."""
        if not self._done:
            message = AIMessageChunk(
                content="" if self._empty is None else self._empty,
                response_metadata=self._final(),
                chunk_position="last",
            )
            yield ChatGenerationChunk(message=message)

    def _final(self) -> dict[str, Any]:
        self._done = True
        if self._finished is False:
            self._facts["truncated"] = True
        name = {} if self._named else {"model_name": self._facts["model"]}
        return {**name, **self._traced, "avengers": self._facts}
