"""Gemini's generateContent: what it refuses and how it answers."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

from call_settings import check_gemini
from strict_answers import Answer, RefusalError, asked, require, signature

Json = dict[str, Any]

_PARTS = {
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
}
_BESIDE = {"thought", "thoughtSignature", "videoMetadata", "mediaResolution"}
# https://ai.google.dev/gemini-api/docs/image-understanding: a GIF is no image for it; and of files
# only PDFs and texts: https://github.com/googleapis/python-genai/issues/829
_MEDIA = re.compile(r"image/(png|jpeg|jpg|webp|heic|heif)|application/pdf|(text|audio|video)/.+")
_BYPASS = "skip_thought_signature_validator"


def check(body: Json, model: str) -> None:
    """Refuse what the real server refuses."""
    check_gemini(body, model)
    contents = body["contents"]
    require(contents, "GenerateContentRequest.contents: contents is not specified")
    for i, content in enumerate(contents):
        role = content.get("role", "user")
        require(role in ("user", "model"), f"Please use a valid role: user, model: {role}")
        require(content.get("parts"), f"contents[{i}].parts must not be empty")
        for part in content["parts"]:
            _check_part(part, f"contents[{i}]", model)
    require(contents[0].get("role", "user") == "user", "the first turn must be the user's")
    _check_turns(contents)
    if re.search(r"gemini-([3-9])", model):
        _check_signatures(contents)


def _check_part(part: Json, where: str, model: str) -> None:
    holds = set(part) - _BESIDE
    require(len(holds) == 1 and holds <= _PARTS, f"{where}: required oneof field 'data': {holds}")
    if "text" in part:
        require(part["text"] or part.get("thoughtSignature"), f"{where}: empty text parameter")
    if "inlineData" in part:
        data = part["inlineData"]
        mime = data.get("mimeType") or data.get("mime_type")
        require(_MEDIA.fullmatch(mime or ""), f"Unsupported MIME type: {mime}")
    if "functionCall" in part:
        named = re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}", part["functionCall"]["name"])
        require(named, f"{where}: Invalid function name")
        require(isinstance(part["functionCall"].get("args", {}), dict), f"{where}: args")
    if "functionResponse" in part:
        require(part["functionResponse"].get("name"), f"{where}.function_response.name: empty")
        require(isinstance(part["functionResponse"]["response"], dict), f"{where}: response")
        # https://github.com/maximhq/bifrost/pull/4202
        shows = part["functionResponse"].get("parts") and "gemini-3" not in model
        require(not shows, f"{where}: multimodal function responses are not supported")
    if (signed := part.get("thoughtSignature")) and signed != _BYPASS:
        # https://docs.apiyi.com/en/faq/gemini-thought-signature-missing: one of another model's.
        require(signed == _signed(model), "Corrupted thought signature")


def _check_turns(contents: list[Json]) -> None:
    """https://github.com/google-gemini/gemini-cli/issues/17208 and .../issues/26486."""
    for i, content in enumerate(contents):
        calls = sum("functionCall" in part for part in content["parts"])
        before = contents[i - 1] if i else None
        after = contents[i + 1] if i + 1 < len(contents) else {"parts": []}
        if calls:
            asked = before is not None and before.get("role", "user") == "user"
            require(asked, "function call turn must come after a user or function response turn")
            answered = sum("functionResponse" in part for part in after["parts"])
            require(answered == calls, "number of function response parts is not equal")
        if any("functionResponse" in part for part in content["parts"]):
            called = before is not None and any("functionCall" in p for p in before["parts"])
            require(called, "function response turn must come after a function call turn")


def _check_signatures(contents: list[Json]) -> None:
    """https://ai.google.dev/gemini-api/docs/thought-signatures: in the turn under way, the first
    call of each step has one."""
    for content in reversed(contents):
        parts = content["parts"]
        if content.get("role", "user") == "user":
            if not any("functionResponse" in part for part in parts):
                return
            continue
        calls = [part for part in parts if "functionCall" in part]
        require(
            not calls or calls[0].get("thoughtSignature"),
            "Function call is missing a thought_signature in functionCall parts.",
        )


def _signed(model: str) -> str:
    return base64.b64encode(signature(model, "Gemini").encode()).decode()


def wants_call(body: Json) -> str | None:
    """The tool to call: the first, where the user says please."""
    tools = [t for t in body.get("tools") or () if t.get("functionDeclarations")]
    called = tools[0]["functionDeclarations"][0]["name"] if tools else None
    return called if asked(body["contents"]) else None


def whole(body: Json, model: str, answer: Answer) -> Json:
    """The answer in one piece, which is also the only event of a stream."""
    parts: list[Json] = []
    thinking = (body.get("generationConfig") or {}).get("thinkingConfig") or {}
    if thinking.get("includeThoughts"):
        parts.append({"text": answer.thought, "thought": True})
    if answer.looked_up:
        parts.append({"executableCode": {"language": "PYTHON", "code": "print(6 * 7)"}})
        parts.append({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42\n"}})
    signed = {"thoughtSignature": _signed(model)}
    if answer.call:
        call = {"functionCall": {"name": answer.call, "args": {"query": "x"}}}
        parts.append({**call, **signed})
    else:
        parts.append({"text": answer.text, **(signed if "gemini-3" in model else {})})
    candidate: Json = {
        "content": {"role": "model", "parts": parts},
        "finishReason": "STOP",
        "index": 0,
    }
    if answer.looked_up:
        web = {"uri": "https://who.example", "title": "Who"}
        candidate["groundingMetadata"] = {"groundingChunks": [{"web": web}]}
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8}
    answered = {"modelVersion": model, "responseId": f"g{answer.number}"}
    return {"candidates": [candidate], "usageMetadata": usage, **answered}


def stream(body: Json, model: str, answer: Answer) -> Iterator[str]:
    """The answer as events."""
    yield f"data: {json.dumps(whole(body, model, answer))}\r\n\r\n"


def refusal(error: RefusalError) -> Json:
    """How it says no."""
    return {"error": {"code": 400, "message": str(error), "status": "INVALID_ARGUMENT"}}
