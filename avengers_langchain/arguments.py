"""A call's settings in the words of the chat model that is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from avengers_core.serving.backends.wording import told, word_of
from avengers_core.serving.history import Target


def in_words(
    layers: Iterable[Mapping[str, Any]], target: Target
) -> tuple[dict[str, Any], Sequence[str]]:
    """What :func:`avengers_core.serving.backends.wording.told` gives, with stop sequences by the
    one name that all chat models take them by."""
    said, cut = told(layers, target)
    stop = said.pop(word_of("stop", target.dialect.protocol) or "stop", None)
    return (said if stop is None else {**said, "stop": stop}), cut
