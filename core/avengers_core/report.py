"""The result of an evaluation, as it is shown and saved."""

from __future__ import annotations

import os

from avengers_core import rendering
from avengers_core.results import Results


class Report(Results):
    """What :func:`avengers_core.evaluate` finds: :class:`Results` that can be read and saved."""

    def to_markdown(self) -> str:
        """The report as Markdown: metrics, the table, selection shares."""
        return rendering.to_markdown(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report: ``.json``, ``.md``, or ``.html``, one page with pictures in it.

        Raises:
            ValueError: another ending.
            OptionalDependencyError: ``.html`` without matplotlib.
        """
        rendering.save(self, path)

    def __repr__(self) -> str:
        return rendering.one_line(self)

    def _repr_markdown_(self) -> str:
        return self.to_markdown()
