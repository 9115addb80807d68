"""What the human said, and not what an agent puts in the human's name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llama_index.core.base.llms.types import ChatMessage, MessageRole

from avengers_core.serving.question import Said, is_observation
from avengers_llamaindex.history.writers import ANSWERS

# How a CodeActAgent hands over what a tool gave, in the user's name as a ReActAgent does.
_RESULT_OF_CODE = "Result of executing the code given:"
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
            for turn in _quoted(text) if quoted else [text]:
                if turn.strip() and not is_result(turn):
                    turns.append((answers, turn))
                answers += quoted
    return Said.of(turns)


def is_asked(text: str) -> bool:
    """Whether a text in the user's name is just what the human said."""
    return not text.startswith(_CONVERSATION) and not is_result(text)


def is_result(text: str) -> bool:
    """Whether an agent hands over what a tool gave."""
    return is_observation(text) or text.startswith(_RESULT_OF_CODE)


def _quoted(conversation: str) -> list[str]:
    """What the human said in a conversation that an agent wrote down as one text."""
    return ["\n".join(_SAID.findall(turn)) for turn in _SAID_BY_USER.findall(conversation)]
