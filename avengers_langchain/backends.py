"""The chat models behind the router: those the user gave, or OpenAI-compatible ones made here."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.load import dumps
from langchain_core.runnables import RunnableBinding

from avengers_core.common.functions import cached_property
from avengers_core.errors import needing
from avengers_core.serving.backends.capabilities import Capabilities
from avengers_core.serving.backends.endpoints import Endpoint
from avengers_core.serving.backends.model_settings import refuse_unknown, split
from avengers_core.serving.backends.pool import Pool
from avengers_core.serving.backends.pool_settings import OF_ENDPOINT, PoolSettings
from avengers_core.serving.history import Dialect
from avengers_core.serving.history.clients import class_names
from avengers_langchain.history import target_of

logger = logging.getLogger(__name__)

MEDIA_IN_PROFILES = {
    "images": "image_inputs",
    "files": "pdf_inputs",
    "audio": "audio_inputs",
    "video": "video_inputs",
}
"""Capability -> what the framework's profiles of models call it."""

_FAMILIES = {
    "azure": "openai",
    "azure_openai": "openai",
    "anthropic_vertex": "anthropic",
    "google_anthropic_vertex": "anthropic",
    "google_genai": "google",
    "google_vertexai": "google",
}


class Backend(NamedTuple):
    """A chat model and the arguments that the user bound to it."""

    model: BaseChatModel
    arguments: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Backend({type(self.model).__name__})"  # whose own may show headers


class Backends(Pool[Backend]):
    """LangChain's chat models, also with arguments bound to them, as backends."""

    def __init__(self, settings: PoolSettings) -> None:
        super().__init__(settings)
        self._traced: dict[str, dict[str, str]] = {}
        if idle := sorted(m for m, b in self.given.items() if b.model.callbacks or b.model.cache):
            logger.warning(
                "the callbacks and the cache of %s play no part: answers come in the run of the "
                "AvengersChatModel, which takes its own",
                idle,
            )

    def _accept(self, model: str, given: Any) -> Backend:
        return unwrapped(model, given)

    def _connect(self, model: str, name: str, endpoint: Endpoint) -> Backend:
        with needing("langchain-openai", "langchain"):
            from langchain_openai import ChatOpenAI

            from avengers_langchain.openai_compatible import ChatOpenAICompatible
        said, options = split({**OF_ENDPOINT, **self.settings.of(model)})
        kind = ChatOpenAICompatible if endpoint.prefix is None else ChatOpenAI
        made = kind(
            model=name,
            base_url=endpoint.base_url,
            api_key=endpoint.api_key,
            stream_usage=True,
            http_client=self.clients.blocking,
            http_async_client=self.clients.asynchronous,
            **options,
        )
        return Backend(made, said)

    def _make(self, model: str, text: str) -> Backend:
        with needing("langchain", "langchain"):
            from langchain.chat_models import init_chat_model
        said, options = split(self.settings.of(model))
        usual = {name: options.pop(name) for name in OF_ENDPOINT if name in options}
        backend, bound = unwrapped(model, init_chat_model(text, **usual))
        refuse_unknown(
            model,
            backend,
            [*said, *options],
            type(backend).model_fields,
            target_of(model, backend).dialect.protocol,
        )
        if options:
            backend, bound = unwrapped(model, init_chat_model(text, **usual, **options))
        return Backend(backend, {**said, **bound})

    def _says(self, backend: Backend) -> Capabilities:
        return _own(backend.model)

    def _dialect(self, backend: Backend) -> Dialect:
        return target_of("", backend.model).dialect

    def _class(self, backend: Backend) -> type:
        return type(backend.model)

    def traced(self, model: str) -> Mapping[str, str]:
        """What traces call a model and its provider: ``ls_model_name`` and ``ls_provider``."""
        if model not in self._traced:
            names = {"ls_model_name": model, **self.get(model).model._get_ls_params()}
            keys = ("ls_provider", "ls_model_name")
            self._traced[model] = {k: str(names[k]) for k in keys if names.get(k)}
        return self._traced[model]

    # -- what holds of all of them --

    def output_version(self) -> str | None:
        """The format of messages' content, if all given chat models ask for the same one."""
        each = {backend.model.output_version for backend in self.given.values()}
        return each.pop() if len(each) == 1 and not self.settings.named else None

    @cached_property
    def profile(self) -> ModelProfile | None:
        """What holds of whichever model answers, as far as it is known without making any.

        The shortest context; other things if any model can do them, for calls that need them go
        to those only.
        """
        known = [
            (_own(self.given[m].model) if m in self.given else Capabilities()).overlaid(
                self.told(m)
            )
            for m in self.wanted
        ]
        profile = ModelProfile()
        if windows := [c.context_window for c in known if c.context_window is not None]:
            profile["max_input_tokens"] = min(windows)
        if (tools := _any(c.tools for c in known)) is not None:
            profile["tool_calling"] = tools
        if (structured := _any(c.structured_output for c in known)) is not None:
            profile["structured_output"] = structured
        for kind, key in MEDIA_IN_PROFILES.items():
            if (takes := _any(getattr(c, kind) for c in known)) is not None:
                profile[key] = takes  # type: ignore[literal-required]
        return profile or None

    @cached_property
    def fingerprint(self) -> str:
        """Differs between pools that may answer differently; holds no key."""
        parts = [f"{m}={self.settings.named.get(m, '')}" for m in self.wanted]
        parts += [f"{m}:{_identity(backend)}" for m, backend in sorted(self.given.items())]
        if self.endpoint is not None:
            parts.append(str(self.endpoint.base_url))
        parts.append(str(sorted(self.settings.options.items())))
        parts.append(str(sorted(self.settings.model_settings.items())))
        parts.append(str(sorted(self.settings.capabilities.items())))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def unwrapped(model: str, backend: Any) -> Backend:
    """A chat model and what is bound to it, through any number of ``bind`` and ``with_config``.

    Args:
        model: names it in the error.
        backend: what the user gave.

    Raises:
        TypeError: it is no chat model.
    """
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


def _identity(backend: Backend) -> str:
    return f"{dumps(backend.model)}---{sorted(backend.arguments.items())}"


def _own(backend: BaseChatModel) -> Capabilities:
    """What a chat model says of itself."""
    profile: Mapping[str, Any] = backend.profile or {}
    tools = profile.get("tool_calling")
    if type(backend).bind_tools is BaseChatModel.bind_tools:
        tools = False
    structured = profile.get("structured_output")
    if structured is None and tools is False:
        structured = _has_own_structured_output(backend)
    dialect = target_of("", backend).dialect
    return Capabilities(
        tools=tools,
        structured_output=structured,
        context_window=profile.get("max_input_tokens"),
        provider=_provider(backend, dialect),
        **given_in(profile),
    )


def given_in(profile: Mapping[str, Any]) -> dict[str, bool]:
    """Which media a profile says that a model takes."""
    said = {kind: profile.get(key) for kind, key in MEDIA_IN_PROFILES.items()}
    return {kind: takes for kind, takes in said.items() if isinstance(takes, bool)}


def _provider(backend: BaseChatModel, dialect: Dialect) -> str | None:
    """Whose tools a backend can be given."""
    if dialect.protocol == "openai compatible" and "ChatOpenAI" in class_names(type(backend)):
        return None  # it says that it is OpenAI's, and asks another
    try:
        name = str(backend._get_ls_params().get("ls_provider") or "")
    except Exception:  # what a user's class does there may be anything
        return None
    return _FAMILIES.get(name, name) or None


def _has_own_structured_output(backend: BaseChatModel) -> bool | None:
    own = type(backend).with_structured_output is not BaseChatModel.with_structured_output
    return None if own else False


def _any(values: Iterable[bool | None]) -> bool | None:
    known = [value for value in values if value is not None]
    return any(known) if known else None
