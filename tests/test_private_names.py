"""Private names of other libraries are not read: those may change with any release of theirs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import avengers_core
import avengers_langchain
import avengers_llamaindex

PACKAGES = [
    Path(package.__path__[0])
    for package in (avengers_core, avengers_langchain, avengers_llamaindex)
]
PRIVATE = re.compile(r"_[a-zA-Z]\w*")
BY_TEXT = {"getattr", "hasattr", "setattr", "attrgetter"}

OF_OTHERS = {
    # Public, though spelt like this: named tuples, and the end of a process.
    *("_replace", "_asdict", "_fields", "_field_defaults", "_exit"),
    # What frameworks have the makers of runnables and of LLMs call.
    *("_call_with_config", "_acall_with_config", "_prepare_chat_with_tools_compat"),
}


def _defined(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and _is(node.value, "self"):
            if isinstance(node.ctx, ast.Store):
                yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _read(nodes: list[ast.AST]) -> Iterator[tuple[int, str]]:
    for node in nodes:
        if isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            yield from ((node.lineno, part) for name in names for part in name.split("."))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) in BY_TEXT:
            said = [a.value for a in node.args if isinstance(a, ast.Constant)]
            yield from ((node.lineno, name) for name in said if isinstance(name, str))


def _foreign(sources: dict[str, str]) -> list[str]:
    nodes = {name: list(ast.walk(ast.parse(text))) for name, text in sources.items()}
    known = OF_OTHERS.union(*map(_defined, nodes.values()))
    return [
        f"{name}:{line}: {read}"
        for name, of_file in nodes.items()
        for line, read in _read(of_file)
        if PRIVATE.fullmatch(read) and read not in known
    ]


def test_private_names_of_other_libraries_are_not_read() -> None:
    files = [file for package in PACKAGES for file in package.rglob("*.py")]
    assert _foreign({str(file): file.read_text("utf-8") for file in files}) == []


@pytest.mark.parametrize(
    "source",
    [
        "backend._default_params",
        'getattr(backend, "_generation_config", None)',
        "from multiprocessing import _something",
        "import library._private.module",
        "copy._generation_config = {}",
    ],
)
def test_each_way_of_reading_one_is_found(source: str) -> None:
    assert len(_foreign({"a.py": source, "b.py": "def _own(): ..."})) == 1
