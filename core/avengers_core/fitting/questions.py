"""Questions that nobody has answered, beside records: they say what is asked, not who is good."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from avengers_core.records.questions import as_questions
from avengers_core.records.record import Record
from avengers_core.records.sources.parts import Items
from avengers_core.scanning.sampling import rank
from avengers_core.scanning.scan import Scan

logger = logging.getLogger(__name__)


def with_questions(
    scan: Scan, questions: Iterable[str | Mapping[str, Any]], seed: int, most: int
) -> Scan:
    """Records, and one without a result for each question that none of them is about.

    Args:
        scan: records in memory.
        questions: texts, or rows with ``query`` and perhaps ``dataset``.
        seed: of the draw, where there are too many.
        most: records and questions together; beyond that, questions are drawn at random, and the
            log says so.

    Raises:
        ValueError: the records are in files, or a model without a result scores 0.
        RecordError: a question is none.
    """
    held = [part.rows for part in scan.parts if isinstance(part, Items)]
    if len(held) < len(scan.parts):
        raise ValueError('questions= needs engine="memory": they are compared with the records')
    if scan.chosen.missing == "zero":
        raise ValueError('questions= needs missing="skip": nobody has a score on them')
    known = {record.query for rows in held for record in rows}
    nobody = dict.fromkeys(scan.order)
    more = [
        Record(query=q.query, scores=nobody, dataset=q.dataset, index=q.index)
        for q in as_questions(questions)
        if q.query not in known
    ]
    more.sort(key=lambda record: rank(record.query, record.dataset, seed))
    items = Items(more[: max(most - scan.rows, 0)], scan.rows)
    if len(items.rows) < len(more):
        logger.warning(
            "%d of %d questions are counted: they and %d records are more than %d together",
            len(items.rows),
            len(more),
            scan.rows,
            most,
        )
    return replace(scan, parts=[*scan.parts, items], rows=scan.rows + len(items.rows))
