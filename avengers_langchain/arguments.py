"""A call's settings in the words of the chat model that is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel

from avengers_core.serving.backends.wording import canonical, family, word_of, worded
from avengers_core.serving.history import Target
from avengers_core.serving.stopping import note_cut, sequences_of
from avengers_langchain.history import target_of


def kind_of(model: str, backend: BaseChatModel, arguments: Mapping[str, Any]) -> str:
    """Whose words a chat model understands (:func:`avengers_core.serving.backends.wording.family`).

    Args:
        model: what the router calls it.
        backend: the chat model.
        arguments: of the call, of which some change the protocol.
    """
    return family(target_of(model, backend, arguments).dialect)


def in_words(layers: Iterable[Mapping[str, Any]], kind: str) -> dict[str, Any]:
    """Arguments of a call as a kind of chat model takes them.

    Args:
        layers: arguments by name; where they overlap the later go before the earlier, in whichever
            words they are said.
        kind: what :func:`kind_of` gives; to ``"other"`` all is said as it is.
    """
    merged: dict[str, Any] = {}
    if kind == "other":
        for layer in layers:
            merged |= layer
        return merged
    for layer in layers:
        merged |= canonical(layer)
    if merged.get("stop") is None:
        merged.pop("stop", None)
    said = worded(merged, kind)
    if (word := word_of("stop", kind)) in said:
        said["stop"] = said.pop(word)  # chat models take it by this name
    return said


def without_stop(
    layers: Iterable[Mapping[str, Any]], target: Target
) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
    """Arguments as :func:`in_words` takes them, and stop sequences that have to be cut at here.

    Args:
        layers: arguments by name.
        target: whose they are; the layers stay as they are where it stops by itself.
    """
    said = list(layers)
    stop = next((s for layer in reversed(said) if (s := canonical(layer).get("stop"))), None)
    if stop is None or target.takes_stop:
        return said, ()
    note_cut(target.dialect.name)
    return [*said, {"stop": None}], sequences_of(stop)
