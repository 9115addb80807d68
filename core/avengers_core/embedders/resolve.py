"""From what the user passes to an embedder."""

from __future__ import annotations

import inspect
import re
from typing import TypeGuard

from avengers_core.embedders.base import Embedder, EmbedderSpec
from avengers_core.embedders.callables import CallableEmbedder, from_object
from avengers_core.embedders.openai import ID_PREFIX as OPENAI
from avengers_core.embedders.openai import OpenAIEmbedder
from avengers_core.embedders.wordllama import ID_PREFIX as WORDLLAMA
from avengers_core.embedders.wordllama import WordLlamaEmbedder
from avengers_core.errors import EmbedderError


def resolve_embedder(spec: EmbedderSpec) -> Embedder:
    """Make an embedder of what was given.

    Args:
        spec: one of

            - an :class:`Embedder`, returned as it is;
            - ``"wordllama"``, or the id of one, ``"wordllama/l2_supercat-256"``;
            - ``"openai/<model>"``, an OpenAI-compatible endpoint found in the environment, see
              :class:`OpenAIEmbedder`;
            - an object with ``embed_documents`` (LangChain) or ``get_text_embedding_batch``
              (LlamaIndex) or ``encode`` (sentence-transformers, model2vec);
            - a function from a list of texts to one vector each.

    Raises:
        EmbedderError: none of these.
    """
    if isinstance(spec, str):
        return _named(spec)
    if inspect.isclass(spec):  # has all the methods, and would be taken for an object
        raise EmbedderError(f"expected an embedder, got the class {spec.__name__}; make one of it")
    if _is_embedder(spec):
        return spec
    if (made := from_object(spec)) is not None:
        return made
    if callable(spec):
        try:
            return CallableEmbedder(spec)
        except TypeError as error:
            raise EmbedderError(str(error)) from None
    raise EmbedderError(
        f"{type(spec).__name__} is no embedder: expected a name such as 'wordllama' or "
        f"'openai/<model>', a function from a list of texts to vectors, or an object with "
        f"embed, embed_documents, get_text_embedding_batch or encode"
    )


def _named(name: str) -> Embedder:
    if name == "wordllama":
        return WordLlamaEmbedder()
    if match := re.fullmatch(re.escape(WORDLLAMA) + r"(\d+)", name):
        try:
            return WordLlamaEmbedder(int(match[1]))
        except ValueError as error:
            raise EmbedderError(f"{name!r}: {error}") from None
    if name.startswith(OPENAI) and name != OPENAI:
        return OpenAIEmbedder.from_id(name)
    if name.split("/", maxsplit=1)[0] == "tfidf":
        raise EmbedderError(
            f"{name!r} has to be fitted on texts: pass embedder='tfidf' to fit(), or "
            f"TfidfEmbedder.fit(texts); a router finds it in its artifact"
        )
    raise EmbedderError(
        f"no embedder is named {name!r}; names are 'wordllama', 'openai/<model>' and, for "
        f"fitting, 'tfidf'"
    )


def _is_embedder(spec: object) -> TypeGuard[Embedder]:
    # isinstance(spec, Embedder) would read `dim`, for which some embedders ask their endpoint.
    names = ("id", "dim", "embed", "aembed")
    return all(inspect.getattr_static(spec, name, None) is not None for name in names)
