"""The result of an evaluation, as it is shown and saved."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from avengers_core.common.files import write_whole
from avengers_core.evaluation import rendering
from avengers_core.evaluation.html_page import to_html
from avengers_core.evaluation.results import Results
from avengers_core.outputs import check_outputs


class Report(Results):
    """What :func:`avengers_core.evaluate` finds, in forms that can be read and saved."""

    def to_markdown(self) -> str:
        """The report as Markdown: metrics, the table, selection shares."""
        return rendering.to_markdown(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report: ``.json``, ``.md``, or ``.html``, one page with pictures in it.

        Raises:
            ValueError: another ending.
            AvengersError: the path is one of the files that were evaluated.
            OptionalDependencyError: ``.html`` without matplotlib.
        """
        file = Path(path)
        if file.suffix not in _FORMS:
            raise ValueError(f"expected a path that ends in .json, .md or .html, got {file.name}")
        check_outputs([file], [self.setup.get("input")])
        write_whole(file, _FORMS[file.suffix](self))

    def __repr__(self) -> str:
        return rendering.one_line(self)

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


_FORMS: dict[str, Callable[[Report], str]] = {
    ".json": lambda report: json.dumps(report.to_dict(), indent=1) + "\n",
    ".md": Report.to_markdown,
    ".html": to_html,
}
