"""From a file or folder of another layout to rows of records."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from avengers_core.errors import RecordError
from avengers_core.importers.detection import layout_of
from avengers_core.importers.feedback import feedback_in, graded
from avengers_core.importers.joining import joined
from avengers_core.importers.layout import Call, Feedback, Found, Layout, Result, Scale, by_row
from avengers_core.importers.layouts import LAYOUTS
from avengers_core.importers.mapping import mapped
from avengers_core.importers.reading.archives import opened, refuse_pickles
from avengers_core.records.record import RecordProblem


def import_records(
    source: str | os.PathLike[str],
    layout: str | None = None,
    *,
    mapping: Mapping[str, str] | None = None,
    feedback: str | os.PathLike[str] | None = None,
    score_key: str | Sequence[str] | None = None,
    scale: Scale | None = None,
) -> Iterator[Any]:
    """Rows for :func:`avengers_core.load_records` from another layout.

    Args:
        source: a file or folder: CSV, TSV, JSON, JSON lines (also gzip), Parquet (needs the extra
            ``parquet``), logs of inspect_ai, or zip and tar archives of such, which are all
            unpacked.
        layout: one of :data:`LAYOUTS`; default, told by the content.
        mapping: field -> column, for tables and JSON of no layout: see
            :func:`avengers_core.importers.mapping.mapped`.
        feedback: a file or folder of ids and scores, for traces that hold none.
        score_key: name of the score that counts, where results have several; of several names, the
            first that a result has.
        scale: lowest and highest score where it is not [0, 1].

    Yields:
        Rows; those that are malformed are reported by ``load_records``.

    Raises:
        RecordError: an unknown layout, a pickle, nothing to import, a damaged file or archive,
            scores that are not in [0, 1] without ``scale``.
        OptionalDependencyError: Parquet without pyarrow.
    """
    path = Path(source)
    for place in (source, feedback):
        if place is not None and not (os.fspath(place) and Path(place).exists()):
            raise RecordError(f"there is no file or folder {os.fspath(place)!r}")
    if layout is not None and layout not in LAYOUTS:
        raise RecordError(f"no layout {layout!r}; there are {', '.join(LAYOUTS)}")
    if layout is not None and mapping is not None:
        raise ValueError("give layout= or mapping=, not both")
    if scale is not None and not (scale[0] < scale[1] and all(map(math.isfinite, scale))):
        raise ValueError(f"scale must be lowest and highest score, finite, got {scale}")
    refuse_pickles(path)
    chosen = mapped(mapping) if mapping is not None else LAYOUTS.get(layout or "")
    names = (score_key,) if isinstance(score_key, str) else tuple(score_key or ())
    return _import(path, chosen, feedback, names, scale)


def _import(
    path: Path,
    layout: Layout | None,
    feedback: str | os.PathLike[str] | None,
    score_key: Sequence[str],
    scale: Scale | None,
) -> Iterator[Any]:
    with opened(path) as files:
        layout = layout or layout_of(files, path)
        found = list(layout.read(files))
    if feedback is not None:
        if any(isinstance(item, Result) for item in found):
            raise RecordError(
                f"{path}: feedback= (--feedback) is joined with traced calls by id; results of the "
                f"layout {layout.name} have their scores themselves"
            )
        found += _feedback(Path(feedback))
    traced = any(isinstance(item, Call | Feedback) for item in found)
    results = [item for item in found if isinstance(item, Result | RecordProblem)]
    yield from joined(
        graded(found, path) if traced else results,
        path,
        score_key=score_key,
        scale=scale or layout.scale,
        ranked=not traced,
    )


def _feedback(path: Path) -> list[Found]:
    with opened(path) as files:
        return list(by_row(feedback_in)(files))
