"""What records hold, before the work: which models and datasets, and a sample."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic_core import from_json

from avengers_core.embedders.tokens import MAX_CHARS, n_cut
from avengers_core.errors import NoRecordsError, RecordError
from avengers_core.records.names import counted
from avengers_core.records.record import Missing, Record, RecordProblem, parse_record
from avengers_core.records.sources.parts import Items, Part, read
from avengers_core.records.splitting import known_names
from avengers_core.records.usage_names import UsageNames
from avengers_core.scanning.batches import RecordFilter
from avengers_core.scanning.sampling import Lowest, rank
from avengers_core.scanning.scan import Scan

logger = logging.getLogger(__name__)


class Draw(NamedTuple):
    """How a sample of all parts is drawn, see :mod:`avengers_core.scanning.sampling`.

    Attributes:
        size: how many records.
        seed: another seed, another sample.
        limit: rows of higher rank are surely not in it.
    """

    size: int
    seed: int
    limit: int


@dataclass
class Names:
    """Whom some records speak of.

    Attributes:
        models: in order of first appearance.
        scored: those of them with any result.
        datasets: in order of first appearance.
    """

    models: dict[str, None] = field(default_factory=dict)
    scored: set[str] = field(default_factory=set)
    datasets: dict[str, None] = field(default_factory=dict)

    def known(self, missing: Missing) -> Set[str]:
        """The models of which these records say something.

        Args:
            missing: what a model without a result is, see :class:`avengers_core.Records`: with
                ``"zero"`` one that no record scores has failed on all.
        """
        return self.models.keys() if missing == "zero" else self.scored

    def lacks(self, dataset: str, scores: Mapping[str, Any]) -> bool:
        """Whether a record has any name that is not noted yet."""
        return dataset not in self.datasets or any(
            model not in self.scored and (score is not None or model not in self.models)
            for model, score in scores.items()
        )

    def add(self, dataset: str, scores: Mapping[str, Any]) -> None:
        """Note a record's names."""
        self.datasets.setdefault(dataset)
        self.models |= dict.fromkeys(scores)
        self.scored |= {model for model, score in scores.items() if score is not None}

    def __ior__(self, other: Names) -> Names:
        self.models |= other.models
        self.scored |= other.scored
        self.datasets |= other.datasets
        return self


@dataclass
class Survey:
    """What a part, or all, holds, found without checking every row.

    Attributes:
        there: the names that all records have.
        kept: those that are left without what is left out.
        sample: rank, place and content of the records of lowest rank.
        cut: how many of those that are left have queries that are cut to be embedded.
        usages: names of their usages that the scores beside them have not.
    """

    there: Names = field(default_factory=Names)
    kept: Names = field(default_factory=Names)
    sample: list[tuple[int, tuple[int, int], Record]] = field(default_factory=list)
    cut: int = 0
    usages: UsageNames = field(default_factory=UsageNames)

    @property
    def models(self) -> tuple[str, ...]:
        """The models that are left, in order of first appearance in all records."""
        return tuple(model for model in self.there.models if model in self.kept.models)

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets that are left, in order of first appearance."""
        return tuple(self.kept.datasets)

    def notice(self) -> None:
        """Say in the log how many queries are cut, and which usages count for nobody."""
        self.usages.notice(self.there.models)
        if self.cut:
            logger.warning(
                "%s of more than %d characters; what comes after these is not embedded",
                counted(self.cut, "record has a query", "records have queries"),
                MAX_CHARS,
            )


@dataclass(frozen=True)
class SurveyJob:
    """Notes a part's models and datasets, and draws its share of a sample.

    Attributes:
        chosen: which records count.
        draw: which sample, or None for no sample.
    """

    chosen: RecordFilter
    draw: Draw | None

    def __call__(self, number: int, part: Part | Items) -> Survey:
        found, draw = Survey(), self.draw
        lowest: Lowest[Record] = Lowest(draw.size if draw else 0)
        for row, item in read(part):
            if self.chosen.strict:
                self.chosen.record(item, row, part.file)
            content = _glance(item, row)
            if content is None:
                continue
            query, scores, usages, dataset = content
            left = self.chosen.of(dataset, scores)
            if found.there.lacks(dataset, scores) or (left and found.kept.lacks(dataset, left)):
                # A row that would be rejected must not bring in names: check those that bring any.
                if not isinstance(parse_record(item, row), Record):
                    continue
                found.there.add(dataset, scores)
                if left:
                    found.kept.add(dataset, left)
            found.cut += bool(left and n_cut(query))
            if left and isinstance(part, Part):  # what is in memory was noticed when it was loaded
                found.usages.add(scores, usages)
            if draw is None or not left:
                continue
            place = rank(query, dataset, draw.seed)
            if place <= draw.limit and lowest.wants(place):
                record = parse_record(item, row)
                if isinstance(record, Record):
                    lowest.add(place, (number, row), record)
        found.sample = lowest.items()
        return found


def survey(scan: Scan, draw: Draw | None = None) -> Survey:
    """What records hold.

    Args:
        scan: the records.
        draw: which sample to draw; default none.

    Raises:
        RecordError: no record, or none that counts.
        ValueError: a model or dataset is to be left out that no record has.
    """
    total, chosen = Survey(), scan.chosen
    total.there.models = dict.fromkeys(scan.order)
    lowest: Lowest[Record] = Lowest(draw.size if draw else 0)
    for found in scan.run(SurveyJob(chosen, draw), "sample" if draw else "survey"):
        total.there |= found.there
        total.kept |= found.kept
        total.cut += found.cut
        total.usages |= found.usages
        for kept in found.sample:
            lowest.add(*kept)
    total.sample = lowest.items()
    if not total.there.datasets:
        raise _no_records(scan)
    known_names("model", chosen.excluded_models, tuple(total.there.models))
    known_names("dataset", chosen.excluded_datasets, tuple(total.there.datasets))
    if not total.datasets:
        named = ", ".join(sorted(chosen.excluded_datasets | chosen.excluded_models))
        raise RecordError(f"without {named} no record is left of {scan.rows:,}")
    return total


def _no_records(scan: Scan) -> RecordError:
    for part in scan.parts:
        for number, item in read(part):
            if isinstance(problem := parse_record(item, number), RecordProblem):
                return RecordError(
                    f"of {counted(scan.rows, 'row')} none is a record that can be used; the first: "
                    f"{problem._replace(file=part.file)}"
                )
    return NoRecordsError(f"there are no records{scan.where}: not a single row")


class _Glance(NamedTuple):
    """What a row says, unchecked where it lies as usual."""

    query: str
    scores: Mapping[str, Any]
    usages: Mapping[str, Any]
    dataset: str


def _glance(item: object, row: int) -> _Glance | None:
    """A row at a glance: unchecked where its parts lie as usual, else of a record."""
    content = item
    if isinstance(item, bytes):
        with suppress(ValueError, RecursionError):
            content = from_json(item)
    if isinstance(content, Mapping):
        query, scores = content.get("query"), content.get("records")
        dataset = content.get("dataset", "default")
        if isinstance(query, str) and isinstance(scores, Mapping) and isinstance(dataset, str):
            usages = content.get("usages")
            return _Glance(query, scores, usages if isinstance(usages, Mapping) else {}, dataset)
    record = parse_record(item, row)
    if not isinstance(record, Record):
        return None
    return _Glance(record.query, record.scores, record.usages, record.dataset)
