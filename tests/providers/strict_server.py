"""A server on 127.0.0.1 that refuses histories as the real providers do.

It speaks OpenAI chat completions, OpenAI Responses, Anthropic messages and Gemini
generateContent, plain and streamed. With tools, a question with "please" in it is answered with a
call of the first; one with "look it up" in it is answered with what a provider's own tools leave::

    with StrictServer() as server:
        ChatAnthropic(model="claude-sonnet-4-6", base_url=server.url, api_key="any").invoke("Hi")
        assert server.refused == []

Each rule stands beside its source in the module of its protocol.
"""

from __future__ import annotations

import json
from typing import Any

import anthropic_messages
import gemini_content
import openai_chat
import openai_responses
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from strict_answers import Answer, RefusalError
from stub_server import ThreadedServer

Json = dict[str, Any]


class StrictServer(ThreadedServer):
    """The server.

    Attributes:
        requests: model and JSON of every request so far.
        refused: the models of those that were refused, and why.
        failing: models that answer with status 503.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, Json]] = []
        self.refused: list[tuple[str, str]] = []
        self.failing: set[str] = set()
        self._responses = openai_responses.Responses()
        routes = [
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/responses", self._respond, methods=["POST"]),
            Route("/v1/messages", self._message, methods=["POST"]),
            Route("/{version}/models/{call}", self._generate, methods=["POST"]),
        ]
        super().__init__(routes)

    @property
    def url(self) -> str:
        """Where it is; OpenAI's clients add ``/v1`` themselves."""
        return self.origin

    def reset(self) -> None:
        """Forget requests, refusals and who fails."""
        self.requests.clear()
        self.refused.clear()
        self.failing.clear()

    async def _chat(self, request: Request) -> Response:
        body = await request.json()
        return self._answer(openai_chat, body["model"], body, body.get("stream"))

    async def _respond(self, request: Request) -> Response:
        body = await request.json()
        return self._answer(self._responses, body["model"], body, body.get("stream"))

    async def _message(self, request: Request) -> Response:
        body = await request.json()
        return self._answer(anthropic_messages, body["model"], body, body.get("stream"))

    async def _generate(self, request: Request) -> Response:
        model, _, method = request.path_params["call"].partition(":")
        streamed = method.startswith("stream")
        return self._answer(gemini_content, model, await request.json(), streamed)

    def _answer(self, protocol: Any, model: str, body: Json, streamed: Any) -> Response:
        self.requests.append((model, body))
        if model in self.failing:
            return JSONResponse({"error": {"message": "overloaded"}}, status_code=503)
        try:
            protocol.check(body, model)
        except RefusalError as error:
            self.refused.append((model, str(error)))
            return JSONResponse(protocol.refusal(error), status_code=400)
        call = protocol.wants_call(body)
        history = body.get("messages") or body.get("input") or body.get("contents")
        looked_up = not call and "look it up" in json.dumps(history[-1])
        answer = Answer("" if call else f"I am {model}.", call, looked_up)
        if streamed:
            # At once: to send event by event would cost a thread's turn for each of thousands.
            events = "".join(protocol.stream(body, model, answer))
            return Response(events, media_type="text/event-stream")
        return JSONResponse(protocol.whole(body, model, answer))
