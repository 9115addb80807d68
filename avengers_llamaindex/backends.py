"""The LLMs behind the router: those the user gave, or OpenAI-compatible ones made here."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping, Sequence
from inspect import signature
from typing import Any

from llama_index.core.base.llms.types import LLMMetadata, MessageRole
from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM

from avengers_core.errors import needing
from avengers_core.serving.backends.capabilities import Capabilities
from avengers_core.serving.backends.endpoints import Endpoint
from avengers_core.serving.backends.model_settings import refuse_unknown
from avengers_core.serving.backends.pool import Pool
from avengers_core.serving.backends.pool_settings import OF_ENDPOINT, PoolSettings
from avengers_core.serving.backends.wording import OF_ANSWERS
from avengers_core.serving.history import Dialect
from avengers_core.serving.settings import given
from avengers_llamaindex.arguments import OF_ALL, with_settings
from avengers_llamaindex.history import metadata_of, target_of
from avengers_llamaindex.wording import CONFIG, in_words

# Context window, in tokens, of a model that nobody told more about: less than what current models
# have, so the framework's prompt packing fits all of them. `capabilities=` says the true one.
ASSUMED_WINDOW = 32_768
OPENAI_URL = "https://api.openai.com/v1"

# Whose tools the LLMs of a kind can be given; of OpenAI's two only the one for its Responses.
_PROVIDERS = {"openai responses": "openai", "anthropic": "anthropic", "gemini": "google"}
_OF_CLASSES = ("temperature", "max_tokens", "timeout", "max_retries")  # all have them
# Settings that LlamaIndex's classes for OpenAI's protocol send as they are, and their names there.
_OF_OPENAI = {
    "service_tier": "service_tier",
    "verbosity": "verbosity",
    "default_query": "extra_query",
    "extra_body": "extra_body",
}
_SAID = (OF_ANSWERS | _OF_OPENAI.keys()) - {*_OF_CLASSES}


class Backends(Pool[LLM]):
    """LlamaIndex's LLMs as backends.

    Settings of answers (``temperature``, ``max_tokens``) hold of LLMs that the user gave too: a
    shallow copy of each has them, and shares its clients.

    Attributes:
        stops: model -> stop sequences that were set of it and that its LLM does not take.
    """

    def __init__(self, settings: PoolSettings) -> None:
        self.stops: dict[str, Sequence[str]] = {}
        self._said: dict[str, dict[str, Any]] = {}
        super().__init__(settings)
        self._shared: dict[str, Any] = {}
        self._metadata: dict[frozenset[str], LLMMetadata] = {}

    def _accept(self, model: str, given: Any) -> LLM:
        if not isinstance(given, LLM):
            raise TypeError(
                f"models[{model!r}] must be a LlamaIndex LLM, or a text such as 'openai:gpt-5', "
                f"got {type(given).__name__}"
            )
        if self.told(model).tools and not isinstance(given, FunctionCallingLLM):
            raise TypeError(
                f"capabilities= says that {model!r} calls tools, for which its LLM must be a "
                f"FunctionCallingLLM, got {type(given).__name__}"
            )
        said = {k: v for k, v in self.settings.options.items() if k in OF_ALL}
        if not said:
            return given
        copy, self._said[model] = with_settings(model, given, said)
        return copy

    def _connect(self, model: str, name: str, endpoint: Endpoint) -> LLM:
        with needing("llama-index-llms-openai-like", "llamaindex"):
            from avengers_llamaindex.openai_like import KeylessOpenAILike
        metadata = self._metadata_of(model)
        options = {**OF_ENDPOINT, **self.settings.of(model)}
        client = {name: options.pop(name) for name in [*options] if name not in _SAID}
        made = KeylessOpenAILike(
            model=name,
            api_base=endpoint.base_url or OPENAI_URL,
            api_key=endpoint.api_key.get_secret_value(),
            context_window=metadata.context_window,
            is_chat_model=True,
            is_function_calling_model=metadata.is_function_calling_model,
            should_use_structured_outputs=bool(self.told(model).structured_output),
            http_client=self.clients.blocking,
            async_http_client=self.clients.asynchronous,
            **{**client, **self._shared},
        )
        self._say(model, made, options)
        return made

    def _make(self, model: str, text: str) -> LLM:
        kind, name = _class_of(text)
        own = self.settings.model_settings.of(model)
        options = {**self.settings.options, **self._shared}
        options |= {name: own.pop(name) for name in _OF_CLASSES if name in own}
        known = {k: v for k, v in options.items() if k in kind.model_fields}
        made = kind(model=name, **known)
        if not own:
            return made
        protocol = target_of(model, made).dialect.protocol
        fields = {
            *signature(kind).parameters,
            *(_OF_OPENAI if protocol.startswith("openai") else ()),
        }
        refuse_unknown(model, made, own, fields, protocol)
        if headers := given(default_headers=own.pop("default_headers", None)):
            made = kind(model=name, **known, **headers)
        self._say(model, made, own)
        return made

    def _say(self, model: str, made: Any, settings: Mapping[str, Any]) -> None:
        """Have an LLM send settings, in its own words, with each call: not as arguments, of which
        the framework tells its handlers."""
        words, self.stops[model] = in_words(settings, target_of(model, made))
        if CONFIG in words:  # which its class takes in no other way
            self._said[model] = {CONFIG: words.pop(CONFIG)}
        if words:
            sent = {_OF_OPENAI.get(name, name): value for name, value in words.items()}
            made.additional_kwargs = {**made.additional_kwargs, **sent}

    def said(self, model: str) -> Mapping[str, Any]:
        """Settings of a model that its class takes as arguments of each call only."""
        return self._said.get(model, {})

    def _says(self, backend: LLM) -> Capabilities:
        """What an LLM says of itself; the framework's default window is taken as no word on it."""
        if self.settings.from_endpoint:
            return Capabilities()  # its metadata is what was told here
        metadata = _metadata(backend)
        window = metadata.context_window
        # The answer has to fit too, where its length is known.
        room = None if window == DEFAULT_CONTEXT_WINDOW else window - max(metadata.num_output, 0)
        return Capabilities(
            tools=metadata.is_function_calling_model,
            context_window=room,
            provider=_PROVIDERS.get(self._dialect(backend).protocol),
        )

    def _dialect(self, backend: LLM) -> Dialect:
        return target_of("", backend).dialect

    # -- what holds of all of them --

    def metadata(self, exclude: Collection[str] = ()) -> LLMMetadata:
        """What holds of whichever model answers: the framework packs prompts by it.

        The smallest context window and output length, a chat model if all are, function calling
        if any can (calls with tools go to those only).
        """
        key = frozenset(exclude)
        if key not in self._metadata:
            each = [self._metadata_of(m) for m in self.wanted if m not in key]
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
        self._shared |= attributes
        for llm in self.made().values():
            for name, value in attributes.items():
                setattr(llm, name, value)

    def _metadata_of(self, model: str) -> LLMMetadata:
        told = self.told(model)
        if model in self.given:
            own = _metadata(self.given[model])
        else:
            # Known without a key and without a network, so that an engine can be put together.
            own = LLMMetadata(
                context_window=ASSUMED_WINDOW,
                num_output=self.settings.options.get("max_tokens") or -1,
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


def _class_of(text: str) -> tuple[type[LLM], str]:
    """The class and the model's name that a text such as ``"openai:gpt-5"`` names.

    The class is the one of the package ``llama_index.llms.<provider>`` that is called like the
    provider, letter case aside: ``anthropic`` has ``Anthropic``, ``google_genai`` ``GoogleGenAI``.

    Raises:
        ValueError: it names none, or none that is installed.
    """
    provider, colon, name = text.partition(":")
    if not colon or not name or not provider.isidentifier():
        raise ValueError("expected a provider and its model, such as 'openai:gpt-5'")
    try:
        package = importlib.import_module(f"llama_index.llms.{provider}")
    except ModuleNotFoundError as error:
        missing = f"llama-index-llms-{provider.replace('_', '-')}"
        raise ValueError(f"its package is not installed: pip install {missing}") from error
    called = provider.replace("_", "")
    for kind in vars(package).values():
        if isinstance(kind, type) and issubclass(kind, LLM) and kind.__name__.lower() == called:
            return kind, name
    raise ValueError(f"llama_index.llms.{provider} has no class that is called {provider}")


def _metadata(llm: LLM) -> LLMMetadata:
    """What an LLM says of itself; only a ``FunctionCallingLLM`` has the methods to call tools."""
    own = metadata_of(llm)
    if not own.is_function_calling_model or isinstance(llm, FunctionCallingLLM):
        return own
    plain: LLMMetadata = own.model_copy(update={"is_function_calling_model": False})
    return plain
