"""The Messages API: what it refuses and how it answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from call_settings import check_anthropic
from strict_answers import Answer, RefusalError, asked, require, signature

Json = dict[str, Any]

# https://docs.anthropic.com/en/api/messages: blocks and their fields; any other is refused with
# "Extra inputs are not permitted".
_BLOCKS: dict[str, set[str]] = {
    "text": {"text", "cache_control", "citations"},
    "thinking": {"thinking", "signature"},
    "redacted_thinking": {"data"},
    "tool_use": {"id", "name", "input", "cache_control", "caller"},
    "tool_result": {"tool_use_id", "content", "is_error", "cache_control"},
    "image": {"source", "cache_control"},
    "document": {"source", "cache_control", "title", "context", "citations"},
    "search_result": {"source", "title", "content", "citations", "cache_control"},
    "container_upload": {"file_id", "cache_control"},
    "server_tool_use": {"id", "name", "input", "cache_control"},
    "web_search_tool_result": {"tool_use_id", "content", "cache_control"},
}
_BY_ROLE = {
    "user": {"text", "image", "document", "tool_result", "search_result", "container_upload"},
    "assistant": {
        "text",
        "thinking",
        "redacted_thinking",
        "tool_use",
        "server_tool_use",
        "web_search_tool_result",
    },
}
_IN_RESULTS = {"text", "image", "document", "search_result"}


def check(body: Json, model: str) -> None:
    """Refuse what the real server refuses."""
    check_anthropic(body, model)
    # https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching
    marks = json.dumps(body).count('"cache_control": {')
    require(marks <= 4, f"A maximum of 4 blocks with cache_control may be provided. Found {marks}.")
    messages = [{**m, "content": _blocks(m["content"])} for m in body["messages"]]
    require(messages, "messages: at least one message is required")
    _check_system(body.get("system"))
    require(messages[0]["role"] == "user", "messages: first message must use the user role")
    for i, message in enumerate(messages):
        last = i == len(messages) - 1
        for j, block in enumerate(message["content"]):
            _check_block(block, message["role"], f"messages.{i}.content.{j}", model)
        final_answer = last and message["role"] == "assistant"
        content = message["content"] or final_answer
        require(content, f"messages.{i}: all messages must have non-empty content")
        # https://github.com/tailcallhq/forgecode/issues/2107
        ends = [block["type"] for block in message["content"][-1:]]
        require(ends != ["thinking"], f"messages.{i}: The final block cannot be `thinking`.")
    _check_calls(messages)
    _check_thinking(messages, (body.get("thinking") or {}).get("type"))
    # Models later than Claude 4.5 do not go on with an answer that the caller began.
    if messages[-1]["role"] == "assistant":
        goes_on = re.search(r"claude-(3|.*-4-5)", model)
        require(goes_on, "This model does not support assistant message prefill.")
        last = (messages[-1]["content"] or [{}])[-1].get("text", "")
        require(
            last == last.rstrip(), "final assistant content cannot end with trailing whitespace"
        )


def _blocks(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _check_system(system: Any) -> None:
    for block in system if isinstance(system, list) else ():
        require(block["type"] == "text", "system: only text blocks are allowed")
        require(block["text"].strip(), "system: text content blocks must be non-empty")
        require(not set(block) - {"type"} - _BLOCKS["text"], "system: Extra inputs")


def _check_block(block: Json, role: str, where: str, model: str) -> None:
    kind = block.get("type")
    known = kind in _BLOCKS and kind in _BY_ROLE[role]
    require(known, f"{where}: Input tag '{kind}' does not match any of the expected tags")
    extra = set(block) - {"type"} - _BLOCKS[str(kind)]
    require(not extra, f"{where}.{kind}.{extra}: Extra inputs are not permitted")
    if kind == "text":
        # https://github.com/home-assistant/core/issues/175637
        require(block["text"].strip(), "text content blocks must contain non-whitespace text")
    if kind == "thinking":
        # https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking
        signed = block.get("signature") == signature(model, block["thinking"])
        require(signed, f"{where}: Invalid `signature` in `thinking` block")
    if kind in ("image", "document"):
        _check_source(block["source"], str(kind), where)
    if kind == "tool_use":
        # https://github.com/langchain-ai/langchain/issues: ids of other providers.
        fits = re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"])
        require(fits, f"{where}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        named = re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", block["name"])
        require(named, f"{where}.tool_use.name: String should match pattern")
        require(isinstance(block["input"], dict), f"{where}.tool_use.input: not a dictionary")
    if kind == "container_upload":  # https://platform.claude.com/docs/en/build-with-claude/files
        require(block["file_id"].startswith("file_"), f"{where}: File not found")
    if kind == "tool_result":
        # https://github.com/jlevy/markform/issues/153
        said = block.get("content") or not block.get("is_error")
        require(said, f"{where}.tool_result: content cannot be empty if `is_error` is true")
        # https://github.com/vellum-ai/vellum-assistant/pull/18387
        inside = _blocks(block.get("content") or [])
        failed = block.get("is_error")
        texts = all(inner.get("type") == "text" for inner in inside)
        require(texts or not failed, "all content must be type `text` if `is_error` is true")
        for inner in inside:
            require(inner.get("type") in _IN_RESULTS, f"{where}.tool_result.content: unexpected")
            _check_block(inner, "user", f"{where}.tool_result", model)


def _check_source(source: Json, kind: str, where: str) -> None:
    if source["type"] == "base64":
        media = source["media_type"]
        pictures = {"image/jpeg", "image/png", "image/gif", "image/webp"}
        fits = media in pictures if kind == "image" else media == "application/pdf"
        require(fits, f"{where}.source.base64.media_type: {media}")
    if source["type"] == "file":
        require(source["file_id"].startswith("file_"), f"{where}: File not found")


def _check_calls(messages: list[Json]) -> None:
    """https://github.com/anthropics/claude-code/issues/8210, .../issues/13460."""
    seen: set[str] = set()
    for before, message in zip([{"content": []}, *messages], messages, strict=False):
        blocks = message["content"]
        called = [b["id"] for b in before["content"] if b["type"] == "tool_use"]
        results = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
        require(set(results) <= set(called), f"unexpected `tool_use_id` in tool_result: {results}")
        require(sorted(results) == sorted(called), f"`tool_use` ids without results: {called}")
        first = blocks[: len(results)]
        require(all(b["type"] == "tool_result" for b in first), "results must come first")
        for block in blocks:
            if block["type"] == "tool_use":
                require(block["id"] not in seen, "`tool_use` ids must be unique")
                seen.add(block["id"])
        # https://github.com/AnswerDotAI/lisette/issues/108, anthropics/claude-code/issues/65726
        used = [b["id"] for b in blocks if b["type"] == "server_tool_use"]
        found = [b["tool_use_id"] for b in blocks if b["type"] == "web_search_tool_result"]
        pairs = used == found or (message is messages[-1] and set(found) < set(used))
        require(pairs, f"`web_search` tool use without its result block: {used}, {found}")
    left = [b for b in messages[-1]["content"] if b["type"] == "tool_use"]
    require(not left, "`tool_use` ids were found without `tool_result` blocks")


def _check_thinking(messages: list[Json], mode: str | None) -> None:
    """https://github.com/mastra-ai/mastra/issues/7799, .../forgecode/issues/1853."""
    # A turn goes from the user's last word, which is no result of a tool, to the end.
    spoken = [i for i, message in enumerate(messages) if _speaks(message)]
    answers = [m["content"] for m in messages[max(spoken, default=-1) :] if m["role"] != "user"]
    if not answers:
        return
    calls = any(b["type"] == "tool_use" for b in answers[0])
    begins = answers[0][0]["type"] in ("thinking", "redacted_thinking") if answers[0] else True
    if mode == "enabled" and calls:
        require(begins, "Expected `thinking` or `redacted_thinking`, but found other.")
    if mode in (None, "disabled"):
        require(
            not (calls and begins),
            "When thinking is disabled, an `assistant` message in the final position cannot "
            "contain `thinking`.",
        )


def _speaks(message: Json) -> bool:
    """Whether it is the user's own, without results of tools: what is said beside these is of the
    loop that they are of ("preceding the lastmost set of `tool_use` and `tool_result` blocks")."""
    blocks = _blocks(message["content"])
    return message["role"] == "user" and all(b["type"] != "tool_result" for b in blocks)


def wants_call(body: Json) -> str | None:
    """The tool to call: the first, where the user says please."""
    tools = [t for t in body.get("tools") or () if t.get("type", "custom") == "custom"]
    return tools[0]["name"] if tools and asked(body["messages"]) else None


def whole(body: Json, model: str, answer: Answer) -> Json:
    """The answer in one piece."""
    usage = {"input_tokens": 5, "output_tokens": 3}
    return {
        "id": f"msg_{answer.number}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": _said(body, model, answer),
        "stop_reason": "tool_use" if answer.call else "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


def _said(body: Json, model: str, answer: Answer) -> list[Json]:
    n, blocks = answer.number, []
    mode = (body.get("thinking") or {}).get("type")
    if mode == "adaptive" or (mode == "enabled" and _speaks(body["messages"][-1])):
        signed = signature(model, answer.thought)
        blocks.append({"type": "thinking", "thinking": answer.thought, "signature": signed})
    if answer.looked_up:
        found = {"type": "web_search_result", "title": "Who", "url": "https://who.example"}
        found |= {"encrypted_content": "Eq" * 40, "page_age": None}
        call = {"type": "server_tool_use", "id": f"srvtoolu_{n}", "name": "web_search"}
        blocks.append({**call, "input": {"query": "who am I"}})
        result = {"type": "web_search_tool_result", "tool_use_id": f"srvtoolu_{n}"}
        blocks.append({**result, "content": [found]})
    text: Json = {"type": "text", "text": answer.text or "Let me see."}
    if answer.looked_up:
        cited = {"type": "web_search_result_location", "url": "https://who.example"}
        cited |= {"title": "Who", "cited_text": "me", "encrypted_index": "Ee"}
        text["citations"] = [cited]
    blocks.append(text)
    if answer.call:
        call = {"type": "tool_use", "id": f"toolu_{n}", "name": answer.call}
        blocks.append({**call, "input": {"query": "x"}})
    return blocks


def stream(body: Json, model: str, answer: Answer) -> Iterator[str]:
    """The answer as events."""
    done = whole(body, model, answer)
    yield _event("message_start", message={**done, "content": [], "stop_reason": None})
    for i, block in enumerate(done["content"]):
        begun, deltas = _pieces(block)
        yield _event("content_block_start", index=i, content_block=begun)
        for delta in deltas:
            yield _event("content_block_delta", index=i, delta=delta)
        yield _event("content_block_stop", index=i)
    end = {"stop_reason": done["stop_reason"], "stop_sequence": None}
    yield _event("message_delta", delta=end, usage={"output_tokens": 3})
    yield _event("message_stop")


def _pieces(block: Json) -> tuple[Json, list[Json]]:
    kind = block["type"]
    if kind == "text":
        cited = [{"type": "citations_delta", "citation": c} for c in block.get("citations") or ()]
        words = re.findall(r"\S+\s*", block["text"])
        texts = [{"type": "text_delta", "text": word} for word in words]
        return {"type": "text", "text": ""}, [*texts, *cited]
    if kind == "thinking":
        deltas = [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": block["signature"]},
        ]
        return {"type": "thinking", "thinking": "", "signature": ""}, deltas
    if kind in ("tool_use", "server_tool_use"):
        given = json.dumps(block["input"])
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": given}]
    return block, []


def _event(kind: str, **data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n"


def refusal(error: RefusalError) -> Json:
    """How it says no."""
    return {"type": "error", "error": {"type": "invalid_request_error", "message": str(error)}}
