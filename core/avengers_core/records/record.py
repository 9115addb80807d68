"""Records: how each model did on past queries, and how they are read and checked.

The format is one JSON object a line::

    {"query": "...", "records": {"model-a": 1, "model-b": 0.5},
     "usages": {"model-a": {"cost": 0.002, "prompt_tokens": 60, "completion_tokens": 12}},
     "dataset": "math", "index": 17}

A score is a bool or a number in [0, 1]; ``null`` means that there is no result, which is not the
same as zero. Costs are USD. Models may differ from line to line.
"""

from __future__ import annotations

import codecs
import gzip
import io
import itertools
import logging
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Annotated, Any, Literal, NamedTuple, cast, overload

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StrictFloat,
    StrictInt,
    ValidationError,
    field_validator,
)

from avengers_core.errors import RecordError
from avengers_core.records.names import fault_of_name, one_line

logger = logging.getLogger(__name__)

Missing = Literal["skip", "zero"]
Source = str | os.PathLike[str] | IO[bytes] | IO[str] | Iterable[Any]

MAX_LINE_BYTES = 64 * 1024 * 1024
_EXCERPT_CHARS = 80
_NUMBERS = (bool, int, float, np.integer, np.floating, np.bool_)


def _score(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, _NUMBERS) and 0 <= value <= 1:
        return float(value)
    raise ValueError(f"a score is true, false, null or a number in [0, 1], got {value!r:.40}")


_Score = Annotated[float | None, PlainValidator(_score)]
_Amount = Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False)]


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
        query: the text, not blank.
        scores: model -> score in [0, 1], or None where the model has no result; models have names
            of 1 to 256 printable characters. JSON key ``records``.
        usages: model -> :class:`Usage`; models without one have unknown cost.
        dataset: where the query comes from; splits and reports are made per dataset. Printable,
            at most 256 characters.
        index: the query's number or name in its dataset.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    query: str
    scores: dict[str, _Score] = Field(alias="records", min_length=1)
    usages: dict[str, Usage | None] = Field(default_factory=dict)
    dataset: str = "default"
    index: StrictInt | str | None = None

    @field_validator("scores")
    @classmethod
    def _named(cls, scores: dict[str, float | None]) -> dict[str, float | None]:
        if fault := next(filter(None, map(fault_of_name, scores)), None):
            raise ValueError(fault)
        return scores

    @field_validator("dataset")
    @classmethod
    def _nameable(cls, dataset: str) -> str:
        if fault := fault_of_name(dataset):
            raise ValueError(fault)
        return dataset

    @field_validator("query")
    @classmethod
    def _not_blank(cls, query: str) -> str:
        if not query.strip():
            raise ValueError("is blank")
        return query


class RecordProblem(NamedTuple):
    """Why one line was rejected.

    Attributes:
        line: its number, from 1 (for iterables, the item's position from 1).
        reason: what was expected and what came.
        excerpt: the line's first characters.
    """

    line: int
    reason: str
    excerpt: str

    def __str__(self) -> str:
        return one_line(f"line {self.line}: {self.reason}: {self.excerpt}")


class Records(Sequence[Record]):
    """An immutable sequence of records, with the lines that were rejected on the way.

    Attributes:
        problems: one :class:`RecordProblem` for each rejected line.
        missing: ``"skip"``, a model without a result is unknown there; ``"zero"``, it scores 0
            (what the published code does).
    """

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
            f"<Records: {len(self):,} queries, {len(self.models)} models, "
            f"{len(self.datasets)} datasets, {len(self.problems)} problems>"
        )


def load_records(source: Source, *, strict: bool = False, missing: Missing = "skip") -> Records:
    """Read and validate records; a bad line is reported, never fatal and never silently lost.

    Args:
        source: a path (plain or gzip, told by content), an open binary or text stream of JSON
            lines, or an iterable of dicts or :class:`Record` objects.
        strict: raise on the first bad line instead of collecting it.
        missing: see :class:`Records`.

    Returns:
        The good records; ``.problems`` lists the rejected lines. Repeated queries are kept: each
        is evidence of its own.

    Raises:
        RecordError: ``strict`` and a line is bad.
        OSError: the file cannot be opened.
    """
    if missing not in ("skip", "zero"):
        raise ValueError(f'missing must be "skip" or "zero", got {missing!r}')
    records: list[Record] = []
    problems: list[RecordProblem] = []
    for item in iter_records(source):
        if isinstance(item, Record):
            records.append(item)
        elif strict:
            raise RecordError(str(item))
        else:
            problems.append(item)
    _notice_other_names(records)
    return Records(records, problems, missing)


def iter_records(source: Source) -> Iterator[Record | RecordProblem]:
    """Like :func:`load_records`, one at a time in constant memory, problems in their place."""
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as file:
            yield from _parsed(file)
    elif hasattr(source, "read"):
        stream = cast("IO[Any]", source)
        yield from _parsed(stream)
    elif isinstance(source, Mapping):
        raise TypeError("expected a path, a stream or an iterable of records, got one mapping")
    else:
        for number, item in enumerate(source, 1):
            if isinstance(item, str | os.PathLike):
                raise TypeError(
                    f"expected records, got {os.fspath(item)[-60:]!r}; several files are read by "
                    f"avengers_core.jobs, or one by one"
                )
            yield parse_record(item, number)


def _notice_other_names(records: Sequence[Record]) -> None:
    """Say where usages have names that no score has: those costs count for nobody."""
    scored = dict.fromkeys(model for record in records for model in record.scores)
    used = dict.fromkeys(model for record in records for model in record.usages)
    others = [model for model in used if model not in scored]
    without = [model for model in scored if model not in used]
    if others and without:
        logger.warning(
            "the usages of %s count for no model, as no score has these names; the scores of %s "
            "have no usage",
            ", ".join(map(repr, others)),
            ", ".join(map(repr, without)),
        )


def as_records(source: Records | Source) -> Records:
    """``source`` itself if it is :class:`Records` already, else :func:`load_records` of it."""
    return source if isinstance(source, Records) else load_records(source)


def read_lines(stream: IO[Any]) -> Iterator[bytes | RecordProblem]:
    """The lines of a plain or compressed stream; a problem in place of one that cannot be read.

    Split at ``\\n`` only: U+2028 and friends are legal inside JSON strings.
    """
    wrapper: io.BufferedReader | None = None
    if isinstance(stream.read(0), bytes):
        if not hasattr(stream, "peek"):
            stream = wrapper = io.BufferedReader(cast("io.RawIOBase", stream))
        if stream.peek(2)[:2] == b"\x1f\x8b":
            stream = cast("IO[Any]", gzip.GzipFile(fileobj=stream))
    elif isinstance(stream, io.TextIOWrapper):
        # What is not UTF-8 is then one bad line. Refused where somebody has read from it already.
        with suppress(io.UnsupportedOperation):
            stream.reconfigure(errors="surrogateescape")
    try:
        yield from _lines(stream)
    finally:
        if wrapper is not None:
            wrapper.detach()  # or it would close the caller's stream when it goes


def _lines(stream: IO[Any]) -> Iterator[bytes | RecordProblem]:
    number = 0
    try:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) <= MAX_LINE_BYTES:
                yield line if isinstance(line, bytes) else line.encode("utf-8", "surrogatepass")
                continue
            newline = line[:0] + ("\n" if isinstance(line, str) else b"\n")
            tail = line
            while tail and not tail.endswith(newline):
                tail = stream.readline(MAX_LINE_BYTES)
            yield problem(number, f"longer than {MAX_LINE_BYTES:,} bytes", line)
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
        # A damaged compressed file: what was read so far is good, the rest cannot be.
        yield problem(number + 1, f"the file cannot be read on from here ({error})", b"")


def numbered_lines(stream: IO[Any], before: int = 0) -> Iterator[tuple[int, bytes | RecordProblem]]:
    """The lines of :func:`read_lines` that are not blank, stripped, with their numbers from 1.

    Args:
        stream: plain or compressed.
        before: lines of the file that come before the stream's first.
    """
    for number, line in enumerate(read_lines(stream), before + 1):
        if isinstance(line, RecordProblem):
            yield number, line._replace(line=number)
        elif text := (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).strip():
            yield number, text


def _parsed(stream: IO[Any]) -> Iterator[Record | RecordProblem]:
    for number, line in numbered_lines(stream):
        yield parse_record(line, number)


def parse_record(item: object, number: int) -> Record | RecordProblem:
    """One JSON line, dict, record or problem, checked; ``number`` is its position, from 1."""
    if isinstance(item, Record | RecordProblem):
        return item
    try:
        if isinstance(item, bytes):
            return Record.model_validate_json(item)
        return Record.model_validate(item)
    except ValidationError as error:
        hint = _file_hint(item) if number == 1 and isinstance(item, bytes) else ""
        return problem(number, _reason(error) + hint, item)
    except RecursionError:
        return problem(number, "nested too deeply", item)


def _file_hint(first: bytes) -> str:
    """What a file may be, by its first line, if it is no JSON lines, and what to do with it."""
    if b"\0" in first:
        return "; expected UTF-8, this looks like UTF-16: `iconv -f UTF-16 -t UTF-8 FILE` converts"
    if first.startswith(b"["):
        kind = "a JSON array"
    elif first.startswith(b"{"):
        kind = "JSON over several lines" if first.endswith((b"{", b"[", b",")) else ""
    else:
        kind = "a table" if b"," in first or b"\t" in first else ""
    return kind and (
        f"; expected one object a line, this looks like {kind}: `avengers import FILE -o "
        f"records.jsonl` converts what it knows"
    )


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
