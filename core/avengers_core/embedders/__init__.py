"""Text to unit vectors: a local default, any endpoint, any function, and a cache around each."""

from __future__ import annotations

from avengers_core.embedders.base import Embedder, EmbedderSpec
from avengers_core.embedders.cached import CachedEmbedder
from avengers_core.embedders.callables import CallableEmbedder
from avengers_core.embedders.openai import OpenAIEmbedder
from avengers_core.embedders.resolve import resolve_embedder
from avengers_core.embedders.tfidf import TfidfEmbedder
from avengers_core.embedders.wordllama import WordLlamaEmbedder

__all__ = [
    "CachedEmbedder",
    "CallableEmbedder",
    "Embedder",
    "EmbedderSpec",
    "OpenAIEmbedder",
    "TfidfEmbedder",
    "WordLlamaEmbedder",
    "resolve_embedder",
]
