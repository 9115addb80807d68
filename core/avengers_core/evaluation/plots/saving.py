"""Pictures as files and as SVG elements."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from avengers_core.common.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_PATH = re.compile(r' d="[^"]*"')
_DECIMALS = re.compile(r"(\.\d\d)\d+")


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a picture; the file is there whole or not at all.

    Args:
        figure: what a function here has drawn.
        path: its ending is a format that matplotlib knows.

    Raises:
        ValueError: another ending.
        OSError: the system's own, such as a full disk; a file that was there stays what it was.
    """
    file = Path(path)
    if file.suffix.lower() == ".svg":
        write_whole(file, '<?xml version="1.0" encoding="utf-8"?>\n' + to_svg(figure))
        return
    buffer = io.BytesIO()
    with laid_out(figure):
        figure.savefig(buffer, format=file.suffix.removeprefix("."), dpi=150)
    write_whole(file, buffer.getvalue())


def to_svg(figure: Figure) -> str:
    """The figure as an SVG element, text as text, coordinates to a hundredth of a point."""
    import matplotlib as mpl

    buffer = io.StringIO()
    # Text stays text, and the same picture is the same file.
    with (
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "avengers"}),
        laid_out(figure),
    ):
        figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
    svg = buffer.getvalue()
    return _PATH.sub(lambda path: _DECIMALS.sub(r"\1", path[0]), svg[svg.index("<svg") :])


@contextmanager
def laid_out(figure: Figure) -> Iterator[None]:
    """A figure with its layout found, for as long as it is written.

    Where that is left to matplotlib, it finds the layout anew and draws all twice for each file.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine(None)
    try:
        yield
    finally:
        figure.set_layout_engine(engine)
