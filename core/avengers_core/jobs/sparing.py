"""Embedding where some texts fail: a text that an endpoint refuses must not end the whole job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from avengers_core.errors import EmbedderError
from avengers_core.redaction import describe

E = TypeVar("E")

_HARMLESS = ["hello"]


def embed_most(
    embed: Callable[[Sequence[str]], E], texts: Sequence[str]
) -> tuple[E, dict[str, str]]:
    """Embed texts, but for those that fail by themselves.

    Args:
        embed: the ``embed`` of an embedder or a router.
        texts: n texts.

    Returns:
        What it makes of the texts that did not fail, and why each of the others did.

    Raises:
        EmbedderError: it fails on everything.
    """
    try:
        return embed(texts), {}
    except EmbedderError as error:
        failed = _failing(embed, list(dict.fromkeys(texts)), error)
    return embed([text for text in texts if text not in failed]), failed


def _failing(
    embed: Callable[[Sequence[str]], Any], texts: list[str], error: EmbedderError
) -> dict[str, str]:
    """Which of some texts, that failed together, fail by themselves; found by halving."""
    try:
        embed(_HARMLESS)
    except EmbedderError:
        raise error from None  # it is not the texts
    if len(texts) == 1:
        return {texts[0]: f"could not be embedded: {describe(str(error))}"}
    failed: dict[str, str] = {}
    for half in (texts[: len(texts) // 2], texts[len(texts) // 2 :]):
        try:
            embed(half)
        except EmbedderError as other:
            failed |= _failing(embed, half, other)
    return failed
