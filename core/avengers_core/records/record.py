"""Records: how each model did on past queries, and how they are checked.

The format is one JSON object a line::

    {"query": "...", "records": {"model-a": 1, "model-b": 0.5},
     "usages": {"model-a": {"cost": 0.002, "prompt_tokens": 60, "completion_tokens": 12}},
     "dataset": "math", "index": 17}

A score is a bool or a number in [0, 1]; ``null`` means that there is no result, which is not the
same as zero; another field that is ``null`` is as if it were not there. Costs are USD. Models may
differ from line to line. A line of a log may say with what chance its model was chosen,
``"propensity": 0.25``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, overload

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StrictFloat,
    ValidationError,
    field_validator,
)

from avengers_core.common.plain import encodable, of_json
from avengers_core.records.names import counted, fault_of_name, one_line
from avengers_core.records.questions import Question

Missing = Literal["skip", "zero"]

Named = TypeVar("Named", str, dict[str, float | None])

MOST_AMOUNT = 1e12
"""USD, or tokens, of one answer."""
_EXCERPT_CHARS = 80
_NUMBERS = (bool, int, float, np.integer, np.floating, np.bool_)


def _score(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, _NUMBERS) and 0 <= value <= 1:
        return float(value)
    raise ValueError(f"a score is true, false, null or a number in [0, 1], got {value!r:.40}")


_Score = Annotated[float | None, PlainValidator(_score)]
_Chance = Annotated[StrictFloat, Field(gt=0, le=1)]
# More of one answer is damage, and would be all that a mean shows.
_Amount = Annotated[StrictFloat, Field(ge=0, le=MOST_AMOUNT, allow_inf_nan=False)]


class Usage(BaseModel):
    """What one answer of one model took.

    Attributes:
        cost: USD, or None where it is not known.
        prompt_tokens: tokens sent, or None.
        completion_tokens: tokens received, or None.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    cost: _Amount | None = None
    prompt_tokens: _Amount | None = None
    completion_tokens: _Amount | None = None


class Record(BaseModel):
    """One past query with the score, and the usage, of each model on it.

    Attributes:
        query: the text, not blank; half a surrogate pair in it becomes U+FFFD.
        scores: model -> score in [0, 1], or None where the model has no result; models have names
            of 1 to 256 printable characters. JSON key ``records``.
        usages: model -> :class:`Usage`; models without one have unknown cost.
        dataset: where the query comes from; splits and reports are made per dataset. Printable,
            at most 256 characters.
        index: the query's number or name in its dataset; 17.0, as tables with gaps have it, is 17.
        propensity: the chance, above 0 and at most 1, with which the model of a logged call was
            chosen for this query; None where it is not known, or all models were asked.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    query: str
    scores: dict[str, _Score] = Field(alias="records", min_length=1)
    usages: dict[str, Usage | None] = Field(default_factory=dict)
    dataset: str = "default"
    index: int | str | None = None
    propensity: _Chance | None = None

    @field_validator("scores", "dataset")
    @classmethod
    def _named(cls, value: Named) -> Named:
        names = (value,) if isinstance(value, str) else value
        if fault := next(filter(None, map(fault_of_name, names)), None):
            raise ValueError(fault)
        return value

    @field_validator("query")
    @classmethod
    def _not_blank(cls, query: str) -> str:
        if not query.strip():
            raise ValueError("is blank")
        return query

    @field_validator("query", "index")
    @classmethod
    def _encodable(cls, value: int | str | None) -> int | str | None:
        return encodable(value) if isinstance(value, str) else value


class RecordProblem(NamedTuple):
    """Why one row was rejected.

    Attributes:
        line: its line in its file, from 1; of iterables, arrays and Parquet the row's position.
        reason: what was expected and what came.
        excerpt: its first characters.
        file: where it is, if it is in one.
    """

    line: int
    reason: str
    excerpt: str
    file: str = ""

    @property
    def row(self) -> int:
        """:attr:`line`, which is none where the file has no lines."""
        return self.line

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file else f"line {self.line}"
        return one_line(": ".join(filter(None, (place, self.reason, self.excerpt))))


class Records(Sequence[Record]):
    """An immutable sequence of records, with the lines that were rejected on the way.

    Attributes:
        problems: one :class:`RecordProblem` for each rejected line.
        missing: ``"skip"``, a model without a result is unknown there; ``"zero"``, it scores 0
            (what the published code does).
        unanswered: questions, beside the records, that no model has a score on; a fit counts them
            where it matters what is asked.
    """

    unanswered: Sequence[Question] = ()

    def __init__(
        self,
        items: Iterable[Record],
        problems: Iterable[RecordProblem] = (),
        missing: Missing = "skip",
        order: Sequence[str] = (),
    ) -> None:
        self._items = tuple(items)
        self._order = tuple(order)
        self.problems = tuple(problems)
        self.missing: Missing = missing

    @property
    def models(self) -> tuple[str, ...]:
        """All models, in order of first appearance (in the records these were taken from)."""
        seen = dict.fromkeys(itertools.chain.from_iterable(r.scores for r in self))
        return tuple(sorted(seen, key=self._order.index)) if self._order else tuple(seen)

    @property
    def datasets(self) -> tuple[str, ...]:
        """All datasets, in order of first appearance."""
        return tuple(dict.fromkeys(r.dataset for r in self))

    def replace(self, items: Iterable[Record]) -> Records:
        """Some of these records: same order of models, same rule for missing results."""
        return Records(items, missing=self.missing, order=self.models)

    def without_models(self, models: Iterable[str]) -> Records:
        """These records less some models; records of which nothing is left are dropped."""
        dropped = set(models)
        kept = (
            r.model_copy(
                update={
                    "scores": {m: s for m, s in r.scores.items() if m not in dropped},
                    "usages": {m: u for m, u in r.usages.items() if m not in dropped},
                }
            )
            for r in self
        )
        return self.replace(r for r in kept if r.scores)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> Record | Records:
        if isinstance(index, slice):
            return self.replace(self._items[index])
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._items)

    def __repr__(self) -> str:
        return (
            f"<Records: {counted(len(self), 'query')}, "
            f"{counted(len(self.models), 'model')}, {counted(len(self.datasets), 'dataset')}, "
            f"{counted(len(self.problems), 'problem')}>"
        )


def parse_record(item: object, number: int) -> Record | RecordProblem:
    """One JSON line, dict, record or problem, checked; ``number`` is its position, from 1.

    Fields that are None are as if they were not there.
    """
    if isinstance(item, Record | RecordProblem):
        return item
    try:
        try:
            if not isinstance(item, bytes):
                return Record.model_validate(item)
            return Record.model_validate_json(item)
        except ValidationError:
            if (given := _given(item)) is None:
                raise
            return Record.model_validate(given)
    except ValidationError as error:
        hint = _file_hint(item, error) if number == 1 and isinstance(item, bytes) else ""
        return problem(number, _reason(error) + hint, item)
    except RecursionError:
        return problem(number, "nested too deeply", item)


def _given(item: object) -> dict[str, Any] | None:
    """A row less the fields that are None; of a line also with half a surrogate pair. None where
    there is no such row.
    """
    with suppress(ValueError):
        row = of_json(item) if isinstance(item, bytes) else item
        if isinstance(row, Mapping):
            given = {name: value for name, value in row.items() if value is not None}
            return given if isinstance(item, bytes) or len(given) < len(row) else None
    return None


def _file_hint(first: bytes, error: ValidationError) -> str:
    """What a file may be, by its first line, if it holds no records, and what to do with it."""
    if first.startswith(b"["):
        kind = "a JSON array"
    elif first.startswith(b"{"):
        kind = "JSON over several lines" if first.endswith((b"{", b"[", b",")) else ""
    else:
        kind = "a table" if any(mark in first for mark in (b",", b"\t", b";", b"|")) else ""
    if kind:
        wanted = f"; expected one object a line, this looks like {kind}"
    elif not first.startswith(b"{"):
        return "; expected JSON lines, a JSON array, a table (CSV) or Parquet, of records"
    elif any(fault["loc"] == ("query",) for fault in error.errors()):
        wanted = "; if these are results of another layout"
    else:
        return ""
    return f"{wanted}: `avengers import FILE -o records.jsonl` converts what it knows"


def _reason(error: ValidationError) -> str:
    """Pydantic's first message, with the place it speaks of."""
    first = error.errors(include_url=False, include_context=False)[0]
    message = first["msg"].removeprefix("Value error, ").replace(" at line 1 column", " at column")
    place = ".".join(str(part)[:40] for part in first["loc"])
    return f"{place}: {message}" if place else message


def problem(number: int, reason: str, item: object) -> RecordProblem:
    """The problem of a row, fit to be printed whatever the file held."""
    try:
        if isinstance(item, bytes):
            # Without its zeros, UTF-16 can be read.
            text = item[: 4 * _EXCERPT_CHARS].decode("utf-8", "replace").replace("\0", "")
        else:
            text = str(item)
    except (RecursionError, ValueError):  # nested too deeply, a number of too many digits
        text = f"({type(item).__name__})"
    shown = one_line(text[: _EXCERPT_CHARS + 1]).strip()
    cut = shown[: _EXCERPT_CHARS - 1] + "…" if len(shown) > _EXCERPT_CHARS else shown
    return RecordProblem(number, one_line(reason), cut)
