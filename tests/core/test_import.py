"""Importing the package is quick: nothing heavy comes along."""

from __future__ import annotations

import subprocess
import sys

HEAVY = [
    "sklearn",
    "matplotlib",
    "langchain_core",
    "llama_index",
    "openai",
    "ray",
    "pyarrow",
    "pandas",
    "tqdm",
    "click",
]


def test_heavy_libraries_are_left_out():
    code = (
        "import sys, avengers_core; from avengers_core import Router;"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_all_that_is_promised_is_there():
    import avengers_core

    assert all(getattr(avengers_core, name) is not None for name in avengers_core.__all__)
