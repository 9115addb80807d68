"""What a call is about: the question that it is routed on, its length, and what it needs.

The question decides, not the retrieved text around it.

In a conversation the question is the last thing that the human said, and what was said before
counts as far as it goes on with that (:mod:`avengers_core.routing.turns`).

The order of precedence, shared by the plugins:

1. an explicit routing query for the call, such as :func:`routing_hint`;
2. the prompt's own variable for the question (:data:`QUESTION_VARIABLES`);
3. the prompt's template with its context variables (:data:`CONTEXT_VARIABLES`) left empty;
4. the last message that a human wrote;
5. nothing usable: the artifact's overall means decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

from avengers_core.embedders.tokens import estimate_tokens
from avengers_core.redaction import redacted
from avengers_core.serving.backends.capabilities import Needs

QUESTION_VARIABLES = (
    "query_str",
    "question",
    "query",
    "input",
    "user_question",
    "user_query",
    "user_input",
    "user_message",
    "problem",
    "task",
)
"""Names that prompts give to the question, best first."""

CONTEXT_VARIABLES = (
    "context_str",
    "context",
    "existing_answer",
    "chat_history",
    "history",
    "documents",
    "docs",
    "summaries",
    "context_msg",
    "agent_scratchpad",
)
"""Names that prompts give to retrieved text, earlier answers and the conversation so far."""

_CONVERSATION = ("thread_id", "conversation_id", "session_id")  # as traces and memories call it
_NAMES = (str, int, UUID)

_PERSON = b"avengers-convers"  # so that it is no hash of the text that others may have

_hint: ContextVar[str | None] = ContextVar("avengers_routing_hint", default=None)


class RoutingText(NamedTuple):
    """A text to route on.

    Attributes:
        text: blank if nothing usable was found.
        source: where it was found: ``"hint"``, ``"variable"``, ``"template"``, ``"message"``,
            ``"prompt"`` or ``"none"``.
    """

    text: str
    source: str


class Said(NamedTuple):
    """What the human said in a conversation.

    Attributes:
        question: last; blank if nothing.
        earlier: what was answered before that, oldest first.
        opening: first.
    """

    question: str = ""
    earlier: tuple[str, ...] = ()
    opening: str = ""

    @classmethod
    def of(cls, turns: Sequence[tuple[int, str]]) -> Said:
        """From all that was said, each with how many answers there were before."""
        if not turns:
            return cls()
        newest, question = turns[-1]
        if len(turns) == 1:
            return cls(question, (), question)
        earlier = tuple(text for before, text in turns if before < newest)
        return cls(question, earlier, turns[0][1])


@dataclass(eq=False)
class Request:
    """What routing has to know of one call.

    Attributes:
        question: the text that decides, and where it was found; blank if there is none.
        tokens: estimated length of the whole prompt.
        needs: what the model must be able to do: any one of these.
        earlier: what the same human said before the question, oldest first; nothing, where it is
            decided on what its caller says alone.
        keeps: the model that made the tool calls whose results are the latest news, if any.
        answered_by: the model that gave the last answer of the conversation, if any.
        opening: what the human said first, blank if nothing.
        conversation: tells which the call belongs to, if its caller, or an earlier answer, says so;
            asked only where somebody wants to know.
        cached_tokens: model -> tokens at the beginning of the prompt that it has read before.
    """

    question: RoutingText
    tokens: int
    needs: tuple[Needs, ...]
    earlier: tuple[str, ...] = ()
    keeps: str | None = None
    answered_by: str | None = None
    opening: str = ""
    conversation: Callable[[], str | None] = lambda: None
    cached_tokens: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.question.source == "hint":
            self.earlier = ()

    @property
    def conversation_id(self) -> str | None:
        """What the log calls the conversation; None where nothing tells one.

        Turns that nothing else joins have the same opening, of which this is a hash: no text can be
        read off it, but whoever guesses the text can find the guess confirmed.
        """
        named = self.conversation()
        if named is not None and redacted(named) == named:
            return named
        told = named or self.opening.strip()
        if not told:
            return None
        return blake2b(told.encode("utf-8", "replace"), digest_size=16, person=_PERSON).hexdigest()

    @property
    def prompt_tokens(self) -> int | None:
        """What costs are scaled to; None where the prompt is no longer than the question."""
        return self.tokens if self.tokens > estimate_tokens(self.question.text) else None

    def needing(self, *ways: Needs, tokens: int = 0) -> Request:
        """The same call with what its tools and schemas add.

        Args:
            ways: what they need of a model; any one of these will do.
            tokens: how much longer they make the prompt.
        """
        total = self.tokens + tokens
        needs = tuple(own.along_with(way, total) for own in self.needs for way in ways)
        return replace(self, tokens=total, needs=needs)


@contextmanager
def routing_hint(text: str) -> Iterator[None]:
    """Route all calls made inside on this text, in whatever framework they are made.

    Each thread and each asyncio task has its own.
    """
    token = _hint.set(text)
    try:
        yield
    finally:
        _hint.reset(token)


def current_hint() -> str | None:
    """The text that :func:`routing_hint` gave, or None."""
    return _hint.get()


def routed_on(found: RoutingText, query: str | None = None) -> RoutingText:
    """What a call is routed on: what its caller says, else what was found in it.

    Args:
        found: in the prompt.
        query: what the call itself names.

    Raises:
        ValueError: what is named is no text.
    """
    if hint := query or current_hint():
        if not isinstance(hint, str):
            raise ValueError(
                f"routing_query= and routing_hint() take the text to route on, got {hint!r:.40}"
            )
        return RoutingText(hint, "hint")
    return found if found.text.strip() else RoutingText("", "none")


def question_from_variables(variables: Mapping[str, Any]) -> str | None:
    """The question among a prompt's variables, or None; blank ones and other types do not count."""
    for name in QUESTION_VARIABLES if variables else ():
        value = variables.get(name)
        if isinstance(value, str) and value.strip():
            return value
    return None


def conversation_named_in(told: Mapping[str, Any]) -> str | None:
    """The conversation that a caller's metadata, configuration or tags name, or None."""
    for name in _CONVERSATION:
        value = told.get(name)
        if isinstance(value, _NAMES) and (named := str(value)):
            return named
    return None


def is_observation(text: str) -> bool:
    """Whether a text is a ReAct agent's ``Observation: ...``, which arrives with the user role."""
    return text.lstrip().startswith("Observation:")
