"""What the strict server says, whatever protocol it is asked in."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass, field
from typing import Any

_NUMBERS = itertools.count(1)


class RefusalError(Exception):
    """A request that the real server answers with status 400."""


def require(fits: Any, problem: str) -> None:
    """Refuse the request unless it fits."""
    if not fits:
        raise RefusalError(problem)


def asked(history: Any) -> bool:
    """Whether the last message, of any protocol, asks for a tool: it says please, and that a tool
    returned something was said before, if at all."""
    last = json.dumps(history[-1] if isinstance(history, list) else history)
    return last.rfind("please") > last.rfind("returned")


@dataclass
class Answer:
    """One answer.

    Attributes:
        text: what it says; ``""`` where it only calls a tool.
        call: name of the tool that it calls.
        looked_up: with what a provider's own tools leave: a search, code that was run, sources.
        thought: its reasoning.
        number: of the answer, for identifiers.
    """

    text: str = ""
    call: str | None = None
    looked_up: bool = False
    thought: str = "Let me think."
    number: int = field(default_factory=lambda: next(_NUMBERS))


def signature(model: str, thought: str) -> str:
    """What proves that a model thought this."""
    return hashlib.sha256(f"{model}:{thought}".encode()).hexdigest()[:32]
