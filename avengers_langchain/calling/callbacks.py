"""What callbacks tell a chat model: which prompt templates made its messages, and of its run."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.prompt_values import PromptValue
from langchain_core.tracers.context import register_configure_hook

from avengers_core.serving.question import question_from_variables
from avengers_langchain.history.saying import asked

ROUTING_QUERY = "routing_query"

_MOST_PROMPTS = 10_000  # remembered at a time; they are forgotten when the outermost run ends
_MOST_COMPARED = 100  # of them with a text that none of them made as it is
_TELLING = 20  # characters of a question that are not there by chance


@dataclass
class _Prompts:
    """What the prompt templates inside one outermost run made.

    Attributes:
        root: the outermost run; it may be a template itself, called alone.
        over: it has ended.
        begun: run of a template -> its variables.
        made: question as the template words it -> its variables, latest last.
    """

    root: UUID
    over: bool = False
    begun: dict[UUID, Mapping[str, Any]] = field(default_factory=dict)
    made: OrderedDict[str, Mapping[str, Any]] = field(default_factory=OrderedDict)


class ModelRun(NamedTuple):
    """A run of the model that has just begun.

    Attributes:
        messages: its prompt.
        metadata: what its caller says of it.
        id: of the run.
    """

    messages: Sequence[BaseMessage] = ()
    metadata: Mapping[str, Any] = MappingProxyType({})
    id: UUID | None = None

    @property
    def query(self) -> str | None:
        """What its caller wants it to be routed on, if that is said."""
        query = self.metadata.get(ROUTING_QUERY)
        return query if isinstance(query, str) else None


_NO_RUN = ModelRun()

# Set where an outermost run begins, so that all that runs inside it, in whichever thread or task,
# shares one object, and what runs beside it has another.
_prompts: ContextVar[_Prompts | None] = ContextVar("avengers_langchain_prompts", default=None)
_current_run: ContextVar[ModelRun | None] = ContextVar("avengers_langchain_run", default=None)


class PromptVariables(BaseCallbackHandler):
    """Notes the variables of prompt templates, by what they made."""

    run_inline = True  # in the caller's context: the model that reads them runs there

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
        **kwargs: Any,
    ) -> None:
        """Note the variables of a template."""
        prompts = _prompts.get()
        if prompts is None or parent_run_id is None:
            prompts = _Prompts(run_id)
            _prompts.set(prompts)
        if run_type == "prompt" and isinstance(inputs, Mapping):
            prompts.begun[run_id] = inputs

    def on_chain_end(
        self, outputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Note what a template made; forget all when the outermost run ends."""
        prompts = _prompts.get()
        if prompts is None:
            return
        variables = prompts.begun.pop(run_id, None)
        if run_id == prompts.root:
            prompts.over = True
            prompts.made.clear()
        if variables is not None and isinstance(outputs, PromptValue):
            prompts.made[asked(outputs.to_messages())] = variables
            if len(prompts.made) > _MOST_PROMPTS:
                prompts.made.popitem(last=False)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Forget a template, or all."""
        self.on_chain_end(None, run_id=run_id)

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Leave word for the model that runs next in this context: streams are told no more."""
        _current_run.set(ModelRun(messages[0] if messages else [], metadata or {}, run_id))


_handler: ContextVar[PromptVariables | None] = ContextVar(
    "avengers_prompt_variables",
    default=PromptVariables(),  # noqa: B039
)
register_configure_hook(_handler, inheritable=True)


def prompt_variables(messages: Sequence[BaseMessage]) -> Mapping[str, Any]:
    """The variables of the template that made these messages; none if there is no such template.

    Where the messages were changed on their way through a chain, it is its latest template whose
    question is still in them.
    """
    prompts = _prompts.get()
    if prompts is None or not prompts.made:
        return {}
    text = asked(messages)
    if text in prompts.made:
        return prompts.made[text]
    if prompts.over:
        return {}
    for worded, variables in islice(reversed(prompts.made.items()), _MOST_COMPARED):
        question = question_from_variables(variables)
        if question is not None and (_holds(text, worded) or _holds(text, question)):
            return variables
    return {}


def _holds(text: str, part: str) -> bool:
    """Whether a text is about another that is in it, which a word or two in it do not tell."""
    if part not in text or not (len(part) >= _TELLING or 2 * len(part) >= len(text)):
        return False
    return re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text) is not None


def current_run() -> ModelRun:
    """The model run that has just begun here."""
    return _current_run.get() or _NO_RUN
