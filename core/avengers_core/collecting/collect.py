"""From questions and models to records: ask, grade, write down, within a budget."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from avengers_core.collecting.adaptive import Adaptive
from avengers_core.collecting.answers import asker
from avengers_core.collecting.graders import as_grader, compares, grade_with, rules_of
from avengers_core.collecting.grades import GraderError
from avengers_core.collecting.journal import Journal
from avengers_core.collecting.running import Budget, FailedCall, Stopped, Worker, run
from avengers_core.collecting.strategies import Strategy, StrategyName, full, random_picks
from avengers_core.common.ranges import check_number, check_one_of, check_seed, check_whole
from avengers_core.errors import RecordError
from avengers_core.records.names import counted, fault_of_name
from avengers_core.records.prices import Prices, find_prices
from avengers_core.records.questions import Question, as_questions
from avengers_core.records.record import Records

logger = logging.getLogger(__name__)

# An answer to any question, also as JSON.
_ANY = "0"
# Reasons of failed calls that the log tells.
_SHOWN = 5
MOST_AT_ONCE = 1000
"""Calls in flight."""


class Collected(Records):
    """The records that were collected.

    Attributes:
        failures: the calls of this run that brought no score.
        calls: answers in the records and the journal, of this run and those before.
        spent: USD for them and for grading, as far as it is known.
        unpriced: whose calls cost what is not known, and is not in ``spent``: models, and
            ``"the judge"``.
        stopped: why no more was asked: ``"complete"``, nobody is left to ask; ``"decided"``, the
            adaptive strategy found that choices stand; ``"max_calls"`` or ``"max_usd"``, that limit
            was reached.
        given_up: the models that failed so often in a row that they were not asked on.
    """

    def __init__(self, records: Records, worker: Worker, stopped: Stopped) -> None:
        super().__init__(records, order=records.models)
        known = {record.query for record in records}
        self.unanswered = [q for q in worker.questions if q.query not in known]
        self.failures: tuple[FailedCall, ...] = tuple(worker.failures)
        self.calls = len(worker.journal.entries)
        self.spent = worker.journal.spent
        self.unpriced = tuple(sorted(worker.journal.unpriced))
        self.stopped: Stopped = stopped
        self.given_up = tuple(worker.models[column] for column in sorted(worker.given_up))


def collect(
    questions: Iterable[str | Mapping[str, Any]],
    models: Mapping[str, Any],
    grade: Any,
    *,
    strategy: StrategyName = "adaptive",
    max_calls: int | None = None,
    max_usd: float | None = None,
    concurrency: int = 8,
    path: str | PathLike[str] | None = None,
    seed: int = 0,
    prices: Prices | None = None,
) -> Collected:
    """Ask models questions, grade the answers, and make records of them.

    Args:
        questions: texts, or rows with ``query``, and optionally ``reference``, ``dataset``,
            ``index`` and what else the grader needs.
        models: id -> a LangChain chat model, a LlamaIndex LLM, or a function from a text to a text
            or an :class:`Answer`.
        grade: ``(row, answer) -> score in [0, 1]``, or None for an answer that cannot be graded;
            or anything else that :func:`avengers_core.collecting.as_grader` takes.
        strategy: ``"adaptive"``, ask first what teaches a router most, and stop where its choices
            stand; ``"full"``, every model every question; ``"random"``.
        max_calls: most answers, those of earlier runs included; default no limit.
        max_usd: most USD, those of earlier runs included; passed at most by the calls in flight.
        concurrency: calls in flight, at most 1,000.
        path: file of records (JSON lines; ``.gz``: compressed), written as it goes. Beside it, in
            ``<path>.journal``, stands each answer and grade; a run that finds them there goes on
            where the other stopped, and asks for nothing twice; where a question's row, or the
            grader's name, rubric, schema or text, is another, answers are graded anew. Default:
            nothing is written.
        seed: of the order in which questions are asked.
        prices: what a token costs, for models that do not say what a call cost; see
            :data:`avengers_core.records.prices.Prices`.

    Returns:
        One record for each question with a score. Failed calls are missing, never zero, listed,
        and told in the log.

    Raises:
        RecordError: no questions, or one without what the grader needs; or a journal that is
            damaged or in use.
        ValueError: an argument out of range; or ``max_usd`` with a model whose cost is unknown.
        TypeError: questions, models or a grader that are none.
        OSError: the files cannot be written.
    """
    if not isinstance(models, Mapping):
        raise TypeError(f"models= maps ids to whom to ask, got {type(models).__name__}")
    if not models:
        raise ValueError("models= names nobody to ask")
    if max_calls is not None:
        check_whole("max_calls", max_calls, 1)
    if max_usd is not None:
        check_number("max_usd", max_usd, inside="least")
    check_whole("concurrency", concurrency, 1, MOST_AT_ONCE, "each call is a thread")
    check_seed(seed)
    rows = as_questions(questions)
    names = list(models)
    for name in names:
        if fault := fault_of_name(name) if isinstance(name, str) else f"{name!r} is no text":
            raise ValueError(f"models= needs ids that records can have: {fault}")
    price = find_prices(names, prices)
    askers = [asker(f"models[{name!r}]", m, price.get(name)) for name, m in models.items()]
    grader = as_grader(grade)
    plan = _strategy(strategy, [row.query for row in rows], seed)
    file = None if path is None else Path(path)
    if file is not None and (not file.name or file.is_dir()):
        raise ValueError(f"path= is a folder; expected the path of a file, got {os.fspath(file)!r}")
    check_gradable(rows, grade)
    rules = rules_of(grade, rows)
    with Journal(file) as journal:
        worker = Worker(rows, names, askers, grader, rules, journal)
        budget = Budget(max_calls, max_usd, journal)
        try:
            stopped = run(worker, plan, budget, concurrency)
        except BaseException:  # interrupted, or ended by what it cannot go on with
            with suppress(OSError):
                journal.write(journal.records(rows, names))
            raise
        records = journal.records(rows, names)
        journal.write(records)
        if journal.unpriced:
            logger.warning(
                "what calls of %s cost is not known, and not in what was spent; prices= (--prices) "
                "and judge(..., price=) say it",
                ", ".join(sorted(journal.unpriced)),
            )
    if worker.failures:
        reasons = Counter(f"{failed.model}: {failed.reason}" for failed in worker.failures)
        logger.warning(
            "%s brought no score, and a further run tries again: %s",
            counted(len(worker.failures), "call"),
            "; ".join(f"{times} x {reason}" for reason, times in reasons.most_common(_SHOWN)),
        )
    return Collected(records, worker, stopped)


def check_gradable(questions: Sequence[Question], grade: Any) -> None:
    """Before answers are paid for that nobody can grade: graders that compare grade an answer.

    Raises:
        ValueError: there is no such grader.
        TypeError: it is something that cannot grade.
        RecordError: a question has not what a grader of this name needs.
    """
    grader = as_grader(grade)
    if not compares(grade):
        return
    faults: list[tuple[Question, GraderError]] = []
    for question in questions:
        try:
            grade_with(grader, question.row, _ANY)
        except GraderError as error:
            faults.append((question, error))
    if faults:
        first, fault = faults[0]
        raise RecordError(
            f"{len(faults):,} of {counted(len(questions), 'question')} cannot be graded by "
            f"{grade!r}; the first, {first.query!r:.60}: {fault}"
        )


def _strategy(name: str, queries: Sequence[str], seed: int) -> Strategy:
    check_one_of("strategy", name, StrategyName)
    if name == "adaptive":
        return Adaptive(queries, seed)
    return partial(full if name == "full" else random_picks, seed=seed)
