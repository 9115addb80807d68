"""Children of a process whose other threads were at work when it forked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SMALL = Path(__file__).parents[1] / "data" / "version_0_1_joint" / "refined"
FORKS = """
import json, os, signal, sys, threading, time
import numpy as np
from avengers_core import Router
from avengers_core.embedders import CachedEmbedder, CallableEmbedder

def vectors(texts):
    return np.array([[len(t), 1.0] for t in texts])

cached = CachedEmbedder(CallableEmbedder(vectors, id="lengths"), sys.argv[1])
router = Router.load(sys.argv[2])
works = {
    "cache": lambda name: cached.embed([name, "shared"]),
    "router": lambda name: (router.route(name), router.route_batch([name, "shared", "third"])),
    "first use": lambda name: Router(router.artifact).route(name),
}

def codes_of(work):
    steps, enough = [0] * 4, threading.Event()

    def go_on(n):
        while not enough.is_set():
            work(f"thread {n} step {steps[n]}")
            steps[n] += 1

    threads = [threading.Thread(target=go_on, args=(n,)) for n in range(len(steps))]
    for thread in threads:
        thread.start()
    codes = []
    for n in range(4):
        before = sum(steps)
        while sum(steps) < before + 2:  # they are at work
            time.sleep(0.001)
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # which ends it where it hangs
            work(f"child {n}")
            os._exit(0)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    enough.set()
    for thread in threads:
        thread.join()
    return codes

print(json.dumps({what: codes_of(work) for what, work in works.items()}))
"""


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[int]]:
    cache = tmp_path_factory.mktemp("forks") / "cache.sqlite"
    command = [sys.executable, "-W", "ignore", "-c", FORKS, cache, SMALL]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("what", ["cache", "router", "first use"])
def test_a_child_works_whatever_other_threads_were_at(what: str, codes: Any) -> None:
    assert codes[what] == [0] * 4
