"""The chat models behind the router: those the user gave, or OpenAI-compatible ones made here."""

from __future__ import annotations

import hashlib
import logging
import math
import threading
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.runnables import Runnable, RunnableBinding

from avengers_core import Router
from avengers_core.errors import BackendConfigError, OptionalDependencyError
from avengers_core.redaction import describe
from avengers_core.serving.capabilities import Capabilities, Needs, unmet
from avengers_langchain.endpoint_models import EndpointModels

logger = logging.getLogger(__name__)

Models = Mapping[str, Runnable[Any, Any] | str] | Collection[str] | None
"""What ``models=`` takes."""

_MADE_HERE_ONLY = ("timeout", "max_retries")


class Backend(NamedTuple):
    """A chat model and the arguments that the user bound to it."""

    model: BaseChatModel
    arguments: Mapping[str, Any]


class Backends:
    """The chat models that can answer, by model id.

    Args:
        router: whose artifact has the models; another one may be swapped in.
        models: model id -> chat model, or ``model.bind(...)``, or a text for ``init_chat_model``;
            or ids only, or None for all known models, to be reached through an endpoint.
        capabilities: what the models can do, where their chat models do not say or say it wrong.
        options: arguments for the chat models that are made here, see
            :class:`avengers_langchain.endpoint_models.EndpointModels`.

    Raises:
        ValueError: a model that the artifact does not have, or no model.
        TypeError: something that is not a chat model.
    """

    def __init__(
        self,
        router: Router,
        models: Models,
        capabilities: Mapping[str, Capabilities],
        options: Mapping[str, Any],
    ) -> None:
        self._router = router
        if isinstance(models, str):
            raise ValueError(f"models= takes several: write models=[{models!r}]")
        self._only = None if models is None else tuple(models)
        given = models if isinstance(models, Mapping) else {}
        _check(router.models, self._wanted, capabilities)
        self._given = {m: unwrapped(m, b) for m, b in given.items() if not isinstance(b, str)}
        self._named = {m: b for m, b in given.items() if isinstance(b, str)}
        self._endpoint = None if isinstance(models, Mapping) else EndpointModels(options)
        self._told = dict(capabilities)
        self._options = {k: v for k, v in options.items() if k not in ("base_url", "api_key")}
        self._lock = threading.Lock()
        self._ready: dict[str, Backend] = dict(self._given)
        self._absent: tuple[tuple[str, ...], dict[str, str]] | None = None
        self._capabilities: dict[str, Capabilities] = {}
        self._unable: dict[Hashable, dict[str, str]] = {}
        self._window: float | None = None
        self._fingerprint: str | None = None
        if self._given and (unheeded := [o for o in _MADE_HERE_ONLY if o in options]):
            logger.warning("%s: the chat models in models= keep their own", ", ".join(unheeded))
        if idle := sorted(m for m, b in self._given.items() if b.model.callbacks or b.model.cache):
            logger.warning(
                "the callbacks and the cache of %s play no part: answers come in the run of the "
                "AvengersChatModel, which takes its own",
                idle,
            )

    @property
    def _wanted(self) -> tuple[str, ...]:
        return self._router.models if self._only is None else self._only

    def get(self, model: str) -> Backend:
        """The chat model of a model, made on first use.

        Raises:
            BackendConfigError: it can not be made.
        """
        if self._endpoint is not None:
            return Backend(self._endpoint.get(model), {})
        ready = self._ready.get(model)
        if ready is None:
            with self._lock:
                ready = self._ready.get(model)
                if ready is None:
                    made = _init(model, self._named[model], self._options)
                    ready = self._ready[model] = unwrapped(model, made)
        return ready

    def unavailable(self, *needs: Needs) -> dict[str, str]:
        """model -> reason, for the models that can not serve a call, whichever way it needs.

        Args:
            needs: any one of them will do.

        Raises:
            BackendConfigError: no chat models were given and the environment names no endpoint,
                or one that was named can not be made.
        """
        absent = self.absent()
        # Most calls need what calls before them needed, and fit everywhere.
        fits = all(need.tokens <= self._shortest_window() for need in needs)
        key = tuple((n.tools, n.structured_output, n.images) for n in needs) if fits else None
        known = None if key is None else self._unable.get(key)
        if known is None:
            known = dict(absent)
            for model in self._wanted:
                if model not in absent:
                    reasons = [unmet(need, self.capabilities(model)) for need in needs]
                    if reasons and None not in reasons:
                        known[model] = reasons[0] or ""
            if key is not None:
                self._unable[key] = known
        return known

    def _shortest_window(self) -> float:
        if self._window is None:
            each = (
                self.capabilities(m).context_window for m in self._wanted if m not in self.absent()
            )
            self._window = min((w for w in each if w is not None), default=math.inf)
        return self._window

    def absent(self) -> dict[str, str]:
        """model -> reason, for the models that no backend was given for or can be reached."""
        known = self._router.models
        if self._absent is None or self._absent[0] is not known:
            absent = {m: "no backend given for it" for m in known if m not in self._wanted}
            if self._endpoint is not None:
                endpoint = self._endpoint.endpoint
                absent |= {
                    m: "not reachable through the endpoint"
                    for m in self._wanted
                    if endpoint.remote_name(m) is None
                }
            for model in self._named:  # what is wrong with one shows at the first call
                self.get(model)
            self._unable.clear()
            self._absent = known, absent
        return self._absent[1]

    def capabilities(self, model: str) -> Capabilities:
        """What a model can do: what the user says, and where that is nothing, its chat model."""
        known = self._capabilities.get(model)
        if known is None:
            # Elsewhere than at OpenAI the models' names tell a chat model made here nothing.
            unknown = self._endpoint is not None and self._endpoint.endpoint.prefix is None
            own = Capabilities() if unknown else _own(self.get(model).model)
            known = own.overlaid(self._told.get(model, Capabilities()))
            self._capabilities[model] = known
        return known

    def output_version(self) -> str | None:
        """The format of messages' content, if all given chat models ask for the same one."""
        each = {backend.model.output_version for backend in self._given.values()}
        return each.pop() if len(each) == 1 and not self._named else None

    def profile(self) -> ModelProfile | None:
        """What holds of whichever model answers, as far as it is known without making any.

        The shortest context; other things if any model can do them, for calls that need them go
        to those only.
        """
        known = [
            _own(self._given[m].model).overlaid(self._told.get(m, Capabilities()))
            if m in self._given
            else self._told.get(m, Capabilities())
            for m in self._wanted
        ]
        profile = ModelProfile()
        if windows := [c.context_window for c in known if c.context_window is not None]:
            profile["max_input_tokens"] = min(windows)
        if (tools := _any(c.tools for c in known)) is not None:
            profile["tool_calling"] = tools
        if (structured := _any(c.structured_output for c in known)) is not None:
            profile["structured_output"] = structured
        if (images := _any(c.images for c in known)) is not None:
            profile["image_inputs"] = images
        return profile or None

    def fingerprint(self) -> str:
        """Differs between pools that may answer differently; holds no key."""
        if self._fingerprint is None:
            parts = [f"{m}={self._named.get(m, '')}" for m in self._wanted]
            parts += [f"{m}:{_llm_string(backend)}" for m, backend in sorted(self._given.items())]
            if self._endpoint is not None:
                parts.append(str(self._endpoint.endpoint.base_url))
            parts.append(str(sorted(self._options.items())))
            parts.append(str(sorted(self._told.items())))
            self._fingerprint = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return self._fingerprint


def _check(known: Sequence[str], wanted: Sequence[str], told: Mapping[str, Any]) -> None:
    if not wanted:
        raise ValueError("models= names no model; leave it out to use all of the artifact's")
    for argument, names in (("models", wanted), ("capabilities", told)):
        if unknown := sorted(set(names) - set(known)):
            raise ValueError(
                f"{argument}= names {unknown}, which the artifact does not have; "
                f"it has {list(known)}"
            )


def unwrapped(model: str, backend: Any) -> Backend:
    """A chat model and what is bound to it, through any number of ``bind`` and ``with_config``."""
    arguments: dict[str, Any] = {}
    inner = backend
    while isinstance(inner, RunnableBinding):
        arguments = {**inner.kwargs, **arguments}
        inner = inner.bound
    if not isinstance(inner, BaseChatModel):
        raise TypeError(
            f"models[{model!r}] must be a chat model, one with arguments bound to it, or a text "
            f"for init_chat_model, got {type(inner).__name__}"
        )
    return Backend(inner, arguments)


def _llm_string(backend: Backend) -> str:
    """What the framework itself makes cache keys of."""
    return backend.model._get_llm_string(**backend.arguments)


def _init(model: str, name: str, options: Mapping[str, Any]) -> Any:
    try:
        from langchain.chat_models import init_chat_model
    except ImportError as error:
        raise OptionalDependencyError("langchain", "langchain") from error
    try:
        return init_chat_model(name, **options)
    except Exception as error:
        raise BackendConfigError(
            f"models[{model!r}]: init_chat_model({name!r}) failed: {describe(error)}"
        ) from error


def _own(backend: BaseChatModel) -> Capabilities:
    """What a chat model says of itself."""
    profile: Mapping[str, Any] = backend.profile or {}
    tools = profile.get("tool_calling")
    if type(backend).bind_tools is BaseChatModel.bind_tools:
        tools = False
    structured = profile.get("structured_output")
    if structured is None and tools is False:
        structured = _has_own_structured_output(backend)
    return Capabilities(
        tools=tools,
        structured_output=structured,
        images=profile.get("image_inputs"),
        context_window=profile.get("max_input_tokens"),
    )


def _has_own_structured_output(backend: BaseChatModel) -> bool | None:
    own = type(backend).with_structured_output is not BaseChatModel.with_structured_output
    return None if own else False


def _any(values: Any) -> bool | None:
    known = [value for value in values if value is not None]
    return any(known) if known else None
