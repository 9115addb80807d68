"""A call whose prompt can be counted, and what counts as prompt."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.utils import get_tokenizer

from avengers_core.embedders.tokens import estimate_tokens
from avengers_core.serving.backends.capabilities import Needs
from avengers_core.serving.question import Request, RoutingText, routed_on
from avengers_llamaindex.history.measuring import Measured

# Placeholders and the like are counted here, but not where the framework fills a window.
_SURE = 0.95


@dataclass(eq=False)
class Prompt(Request):
    """A call whose prompt can be counted.

    Attributes:
        whole: all the text of the prompt.
        media_tokens: length of its pictures and the like.
    """

    whole: str = ""
    media_tokens: int = 0

    @classmethod
    def of(
        cls,
        question: RoutingText,
        whole: str,
        ways: tuple[Needs, ...] = (Needs(),),
        media_tokens: int = 0,
        **told: Any,
    ) -> Prompt:
        """A call, with its length estimated.

        Args:
            question: what was found in it.
            whole: all the text of the prompt.
            ways: what a model must be able to do, whatever the length: any one of these.
            media_tokens: length of its pictures and the like.
            told: further attributes.
        """
        tokens = estimate_tokens(whole) + media_tokens
        needs = tuple([way.of_length(tokens) for way in ways])
        question = routed_on(question)
        return cls(question, tokens, needs, whole=whole, media_tokens=media_tokens, **told)

    def counted(self) -> Prompt:
        """The same with the prompt's tokens counted as the framework counts them to fill windows.

        A prompt that it made to fit must not be taken for too long because of an estimate.
        """
        tokens = int(len(get_tokenizer()(self.whole)) * _SURE) + self.media_tokens
        return replace(self, needs=tuple(need.of_length(tokens) for need in self.needs))


def media_needs(each: Iterable[Measured]) -> Needs:
    """What the media in messages need of a model."""
    named: dict[str, Any] = dict.fromkeys(frozenset().union(*(part.media for part in each)), True)
    return Needs(**named)


@lru_cache(maxsize=1024)
def schema_text(cls: type) -> str:
    """The schema of a class as it counts as prompt; blank for a class that has none."""
    # Pydantic builds the schema anew at each call, which takes longer than routing.
    return json.dumps(cls.model_json_schema()) if issubclass(cls, BaseModel) else ""
