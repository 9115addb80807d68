"""The LLMs behind the router: those the user gave, or OpenAI-compatible ones it makes itself."""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

from llama_index.core.base.llms.types import LLMMetadata, MessageRole
from llama_index.core.bridge.pydantic import SecretStr
from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM

from avengers_core import Router
from avengers_core.errors import BackendConfigError, OptionalDependencyError
from avengers_core.serving.capabilities import Capabilities, Needs, unmet
from avengers_core.serving.endpoints import Endpoint, find_endpoint

# Context window, in tokens, of a model that nobody told more about: less than what current models
# have, so the framework's prompt packing fits all of them. `capabilities=` says the true one.
ASSUMED_WINDOW = 32_768


class Backends:
    """The LLMs that can answer, by model id.

    Args:
        router: whose artifact has the models; another one may be swapped in.
        models: a mapping of model ids to LLMs; or ids only, or None for all known models, to be
            reached through the endpoint that the environment names.
        capabilities: what the models can do, where their LLMs do not say it or say it wrong.
        options: arguments for the LLMs that are made here.
        base_url: the endpoint, in place of the environment's.
        api_key: the key for it.

    Raises:
        ValueError: a model that the artifact does not have, or no model.
        TypeError: something that is not a LlamaIndex LLM.
    """

    def __init__(
        self,
        router: Router,
        models: Mapping[str, LLM] | Collection[str] | None,
        capabilities: Mapping[str, Capabilities],
        options: Mapping[str, Any],
        *,
        base_url: str | None = None,
        api_key: SecretStr | None = None,
    ) -> None:
        self._router = router
        self._given = dict(models) if isinstance(models, Mapping) else None
        if isinstance(models, str | LLM) or not isinstance(models, Collection | None):
            raise TypeError(
                f"models= must map model ids to LLMs, or be a list of model ids, got {models!r:.60}"
            )
        if any(not isinstance(model, str) for model in models or ()):
            raise TypeError("models= must map model ids to LLMs, or be a list of model ids only")
        self._only = None if models is None else tuple(models)
        _check(router.models, self._wanted, self._given or {}, capabilities)
        self._told = dict(capabilities)
        self._options = dict(options)
        self._base_url = base_url
        self._api_key = api_key
        self._llms: dict[str, LLM] = dict(self._given or {})
        self._lock = threading.Lock()
        self._absent: tuple[tuple[str, ...], dict[str, str]] | None = None
        self._capabilities: dict[str, Capabilities] = {}
        self._unable: dict[tuple[bool, ...], dict[str, str]] = {}
        self._metadata: dict[frozenset[str], LLMMetadata] = {}

    @cached_property
    def _endpoint(self) -> Endpoint:
        """Where requests go, if no LLMs were given; found at the first call."""
        return find_endpoint(self._base_url, self._api_key)

    @property
    def _wanted(self) -> tuple[str, ...]:
        return self._router.models if self._only is None else self._only

    @property
    def are_given(self) -> bool:
        """Whether the user made the LLMs."""
        return self._given is not None

    def llm(self, model: str) -> LLM:
        """The LLM of a model, made on first use."""
        if model not in self._llms:
            with self._lock:
                if model not in self._llms:
                    self._llms[model] = self._make(model)
        return self._llms[model]

    def unavailable(self, needs: Needs, fills_class: bool = False) -> dict[str, str]:
        """model -> reason, for the models that can not serve a call.

        Args:
            needs: what the call needs.
            fills_class: it also needs a way to fill a class, either of the two.

        Raises:
            BackendConfigError: no LLMs were given and the environment names no endpoint.
        """
        absent = self._absent_models()
        # Most calls need what calls before them needed, and fit everywhere.
        fits = needs.tokens <= self.smallest_window
        key = (needs.tools, needs.structured_output, needs.images, fills_class)
        known = self._unable.get(key) if fits else None
        if known is None:
            known = dict(absent)
            for model in self._wanted:
                if model not in absent and (reason := self._unmet(model, needs, fills_class)):
                    known[model] = reason
            if fits:
                self._unable[key] = known
        return known

    def _unmet(self, model: str, needs: Needs, fills_class: bool) -> str | None:
        able = self._capabilities_of(model)
        if fills_class and able.structured_output is False and able.tools is False:
            return "it has neither structured output nor tools to fill a class"
        return unmet(needs, able)

    def metadata(self, exclude: Collection[str] = ()) -> LLMMetadata:
        """What holds of whichever model answers: the framework packs prompts by it.

        The smallest context window and output length, a chat model if all are, function calling
        if any can (calls with tools go to those only).
        """
        key = frozenset(exclude)
        if key not in self._metadata:
            each = [self._metadata_of(m) for m in self._wanted if m not in key]
            outputs = [m.num_output for m in each if m.num_output > 0]
            system = all(m.system_role == MessageRole.SYSTEM for m in each)
            self._metadata[key] = LLMMetadata(
                context_window=min((m.context_window for m in each), default=ASSUMED_WINDOW),
                num_output=min(outputs, default=-1),
                is_chat_model=all(m.is_chat_model for m in each),
                is_function_calling_model=any(m.is_function_calling_model for m in each),
                model_name="avengers",
                system_role=MessageRole.SYSTEM if system else MessageRole.USER,
            )
        return self._metadata[key]

    def share(self, **attributes: Any) -> None:
        """Set attributes, such as the callback manager, on all LLMs, also on those made later."""
        with self._lock:
            self._options |= attributes
            for llm in self._llms.values():
                for name, value in attributes.items():
                    setattr(llm, name, value)

    def _absent_models(self) -> dict[str, str]:
        known = self._router.models
        if self._absent is None or self._absent[0] is not known:
            absent = {m: "no backend given for it" for m in known if m not in self._wanted}
            if self._given is None:
                absent |= {
                    m: "not reachable through the endpoint"
                    for m in self._wanted
                    if self._endpoint.remote_name(m) is None
                }
            self._unable.clear()
            self._absent = known, absent
        return self._absent[1]

    @cached_property
    def smallest_window(self) -> float:
        """The context window of the model that has the smallest, tokens."""
        windows = (self._capabilities_of(m).context_window for m in self._wanted)
        return min((w for w in windows if w is not None), default=math.inf)

    def _capabilities_of(self, model: str) -> Capabilities:
        if model not in self._capabilities:
            told = self._told.get(model, Capabilities())
            if self._given is None:
                self._capabilities[model] = told
            else:
                self._capabilities[model] = _own(_metadata(self._given[model])).overlaid(told)
        return self._capabilities[model]

    def _metadata_of(self, model: str) -> LLMMetadata:
        told = self._told.get(model, Capabilities())
        if self._given is not None:
            own = _metadata(self._given[model])
        else:
            # Known without a key and without a network, so that an engine can be put together.
            own = LLMMetadata(
                context_window=ASSUMED_WINDOW,
                num_output=self._options.get("max_tokens") or -1,
                is_chat_model=True,
                is_function_calling_model=True,
            )
        update: dict[str, Any] = {}
        if told.context_window is not None:
            update["context_window"] = told.context_window
        if told.tools is not None:
            update["is_function_calling_model"] = told.tools
        metadata: LLMMetadata = own.model_copy(update=update)
        return metadata

    def _make(self, model: str) -> LLM:
        name = self._endpoint.remote_name(model)
        if name is None:
            raise BackendConfigError(f"{model} is not reachable through the endpoint")
        told, metadata = self._told.get(model, Capabilities()), self._metadata_of(model)
        try:
            from avengers_llamaindex.openai_like import LoopwiseOpenAILike
        except ImportError as error:
            raise OptionalDependencyError("llama-index-llms-openai-like", "llamaindex") from error
        return LoopwiseOpenAILike(
            model=name,
            api_base=self._endpoint.base_url or "https://api.openai.com/v1",
            api_key=self._endpoint.api_key.get_secret_value(),
            context_window=metadata.context_window,
            is_chat_model=True,
            is_function_calling_model=metadata.is_function_calling_model,
            should_use_structured_outputs=bool(told.structured_output),
            **self._options,
        )


def _check(
    known: Sequence[str],
    wanted: Sequence[str],
    given: Mapping[str, Any],
    capabilities: Mapping[str, Capabilities],
) -> None:
    if not wanted:
        raise ValueError("models= names no model; leave it out to use all of the artifact's")
    for argument, names in (("models", wanted), ("capabilities", capabilities)):
        if unknown := sorted(set(names) - set(known)):
            raise ValueError(
                f"{argument}= names {unknown}, which the artifact does not have; "
                f"it has {list(known)}"
            )
    for model, llm in given.items():
        if not isinstance(llm, LLM):
            raise TypeError(f"models[{model!r}] must be a LlamaIndex LLM, got {type(llm).__name__}")
        told = capabilities.get(model)
        if told is not None and told.tools and not isinstance(llm, FunctionCallingLLM):
            raise TypeError(
                f"capabilities= says that {model!r} calls tools, for which its LLM must be a "
                f"FunctionCallingLLM, got {type(llm).__name__}"
            )


def _metadata(llm: LLM) -> LLMMetadata:
    """What an LLM says of itself; only a ``FunctionCallingLLM`` has the methods to call tools."""
    own = llm.metadata
    if not own.is_function_calling_model or isinstance(llm, FunctionCallingLLM):
        return own
    plain: LLMMetadata = own.model_copy(update={"is_function_calling_model": False})
    return plain


def _own(metadata: LLMMetadata) -> Capabilities:
    """What an LLM says of itself; the framework's default window is taken as no word on it."""
    window = metadata.context_window
    if window == DEFAULT_CONTEXT_WINDOW:
        return Capabilities(tools=metadata.is_function_calling_model)
    # The answer has to fit too, where its length is known.
    room = window - max(metadata.num_output, 0)
    return Capabilities(tools=metadata.is_function_calling_model, context_window=room)
