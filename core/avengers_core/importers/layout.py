"""What a layout is, and what it makes of the rows of its files.

A layout is one function, told by keys that only its files have::

    @layout("mytool", "mytool_version & score.value")
    @by_row
    def mytool(row: Row, place: Place) -> Iterator[Result]:
        yield Result(text(row["question"], "question"), text(row["model"], "model"),
                     {"score": number(row["score"]["value"])}, place.dataset, place=place)

A module below :mod:`avengers_core.importers.layouts` that holds one is all it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

from avengers_core.importers.reading.tables import File, Place, Row, placed
from avengers_core.importers.values import UNFIT, at, first
from avengers_core.records.record import RecordProblem

Scale = tuple[float, float]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """How one model did on one query.

    Attributes:
        query: the text.
        model: whose result it is.
        scores: by name, those that count most first; None where there is no result.
        dataset: where the query is from.
        place: where it was found.
        key: equal for results on the same query; default, dataset and query.
        index: the query's number or name in its dataset.
        usage: ``cost`` (USD), ``prompt_tokens``, ``completion_tokens``.
        propensity: the chance with which the model was chosen, or None.
    """

    query: str
    model: str
    scores: Mapping[str, float | None]
    dataset: str
    place: Place
    key: Hashable = None
    index: int | str | None = None
    usage: Mapping[str, float | None] = field(default_factory=dict)
    propensity: float | None = None


class Call(NamedTuple):
    """A step of a traced run: a call of a model, or what is above it.

    Attributes:
        id: by which feedback names it.
        parent: the step above, or None.
        trace: id of the whole run, or None.
        place: where it was found.
        model: that was asked; None for a chain or an agent, whose feedback counts for the calls
            below it.
        query: the text.
        dataset: what the run is of.
        usage: as of :class:`Result`.
    """

    id: str
    parent: str | None
    trace: str | None
    place: Place
    model: str | None = None
    query: str = ""
    dataset: str = ""
    usage: Mapping[str, float | None] = {}


class Feedback(NamedTuple):
    """What somebody or something thought of a step or a run.

    Attributes:
        of: its id.
        name: of the score.
        value: the score.
    """

    of: str
    name: str
    value: float


Found = Result | Call | Feedback | RecordProblem
Read = Callable[[Sequence[File]], Iterator[Found]]
Take = Callable[[Row, Place], Iterable[Found]]


class Layout(NamedTuple):
    """A layout of results.

    Attributes:
        name: by which it can be named.
        keys: alternatives, each the keys that must all be there for a row to be of this layout,
            joined by " & ": paths as of :func:`avengers_core.importers.values.at`, or ending in
            ``[]`` for a list that is not empty.
        read: what its files hold.
        fits: told by more than keys.
        scale: what its scores lie in; those beyond are rejected one by one.
    """

    name: str
    keys: tuple[str, ...]
    read: Read
    fits: Callable[[Row], bool] | None = None
    scale: Scale | None = None

    def has(self, row: Row) -> bool:
        """Whether a row is of this layout."""
        if self.fits is not None:
            return self.fits(row)
        return any(all(_is_there(row, key) for key in keys.split(" & ")) for keys in self.keys)


def layout(
    name: str, *keys: str, fits: Callable[[Row], bool] | None = None, scale: Scale | None = None
) -> Callable[[Read], Layout]:
    """A function that reads files, as a :class:`Layout`; the arguments are its attributes."""
    return lambda read: Layout(name, keys, read, fits, scale)


def by_row(take: Take) -> Read:
    """Reads files by what is in each row; what does not fit becomes a problem."""

    def read(files: Sequence[File]) -> Iterator[Found]:
        for file in files:
            yield from taken(placed(file), take)

    return read


def taken(
    items: Iterable[tuple[Any, Place]], take: Callable[[Any, Place], Iterable[T]]
) -> Iterator[T | RecordProblem]:
    """What ``take`` finds in each item; a problem in place of an item that does not fit."""
    for item, place in items:
        if isinstance(item, RecordProblem):
            yield item
            continue
        try:
            found = list(take(item, place))
        except UNFIT as error:
            yield place.problem(error, item)
        else:
            yield from found


def each(
    items: Iterable[Any], place: Place, take: Callable[..., Iterable[T]], **known: Any
) -> Iterator[T | RecordProblem]:
    """:func:`taken` of the items of one row; what is known of all of them is told with each."""
    return taken(((item, place) for item in items), partial(take, **known))


def merged(found: Iterable[Result | RecordProblem]) -> Iterator[Result | RecordProblem]:
    """One result of those of the same key that have other scores each.

    A score that is there already is of another answer, and begins a result of its own.
    """
    items: list[Result | RecordProblem] = []
    latest: dict[Hashable, int] = {}
    for item in found:
        if isinstance(item, Result):
            before = items[latest[item.key]] if item.key in latest else None
            if isinstance(before, Result) and not before.scores.keys() & item.scores.keys():
                usage = {k: first(before.usage.get(k), v) for k, v in item.usage.items()}
                scores = {**before.scores, **item.scores}
                items[latest[item.key]] = replace(before, scores=scores, usage=usage)
                continue
            latest[item.key] = len(items)
        items.append(item)
    yield from items


def _is_there(row: Row, key: str) -> bool:
    value = at(row, key.removesuffix("[]"))
    if key.endswith("[]"):
        return isinstance(value, list) and bool(value)
    return value is not None or key in row
