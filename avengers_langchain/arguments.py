"""A call's settings in the words of the chat model that is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel

from avengers_core.serving.backends.wording import (
    canonical,
    family,
    note_left_out,
    word_of,
    worded,
)
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


def without_refused(
    layers: Iterable[Mapping[str, Any]], target: Target
) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
    """Arguments as :func:`in_words` takes them, without what the model that is asked refuses to be
    told; and stop sequences that have to be cut at here.

    Args:
        layers: arguments by name.
        target: whose they are.
    """
    given = list(layers)
    said = [canonical(layer) for layer in given]
    merged = {name: value for layer in said for name, value in layer.items()}
    refused = target.refused(name for name, value in merged.items() if value is not None)
    if not refused:
        return given, ()
    for name in refused - {"stop"}:
        note_left_out(name, target.remote_name or target.model)
    stops = [layer["stop"] for layer in said if "stop" in refused and layer.get("stop")]
    if stops:
        note_cut(target.dialect.name)
    left: list[Mapping[str, Any]] = [
        {k: v for k, v in layer.items() if k not in refused} for layer in said
    ]
    return left, sequences_of(stops[-1] if stops else None)
