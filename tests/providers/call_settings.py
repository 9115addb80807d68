"""What the real servers take besides the history: their names for settings, their tool choices.

OpenAI: https://platform.openai.com/docs/api-reference/chat/create and /responses/create; Anthropic:
https://docs.anthropic.com/en/api/messages; Gemini: https://ai.google.dev/api/generate-content.
"""

from __future__ import annotations

import re
from typing import Any

from strict_answers import require

Json = dict[str, Any]

_SAMPLING = {"temperature", "top_p"}
_CHAT = _SAMPLING | {
    *("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "stream"),
    *("stream_options", "max_tokens", "max_completion_tokens", "stop", "seed", "user"),
    *("frequency_penalty", "presence_penalty", "reasoning_effort", "response_format"),
    *("logit_bias", "verbosity", "service_tier"),
}
_RESPONSES = _SAMPLING | {
    *("model", "input", "tools", "tool_choice", "parallel_tool_calls", "stream", "store"),
    *("max_output_tokens", "reasoning", "text", "include", "user", "truncation", "metadata"),
    *("instructions", "previous_response_id", "service_tier"),
}
_ANTHROPIC = _SAMPLING | {
    *("model", "messages", "system", "max_tokens", "tools", "tool_choice", "stream"),
    *("stop_sequences", "top_k", "thinking", "output_config", "metadata"),
}
_GEMINI = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig"}
_GEMINI |= {"safetySettings", "cachedContent", "labels"}
_CONFIG = {
    "temperature",
    "topP",
    "topK",
    "maxOutputTokens",
    "stopSequences",
    "seed",
    "candidateCount",
}
_CONFIG |= {"frequencyPenalty", "presencePenalty", "thinkingConfig", "responseMimeType"}
_CONFIG |= {"responseJsonSchema", "responseSchema", "topK"}


def _only(given: Json, known: set[str]) -> None:
    require(not set(given) - known, f"Unrecognized request argument: {set(given) - known}")


def check_chat(body: Json, model: str) -> None:
    """OpenAI's chat completions."""
    _only(body, _CHAT)
    # https://github.com/BerriAI/litellm/pull/15244, https://docs.x.ai/docs/models
    refuses = re.match(r"o\d|gpt-5|grok-4", model) is not None
    unknown = {"stop", "frequency_penalty", "presence_penalty"} & set(body)
    require(not (refuses and unknown), f"Unsupported parameter: {unknown}")
    _check_sampling(body, {"temperature", "top_p"} if re.match(r"o\d|gpt-5", model) else set())
    both = "max_tokens" in body and "max_completion_tokens" in body
    require(not both, "max_tokens and max_completion_tokens cannot both be set")
    _check_openai_choice(body, {"type", "function"})


def check_responses(body: Json, model: str) -> None:
    """OpenAI's Responses."""
    _only(body, _RESPONSES)
    _check_sampling(body, {"temperature", "top_p"} if re.match(r"o\d|gpt-5", model) else set())
    _check_openai_choice(body, {"type", "name"})


def _check_sampling(body: Json, refused: set[str]) -> None:
    """https://community.openai.com/t/gpt-5-nano-accepted-parameters/1355086, and
    https://platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-7."""
    for name in refused:
        require(body.get(name) in (None, 1), f"Unsupported value: '{name}'")


def _check_openai_choice(body: Json, keys: set[str]) -> None:
    # https://platform.openai.com/docs/api-reference/chat/create: at least one tool
    require(body.get("tools") != [] or "input" in body, "[] is too short - 'tools'")
    alone = "parallel_tool_calls" in body and "input" not in body and not body.get("tools")
    require(not alone, "'parallel_tool_calls' is only allowed when 'tools' are specified")
    choice = body.get("tool_choice")
    if choice is None or (choice == "none" and "input" in body):
        return
    require(body.get("tools"), "'tool_choice' is only allowed when 'tools' are specified")
    if isinstance(choice, str):
        require(choice in ("auto", "none", "required"), f"Invalid value: '{choice}'")
    else:
        require(set(choice) == keys and choice["type"] == "function", f"tool_choice: {choice}")
        name = choice.get("name") or choice["function"]["name"]
        known = [tool.get("function", tool)["name"] for tool in body["tools"]]
        require(name in known, f"Tool choice '{name}' not found in 'tools'")


def check_anthropic(body: Json, model: str) -> None:
    """Anthropic's messages."""
    _only(body, _ANTHROPIC)
    alone = re.search(r"-4-[789]", model) or (body.get("thinking") or {}).get("type") == "enabled"
    _check_sampling(body, {"temperature", "top_p", "top_k"} if alone else set())
    # https://github.com/open-webui/functions/pull/9
    both = body.get("temperature") is not None and body.get("top_p") is not None
    require(not both, "`temperature` and `top_p` cannot both be specified for this model.")
    if (choice := body.get("tool_choice")) is None:
        return
    require(isinstance(choice, dict), "tool_choice: Input should be an object")
    require(body.get("tools"), "tool_choice may only be specified while providing tools")
    kind = choice.get("type")
    allowed = {"auto": set(), "any": set(), "tool": {"name"}, "none": None}
    require(kind in allowed, f"tool_choice: unknown type {kind}")
    beside = {"disable_parallel_tool_use"} | (allowed[kind] or set())
    _only(choice, {"type"} if allowed[kind] is None else {"type", *beside})
    thinks = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    forced = kind in ("any", "tool")
    require(not (thinks and forced), "Thinking may not be enabled when tool_choice forces tool use")


def check_gemini(body: Json, model: str) -> None:
    """Gemini's generateContent."""
    _only(body, _GEMINI)
    _only(body.get("generationConfig", {}), _CONFIG)
    config = body.get("toolConfig", {}).get("functionCallingConfig", {})
    mode = config.get("mode")
    require(mode in (None, "AUTO", "ANY", "NONE", "VALIDATED"), f"Invalid mode {mode}")
    names = config.get("allowedFunctionNames")
    require(not names or mode in ("ANY", "VALIDATED"), "allowed_function_names: only with ANY")
