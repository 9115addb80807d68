"""A LlamaIndex LLM that hands each call to the model that a fitted router picks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from llama_index.core.base.llms.generic_utils import (
    messages_to_prompt as generic_messages_to_prompt,
)
from llama_index.core.base.llms.types import ChatResponse, LLMMetadata
from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import default_completion_to_prompt
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.types import PydanticProgramMode
from typing_extensions import Self

from avengers_core.redaction import refuse_key
from avengers_core.serving.settings import CONFIG, ServingSettings
from avengers_llamaindex.backends import Backends
from avengers_llamaindex.calling.calls import Asked, own_settings
from avengers_llamaindex.calling.masking import mask_secrets_of
from avengers_llamaindex.delegating import DelegatingLLM
from avengers_llamaindex.question import Prompt
from avengers_llamaindex.structured import AvengersStructuredLLM

# What the framework sets on its LLM that is for the backends: those that are made here, and the
# last two all of them.
_OF_MADE = (
    "system_prompt",
    "messages_to_prompt",
    "completion_to_prompt",
    "output_parser",
    "query_wrapper_prompt",
    "rate_limiter",
)
_OF_ALL = ("callback_manager", "pydantic_program_mode")
_NOT_SAID = (None, generic_messages_to_prompt, default_completion_to_prompt)
_MODELS_BY_ID = (
    "Give models= as a list of ids, so that the backends are made from the environment on the "
    "other side, or make the AvengersLLM there."
)


class AvengersLLM(ServingSettings, DelegatingLLM):
    """Answers each call with the model that has the best balance of expected score and cost.

    A drop-in for any LlamaIndex LLM: every method is handed to the same method of the chosen
    backend, so each builds its own tool schemas and structured outputs. What decides is the
    question, not the retrieved text (:mod:`avengers_llamaindex.question`). If a backend fails,
    the next candidate of the same decision answers.

    Setup:
        ``pip install 'avengers-router[llamaindex]'``, and a key in the environment:
        ``AVENGERS_BASE_URL`` with ``AVENGERS_API_KEY``, else ``OPENROUTER_API_KEY``, else
        ``OPENAI_API_KEY``. With ``models=`` none of these is needed.

    Instantiate::

        Settings.llm = AvengersLLM(alpha=0.4)
        llm = AvengersLLM(alpha=0.4, router="artifact/", models={"openai/gpt-5": OpenAI(...), ...})
        better = llm.model_copy(update={"alpha": 0.9})          # same backends

    See who answered::

        llm.chat(messages).additional_kwargs["avengers"]["model"]
        with collect_events() as calls:                         # for answers without such a place
            query_engine.query("...")
        calls[-1].model, calls[-1].decision["expected_cost"]

    Route on another text than the one that would be found::

        with routing_hint("Prove that ..."):
            llm.complete(long_prompt)

    Say it of one call only, with the methods that take messages or a prompt::

        llm.chat(messages, alpha=0.9)
        llm.complete("...", models=["openai/gpt-5", "..."], max_cost=0.01)
        llm.complete("...", model="openai/gpt-5")               # this backend, always

    The settings are those of :class:`avengers_core.serving.settings.ServingSettings`, which
    :class:`avengers_langchain.AvengersChatModel` has too: ``alpha`` (or a target), ``router``,
    ``models`` (LLMs, or texts such as ``"anthropic:claude-sonnet-4-6"``), limits, votes, and what
    reaches the backends. Further settings of the framework (``system_prompt``, ``output_parser``
    and so on) reach backends that are made here.

    Raises:
        ValueError: an argument out of range, a model that the artifact does not have, or a setting
            of backends that are made here where all are given.
        TypeError: a backend that is no LLM.
        ArtifactError: no artifact at the path.
    """

    model_config = CONFIG

    _STAY = frozenset({"callback_manager", "rate_limiter"})

    def __setattr__(self, name: str, value: Any) -> None:
        pool: Backends | None = vars(self).get("pool")
        if pool is None or getattr(self, name, None) is value:
            super().__setattr__(name, value)
        elif name in _OF_MADE:
            self._set(name, value)
        else:
            super().__setattr__(name, value)
            if name in _OF_ALL:
                # The framework sets the callback manager on its one LLM: the backends need it to
                # be heard.
                pool.share(**{name: value})

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """:meth:`avengers_core.serving.settings.ServingSettings.model_copy`; a callback manager is
        set on the LLMs, as by assignment."""
        copy = super().model_copy(update=update, deep=deep)
        copy.pool.share(**{name: getattr(copy, name) for name in _OF_ALL if name in (update or ())})
        return copy

    def _make_pool(self, existing: Any) -> Backends:
        said = {k: v for k in _OF_MADE if (v := getattr(self, k, None)) not in _NOT_SAID}
        settings = self._pool_settings(
            temperature=self.temperature, max_tokens=self.max_tokens, **said
        )
        if said and isinstance(self.models, Mapping):
            raise ValueError(
                f"{', '.join(said)}: for backends that are made here; set it on the LLMs in models="
            )
        pool = Backends.of(existing, settings)
        if pool is not existing:
            mask_secrets_of(pool)
            if "callback_manager" in self.model_fields_set:
                pool.share(callback_manager=self.callback_manager)
            if self.pydantic_program_mode != PydanticProgramMode.DEFAULT:
                pool.share(pydantic_program_mode=self.pydantic_program_mode)
        return pool

    @classmethod
    def class_name(cls) -> str:
        """The name in serialised form."""
        return "AvengersLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """What holds of whichever model answers.

        See :meth:`avengers_llamaindex.backends.Backends.metadata`.
        """
        return cast("LLMMetadata", self.pool.metadata(self.exclude))

    def as_structured_llm(self, output_cls: type[BaseModel], **kwargs: Any) -> StructuredLLM:
        """An LLM whose answers are objects of a class."""
        return AvengersStructuredLLM(llm=self, output_cls=output_cls, **kwargs)

    # -- routing --

    def _asked(
        self, method: str, request: Prompt, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Asked:
        own = own_settings(method, kwargs)
        if request.tokens > self.pool.smallest_window:
            request = request.counted()
        return Asked(method, args, kwargs, self.plan(request, own), self.pool)

    def _backend_of(self, response: ChatResponse) -> FunctionCallingLLM | None:
        model = response.additional_kwargs.get("avengers", {}).get("model")
        llm = self.pool.get(model) if model in self.pool.router.models else None
        return llm if isinstance(llm, FunctionCallingLLM) else None

    def _dump_models(self) -> Any:
        if isinstance(self.models, Mapping):
            for model, llm in self.models.items():
                refuse_key(f"the LLM of {model!r}", llm, _MODELS_BY_ID)
        return self.models
