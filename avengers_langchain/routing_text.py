"""What a LangChain call is about: its question, its length, and what it needs of a model.

Retrieved text must not decide the route, so the question is looked for, in this order:

1. an explicit routing query: ``routing_query=`` of the call (or of ``bind``), ``routing_query`` in
   the config's metadata, :func:`avengers_core.routing_text.routing_hint`;
2. the variable for it (``question``, ``input``, ...) of the prompt that feeds the model in the
   same chain. A callback handler, installed for all runs, notes the variables of prompts;
3. that prompt's last human message without the values of its context variables;
4. the last message that a human wrote;
5. nothing: the artifact's overall means decide.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.tracers.context import register_configure_hook

from avengers_core.routing_text import (
    CONTEXT_VARIABLES,
    RoutingText,
    current_hint,
    estimate_tokens,
    is_observation,
    question_from_variables,
)

ROUTING_QUERY = "routing_query"

_MOST_RUNS = 10_000  # remembered at a time; a chain's are forgotten when it ends
_IMAGE_TYPES = frozenset({"image", "image_url", "input_image"})
# Runs between a prompt's chain and its model that hand the prompt on as it is.
_TRANSPARENT = (
    "RunnableParallel",
    "RunnableAssign",
    "RunnableWithFallbacks",
    "RunnableRetry",
    "AvengersPick",
)


@dataclass(frozen=True)
class Request:
    """What routing has to know of one call.

    Attributes:
        question: the text that decides, and where it was found; blank if there is none.
        tokens: estimated length of all messages.
        images: whether there are images in them.
    """

    question: RoutingText
    tokens: int
    images: bool


class PromptVariables(BaseCallbackHandler):
    """Notes the variables of prompts, by the chain that they are part of."""

    run_inline = True  # in the caller's context: the model that reads them runs there

    def __init__(self) -> None:
        self._variables: OrderedDict[UUID, Mapping[str, Any]] = OrderedDict()
        self._parents: OrderedDict[UUID, UUID] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def ignore_llm(self) -> bool:
        """It has no use for tokens."""
        return True

    @property
    def ignore_retriever(self) -> bool:
        """Nor for documents."""
        return True

    @property
    def ignore_agent(self) -> bool:
        """Nor for tools."""
        return True

    @property
    def ignore_custom_event(self) -> bool:
        """Nor for events."""
        return True

    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        run_type: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Note a prompt's variables under its parent; chains have no others."""
        if parent_run_id is None:
            return
        if run_type == "prompt":
            if isinstance(inputs, Mapping):
                self._note(self._variables, parent_run_id, inputs)
        elif name is not None and name.startswith(_TRANSPARENT):
            self._note(self._parents, run_id, parent_run_id)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Forget the variables of a chain."""
        self._forget(run_id)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Forget the variables of a chain."""
        self._forget(run_id)

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Leave word for the model that runs next in this context: streams are told no more."""
        variables = self.of(parent_run_id)
        query = (metadata or {}).get(ROUTING_QUERY)
        _current_run.set((variables, query if isinstance(query, str) else None))

    def of(self, run_id: UUID | None) -> Mapping[str, Any]:
        """The variables of the prompt in a chain, or in the chain that it is a part of."""
        while run_id is not None:
            if (variables := self._variables.get(run_id)) is not None:
                return variables
            run_id = self._parents.get(run_id)
        return {}

    def _note(self, table: OrderedDict[UUID, Any], run_id: UUID, value: Any) -> None:
        with self._lock:
            table[run_id] = value
            if len(table) > _MOST_RUNS:
                table.popitem(last=False)

    def _forget(self, run_id: UUID) -> None:
        if run_id in self._variables or run_id in self._parents:
            with self._lock:
                self._variables.pop(run_id, None)
                self._parents.pop(run_id, None)


_current_run: ContextVar[tuple[Mapping[str, Any], str | None]] = ContextVar(
    "avengers_langchain_run", default=({}, None)
)
_handler: ContextVar[PromptVariables | None] = ContextVar(
    "avengers_prompt_variables",
    default=PromptVariables(),  # noqa: B039
)
register_configure_hook(_handler, inheritable=True)


def prompt_variables(parent_run_id: UUID | None) -> Mapping[str, Any]:
    """The variables of the prompt that feeds a run, by the run's parent."""
    handler = _handler.get()
    return {} if handler is None else handler.of(parent_run_id)


def current_run() -> tuple[Mapping[str, Any], str | None]:
    """Of the model run that has just begun here: prompt variables, and the metadata's query."""
    return _current_run.get()


def read(
    messages: Sequence[BaseMessage],
    variables: Mapping[str, Any],
    routing_query: str | None = None,
) -> Request:
    """What a call is about.

    Args:
        messages: the whole prompt.
        variables: of the prompt template that they were made from, if any.
        routing_query: what the caller wants it to be routed on.
    """
    texts = [str(message.text) for message in messages]
    images = any(
        isinstance(block, dict) and block.get("type") in _IMAGE_TYPES
        for message in messages
        if not isinstance(message.content, str)
        for block in message.content
    )
    question = _question(messages, texts, variables, routing_query)
    return Request(question, sum(map(estimate_tokens, texts)), images)


def _question(
    messages: Sequence[BaseMessage],
    texts: Sequence[str],
    variables: Mapping[str, Any],
    routing_query: str | None,
) -> RoutingText:
    if query := routing_query or current_hint():
        return RoutingText(query, "hint")
    if (question := question_from_variables(variables)) is not None:
        return RoutingText(question, "variable")
    human = _last_human(messages, texts)
    bare = human
    for name in CONTEXT_VARIABLES:
        value = variables.get(name)
        if value and (text := value if isinstance(value, str) else str(value)) in bare:
            bare = bare.replace(text, "")
    if not bare.strip():
        return RoutingText("", "none")
    return RoutingText(bare, "message" if bare is human else "template")


def _last_human(messages: Sequence[BaseMessage], texts: Sequence[str]) -> str:
    for message, text in zip(reversed(messages), reversed(texts), strict=True):
        if isinstance(message, HumanMessage) and text.strip() and not is_observation(text):
            return text
    return ""
