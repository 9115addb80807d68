"""The tokens of an answer, in whichever words its provider counts them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse

from avengers_core.serving.watching.outcome import Tokens, charged

_USAGE = ("usage", "usage_metadata")
_PROMPT = ("prompt_tokens", "input_tokens", "prompt_token_count", "prompt_eval_count")
_COMPLETION = ("completion_tokens", "output_tokens", "candidates_token_count", "eval_count")
# What was read from a cache: among the prompt's tokens, in some words, or beside them.
_CACHED = ("cached_content_token_count", "prompt_cache_hit_tokens")
_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_BESIDE = ("cache_read_input_tokens", "cache_creation_input_tokens")


def tokens_of(answer: Any) -> Tokens | None:
    """The tokens of an answer or a chunk, if it says anything of them.

    Texts and objects have no place for it: see :mod:`avengers_llamaindex.calling.counting`.
    """
    if not isinstance(answer, ChatResponse | CompletionResponse):
        return None
    for usage in _places(answer):
        prompt, completion = _get(usage, _PROMPT), _get(usage, _COMPLETION)
        if prompt is None and completion is None:
            continue
        cached = _get(usage, _CACHED)
        if cached is None:
            cached = _get(_get(usage, _DETAILS), ("cached_tokens",))
        if cached is None and (cached := _get(usage, _BESIDE[:1])) is not None:
            beside = (_get(usage, (name,)) for name in _BESIDE)
            prompt = (prompt or 0) + sum(n for n in beside if isinstance(n, int))
        upstream = _get(_get(usage, ("cost_details",)), ("upstream_inference_cost",))
        paid = charged(_get(usage, ("cost",)), _get(usage, ("is_byok",)), upstream)
        return Tokens.of(prompt, completion, cached, paid)
    return None


def _places(answer: ChatResponse | CompletionResponse) -> Iterator[Any]:
    """Where counts of tokens may stand."""
    raw = answer.raw
    if raw is not None:
        for name in _USAGE:
            if (usage := _get(raw, (name,))) is not None:
                yield usage
    if answer.additional_kwargs:
        yield answer.additional_kwargs
    if raw is not None:
        yield raw


def _get(source: Any, names: Iterable[str]) -> Any:
    """The first that is there of a mapping's keys, or an object's attributes."""
    # A question to an abstract class takes long, and most are dicts.
    keyed = isinstance(source, dict) or isinstance(source, Mapping)  # noqa: SIM101
    for name in names:
        value = source.get(name) if keyed else getattr(source, name, None)
        if value is not None:
            return value
    return None
