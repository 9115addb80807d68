"""Text to unit vectors: the embedded default, endpoints, TF-IDF, any callable, and a cache."""

from __future__ import annotations

from avengers_core.embedders.base import Embedder, EmbedderSpec, Vectors
from avengers_core.embedders.cache import CachedEmbedder
from avengers_core.embedders.callable import CallableEmbedder
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
    "Vectors",
    "WordLlamaEmbedder",
    "resolve_embedder",
]
