"""Chat completions: what OpenAI, and servers that speak its protocol, refuse and answer.

The name of a model says whose rules hold: ``mistral...`` Mistral's, ``deepseek...`` those of a
server that wants its reasoning back, ``google/gemini-3...`` OpenRouter's for a Gemini that signs
its calls, ``gemini-3...`` Google's own for the same, ``groq-...`` Groq's and the like, which send
reasoning and refuse it, ``gemma...`` those of a chat template on a local server, ``sonar...``
Perplexity's, ``ollama...`` Ollama's, ``gpt...`` OpenAI's, any other those of most other servers.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

from call_settings import check_chat
from strict_answers import Answer, RefusalError, asked, require, signature

Json = dict[str, Any]

# https://platform.openai.com/docs/api-reference/chat/create: content parts by role.
_PARTS = {
    "system": {"text"},
    "developer": {"text"},
    "user": {"text", "image_url", "input_audio", "file"},
    "assistant": {"text", "refusal"},
    "tool": {"text"},
}
_PART_KEYS = {
    "text": {"type", "text", "prompt_cache_breakpoint"},
    "image_url": {"type", "image_url"},
    "input_audio": {"type", "input_audio"},
    "file": {"type", "file"},
    "refusal": {"type", "refusal"},
}
_MESSAGE_KEYS = {"role", "content", "name", "tool_calls", "tool_call_id", "refusal", "audio"}


def check(body: Json, model: str) -> None:
    """Refuse what the real servers refuse."""
    check_chat(body, model)
    messages = body["messages"]
    require(messages, "[] is too short - 'messages'")
    beside = {"reasoning_content"} if "deepseek" in model else set()
    beside |= {"reasoning", "reasoning_details"} if "/" in model else set()
    for i, message in enumerate(messages):
        _check_message(message, f"messages[{i}]", beside)
        if not model.startswith("gpt"):
            _check_texts(message, f"messages[{i}]")
            _check_plain(message, f"messages[{i}]")
    _check_calls(messages, {"extra_content"} if "gemini" in model else set())
    if "deepseek" in model:
        _check_reasoning(messages)
    if "gemini-3" in model:
        _check_signed(messages, model)
    if not model.startswith("gpt"):
        _check_ends(messages)
    if "mistral" in model:
        _check_mistral(messages)
    if "grok" in model:  # https://github.com/langchain-ai/langchain/issues/34140
        said = all(message.get("content") not in (None, []) for message in messages)
        require(said, "Each message must have at least one content element.")
    if "sonar" in model:
        _check_perplexity(messages)
    if any(name in model for name in ("gemma", "mistral", "reasoner")):
        _check_template(messages)
    if "gemma" in model:  # https://github.com/huggingface/text-generation-inference/issues/3198
        calls = any("tool_calls" in message for message in messages)
        require(body.get("tools") or not calls, "Conversation roles must alternate user/assistant")
    if (
        "ollama" in model
    ):  # https://github.com/ollama/ollama/blob/main/docs/api/openai-compatibility.mdx
        require("http" not in json.dumps(messages), "invalid image input")


def _check_message(message: Json, where: str, beside: set[str]) -> None:
    unknown = set(message) - _MESSAGE_KEYS - beside
    require(not unknown, f"Unrecognized key at {where}: {unknown}")
    role, content = message["role"], message.get("content")
    # https://github.com/langchain-ai/langchain/issues/35054: names without spaces.
    name = message.get("name")
    require(name is None or re.fullmatch(r"[^\s<|\\/>]+", name), f"Invalid '{where}.name'")
    if content is None:
        told = message.get("tool_calls") or message.get("refusal") or message.get("audio")
        require(role == "assistant" and told, f"Invalid value for '{where}.content': got null")
    if isinstance(content, list):
        require(content, f"Invalid '{where}.content': empty array")
        for part in content:
            require(isinstance(part, dict), f"{where}.content: expected an object")
            kind = part.get("type")
            require(kind in _PARTS[role], f"Invalid value: '{kind}' at {where}.content")
            require(not set(part) - _PART_KEYS[kind], f"Unknown parameter in {where}.content")
            _check_part(part, where)
    if not content and role == "assistant":
        require(message.get("tool_calls"), f"{where}: an assistant message without content")


def _check_texts(message: Json, where: str) -> None:
    """https://github.com/microsoft/foundry-dev-tools/issues/264: a text is a string."""
    content = message.get("content")
    if isinstance(content, list):
        texts = all(part.keys() == {"type", "text"} for part in content)
        require(not texts, f"{where}: invalid type: sequence, expected a string")
        blank = [part for part in content if not part.get("text", "any").strip()]
        require(not blank, f"{where}: text content blocks must be non-empty")


def _check_plain(message: Json, where: str) -> None:
    """https://github.com/vllm-project/vllm/issues/43995, https://github.com/MiniMax-AI/MiniMax-M2:
    arguments are read again, as JSON; https://github.com/langchain-ai/langchain/issues/34140;
    https://api-docs.deepseek.com/api/create-chat-completion: the roles."""
    require(message["role"] != "developer", f"{where}: unknown variant `developer`")
    require(message.get("content") != [], f"{where}: at least one content element")
    for call in message.get("tool_calls") or ():
        try:
            given = json.loads(call["function"]["arguments"])
        except ValueError:
            given = None
        require(isinstance(given, dict), f"{where}: invalid function arguments json string")


def _check_ends(messages: list[Json]) -> None:
    """https://github.com/ggml-org/llama.cpp/issues/20861 and Qwen's chat templates."""
    spoken = [m["role"] for m in messages]
    require(spoken[-1] != "assistant", "Assistant response prefill is incompatible with thinking.")
    require("user" in spoken, "No user query found in messages.")


def _check_perplexity(messages: list[Json]) -> None:
    """https://github.com/perplexityai/api-discussion/issues/265."""
    while messages and messages[0]["role"] == "system":
        messages = messages[1:]
    for i, message in enumerate(messages):
        expected = ("user", "assistant")[i % 2]
        require(message["role"] == expected, "user and assistant roles should be alternating")
        require("tool_calls" not in message, "tool calling is not supported")
    require(messages[-1]["role"] == "user", "Last message must have role `user`")


def _check_part(part: Json, where: str) -> None:
    if part["type"] == "image_url":
        url = part["image_url"]["url"]
        fits = re.match(r"https?://|data:image/(png|jpeg|jpg|gif|webp);base64,", url)
        require(fits, f"{where}: unsupported image")
    if part["type"] == "file":
        file = part["file"]
        data = str(file.get("file_data", ""))
        fits = data.startswith("data:application/pdf;base64,") and file.get("filename")
        known = str(file.get("file_id", "")).startswith("file-")
        require(fits or known, f"{where}: Invalid file data, or a missing filename")
    if part["type"] == "input_audio":
        fits = part["input_audio"].get("format") in ("wav", "mp3")
        require(fits, f"{where}: unsupported audio format")


def _check_calls(messages: list[Json], beside: set[str]) -> None:
    """Each call is followed by its result, each result follows its call.

    https://github.com/anomalyco/opencode/issues/12653: identifiers of at most 40 characters.
    """
    open_calls: list[str] = []
    for i, message in enumerate(messages):
        if message["role"] == "tool":
            call_id = message.get("tool_call_id")
            require(
                call_id in open_calls,
                f"messages[{i}]: messages with role 'tool' must be a response to a preceding "
                f"message with 'tool_calls'",
            )
            open_calls.remove(call_id)
            continue
        require(not open_calls, f"tool_call_ids did not have response messages: {open_calls}")
        for call in message.get("tool_calls") or ():
            where = f"messages[{i}].tool_calls"
            known = {"id", "type", "function", *beside}
            require(set(call) <= known, f"Unknown parameter in {where}: {call}")
            require(isinstance(call["id"], str) and call["id"], f"Invalid '{where}.id'")
            require(len(call["id"]) <= 40, f"Invalid '{where}.id': string too long")
            require(call["id"] not in open_calls, f"Duplicate '{where}.id'")
            function = call["function"]
            named = re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", function["name"])
            require(named, f"Invalid '{where}.function.name': string does not match pattern")
            require(isinstance(function["arguments"], str), f"Invalid '{where}': not a string")
            open_calls.append(call["id"])
    require(not open_calls, f"tool_call_ids did not have response messages: {open_calls}")


def _check_reasoning(messages: list[Json]) -> None:
    """https://api-docs.deepseek.com/guides/thinking_mode: turns with tool calls carry theirs;
    https://api-docs.deepseek.com/guides/reasoning_model: in others it was refused."""
    called = False
    for i, message in enumerate(messages):
        called = message["role"] != "user" and (called or bool(message.get("tool_calls")))
        missing = message.get("tool_calls") and message.get("reasoning_content") is None
        require(not missing, f"Missing `reasoning_content` field in the assistant message at {i}")
        beside = "reasoning_content" in message and not called
        require(not beside, f"`reasoning_content` in the messages at {i}")


def _check_signed(messages: list[Json], model: str) -> None:
    """https://openrouter.ai/docs/guides/best-practices/reasoning-tokens and
    https://ai.google.dev/gemini-api/docs/thought-signatures#openai: the calls of the turn under way
    come back as they were sent."""
    for message in reversed(messages):
        if message["role"] == "user":
            return
        if calls := message.get("tool_calls"):
            found = message.get("reasoning_details") if "/" in model else calls[0]
            known = _details(model) if "/" in model else {**calls[0], **_extra(model)}
            require(found == known, f"Function call is missing a thought_signature: {found}")


def _details(model: str) -> list[Json]:
    of = {"index": 0, "format": "google-gemini-v1"}  # both have this index
    return [
        {**of, "type": "reasoning.text", "text": "Let me think."},
        {**of, "type": "reasoning.encrypted", "data": signature(model, "call")},
    ]


def _extra(model: str) -> Json:
    return {"extra_content": {"google": {"thought_signature": signature(model, "call")}}}


def _check_mistral(messages: list[Json]) -> None:
    """https://github.com/anomalyco/opencode/issues/1680, .../datapizza-ai/issues/98,
    https://github.com/github/copilot-cli/issues/4884."""
    for before, message in zip([None, *messages], messages, strict=False):
        require("name" not in message, "Extra inputs are not permitted: name")
        both = message.get("tool_calls") and message.get("content")
        require(not both, "Assistant message must have either content or tool_calls, but not both.")
        for call in message.get("tool_calls") or ():
            fits = re.fullmatch(r"[a-zA-Z0-9]{9}", call["id"])
            require(fits, f"Tool call id was {call['id']} but must be a-z, A-Z, 0-9, length 9")
        after_tool = before is not None and before["role"] == "tool" and message["role"] == "user"
        require(not after_tool, "Unexpected role 'user' after role 'tool'")
    require(messages[-1]["role"] in ("user", "tool"), "Expected last role User or Tool")


def _check_template(messages: list[Json]) -> None:
    """https://github.com/vllm-project/vllm/issues/41114 and .../issues/6862."""
    for message in messages[1:]:
        require(message["role"] != "system", "System message must be at the beginning.")
    spoken = [m["role"] for m in messages if m["role"] in ("user", "assistant")]
    calls = any(m.get("tool_calls") for m in messages)
    require(spoken[:1] == ["user"], "Conversation roles must alternate user/assistant")
    twice = any(a == b for a, b in itertools.pairwise(spoken))
    require(calls or not twice, "Conversation roles must alternate user/assistant")
    require(all(m.get("content") for m in messages if m["role"] == "user"), "empty message")


def wants_call(body: Json) -> str | None:
    """The tool to call: the first, where the user says please."""
    tools = body.get("tools")
    return tools[0]["function"]["name"] if tools and asked(body["messages"]) else None


def whole(body: Json, model: str, answer: Answer) -> Json:
    """The answer in one piece."""
    message: Json = {"role": "assistant", "content": _said(model, answer) or None}
    if "deepseek" in model:
        message["reasoning_content"] = answer.thought
    if "groq" in model:
        message["reasoning"] = answer.thought
    if "/gemini-3" in model:
        message |= {"reasoning": answer.thought, "reasoning_details": _details(model)}
    if answer.call:
        message["tool_calls"] = [_call(answer, model)]
    finish = "tool_calls" if answer.call else "stop"
    return {
        "id": f"chatcmpl-{answer.number}",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    }


def stream(body: Json, model: str, answer: Answer) -> Iterator[str]:
    """The answer as events."""
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    if "deepseek" in model:
        deltas.append({"reasoning_content": answer.thought})
    if "groq" in model:
        deltas.append({"reasoning": answer.thought})
    if "/gemini-3" in model:
        thought, signed = _details(model)
        deltas += [
            {"reasoning": piece, "reasoning_details": [{**thought, "text": piece}]}
            for piece in re.findall(r"\S+\s*", answer.thought)
        ]
        deltas.append({"content": "", "reasoning_details": [signed]})
    deltas += [{"content": word} for word in re.findall(r"\S+\s*", _said(model, answer))]
    if answer.call:
        deltas.append({"tool_calls": [{"index": 0, **_call(answer, model)}]})
    finish = "tool_calls" if answer.call else "stop"
    base = {"id": f"chatcmpl-{answer.number}", "object": "chat.completion.chunk", "created": 1}
    for delta, reason in [*((d, None) for d in deltas), ({}, finish)]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        yield _event({**base, "model": model, "choices": [choice]})
    yield "data: [DONE]\n\n"


def _said(model: str, answer: Answer) -> str:
    return "Let me see." if "mistral" in model and answer.call else answer.text


def _call(answer: Answer, model: str) -> Json:
    call_id = f"c{answer.number:08d}" if "mistral" in model else f"call_{answer.number}"
    if "odd" in model:  # such as Kimi's
        call_id = f"functions.{answer.call}:{answer.number}"
    function = {"name": answer.call, "arguments": json.dumps({"query": "x"})}
    signed = _extra(model) if model.startswith("gemini-3") else {}
    return {"id": call_id, "type": "function", "function": function, **signed}


def _event(event: Json) -> str:
    return f"data: {json.dumps(event)}\n\n"


def refusal(error: RefusalError) -> Json:
    """How it says no."""
    return {"error": {"message": str(error), "type": "invalid_request_error", "code": None}}
