"""What OpenAI-compatible servers send of a model's reasoning, and what of it they want back.

Three ways are in use, also side by side: a text, as ``reasoning_content`` or ``reasoning``;
OpenRouter's ``reasoning_details``, a list whose entries may be signed or encrypted
(https://openrouter.ai/docs/guides/best-practices/reasoning-tokens); and Google's
``extra_content``, which signs single tool calls
(https://ai.google.dev/gemini-api/docs/thought-signatures#openai).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from avengers_core.serving.history.turns import Role

CONTENT = "reasoning_content"
DETAILS = "reasoning_details"
SIGNED = "extra_content"
READ_ONLY = "reasoning_is_read_only"
KEPT = (DETAILS, SIGNED, READ_ONLY)
"""What is kept for the server that sent it, beside the text."""

_PIECES = ("text", "summary", "data")  # of an entry, what a stream sends piece by piece


@dataclass
class Reasoning:
    """What a server sends of a model's reasoning, as a whole or delta by delta.

    Attributes:
        text: of the thoughts.
        details: the entries of ``reasoning_details``, those of a stream put together.
        signed: identifier of a tool call -> its ``extra_content``.
        read_only: the text came as ``reasoning``; who sends it so refuses ``reasoning_content``
            (Groq, Cerebras), or has ``reasoning_details`` for the way back.
    """

    text: str = ""
    details: list[dict[str, Any]] = field(default_factory=list)
    signed: dict[str, Any] = field(default_factory=dict)
    read_only: bool = False

    def __bool__(self) -> bool:
        return bool(self.text or self.details or self.signed)

    @classmethod
    def of(cls, message: Mapping[str, Any] | None) -> Reasoning:
        """That of a whole message, or of a single delta."""
        reasoning = cls()
        reasoning.add(message or {})
        return reasoning

    def clear(self) -> None:
        """Forget what is kept."""
        self.details, self.signed, self.read_only = [], {}, False

    @property
    def kept(self) -> dict[str, Any]:
        """What there is to keep of :data:`KEPT`, by its name."""
        found = {DETAILS: self.details, SIGNED: self.signed, READ_ONLY: self.read_only}
        return {name: value for name, value in found.items() if value}

    def add(self, message: Mapping[str, Any]) -> str:
        """Take in a message or a delta of one.

        Args:
            message: as the server sent it.

        Returns:
            The text that it adds.
        """
        fragments = message.get(DETAILS)
        fragments = fragments if isinstance(fragments, list) else ()
        given = message.get(CONTENT) or message.get("reasoning")
        self.read_only |= bool(given) and not message.get(CONTENT)
        added = given if isinstance(given, str) else ""
        for fragment in fragments:
            if isinstance(fragment, Mapping):
                self._put(fragment)
                added += "" if given else str(fragment.get("text") or fragment.get("summary") or "")
        for call in message.get("tool_calls") or ():
            if isinstance(call, Mapping) and call.get(SIGNED) and call.get("id"):
                self.signed[call["id"]] = call[SIGNED]
        self.text += added
        return added

    def _put(self, fragment: Mapping[str, Any]) -> None:
        """Add an entry, or a piece of the last one: pieces have its type and its index."""
        last = self.details[-1] if self.details else None
        same = (
            last is not None
            and fragment.get("index") is not None
            and all(last.get(key) == fragment.get(key) for key in ("type", "index"))
        )
        if last is None or not same:
            self.details.append(dict(fragment))
            return
        for name, value in fragment.items():
            if name in _PIECES and isinstance(value, str):
                last[name] = (last.get(name) or "") + value
            elif value is not None:
                last[name] = value


class Thought(NamedTuple):
    """What there is in a message of its writer's reasoning.

    Attributes:
        role: who speaks.
        calls: whether tools are called.
        text: of the thoughts.
        kept: what :attr:`Reasoning.kept` gave.
    """

    role: Role
    calls: bool = False
    text: str = ""
    kept: Mapping[str, Any] = {}


def write_back(
    thoughts: Sequence[Thought], sent: Sequence[dict[str, Any]], *, wants_text: bool
) -> bool:
    """Write a model's own reasoning into the messages that go back to it.

    Args:
        thoughts: of all messages.
        sent: these in the request, which are changed.
        wants_text: the server wants ``reasoning_content`` with the answers of turns in which tools
            were called; elsewhere it is ignored, or refused.

    Returns:
        Whether there was anything to write.
    """
    changed = False
    called = _in_turns_with_calls(thoughts) if wants_text else [False] * len(thoughts)
    for thought, message, in_loop in zip(thoughts, sent, called, strict=False):
        if thought.role == "assistant":
            wanted = in_loop and bool(thought.text or thought.calls)
            _write(message, thought, wanted)
            changed |= wanted or bool(thought.kept)
    return changed


def _write(sent: dict[str, Any], thought: Thought, wants_text: bool) -> None:
    kept = thought.kept
    if wants_text and not kept.get(READ_ONLY):
        sent[CONTENT] = thought.text or " "  # Moonshot takes nothing for missing
    if details := kept.get(DETAILS):
        sent[DETAILS] = [_stateless(entry) for entry in details]
    if signed := kept.get(SIGNED):
        sent["tool_calls"] = [
            {**call, SIGNED: signed[call["id"]]} if call.get("id") in signed else call
            for call in sent.get("tool_calls") or ()
        ]


def _in_turns_with_calls(thoughts: Sequence[Thought]) -> list[bool]:
    """Which messages are of a turn in which tools were called, the last answer included; a turn
    goes from one message of the user's to the next."""
    turn, with_calls = 0, set[int]()
    turns = []
    for thought in thoughts:
        turn += thought.role == "user"
        turns.append(turn)
        if thought.calls:
            with_calls.add(turn)
    return [of in with_calls for of in turns]


def without_a_first_thought(messages: Sequence[tuple[Role, bool, bool]]) -> list[bool]:
    """Which calls stand in a loop that is under way, and was begun without a thought.

    A Claude that is told to think refuses them. It thinks once, at the beginning: what it
    calls after the result of a tool needs no thought of its own
    (https://docs.claude.com/en/docs/build-with-claude/extended-thinking#extended-thinking-with-tool-use).

    Args:
        messages: who speaks, whether tools are called, and whether thoughts come first.
    """
    asked = (i for i, (role, _, _) in enumerate(messages) if role == "user")
    answered = (i for i, said in enumerate(messages) if said[:2] == ("assistant", False))
    # What the user says directly behind results goes in one message with these: it is no new turn.
    begun = min(max(asked, default=-1), max(answered, default=-1))
    thought = next((i for i, said in enumerate(messages) if i > begun and said[2]), len(messages))
    return [calls and begun < i < thought for i, (_, calls, _) in enumerate(messages)]


def _stateless(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry without the identifier of an item that OpenAI's server would be asked for."""
    own = str(entry.get("id") or "")
    return {k: v for k, v in entry.items() if k != "id" or not own.startswith("rs_")}
