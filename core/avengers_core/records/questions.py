"""The questions that models are asked, and what is known of a right answer."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from avengers_core.common.plain import encodable
from avengers_core.errors import RecordError
from avengers_core.records.names import check_rows, fault_of_name


@dataclass(frozen=True)
class Question:
    """A question.

    Attributes:
        query: what the models are asked.
        dataset: where it comes from; see :class:`avengers_core.records.Record`.
        index: its number or name there, or None.
        row: all that was given with it, for the grader: ``query``, ``reference``, ``dataset`` and
            whatever else.
    """

    query: str
    dataset: str
    index: int | str | None
    row: Mapping[str, Any]

    @property
    def key(self) -> str:
        """What tells it from other questions, from run to run."""
        identity = json.dumps([self.dataset, self.index, self.query])
        return hashlib.blake2b(identity.encode(), digest_size=12).hexdigest()


def as_questions(given: Iterable[str | Mapping[str, Any]]) -> list[Question]:
    """Questions from texts, or from rows with ``query`` and what else is known of them.

    Args:
        given: texts, or mappings with ``query``, and optionally ``reference``, ``dataset``,
            ``index`` and what a grader needs. Repeated ones are asked once.

    Raises:
        RecordError: one that is neither, or blank, or whose dataset or index no record can have;
            the message says which.
        TypeError: one text in place of several, a table, or what holds no questions.
    """
    check_rows("questions, which are texts or rows", given)
    questions: dict[str, Question] = {}
    for number, item in enumerate(given, 1):
        row: Mapping[str, Any] = {"query": item} if isinstance(item, str) else item
        query = row.get("query") if isinstance(row, Mapping) else None
        if not isinstance(query, str) or not query.strip():
            raise RecordError(
                f"question {number}: expected a text, or a row with a text as `query` (and as "
                f"`reference` the right answer, where it is known), got {item!r:.80}"
            )
        index = row.get("index")
        if isinstance(index, float):  # as tables have it whose column has gaps
            index = None if math.isnan(index) else int(index) if index.is_integer() else index
        if index is not None and (isinstance(index, bool) or not isinstance(index, int | str)):
            raise RecordError(f"question {number}: index must be a number or a name, got {index!r}")
        dataset = str(row.get("dataset") or "default")
        if fault := fault_of_name(dataset):
            raise RecordError(f"question {number}: dataset: {fault}")
        if isinstance(index, str):
            index = encodable(index)
        question = Question(encodable(query), dataset, index, {**row, "query": encodable(query)})
        questions.setdefault(question.key, question)
    if not questions:
        raise RecordError("there are no questions to ask")
    return list(questions.values())
