"""The Avengers router as a LlamaIndex LLM."""

from __future__ import annotations

from avengers_core.errors import OptionalDependencyError
from avengers_core.serving.backends.capabilities import Capabilities
from avengers_core.serving.question import routing_hint

try:
    import llama_index.core  # noqa: F401
except ModuleNotFoundError as error:
    raise OptionalDependencyError("llama-index-core", "llamaindex") from error

from avengers_llamaindex.embeddings import AvengersEmbedding
from avengers_llamaindex.events import RoutingEvent, collect_events
from avengers_llamaindex.llm import AvengersLLM

__all__ = [
    "AvengersEmbedding",
    "AvengersLLM",
    "Capabilities",
    "RoutingEvent",
    "collect_events",
    "routing_hint",
]
