"""Importing the package is quick: nothing heavy comes along."""

from __future__ import annotations

import json
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


def test_routing_needs_none_of_them_either():
    code = (
        "import sys, numpy as np; from avengers_core import Router;"
        "router = Router.default();"
        "vectors = np.eye(3, router.artifact.dim, dtype=np.float32);"
        "assert router.route_vectors(vectors, alpha=0.3, max_cost=1).shape == (3,);"
        "router.route('What is 7 times 8?');"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# What does not come along with a module.
ABSENT = {
    "avengers_core": HEAVY,
    "avengers_core.routing.router": HEAVY,
    "avengers_core.embedders": [*HEAVY, "httpx", "tokenizers", "safetensors"],
    "avengers_core.embedders.tfidf": ["sklearn", "scipy"],
    "avengers_core.cli": [
        "sklearn",
        "matplotlib",
        "openai",
        "ray",
        "langchain_core",
        "llama_index",
    ],
    "avengers_core.evaluation.results": [
        *("avengers_core.evaluation.plots.plots", "avengers_core.evaluation.report"),
    ],
    "avengers_core.evaluation.plots.plots": [
        *("avengers_core.evaluation.rendering", "avengers_core.evaluation.report"),
    ],
    "avengers_core.evaluation.rendering": [
        *("avengers_core.evaluation.plots.plots", "avengers_core.evaluation.report"),
    ],
    "avengers_core.importers": [
        *("avengers_core.jobs", "avengers_core.evaluation", "avengers_core.routing"),
    ],
}
# A plugin, what it is made for, and with which extra that comes.
PLUGINS = [
    ("avengers_langchain", "langchain_core", "langchain-core", "langchain"),
    ("avengers_llamaindex", "llama_index.core", "llama-index-core", "llamaindex"),
]
# One process, in which each is imported as if it were the first.
IMPORTS = """
import importlib, json, sys
modules, frameworks = json.loads(sys.argv[1])
found = {}
for module, absent in modules.items():
    for name in [name for name in sys.modules if name.partition(".")[0] == "avengers_core"]:
        del sys.modules[name]
    importlib.import_module(module)
    found[module] = [name for name in absent if name in sys.modules]
for plugin, framework in frameworks.items():
    sys.modules[framework] = None
    try:
        importlib.import_module(plugin)
    except ImportError as error:
        found[plugin] = str(error)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def imported():
    frameworks = {plugin: framework for plugin, framework, *_ in PLUGINS}
    command = [sys.executable, "-c", IMPORTS, json.dumps([ABSENT, frameworks])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("module", ABSENT)
def test_what_a_module_does_not_bring_along(imported, module):
    assert imported[module] == []


@pytest.mark.parametrize(("plugin", "_", "package", "extra"), PLUGINS)
def test_a_plugin_without_its_framework_says_what_to_install(imported, plugin, _, package, extra):
    assert imported[plugin] == (
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
