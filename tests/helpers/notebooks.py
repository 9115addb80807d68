"""Notebooks of the examples, run in this process: a kernel would import every library once more."""

from __future__ import annotations

import ast
import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any


async def shown_by(notebook: Path) -> list[str]:
    """What each cell of code shows: what it prints, and the values of its expressions.

    Asynchronous, for cells run while an event loop does.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            with redirect_stdout(io.StringIO()) as said:
                for statement in ast.parse("".join(cell["source"])).body:
                    code = ast.Interactive([statement])
                    exec(compile(code, str(notebook), "single", dont_inherit=True), names)
            shown.append(said.getvalue())
    return shown
