"""``as_structured_llm``: every answer an object of a class, each call decided on its question."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.llms.llm import LLM
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.prompts import BasePromptTemplate

from avengers_core.serving.question import current_hint, routing_hint
from avengers_llamaindex.question import from_template


class AvengersStructuredLLM(StructuredLLM):
    """A ``StructuredLLM`` whose template calls keep their question.

    The stock one renders the template first, and the router under it would see the retrieved text
    and the question as one message. (Its streams carry no text, so they are left alone.)
    """

    def predict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        with _decided_on_question(prompt, prompt_args):
            return str(super().predict(prompt, **prompt_args))

    def __reduce__(self) -> tuple[Any, ...]:
        # The framework's way drops, with a warning, what refuses to be pickled.
        return _restore, (type(self), self.llm, self.output_cls)

    async def apredict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        with _decided_on_question(prompt, prompt_args):
            return str(await super().apredict(prompt, **prompt_args))


def _restore(cls: type[StructuredLLM], llm: LLM, output_cls: type[BaseModel]) -> StructuredLLM:
    return cls(llm=llm, output_cls=output_cls)


def _decided_on_question(
    prompt: BasePromptTemplate, arguments: Mapping[str, Any]
) -> AbstractContextManager[None]:
    question = from_template(prompt, arguments).question.text
    if current_hint() or not question.strip():
        return nullcontext()
    return routing_hint(question)
