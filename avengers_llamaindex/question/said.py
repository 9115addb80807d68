"""What the human said, and not what an agent puts in the human's name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llama_index.core.base.llms.types import ChatMessage, MessageRole

from avengers_core.serving.question import Said, is_observation
from avengers_llamaindex.history.writers import ANSWERS

# In the user's name a CodeActAgent hands over what a tool gave, as a ReActAgent does, and that one
# asks for an answer that it can read.
_OF_AGENTS = re.compile(
    r"Result of executing the code given:"
    r"|Error while parsing the output: .*\n\nThe output should be in one of the following formats:"
    r"|FAILURE: Your previous response was empty\.\nYou must output ",
    re.DOTALL,
)
# A memory puts what it knows before what the user said, and an agent its state.
_BEFORE_SAID = re.compile(
    r"(?:\s*<memory>\n.*?</memory>)?\s*(?:Current state:\n.*?\n\nCurrent message:\n)?", re.DOTALL
)
# An agent with an output class hands over its whole conversation as one message in the end.
_CONVERSATION = "<current_conversation>"
_SAID_BY_USER = re.compile(r"\t<user>\n(.*?)\t</user>\n", re.DOTALL)
_SAID = re.compile(r"\t\t<message>(.*?)</message>\n", re.DOTALL)


def said_in(messages: Iterable[ChatMessage]) -> Said:
    """The question, and what was said before."""
    turns: list[tuple[int, str]] = []
    answers = 0
    for message in messages:
        if message.role in ANSWERS:
            answers += 1
        elif message.role == MessageRole.USER:
            text = message.content or ""
            quoted = text.startswith(_CONVERSATION)
            for turn in map(_without_context, _quoted(text) if quoted else [text]):
                if turn.strip() and not is_result(turn):
                    turns.append((answers, turn))
                answers += quoted
    return Said.of(turns)


def is_asked(text: str) -> bool:
    """Whether a text in the user's name is just what the human said."""
    return not (
        text.startswith(_CONVERSATION) or is_result(text) or len(_without_context(text)) < len(text)
    )


def is_result(text: str) -> bool:
    """Whether an agent hands over what came of an answer: what a tool gave, or that it is none."""
    return is_observation(text) or _OF_AGENTS.match(text) is not None


def _without_context(text: str) -> str:
    before = _BEFORE_SAID.match(text)
    return text[before.end() :].strip() if before and before[0].strip() else text


def _quoted(conversation: str) -> list[str]:
    """What the human said in a conversation that an agent wrote down as one text."""
    return ["\n".join(_SAID.findall(turn)) for turn in _SAID_BY_USER.findall(conversation)]
