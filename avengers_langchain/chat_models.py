"""A LangChain chat model that hands each call to the model that a fitted router picks for it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from avengers_core import RoutingDecision
from avengers_core.embedders.tokens import estimate_tokens
from avengers_core.redaction import redacted
from avengers_core.routing.calls import OnEmpty
from avengers_core.routing.policy import FIELDS, OF_A_CALL, Policy
from avengers_core.serving.capabilities import Needs
from avengers_core.serving.routing_text import current_hint, question_from_variables
from avengers_core.serving.voting import VoteOver, ballots
from avengers_langchain.answers import Answering
from avengers_langchain.calls import Call, closing, structured_of, tools_of
from avengers_langchain.model_ids import ModelIds
from avengers_langchain.polls import Poll
from avengers_langchain.routing_text import ROUTING_QUERY, current_run, prompt_variables, read
from avengers_langchain.runtime import (
    Runtime,
    Settings,
    dump_models,
    load_models,
    plain_capabilities,
)
from avengers_langchain.structured import BoundTools, StructuredOutput, structured_chain

# Whoever names a model wants that one, near the records or not.
_FORCED = {"exclude": (), "max_cost": None, "min_score": None, "on_empty": "relax"}
# What a pickle leaves out: keys, and what holds locks, files and connections.
_KEYS = frozenset({"api_key", "base_url"})
_LIVE = frozenset({"callbacks", "cache", "rate_limiter", "custom_get_token_ids", "runtime"})
_TRACING = ("ls_structured_output_format", "structured_output_format")


class AvengersChatModel(BaseChatModel):
    """Answers each call with the model that has the best balance of expected score and cost.

    A drop-in for any LangChain chat model: every call is handed to the same method of the chosen
    backend, which builds its own tool schemas and structured outputs. What decides is the
    question, not the retrieved text (:mod:`avengers_langchain.routing_text`). If a backend fails,
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

    Args:
        alpha: weight of expected score against expected cost, 0 = cheapest, 1 = best; default 0.5.
        target_cost: instead of alpha: the best score at no more than this mean cost, USD a call.
        target_score: instead of alpha: the lowest cost at no less than this mean score, in [0, 1].
        target_saving: instead of alpha: the best score at this share, in [0, 1), less than what
            always asking the best model costs.
        performance_weight: with ``cost_sensitivity``, another way to give alpha.
        cost_sensitivity: see ``performance_weight``.
        router: a :class:`avengers_core.Router`, the path of an artifact, or nothing for the
            default artifact.
        models: model id -> chat model (also with arguments bound to it) or a text for
            ``init_chat_model``; or ids only, or nothing for all of the artifact's, to be reached
            through the endpoint in the environment.
        capabilities: model id -> what it can do, a
            :class:`avengers_core.serving.capabilities.Capabilities` or a dict of its fields, where
            its chat model's profile does not say it.
        exclude: models not to use.
        max_cost: highest expected cost, USD a call.
        min_score: lowest expected score, in [0, 1].
        on_empty: what to do when these limits leave no model: ``"raise"``, or ``"relax"`` to take
            the one nearest to them.
        max_attempts: how many candidates to try before giving up; default all.
        votes: ask this many times and give the majority's answer, compared by what is said in the
            end (:func:`avengers_core.serving.voting.answer_key`); tokens and expected cost add up.
        vote_over: who is asked: ``"samples"``, the picked model each time (sensible with a
            temperature over 0), or ``"models"``, the best so many models.
        base_url: of the endpoint for backends that are made here; default, from the environment.
        api_key: for that endpoint; default, ``AVENGERS_API_KEY``.
        temperature: sampling temperature; default the backends' own.
        max_tokens: longest answer, tokens; default the backends' own.
        timeout: of backends that are made here, seconds; default 60.
        max_retries: how often backends that are made here try again before the next candidate
            does; default 0.
        stop: stop sequences of calls that bring none.
        streaming: fetch all answers as streams, also those of ``invoke``; False: fetch none so.

    Raises:
        ValueError: an argument out of range, a model that the artifact does not have, or no
            artifact at the path.
        TypeError: a backend that is no chat model.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True, extra="forbid", hide_input_in_errors=True
    )

    alpha: float | None = None
    target_cost: float | None = None
    target_score: float | None = None
    target_saving: float | None = None
    performance_weight: float | None = None
    cost_sensitivity: float | None = None
    router: Any = Field(default=None, repr=False)
    models: Any = Field(default=None, repr=False)
    capabilities: Mapping[str, Any] = Field(default_factory=dict)
    exclude: ModelIds = ()
    max_cost: float | None = None
    min_score: float | None = None
    on_empty: OnEmpty = "raise"
    max_attempts: int | None = Field(default=None, ge=1)
    votes: int | None = Field(default=None, ge=1)
    vote_over: VoteOver = "samples"
    base_url: str | None = Field(default=None, repr=False)
    api_key: SecretStr | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    timeout: float | None = None
    max_retries: int | None = None
    stop: list[str] | None = None
    streaming: bool | None = None
    runtime: Any = Field(default=None, exclude=True, repr=False)
    """Router, backends and their health; copies with other settings share it."""

    @field_validator("router", mode="before")
    @classmethod
    def _path_as_text(cls, router: Any) -> Any:
        return os.fspath(router) if isinstance(router, os.PathLike) else router

    @model_validator(mode="before")
    @classmethod
    def _no_model(cls, given: Any) -> Any:
        if isinstance(given, dict) and "model" in given:
            raise ValueError(
                "model= is for one call: llm.invoke(..., model=...), or llm.bind(model=...); "
                "models= names those to choose from"
            )
        return given

    @field_validator("base_url")
    @classmethod
    def _no_key_in_url(cls, url: str | None) -> str | None:
        if url and redacted(url) != url:
            raise ValueError("base_url holds a key or password, which would show; pass api_key=")
        return url

    @field_validator("capabilities", mode="before")
    @classmethod
    def _plain_capabilities(cls, told: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
        return plain_capabilities(told or {})

    @model_validator(mode="after")
    def _prepare(self) -> AvengersChatModel:
        before: Runtime | None = self.runtime
        self.runtime = Runtime.of(before, self._settings())
        Policy.of(self).check(self.runtime.router)
        if self.profile is None or (before is not None and self.profile == before.profile):
            self.profile = self.runtime.profile  # unless the user said otherwise
        if self.output_version is None:
            self.output_version = self.runtime.backends.output_version()
        return self

    def _settings(self) -> Settings:
        options = {
            "base_url": self.base_url,
            "api_key": self.api_key,
            "timeout": self.timeout,
            "max_retries": self.max_retries,
        }
        return Settings(self.router, self.models, self.capabilities, options)

    # -- what the framework calls --

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call, text, routing = self._plan(messages, stop, kwargs)
        decision = self.runtime.router.route(text, **routing)
        return self._asked(call, decision).generate(run_manager)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call, text, routing = self._plan(messages, stop, kwargs)
        decision = await self.runtime.router.aroute(text, **routing)
        return await self._asked(call, decision).agenerate(run_manager)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        call, text, routing = self._plan(messages, stop, kwargs)
        decision = self.runtime.router.route(text, **routing)
        yield from self._asked(call, decision).stream(run_manager)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        call, text, routing = self._plan(messages, stop, kwargs)
        decision = await self.runtime.router.aroute(text, **routing)
        async for chunk in closing(self._asked(call, decision).astream(run_manager)):
            yield chunk

    # -- routing --

    def _plan(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> tuple[Call, str, dict[str, Any]]:
        """The call, the text to route on, and the arguments of :meth:`Router.route`."""
        _, from_metadata = current_run()
        query = kwargs.pop(ROUTING_QUERY, None) or from_metadata
        request = read(messages, prompt_variables(messages), query)
        forced = kwargs.pop("model", None)
        policy = Policy.of(self)
        if kwargs:
            policy = policy.overlaid({k: kwargs.pop(k) for k in FIELDS if k in kwargs})
        call = Call(
            messages,
            stop or self.stop,
            request,
            tools=tools_of(kwargs.pop("tools", None)),
            tool_choice=kwargs.pop("tool_choice", None),
            structured=structured_of(kwargs.pop("structured_output", None)),
            arguments=kwargs,
            defaults=self._defaults(),
            votes=kwargs.pop("votes", self.votes),
            vote_over=kwargs.pop("vote_over", self.vote_over),
            max_attempts=kwargs.pop("max_attempts", self.max_attempts),
        )
        router, backends = self.runtime.router, self.runtime.backends
        routing = policy.arguments(router, partial(backends.unavailable, Needs()))
        if not isinstance(forced, str | None):
            raise ValueError(f"model= names one model, got {forced!r}; models= takes several")
        if forced is None:
            unavailable = backends.unavailable(*call.needs)
        else:
            routing |= {**_FORCED, "models": [forced]}
            unavailable = backends.absent()
        routing |= {"unavailable": unavailable, "prompt_tokens": call.tokens}
        return call, request.question.text, routing

    def _asked(self, call: Call, decision: RoutingDecision) -> Answering | Poll:
        if call.votes is None:
            return Answering(call, decision, self.runtime)
        each = ballots(decision, call.votes, call.vote_over)
        return Poll([Answering(call, ballot, self.runtime) for ballot in each])

    def _defaults(self) -> dict[str, Any]:
        return _given(temperature=self.temperature, max_tokens=self.max_tokens)

    # -- tools and schemas: each backend makes its own of them --

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """This model with tools; calls go to backends that can call them.

        Args:
            tools: functions, classes, schemas or tools, as the backends take them.
            tool_choice: which tool has to be called: a name, ``"any"``, ``"auto"``, ``"none"``.
            kwargs: further arguments of the backend's ``bind_tools``, such as ``strict``, and what
                a call takes (``alpha``, ``model``, ``max_cost``, ...).
        """
        own = {k: kwargs.pop(k) for k in (*_TRACING, *OF_A_CALL) if k in kwargs}
        choice = {} if tool_choice is None else {"tool_choice": tool_choice}
        return self.bind(tools=BoundTools(tools, kwargs), **choice, **own)

    def with_structured_output(
        self, schema: dict[str, Any] | type, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """This model, answering with objects of a schema; each backend does it in its own way.

        Args:
            schema: a pydantic class, a ``TypedDict``, a JSON schema or an OpenAI function.
            include_raw: answer with ``{"raw": message, "parsed": object or None,
                "parsing_error": error or None}``.
            kwargs: arguments of the backend's ``with_structured_output``: ``method``
                (``"function_calling"``, ``"json_schema"``, ``"json_mode"``), ``strict``; and what a
                call takes (``alpha``, ``model``, ``max_cost``, ...).
        """
        own = {k: kwargs.pop(k) for k in OF_A_CALL if k in kwargs}
        output = StructuredOutput(schema, kwargs)
        traced = {"kwargs": {"method": kwargs.get("method")}, "schema": schema}
        llm = self.bind(structured_output=output, ls_structured_output_format=traced, **own)

        def parser_of(model: str) -> Runnable[Any, Any]:
            backends = self.runtime.backends
            no_native = backends.capabilities(model).structured_output is False
            return output.parser(model, backends.get(model).model, no_native)

        return structured_chain(llm, parser_of, include_raw)

    def get_num_tokens(self, text: str) -> int:
        """About how many tokens a text has; the backends' own counts differ from each other."""
        return estimate_tokens(text)

    # -- identity: traces, cache keys, serialised forms; none holds a key --

    @property
    def _llm_type(self) -> str:
        return "avengers"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        router, models = self.runtime.router, self.models
        engine = router.engine  # one look, for it can be swapped
        policy = Policy.of(self)
        return {
            "alpha": self.alpha,
            **policy.balance,
            **policy.limits,
            "artifact": engine.artifact.checksum,
            "scorer": engine.scorer.name,
            "models": list(engine.artifact.models if models is None else models),
            **self._defaults(),
            "stop": self.stop,
            **({} if self.votes is None else {"votes": self.votes, "vote_over": self.vote_over}),
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = {
            "ls_provider": "avengers",
            "ls_model_type": "chat",
            "ls_model_name": kwargs.get("model") or "avengers",
            "avengers_alpha": kwargs.get("alpha", self.alpha),
            **_given(
                ls_temperature=kwargs.get("temperature", self.temperature),
                ls_max_tokens=kwargs.get("max_tokens", self.max_tokens),
                ls_stop=stop or self.stop,
            ),
        }
        return cast("LangSmithParams", params)

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        # What decides the route decides the answer, so all of it is in the cache's key.
        messages, from_metadata = current_run()
        variables = prompt_variables(messages)
        identity = {
            **self._identifying_params,
            "pool": self.runtime.backends.fingerprint(),
            "scorer_options": self.runtime.router.scorer.options,
            "query": from_metadata or current_hint() or question_from_variables(variables),
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

    def model_copy(
        self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> AvengersChatModel:
        """A copy with other settings, checked like those of a new one.

        It shares the router, the backends and the memory of failures, unless the update is about
        them.
        """
        if not update:
            return super().model_copy()  # backends hold connections: never deep
        own = {name: getattr(self, name) for name in (*self.model_fields_set, "runtime")}
        return type(self)(**{**own, **update})

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> AvengersChatModel:
        """A copy with the same router and backends: they hold connections, not values."""
        return self.model_copy()

    def __reduce__(self) -> tuple[Any, ...]:
        left = self.model_fields_set - _KEYS - _LIVE - {"models"}
        fields = {k: v for k, v in self.__dict__.items() if k in left}
        return _restored, (type(self), fields, dump_models(self.models))


def _restored(cls: type[AvengersChatModel], fields: dict[str, Any], models: Any) -> Any:
    return cls(**fields, models=load_models(models))


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
