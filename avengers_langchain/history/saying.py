"""What the human said in a conversation."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from avengers_core.serving.question import Said, is_observation

_SUMMARY = -1  # answered before any of the messages that are left


def said(messages: Sequence[BaseMessage]) -> Said:
    """What the human said.

    An agent speaks in the human's role too: what a tool saw does not count, and a summary of what
    was said before only as that.
    """
    turns: list[tuple[int, str]] = []
    answers = 0
    for message in messages:
        if isinstance(message, AIMessage):
            answers += 1
            continue
        if not isinstance(message, HumanMessage):
            continue
        text = message.content if isinstance(message.content, str) else str(message.text)
        if text.strip() and not is_observation(text):
            summary = message.additional_kwargs.get("lc_source") == "summarization"
            turns.append((_SUMMARY if summary else answers, text))
    while turns and turns[-1][0] == _SUMMARY:
        turns.pop()
    return Said.of(turns)


def asked(messages: Sequence[BaseMessage]) -> str:
    """What a human asks last; of messages that are all the system's, what the last one says."""
    return said(messages).question or (str(messages[-1].text) if messages else "")
