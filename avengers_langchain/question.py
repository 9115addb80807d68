"""What a LangChain call is about: its question, its length, and what it needs of a model.

Retrieved text must not decide the route, so the question is looked for, in this order:

1. an explicit routing query: ``routing_query=`` of the call (or of ``bind``), ``routing_query`` in
   the config's metadata, :func:`avengers_core.serving.question.routing_hint`;
2. the variable for it (``question``, ``input``, ...) of the prompt template that made the
   messages. A callback handler, installed for all runs, notes what templates make of what; the
   model knows its messages among that, whatever runnables they came through;
3. that template's last human message without the values of its context variables;
4. the last message that a human wrote;
5. nothing: the artifact's overall means decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, ToolMessage
from langchain_core.runnables.config import var_child_runnable_config

from avengers_core.embedders.tokens import estimate_tokens
from avengers_core.serving.backends.capabilities import Needs
from avengers_core.serving.question import (
    CONTEXT_VARIABLES,
    Request,
    RoutingText,
    conversation_named_in,
    is_observation,
    question_from_variables,
    routed_on,
)
from avengers_langchain.calling.callbacks import ModelRun, current_run
from avengers_langchain.history.measuring import measure
from avengers_langchain.history.plain import n_system, plain_texts
from avengers_langchain.history.reading import results_in
from avengers_langchain.history.saying import said
from avengers_langchain.history.writers import conversation_of, is_paused, writer_of


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
    texts = plain_texts(messages)
    if texts is not None and not any(map(is_observation, texts)):  # what else may be is not there
        asked = texts[n_system(messages) :: 2]
        tokens = sum(map(estimate_tokens, texts))
        return Request(
            routed_on(_found(asked[-1], variables), routing_query),
            tokens,
            (Needs(tokens=tokens),),
            earlier=tuple(asked[:-1]),
            opening=asked[0],
            conversation=partial(_conversation_of, (), current_run()),
        )
    human = said(messages)
    tokens, media, read_by = measure(messages)
    needs = (Needs(tokens=tokens, **dict.fromkeys(media, True)),)  # type: ignore[arg-type]
    answers = [message for message in reversed(messages) if isinstance(message, AIMessage)]
    return Request(
        routed_on(_found(human.question, variables), routing_query),
        tokens,
        needs,
        earlier=human.earlier,
        keeps=_loop_of(messages) if answers else None,
        answered_by=next(filter(None, map(writer_of, answers)), None),
        opening=human.opening,
        conversation=partial(_conversation_of, answers, current_run()),
        cached_tokens=read_by,
    )


def _conversation_of(answers: Sequence[AIMessage], run: ModelRun) -> str | None:
    """Which conversation a call belongs to: what the caller says counts, then the last answer."""
    if (named := conversation_named_in(run.metadata)) is not None:
        return named
    config = var_child_runnable_config.get() or {}
    if (named := conversation_named_in(config.get("configurable") or {})) is not None:
        return named
    return next(filter(None, map(conversation_of, answers)), None)


def _loop_of(messages: Sequence[BaseMessage]) -> str | None:
    """Who made the tool calls whose results are the latest news, or paused in its answer."""
    for message in reversed(messages):
        if isinstance(message, AIMessage):
            called = message.tool_calls or message.invalid_tool_calls
            return writer_of(message) if called or is_paused(message) else None
        if not isinstance(message, ToolMessage | SystemMessage) and not results_in(message):
            return None
    return None


def _found(human: str, variables: Mapping[str, Any]) -> RoutingText:
    if (question := question_from_variables(variables)) is not None:
        return RoutingText(question, "variable")
    bare = human
    for name in CONTEXT_VARIABLES if variables else ():
        value = variables.get(name)
        if value and (text := value if isinstance(value, str) else str(value)) in bare:
            bare = bare.replace(text, "")
    return RoutingText(bare, "message" if bare is human else "template")
