"""The code and commands of the README and of every page in docs/, run as a newcomer would."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from avengers_core.cli import main
from avengers_core.errors import OptionalDependencyError

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]
EXTRAS = set(metadata("avengers-router").get_all("Provides-Extra") or ())
# What a page is to leave behind when all of it has run.
LEAVES = {
    "README.md": ["artifact/artifact.json", "report.html"],
    "docs/evaluation.md": [
        *("results.json", "report.html", "report.md", "pictures/tradeoff.svg", "tradeoff.png"),
        *("sweep.csv", "sweep.png", "rows.csv", "top-k.png"),
    ],
    "docs/fitting.md": ["artifact/artifact.json", "report.html", "all/artifact.json"],
    "docs/learning.md": ["page.html", "artifact/artifact.json"],
    "docs/importing.md": ["records.jsonl", "artifact/artifact.json"],
    "docs/scale.md": ["artifact/artifact.json", "decisions", "vectors", "routed"],
}


def blocks(page: str) -> list[tuple[str, str]]:
    """The language and text of each block that runs."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```(python|console)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.filterwarnings("ignore:.*in beta:langchain_core._api.LangChainBetaWarning")
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)])
def test_a_page_runs_from_top_to_bottom(page: str, folder: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    older = None
    for language, block in blocks(page):
        if language == "console":
            run_console(block)
            continue
        try:
            run_python(block, names)
        except OptionalDependencyError as error:
            if "langchain-core>=" not in str(error):
                raise
            older = error
    for path in LEAVES.get(page, ()):
        assert (folder / path).exists(), path
    if older:  # all else of the page has run
        pytest.skip(str(older))


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def run_python(block: str, names: dict[str, Any]) -> None:
    """Run a block; an expression whose comment is a literal must have that value."""
    lines = block.splitlines()
    for statement in ast.parse(block).body:
        code = ast.unparse(statement)
        if not isinstance(statement, ast.Expr):
            exec(code, names)
            continue
        value = eval(code, names)
        comment = lines[(statement.end_lineno or 1) - 1][statement.end_col_offset or 0 :]
        for shown in literal(comment.strip(" #")):
            assert value == shown, code


def literal(comment: str) -> Iterator[Any]:
    """The value that a comment shows, if it shows one and nothing else."""
    try:
        yield ast.literal_eval(comment)
    except (SyntaxError, ValueError):
        return


def run_console(block: str) -> None:
    """Run the commands of a block, each of which must succeed."""
    for command in block.replace("\\\n", " ").splitlines():
        program, *arguments = shlex.split(command, comments=True)
        if program == "avengers":
            if arguments[0] == "sweep":
                arguments += ["--repetitions", "1", "--jobs", "1"]
            result = CliRunner().invoke(main, arguments)
            assert result.exit_code == 0, f"{command}\n{result.output}"
        elif program == "pip":
            assert extras_in(command) <= set(
                metadata("avengers-router").get_all("Provides-Extra")
            ), command
        else:
            pytest.fail(f"nothing here runs {program!r}")


def extras_in(command: str) -> set[str]:
    return {name for names in re.findall(r"\[([\w,]+)\]", command) for name in names.split(",")}
