"""A LlamaIndex LLM that hands each call to the model that a fitted router picks for it."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

from llama_index.core.base.llms.types import ChatResponse, LLMMetadata
from llama_index.core.bridge.pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    field_serializer,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.types import PydanticProgramMode

from avengers_core import Router, RoutingDecision
from avengers_core.redaction import redacted
from avengers_core.routing.calls import OnEmpty
from avengers_core.routing.policy import Policy
from avengers_core.routing.resolve import resolve_router
from avengers_core.serving.capabilities import Capabilities, Needs
from avengers_core.serving.failover import Failover
from avengers_core.serving.health import BackendHealth
from avengers_core.serving.voting import VoteOver, ballots
from avengers_llamaindex.backends import Backends
from avengers_llamaindex.calls import Call
from avengers_llamaindex.delegating import DelegatingLLM
from avengers_llamaindex.pickling import refuse_key, refuse_unpicklable
from avengers_llamaindex.routing_text import Request
from avengers_llamaindex.structured import AvengersStructuredLLM
from avengers_llamaindex.voting import VOTED, Vote

# Settings of a backend: they reach the backends that are made here, and have no meaning where the
# user made them.
_BACKEND_SETTINGS = (
    "base_url",
    "api_key",
    "temperature",
    "max_tokens",
    "timeout",
    "max_retries",
    "system_prompt",
    "messages_to_prompt",
    "completion_to_prompt",
    "output_parser",
    "query_wrapper_prompt",
    "rate_limiter",
)
_SHARED = ("callback_manager", "pydantic_program_mode")
_MODELS_BY_ID = (
    "Give models= as a list of ids, so that the backends are made from the environment on the "
    "other side, or make the AvengersLLM there."
)
_ROUTER_BY_PATH = (
    "Mostly its embedder is in the way: save the artifact and give router= as its path, or make "
    "the AvengersLLM on the other side."
)
# How the backend is chosen: may be set at any time, but not against each other.
_ROUTING = (
    "alpha",
    "target_cost",
    "target_score",
    "target_saving",
    "performance_weight",
    "cost_sensitivity",
    "exclude",
    "max_cost",
    "min_score",
    "on_empty",
    "no_question_alpha",
    "max_attempts",
    "votes",
    "vote_over",
)


class AvengersLLM(DelegatingLLM):
    """Answers each call with the model that has the best balance of expected score and cost.

    A drop-in for any LlamaIndex LLM: every method is handed to the same method of the chosen
    backend, so each builds its own tool schemas and structured outputs. What decides is the
    question, not the retrieved text (:mod:`avengers_llamaindex.routing_text`). If a backend fails,
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
        models: a mapping of model ids to LlamaIndex LLMs; or ids only, or nothing for all of the
            artifact's, to be reached through the endpoint in the environment.
        capabilities: model id -> what it can do, a
            :class:`avengers_core.serving.capabilities.Capabilities`, where its LLM does not
            say so itself.
        exclude: models not to use.
        max_cost: highest expected cost, USD a call.
        min_score: lowest expected score, in [0, 1].
        on_empty: what to do when these limits leave no model: ``"raise"``, or ``"relax"`` to take
            the one nearest to them.
        no_question_alpha: the alpha of calls without a question, such as metadata extraction over
            documents, which are decided on the artifact's overall means: 0 for the cheapest
            model, 1 for the best; default, as for all calls.
        max_attempts: how many candidates to try before giving up; default all.
        votes: how many answers to ask for, at once, of which the one that most of them give is
            returned; default 1. For ``chat``, ``complete``, ``predict`` and their asynchronous
            forms; streams, tools and structured output are answered once.
        vote_over: ``"samples"`` of the picked model, which needs a temperature above 0 to differ,
            or ``"models"``, each answer of another one.
        base_url: endpoint of the backends that are made here; default, from the environment.
        api_key: for that endpoint; default, ``AVENGERS_API_KEY``.
        temperature: sampling temperature of the backends that are made here; default theirs.
        max_tokens: longest answer of those backends, tokens; default theirs.
        timeout: of those backends, seconds; default 60.
        max_retries: how often those backends try again before the next candidate does; default 0.

    Raises:
        ValueError: an argument out of range, a model that the artifact does not have, or a
            backend setting together with a mapping of LLMs.
        ArtifactError: no artifact at the path.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    alpha: float | None = None
    target_cost: float | None = None
    target_score: float | None = None
    target_saving: float | None = None
    performance_weight: float | None = None
    cost_sensitivity: float | None = None
    router: Any = Field(default=None, repr=False, frozen=True)
    models: Any = Field(default=None, repr=False, frozen=True)
    capabilities: dict[str, Capabilities] = Field(default_factory=dict, repr=False, frozen=True)
    exclude: tuple[str, ...] = ()
    max_cost: float | None = None
    min_score: float | None = None
    on_empty: OnEmpty = "raise"
    no_question_alpha: float | None = None
    max_attempts: int | None = Field(default=None, ge=1)
    votes: int = Field(default=1, ge=1)
    vote_over: VoteOver = "samples"
    # A URL may hold a password.
    base_url: str | None = Field(default=None, repr=False, exclude=True, frozen=True)
    api_key: SecretStr | None = Field(default=None, repr=False, exclude=True, frozen=True)
    temperature: float | None = Field(default=None, frozen=True)
    max_tokens: int | None = Field(default=None, frozen=True)
    timeout: float | None = Field(default=None, frozen=True, gt=0)
    max_retries: int | None = Field(default=None, frozen=True, ge=0)

    _router: Router = PrivateAttr()
    _backends: Backends = PrivateAttr()
    _health: BackendHealth = PrivateAttr()
    _arguments: dict[str, Any] = PrivateAttr()

    def __init__(self, **arguments: Any) -> None:
        if "model" in arguments:
            raise TypeError(
                "AvengersLLM has no model=: it picks one for each call; models= names those to "
                "choose from"
            )
        super().__init__(**arguments)
        self._arguments = arguments
        router = _resolve_router(self.router)
        settings = {k: arguments[k] for k in _BACKEND_SETTINGS if arguments.get(k) is not None}
        if isinstance(self.models, Mapping) and settings:
            raise _not_ours(settings)
        endpoint: dict[str, Any] = {"base_url": self.base_url, "api_key": self.api_key}
        options = {k: v for k, v in settings.items() if k not in endpoint}
        backends = Backends(
            router,
            self.models,
            self.capabilities,
            {"timeout": 60.0, "max_retries": 0, **options},
            **endpoint,
        )
        # Not where pydantic keeps private attributes: there, each takes about a microsecond to
        # find, several times a call.
        vars(self).update(_router=router, _backends=backends, _health=BackendHealth())
        if arguments.get("callback_manager") is not None:
            self._backends.share(callback_manager=self.callback_manager)
        if self.pydantic_program_mode != PydanticProgramMode.DEFAULT:
            self._backends.share(pydantic_program_mode=self.pydantic_program_mode)
        self._check()

    def __setattr__(self, name: str, value: Any) -> None:
        backends = vars(self).get("_backends")
        if backends is not None and name in _ROUTING:
            # Raises if it does not go with the rest.
            value = getattr(self.model_copy(update={name: value}), name)
        setting = name in _BACKEND_SETTINGS
        if backends is None or not (setting or name in _SHARED) or getattr(self, name) is value:
            super().__setattr__(name, value)
            return
        if setting and backends.are_given:
            raise _not_ours([name])
        if setting and "_copied" in vars(self):
            raise ValueError(f"{name}: a copy shares the backends; make a new AvengersLLM")
        super().__setattr__(name, value)
        # The framework sets the callback manager on its one LLM: the backends need it to be heard.
        backends.share(**{name: value})
        self._arguments = {**self._arguments, name: value}

    @classmethod
    def class_name(cls) -> str:
        """The name in serialised form."""
        return "AvengersLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """What holds of whichever model answers; see :meth:`Backends.metadata`."""
        return self._backends.metadata(self.exclude)

    def as_structured_llm(self, output_cls: type[BaseModel], **kwargs: Any) -> StructuredLLM:
        """An LLM whose answers are objects of a class."""
        return AvengersStructuredLLM(llm=self, output_cls=output_cls, **kwargs)

    # -- routing --

    def _route(self, method: str, request: Request) -> Call:
        text, arguments = self._plan(request)
        return self._call(method, request, self._router.route(text, **arguments))

    async def _aroute(self, method: str, request: Request) -> Call:
        text, arguments = self._plan(request)
        return self._call(method, request, await self._router.aroute(text, **arguments))

    def _plan(self, request: Request) -> tuple[str, dict[str, Any]]:
        """The text to route on, and the arguments of :meth:`Router.route`."""
        text = request.question.text
        if request.needs.tokens > self._backends.smallest_window:
            request = request.counted()
        routing = Policy.of(self).arguments(
            self._router, lambda: self._backends.unavailable(Needs())
        )
        if self.no_question_alpha is not None and not text.strip():
            routing["alpha"] = self.no_question_alpha
        return text, {
            **routing,
            "prompt_tokens": request.prompt_tokens,
            "unavailable": self._backends.unavailable(request.needs, request.fills_class),
        }

    def _call(self, method: str, request: Request, decision: RoutingDecision) -> Call:
        if self.votes == 1 or method not in VOTED:
            return Call(*self._parts(method, request, decision))
        calls = [
            Call(*self._parts(method, request, ballot))
            for ballot in ballots(decision, self.votes, self.vote_over)
        ]
        return Vote(*self._parts(method, request, decision), ballots=calls)

    def _parts(
        self, method: str, request: Request, decision: RoutingDecision
    ) -> tuple[str, Request, RoutingDecision, Backends, Failover]:
        failover = Failover(decision, self._health, max_attempts=self.max_attempts)
        return method, request, decision, self._backends, failover

    def _backend_of(self, response: ChatResponse) -> FunctionCallingLLM | None:
        model = response.additional_kwargs.get("avengers", {}).get("model")
        llm = self._backends.llm(model) if model in self._router.models else None
        return llm if isinstance(llm, FunctionCallingLLM) else None

    def _check(self) -> None:
        Policy.of(self).check(self._router)
        self._router.check(alpha=self.no_question_alpha)

    # -- copies and serialised forms, none of which holds a key --

    @field_serializer("router")
    def _router_name(self, router: Any) -> str | None:
        return repr(router) if isinstance(router, Router) else router and os.fspath(router)

    @field_serializer("models")
    def _model_names(self, models: Any) -> list[str] | None:
        return None if models is None else list(models)

    def model_copy(
        self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> AvengersLLM:
        """A copy with other settings and the same router, backends and memory of failures.

        Raises:
            ValueError: an update that would need other backends, or a setting out of range,
                unknown, or against another: ``alpha`` takes the place of a target that is set to
                None along with it.
        """
        fixed = ("router", "models", "capabilities", *_BACKEND_SETTINGS, *_SHARED)
        if changed := [name for name in update or () if name in fixed]:
            raise ValueError(
                f"{', '.join(changed)}: a copy shares the backends; make a new AvengersLLM"
            )
        if unknown := sorted(set(update or ()) - type(self).model_fields.keys()):
            raise ValueError(f"AvengersLLM has no setting {unknown}")
        copy = super().model_copy()  # backends hold connections: never deep
        for name, value in (update or {}).items():
            self.__pydantic_validator__.validate_assignment(copy, name, value)
        copy._check()
        vars(copy)["_copied"] = True
        return copy

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> AvengersLLM:
        """:meth:`model_copy`."""
        return self.model_copy()

    def __reduce__(self) -> tuple[Any, ...]:
        if self.api_key is not None:
            raise TypeError(
                "api_key= would be written in clear. Let the key come from AVENGERS_API_KEY, "
                "or make the AvengersLLM on the other side."
            )
        if self.base_url is not None and redacted(self.base_url) != self.base_url:
            raise TypeError(
                "the key or password in base_url= would be written in clear. Let the URL come from "
                "AVENGERS_BASE_URL, or make the AvengersLLM on the other side."
            )
        if isinstance(self.models, Mapping):
            for model, llm in self.models.items():
                refuse_key(f"the LLM of {model!r}", llm, _MODELS_BY_ID)
        if isinstance(self.router, Router):
            refuse_unpicklable("the router", self.router, _ROUTER_BY_PATH)
        own = type(self).model_fields.keys() - DelegatingLLM.model_fields.keys()
        # Handlers hold locks, files and connections, so the callback manager stays here.
        first = {k: v for k, v in self._arguments.items() if k != "callback_manager"}
        return _restore, (type(self), first | {name: getattr(self, name) for name in own})


def _not_ours(settings: Collection[str]) -> ValueError:
    return ValueError(
        f"{', '.join(settings)}: for backends that are made here; set it on the LLMs in models="
    )


def _resolve_router(router: Any) -> Router:
    if isinstance(router, str) and router.startswith("<"):
        raise ValueError(
            f"{router} is the description of a router, not its path: pass the Router itself, "
            f"AvengersLLM.from_dict(data, router=...)"
        )
    return resolve_router(router)


def _restore(cls: type[AvengersLLM], arguments: dict[str, Any]) -> AvengersLLM:
    return cls(**arguments)
