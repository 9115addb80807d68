"""What ``log=`` adds to a call, beside what the plugin itself adds.

    python tests/benchmarks/bench_log.py        # alone, in five minutes; also a part of bench.py

No two calls ask the same: each text is new, and they differ in length as questions do.

What the plugin adds is a call through it, without a log, less the same call of the backend alone,
which answers at once: the question found and embedded, the decision, and its report in the answer.
The goal is for the processor's time of the threads that call, for that is what a call waits for;
whoever else uses the machine hardly shows in it. What was imported is frozen for the garbage
collector, and what a round left is collected before the next: a look at half a million objects, in
whichever round it falls, takes longer than a thousand rows.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from bench_plugins import InstantChatModel, InstantLLM
from llama_index.core.llms import ChatMessage
from timing import LONG, SHORT, USUAL, Row, fresh, show

from avengers_core import Router
from avengers_core.calls.registry import call_log
from avengers_langchain import AvengersChatModel
from avengers_llamaindex import AvengersLLM

GOAL = "0.1"
CALLS = 1000
ROUNDS = 20
TEXTS = (SHORT, USUAL, SHORT, USUAL, LONG)


class Taken(NamedTuple):
    """Seconds a call.

    Attributes:
        wall: from the first call to the last answer.
        callers: of the processor, in the threads that call.
        processor: of all threads, until what was noted is written.
    """

    wall: float
    callers: float
    processor: float


def noting() -> Iterator[Row]:
    router = Router.default()
    gc.collect()
    gc.freeze()
    with TemporaryDirectory() as folder, closing(asyncio.new_event_loop()) as loop:
        path = str(Path(folder, "calls.sqlite"))
        for name, kind, backend in (
            ("LangChain", AvengersChatModel, InstantChatModel()),
            ("LlamaIndex", AvengersLLM, InstantLLM()),
        ):
            models: Any = dict.fromkeys(router.models, backend)
            llms = backend, kind(router=router, models=models), None
            llms = *llms[:2], kind(router=router, models=models, log=path)
            for way, many in (
                ("one after the other", _one_by_one),
                ("of 50 threads", _threads),
                ("of asyncio", lambda llm: _tasks(llm, loop)),
            ):
                rounds = _rounds([lambda llm=llm, many=many: many(llm) for llm in llms], path)
                what = f"log= added to {name}, {CALLS:,} calls {way}"
                yield _row(what, [[t.callers for t in each] for each in rounds])
                for also, which in (("on the clock", "wall"), ("all threads", "processor")):
                    took = [[getattr(t, which) for t in each] for each in rounds]
                    yield _row(f"{what}, {also}", took, goal="")
        gc.unfreeze()
        log = call_log(path)
        log.close()
        print(f"{log.written:,} rows written, {log.dropped:,} dropped")


def _row(what: str, rounds: list[Sequence[float]], goal: str = GOAL) -> Row:
    """Medians of differences within rounds, for those between rounds are others' on the machine.

    Args:
        what: was asked.
        rounds: of each, seconds of the backend alone, through the plugin, and with a log.
        goal: for the ratio.
    """
    alone, plain, noted = np.array(rounds).T
    added, own = np.median(noted - plain), np.median(plain - alone)
    return Row(f"{what} / what the plugin adds", float(added), float(own), goal)


def _texts() -> Iterator[str]:
    return map(fresh, itertools.cycle(TEXTS))


def _asking(llm: Any) -> Callable[[], object]:
    texts = _texts()
    if isinstance(llm, AvengersChatModel | InstantChatModel):
        return lambda: llm.invoke(next(texts))
    return lambda: llm.chat([ChatMessage(next(texts))])


def _one_by_one(llm: Any) -> float:
    """Seconds of the processor that the calls took."""
    call = _asking(llm)
    start = time.thread_time()
    for _ in range(CALLS):
        call()
    return time.thread_time() - start


def _threads(llm: Any) -> float:
    """Seconds of the processor that the calls took in their threads."""
    call = _asking(llm)

    def timed() -> float:
        start = time.thread_time()
        call()
        return time.thread_time() - start

    with ThreadPoolExecutor(50) as pool:
        return sum(done.result() for done in [pool.submit(timed) for _ in range(CALLS)])


def _tasks(llm: Any, loop: asyncio.AbstractEventLoop) -> float:
    """Seconds of the processor that the calls took in the loop's thread."""
    texts = itertools.islice(_texts(), CALLS)

    async def all_of_them() -> None:
        if isinstance(llm, AvengersChatModel | InstantChatModel):
            await asyncio.gather(*map(llm.ainvoke, texts))
        else:
            await asyncio.gather(*(llm.achat([ChatMessage(text)]) for text in texts))

    start = time.thread_time()
    loop.run_until_complete(all_of_them())
    return time.thread_time() - start


def _rounds(works: list[Callable[[], float]], path: str) -> list[list[Taken]]:
    """Many rounds, in which each is done once, in another order each time."""
    rounds = []
    for turn in range(ROUNDS):
        taken = {}
        for i in range(len(works)):
            which = (i + turn) % len(works)
            gc.collect()
            start, processor = time.perf_counter(), time.process_time()
            callers = works[which]()
            wall = time.perf_counter() - start
            call_log(path).flush()
            used = time.process_time() - processor
            taken[which] = Taken(wall / CALLS, callers / CALLS, used / CALLS)
        rounds.append([taken[which] for which in range(len(works))])
    return rounds


MEASURES = (noting,)

if __name__ == "__main__":
    show(noting())
