"""What AvengersLLM adds to a call, as a ratio to the time of the embedder alone.

    python tests/benchmarks/bench_llamaindex.py

The same fake backend is called directly and through the router, in turn, many times; the
difference of the medians is what routing adds. The embedder's time is the floor: nothing that
embeds the question can add less. Texts are real questions where the developers keep them, else
the everyday ones of the examples.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import platform
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
)
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_chat_callback

from avengers_core import Router
from avengers_core.decision import text_table
from avengers_llamaindex import AvengersLLM

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "uiuc9.jsonl.gz"
EVERYDAY = ROOT / "examples" / "data" / "everyday.jsonl"
QUESTIONS, ROUNDS = 50, 20


class Instant(CustomLLM):
    """Answers at once."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(context_window=1_000_000, is_chat_model=True)

    @llm_chat_callback()
    def chat(self, messages: Any, **_: Any) -> ChatResponse:
        return ChatResponse(message=ChatMessage(role="assistant", content="yes"))

    @llm_chat_callback()
    async def achat(self, messages: Any, **_: Any) -> ChatResponse:
        return ChatResponse(message=ChatMessage(role="assistant", content="yes"))

    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        return CompletionResponse(text="yes")

    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
        yield CompletionResponse(text="yes", delta="yes")


def questions() -> tuple[str, list[str]]:
    """Where they come from, and as many as are asked."""
    if REAL.exists():
        with gzip.open(REAL, "rt", encoding="utf-8") as lines:
            texts = [json.loads(line)["query"] for line in lines]
        return f"{REAL.name}, every {len(texts) // QUESTIONS}th", texts[:: len(texts) // QUESTIONS]
    lines_ = EVERYDAY.read_text(encoding="utf-8").splitlines()
    return EVERYDAY.name, [json.loads(line)["query"] for line in lines_]


def medians(*works: Callable[[str], object], texts: list[str]) -> list[float]:
    """Of each function, the mean over texts of the median seconds of a call, timed in turn."""
    taken: list[list[list[float]]] = [[[] for _ in texts] for _ in works]
    for _ in range(ROUNDS + 1):
        for i, text in enumerate(texts):
            for work, seconds in zip(works, taken, strict=True):
                start = time.perf_counter()
                work(text)
                seconds[i].append(time.perf_counter() - start)
    # The first round warms caches.
    return [statistics.fmean(statistics.median(one[1:]) for one in seconds) for seconds in taken]


def main() -> None:
    router, backend = Router.default(), Instant()
    llm = AvengersLLM(alpha=0.4, router=router, models=dict.fromkeys(router.models, backend))
    source, texts = questions()
    loop = asyncio.new_event_loop()

    def awaited(call: Callable[[Any], Awaitable[object]]) -> Callable[[str], object]:
        return lambda text: loop.run_until_complete(call([ChatMessage(content=text)]))

    def message(text: str) -> list[ChatMessage]:
        return [ChatMessage(content=text)]

    rows = []
    sets = {
        f"{source} (mean {sum(map(len, texts)) // len(texts):,} characters)": texts,
        f"the shortest of them ({min(map(len, texts))} characters)": [min(texts, key=len)],
    }
    for name, chosen in sets.items():
        ways: dict[str, tuple[Callable[[str], object], Callable[[str], object]]] = {
            "chat": (lambda t: backend.chat(message(t)), lambda t: llm.chat(message(t))),
            "achat": (awaited(backend.achat), awaited(llm.achat)),
        }
        for way, (direct, routed) in ways.items():
            alone, through, embedder, route = medians(
                direct,
                routed,
                lambda t: router.embedder.embed([t]),
                lambda t: router.route(t, alpha=0.4),
                texts=chosen,
            )
            added = through - alone
            figures = [f"{1e6 * s:.0f}" for s in (embedder, route, alone, through, added)]
            rows.append([way, name, *figures, f"{added / embedder:.2f}"])
    loop.close()
    print(f"Python {platform.python_version()}, {platform.machine()}; microseconds a call\n")
    head = ("method", "questions", "embedder", "route()", "direct", "routed", "added", "ratio")
    print(text_table(head, rows, left=(0, 1)))
    print("\nratio: added / embedder; wanted at most 3")


if __name__ == "__main__":
    main()
