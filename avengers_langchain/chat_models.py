"""A LangChain chat model that hands each call to the model that a fitted router picks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, cast

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models.base import LangSmithParams
from langchain_core.load.serializable import SerializedConstructor, SerializedNotImplemented
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from avengers_core.common.functions import cached_property
from avengers_core.embedders.tokens import estimate_tokens
from avengers_core.serving.question import current_hint, question_from_variables
from avengers_core.serving.settings import CONFIG, OF_A_CALL, ServingSettings, given
from avengers_langchain.backends import Backends
from avengers_langchain.binding import BindsConfig
from avengers_langchain.calling.answers import Asked, Method
from avengers_langchain.calling.callbacks import current_run, prompt_variables
from avengers_langchain.calling.calls import Call
from avengers_langchain.calling.runs import KnowsItsRun, streamed_run
from avengers_langchain.errors import as_langchain_names_them
from avengers_langchain.question import read
from avengers_langchain.serialization import dump_models, load_models, without_secrets


class AvengersChatModel(ServingSettings, BindsConfig, KnowsItsRun):  # type: ignore[misc]
    """Answers each call with the model that has the best balance of expected score and cost.

    A drop-in for any LangChain chat model: every call is handed to the same method of the chosen
    backend, which builds its own tool schemas and structured outputs. What decides is the
    question, not the retrieved text (:mod:`avengers_langchain.question`). If a backend fails,
    the next candidate of the same decision answers.

    Setup:
        ``pip install 'avengers-router[langchain]'``, and a key in the environment:
        ``AVENGERS_BASE_URL`` with ``AVENGERS_API_KEY``, else ``OPENROUTER_API_KEY``, else
        ``OPENAI_API_KEY``. With chat models in ``models=`` none of these is needed.

    Instantiate::

        llm = AvengersChatModel(alpha=0.4)
        llm = AvengersChatModel(
            alpha=0.4,
            router="artifact/",
            models={"openai/gpt-5": ChatOpenAI(...), "google/gemini-2.5-pro": "google_genai:..."},
        )

    Invoke::

        llm.invoke("Prove that ...", alpha=0.9)              # this call only
        llm.invoke("...", model="openai/gpt-5")              # this backend, always
        llm.invoke("...", models=["openai/gpt-5", "..."], max_cost=0.01)  # the best of these
        llm.invoke(long_prompt, config={"metadata": {"routing_query": question}})

    Stream::

        for chunk in llm.stream("Why is the sky blue?"):
            print(chunk.text, end="")

    Async::

        await llm.ainvoke("Prove that ...")                  # also astream, abatch, astream_events

    Tool calling::

        llm.bind_tools([search]).invoke("What is new?").tool_calls

    Structured output::

        llm.with_structured_output(Person).invoke("Ann is 33")

    Image input::

        llm.invoke([HumanMessage([{"type": "text", "text": "What is this?"},
                                  {"type": "image", "url": "https://..."}])])

    Token usage, which the backend reports, counted once::

        llm.invoke("...").usage_metadata

    Response metadata::

        message.response_metadata["avengers"]["model"]       # who answered
        message.response_metadata["avengers"]["tried"]       # who failed before, and why

    In a stream the last chunk carries it; the first has ``"avengers_model"`` alone.

    The settings are those of :class:`avengers_core.serving.settings.ServingSettings`, which
    :class:`avengers_llamaindex.AvengersLLM` has too: ``alpha`` (or a target), ``router``,
    ``models`` (chat models, also with arguments bound to them, or texts for ``init_chat_model``),
    limits, votes, and what reaches the backends. All that says how a call is decided can be said
    of one call (``llm.invoke(..., alpha=0.9)``), with ``bind`` and with ``configurable_fields``.

    Args:
        stop: stop sequences of calls that bring none.
        streaming: fetch all answers as streams, also those of ``invoke``; False: fetch none so.

    Raises:
        ValueError: an argument out of range, a model that the artifact does not have, or no
            artifact at the path.
        TypeError: a backend that is no chat model.

    A call that fails raises what its backends raised, or an error of this package that is also of
    the kind LangChain has for it, such as ``ModelRateLimitError``
    (:mod:`avengers_langchain.errors`).
    """

    model_config = CONFIG

    stop: list[str] | None = None
    streaming: bool | None = None

    _STAY = frozenset({"callbacks", "cache", "rate_limiter", "custom_get_token_ids"})

    def _make_pool(self, existing: Any) -> Backends:
        pool = Backends.of(existing, self._pool_settings())
        fields = vars(self)
        # What holds of the pool, unless the user said otherwise.
        if self.profile is None or (existing is not None and self.profile == existing.profile):
            fields["profile"] = pool.profile
        if self.output_version is None:
            fields["output_version"] = pool.output_version()
        return pool

    # -- what the framework calls --

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with as_langchain_names_them():
            asked = self._asked("generate", messages, stop, run_manager, kwargs)
            return cast("ChatResult", asked.run())

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with as_langchain_names_them():
            asked = self._asked("agenerate", messages, stop, run_manager, kwargs)
            return cast("ChatResult", await asked.arun())

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with as_langchain_names_them():
            yield from self._asked("stream", messages, stop, run_manager, kwargs).stream()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        with as_langchain_names_them():
            asked = self._asked("astream", messages, stop, run_manager, kwargs)
            chunks = await asked.astream()
            try:
                async for chunk in chunks:
                    yield chunk
            finally:  # whoever stops reading early leaves no connection open behind
                await chunks.aclose()

    # -- routing --

    def _asked(
        self,
        method: Method,
        messages: list[BaseMessage],
        stop: list[str] | None,
        run_manager: Any,
        kwargs: dict[str, Any],
    ) -> Asked:
        own = {k: kwargs.pop(k) for k in OF_A_CALL if k in kwargs} if kwargs else {}
        call = Call.of(messages, stop or self.stop, kwargs, self.defaults)
        request = call.request(read(messages, prompt_variables(messages), current_run().query))
        run = run_manager or streamed_run()
        return Asked(call, self.plan(request, own), self.pool, method, run_manager, run)

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """What every call says of an answer, unless it says otherwise."""
        return given(temperature=self.temperature, max_tokens=self.max_tokens)

    def get_num_tokens(self, text: str) -> int:
        """About how many tokens a text has; the backends' own counts differ from each other."""
        return estimate_tokens(text)

    # -- identity: traces, cache keys, serialised forms; none holds a key --

    @property
    def _llm_type(self) -> str:
        return "avengers"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {**self.identity, "stop": self.stop}

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        """What tells it from other models of its class, for traces and caches."""
        router, models = self.pool.router, self.models
        return {
            "alpha": self.alpha,
            "no_question_alpha": self.no_question_alpha,
            **self.policy.balance,
            **self.policy.limits,
            "artifact": router.artifact.checksum,
            "scorer": router.scorer.name,
            "models": list(router.models if models is None else models),
            **self.defaults,
            "stay": self.stay,
            **({} if self.votes is None else {"votes": self.votes, "vote_over": self.vote_over}),
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = {
            "ls_provider": "avengers",
            "ls_model_type": "chat",
            "ls_model_name": kwargs.get("model") or "avengers",
            "avengers_alpha": kwargs.get("alpha", self.alpha),
            **given(
                ls_temperature=kwargs.get("temperature", self.temperature),
                ls_max_tokens=kwargs.get("max_tokens", self.max_tokens),
                ls_stop=stop or self.stop,
            ),
        }
        return cast("LangSmithParams", params)

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        # What decides the route decides the answer, so all of it is in the cache's key.
        run = current_run()
        variables = prompt_variables(run.messages)
        identity = {
            **self._identifying_params,
            "pool": self.pool.fingerprint,
            "scorer_options": self.pool.router.scorer.options,
            "query": run.query or current_hint() or question_from_variables(variables),
        }
        return f"{sorted(identity.items())}---{sorted({**kwargs, 'stop': stop}.items())}"

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Yes: a router given as a path, or not at all, comes back with ``langchain_core.load``."""
        return True

    @property
    def lc_secrets(self) -> dict[str, str]:
        """What serialised forms only name."""
        return {"api_key": "AVENGERS_API_KEY"}

    def to_json(self) -> SerializedConstructor | SerializedNotImplemented:
        """The framework's serialised form, which traces hold: nothing secret in clear."""
        form = super().to_json()
        if form["type"] == "constructor":
            kwargs = form["kwargs"]
            if "models" in kwargs:
                kwargs["models"] = without_secrets(kwargs["models"])
            if "model_settings" in kwargs:
                kwargs["model_settings"] = self.model_settings.shown()
        return form

    def _dump_models(self) -> Any:
        return dump_models(self.models)

    @classmethod
    def _load_models(cls, dumped: Any) -> Any:
        return load_models(dumped)
