"""What the router adds to a LangChain call, as a ratio to the embedder alone in the same run.

The backends answer at once and do nothing, so that the difference between calling one through the
router and calling it directly is all routing: embedding, deciding, and putting the decision into
the answer. ::

    python tests/benchmarks/bench_langchain.py
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from avengers_core import Router
from avengers_core.decision import text_table
from avengers_langchain import AvengersChatModel

QUESTION = (
    "A train leaves the station at 14:05 and travels at 80 km/h. A second one leaves twenty "
    "minutes later in the same direction at 110 km/h. When, and how far from the station, does "
    "it catch up? Show each step, and say which assumptions you make about the stops between."
)
ROUNDS = 2000


class Instant(BaseChatModel):
    """Answers at once."""

    @property
    def _llm_type(self) -> str:
        return "instant"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Yes."))])

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk("Yes."))

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk("Yes."))

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        return self._generate(*args, **kwargs)


def medians(calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median seconds of each call, timed in turn, so that all meet the same machine."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


async def amedians(calls: dict[str, Callable[[], Awaitable[Any]]]) -> dict[str, float]:
    """:func:`medians` of awaited calls."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            await call()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> None:
    """Measure and print."""
    router = Router.default()
    backend = Instant()
    llm = AvengersChatModel(router=router, models=dict.fromkeys(router.models, backend), alpha=0.4)
    embedder = router.embedder
    took = medians(
        {
            "embedder alone": lambda: embedder.embed([QUESTION]),
            "router alone": lambda: router.route(QUESTION, alpha=0.4),
            "invoke, direct": lambda: backend.invoke(QUESTION),
            "invoke, routed": lambda: llm.invoke(QUESTION),
            "stream, direct": lambda: list(backend.stream(QUESTION)),
            "stream, routed": lambda: list(llm.stream(QUESTION)),
        }
    )
    took |= asyncio.run(
        amedians(
            {
                "embedder alone, async": lambda: embedder.aembed([QUESTION]),
                "ainvoke, direct": lambda: backend.ainvoke(QUESTION),
                "ainvoke, routed": lambda: llm.ainvoke(QUESTION),
            }
        )
    )
    print(text_table(("call", "us"), [(name, f"{t * 1e6:.0f}") for name, t in took.items()]))
    floors = {"invoke": "", "stream": "", "ainvoke": ", async"}
    rows = []
    for call, kind in floors.items():
        added = took[f"{call}, routed"] - took[f"{call}, direct"]
        rows.append((call, f"{added * 1e6:.0f}", f"{added / took[f'embedder alone{kind}']:.2f}"))
    print("\n" + text_table(("added to", "us", "x embedder alone"), rows))


if __name__ == "__main__":
    main()
