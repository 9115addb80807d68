"""What ``log=`` adds to a call, beside what the plugin itself adds; see bench.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench_plugins import InstantChatModel, InstantLLM
from llama_index.core.llms import ChatMessage
from timing import USUAL, Row, in_turn

from avengers_core import Router
from avengers_core.calls.writing import call_log
from avengers_langchain import AvengersChatModel
from avengers_llamaindex import AvengersLLM

GOAL = "0.1"


def noting() -> Iterator[Row]:
    router = Router.default()
    with TemporaryDirectory() as folder:
        path = str(Path(folder, "calls.sqlite"))
        for name, kind, backend in (
            ("LangChain invoke", AvengersChatModel, InstantChatModel()),
            ("LlamaIndex chat", AvengersLLM, InstantLLM()),
        ):
            models: Any = dict.fromkeys(router.models, backend)
            direct = _asking(backend)
            plain = _asking(kind(router=router, models=models))
            noted = _asking(kind(router=router, models=models, log=path))
            alone, without, with_log = in_turn(direct, plain, noted, rounds=1000)
            yield Row(
                f"log= added to {name}, 265 characters / what the plugin adds",
                with_log - without,
                without - alone,
                GOAL,
            )
            # The thread's own work counts here, too.
            many = [_many(call) for _ in range(3) for call in (direct, plain, noted)]
            alone, without, with_log = (median(many[i::3]) for i in range(3))
            yield Row(
                f"log= added to {name}, 1,000 calls of 50 threads, each / what the plugin adds",
                with_log - without,
                without - alone,
                GOAL,
            )
        log = call_log(path)
        log.close()
        print(f"{log.written:,} rows written, {log.dropped:,} dropped")


def _asking(llm: Any) -> Callable[[], object]:
    if isinstance(llm, AvengersChatModel | InstantChatModel):
        return lambda: llm.invoke(USUAL)
    return lambda: llm.chat([ChatMessage(USUAL)])


def _many(call: Callable[[], object]) -> float:
    """Seconds a call of 1,000 at once."""
    with ThreadPoolExecutor(50) as pool:
        start = time.perf_counter()
        for done in [pool.submit(call) for _ in range(1000)]:
            done.result()
        return (time.perf_counter() - start) / 1000


MEASURES = (noting,)
