"""The Responses API: what it refuses and how it answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from call_settings import check_responses
from strict_answers import Answer, RefusalError, asked, require

Json = dict[str, Any]

# https://platform.openai.com/docs/api-reference/responses/create: content parts by role.
_PARTS = {
    "user": {"input_text", "input_image", "input_file"},
    "system": {"input_text"},
    "developer": {"input_text"},
    "assistant": {"output_text", "refusal"},
}
_PREFIX = {
    "message": "msg_",
    "reasoning": "rs_",
    "function_call": "fc_",
    "web_search_call": "ws_",
    "code_interpreter_call": "ci_",
}


class Responses:
    """The server keeps what it gave out: items are known by their identifiers."""

    def __init__(self) -> None:
        self._model_of: dict[str, str] = {}
        self._reasoning_of: dict[str, str] = {}

    def check(self, body: Json, model: str) -> None:
        """Refuse what the real server refuses."""
        check_responses(body, model)
        given = body["input"]
        items = given if isinstance(given, list) else []
        called: set[str] = set()
        for i, item in enumerate(items):
            kind = item.get("type", "message")
            where = f"input[{i}]"
            known = {*_PREFIX, "function_call_output", "item_reference"}
            require(kind in known, f"Invalid value: '{kind}' at {where}.type")
            self._check_id(item, kind, where, model)
            if kind == "message":
                self._check_message(item, where)
            if kind == "reasoning":
                following = items[i + 1] if i + 1 < len(items) else {}
                # https://github.com/openai/openai-node/issues/1567
                pair = self._reasoning_of.get(following.get("id", "")) == item["id"]
                require(
                    pair,
                    f"Item '{item['id']}' of type 'reasoning' was provided without its required "
                    f"following item.",
                )
            elif needed := self._reasoning_of.get(item.get("id") or ""):
                # https://github.com/continuedev/continue/issues/11994
                missing = f"'{item['id']}' was provided without its 'reasoning' item: '{needed}'"
                require(any(before.get("id") == needed for before in items[:i]), missing)
            if kind == "function_call":
                _check_call(item, where)
                called.add(item["call_id"])
            if kind == "function_call_output":
                require(item["call_id"] in called, f"No tool call found for {item['call_id']}")
                _check_output(item["output"], where)
        outputs = {i["call_id"] for i in items if i.get("type") == "function_call_output"}
        require(called <= outputs, f"No tool output found for function call {called - outputs}")

    def _check_id(self, item: Json, kind: str, where: str, model: str) -> None:
        item_id = item.get("id")
        if kind == "reasoning":
            require(item_id, f"Missing required parameter: '{where}.id'")
        if item_id is None:
            return
        prefix = _PREFIX.get(kind, "")
        begins = item_id.startswith(prefix)
        require(begins, f"Invalid '{where}.id': expected an ID that begins with '{prefix}'")
        # Items that this server did not give out, or that another model wrote.
        require(self._model_of.get(item_id) == model, f"Item with id '{item_id}' not found.")

    def _check_message(self, item: Json, where: str) -> None:
        role, content = item["role"], item.get("content")
        require("name" not in item, f"Unknown parameter: '{where}.name'.")
        require(content is not None, f"Missing required parameter: '{where}.content'")
        for part in content if isinstance(content, list) else ():
            kind = part.get("type")
            require(kind in _PARTS[role], f"Invalid value: '{kind}' at {where}.content")
            _check_part(part, where)

    def whole(self, body: Json, model: str, answer: Answer) -> Json:
        """The answer in one piece."""
        return _response(model, self._items(model, answer), answer)

    def stream(self, body: Json, model: str, answer: Answer) -> Iterator[str]:
        """The answer as events."""
        return _events(model, self._items(model, answer), answer)

    def wants_call(self, body: Json) -> str | None:
        """The tool to call: the first, where the user says please."""
        tools = [t for t in body.get("tools") or () if t["type"] == "function"]
        return tools[0]["name"] if tools and asked(body["input"]) else None

    def refusal(self, error: RefusalError) -> Json:
        """How it says no."""
        return {"error": {"message": str(error), "type": "invalid_request_error", "code": None}}

    def _items(self, model: str, answer: Answer) -> list[Json]:
        """The items of an answer, which the server keeps from now on."""
        n = answer.number
        summary = [{"type": "summary_text", "text": answer.thought}]
        items: list[Json] = [{"id": f"rs_{n}", "type": "reasoning", "summary": summary}]
        if answer.looked_up:
            search = {"type": "search", "query": "who am I"}
            items.append({"id": f"ws_{n}", "type": "web_search_call", "status": "completed"})
            items[-1]["action"] = search
        if answer.call:
            arguments = json.dumps({"query": "x"})
            call = {"type": "function_call", "call_id": f"call_{n}", "name": answer.call}
            items.append({"id": f"fc_{n}", **call, "arguments": arguments, "status": "completed"})
        else:
            part: Json = {"type": "output_text", "text": answer.text, "annotations": []}
            if answer.looked_up:
                cited = {"type": "url_citation", "url": "https://who.example", "title": "Who"}
                part["annotations"] = [{**cited, "start_index": 0, "end_index": 1}]
            message = {"type": "message", "role": "assistant", "status": "completed"}
            items.append({"id": f"msg_{n}", **message, "content": [part]})
        self._model_of |= {item["id"]: model for item in items}
        self._reasoning_of |= {item["id"]: items[0]["id"] for item in items[1:]}
        return items


def _check_call(item: Json, where: str) -> None:
    fits = isinstance(item["call_id"], str) and 0 < len(item["call_id"]) <= 64
    require(fits, f"Invalid '{where}.call_id': string too long")
    named = re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", item["name"])
    require(named, f"Invalid '{where}.name': string does not match pattern")
    require(isinstance(item["arguments"], str), f"Invalid '{where}.arguments'")


def _check_output(output: Any, where: str) -> None:
    require(output is not None, f"{where}.output: got null")
    for part in output if isinstance(output, list) else ():
        require(part.get("type") in _PARTS["user"], f"Invalid value: {part} at {where}.output")
        _check_part(part, where)


def _check_part(part: Json, where: str) -> None:
    if part["type"] == "input_image" and "image_url" in part:
        fits = re.match(r"https?://|data:image/(png|jpeg|jpg|gif|webp);base64,", part["image_url"])
        require(fits, f"{where}: unsupported image")
    if part["type"] == "input_file":
        file_id = part.get("file_id")
        require(file_id is None or file_id.startswith("file-"), f"{where}: unknown file")
        named = part.get("file_data") is None or part.get("filename")
        require(named, f"{where}: Missing required parameter: filename")


def _response(model: str, items: list[Json], answer: Answer) -> Json:
    usage = {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}
    usage_details = {
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 1},
    }
    return {
        "id": f"resp_{answer.number}",
        "object": "response",
        "created_at": 1,
        "model": model,
        "status": "completed",
        "output": items,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "temperature": 1,
        "top_p": 1,
        "usage": {**usage, **usage_details},
    }


def _events(model: str, items: list[Json], answer: Answer) -> Iterator[str]:
    done = _response(model, items, answer)
    begun = {**done, "status": "in_progress", "output": [], "usage": None}
    events: list[Json] = [{"type": "response.created", "response": begun}]
    for i, item in enumerate(items):
        place = {"output_index": i, "item_id": item["id"]}
        empty = {"content": []} if item["type"] == "message" else {}
        empty |= {"arguments": ""} if item["type"] == "function_call" else {}
        empty |= {"summary": []} if item["type"] == "reasoning" else {}
        events.append(
            {"type": "response.output_item.added", "output_index": i, "item": {**item, **empty}}
        )
        if item["type"] == "reasoning":
            events += _reasoning_events(item, place)
        if item["type"] == "message":
            events += _text_events(item["content"][0], {**place, "content_index": 0})
        if item["type"] == "function_call":
            told = {"arguments": item["arguments"], "name": item["name"], **place}
            delta = {"delta": item["arguments"], **place}
            events.append({"type": "response.function_call_arguments.delta", **delta})
            events.append({"type": "response.function_call_arguments.done", **told})
        events.append({"type": "response.output_item.done", "output_index": i, "item": item})
    events.append({"type": "response.completed", "response": done})
    for n, event in enumerate(events):
        kind = event["type"]
        yield f"event: {kind}\ndata: {json.dumps({**event, 'sequence_number': n})}\n\n"


def _reasoning_events(item: Json, place: Json) -> list[Json]:
    part = item["summary"][0]
    at = {**place, "summary_index": 0}
    empty = {**part, "text": ""}
    return [
        {"type": "response.reasoning_summary_part.added", "part": empty, **at},
        {"type": "response.reasoning_summary_text.delta", "delta": part["text"], **at},
        {"type": "response.reasoning_summary_text.done", "text": part["text"], **at},
        {"type": "response.reasoning_summary_part.done", "part": part, **at},
    ]


def _text_events(part: Json, at: Json) -> list[Json]:
    empty = {**part, "text": "", "annotations": []}
    events: list[Json] = [{"type": "response.content_part.added", "part": empty, **at}]
    delta = {"type": "response.output_text.delta", "logprobs": [], **at}
    events += [{**delta, "delta": word} for word in re.findall(r"\S+\s*", part["text"])]
    for n, annotation in enumerate(part["annotations"]):
        told = {"annotation": annotation, "annotation_index": n}
        events.append({"type": "response.output_text.annotation.added", **told, **at})
    text = {"text": part["text"], "logprobs": []}
    events.append({"type": "response.output_text.done", **text, **at})
    return [*events, {"type": "response.content_part.done", "part": part, **at}]
