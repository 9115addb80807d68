"""Importing the package is quick: nothing heavy comes along."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = [
    "sklearn",
    "matplotlib",
    "scipy",
    "langchain",
    "langchain_core",
    "avengers_langchain",
    "llama_index",
    "avengers_llamaindex",
    "huggingface_hub",
    "wordllama",
    "torch",
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


def test_routing_vectors_needs_none_of_them_either():
    code = (
        "import sys, numpy as np; from avengers_core import Router;"
        "router = Router.default();"
        "vectors = np.eye(3, router.artifact.dim, dtype=np.float32);"
        "assert router.route_vectors(vectors, alpha=0.3, max_cost=1).shape == (3,);"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("module", "above"),
    [
        ("evaluation.results", ["evaluation.plots.plots", "evaluation.report"]),
        ("evaluation.plots.plots", ["evaluation.rendering", "evaluation.report"]),
        ("evaluation.rendering", ["evaluation.plots.plots", "evaluation.report"]),
        ("importers", ["jobs", "evaluation", "routing"]),
    ],
)
def test_a_module_does_not_know_those_above_it(module, above):
    code = (
        f"import sys, avengers_core.{module};"
        f"print([name for name in {above} if f'avengers_core.{{name}}' in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("plugin", "framework", "package", "extra"),
    [
        ("avengers_langchain", "langchain_core", "langchain-core", "langchain"),
        ("avengers_llamaindex", "llama_index.core", "llama-index-core", "llamaindex"),
    ],
)
def test_a_plugin_without_its_framework_says_what_to_install(plugin, framework, package, extra):
    code = (
        f"import sys; sys.modules[{framework!r}] = None\n"
        f"try: import {plugin}\nexcept ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        f"{package} is needed for this and is not installed. "
        f"Install it with: pip install 'avengers-router[{extra}]'"
    )


def test_unknown_names_are_attribute_errors():
    import avengers_core

    with pytest.raises(AttributeError, match="'Riuter'"):
        avengers_core.Riuter  # noqa: B018
    assert set(avengers_core.__all__) <= set(dir(avengers_core))


def test_all_that_is_promised_is_there():
    import avengers_core

    assert all(getattr(avengers_core, name) is not None for name in avengers_core.__all__)
