"""The calls: so many at a time, within the budget, each noted before the next thing is done."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from avengers_core.collecting.answers import Ask
from avengers_core.collecting.graders import grade_with
from avengers_core.collecting.grades import Grade, GraderError
from avengers_core.collecting.journal import Journal
from avengers_core.collecting.strategies import Cell, Strategy, Table
from avengers_core.common.progress import progress_bar
from avengers_core.errors import EmptyResponseError
from avengers_core.records.questions import Question
from avengers_core.redaction import describe, secrets_of

Stopped = Literal["complete", "decided", "max_calls", "max_usd"]
"""Why no more is asked: nobody is left to ask; choices stand; or that limit is reached."""

# A model that fails this often in a row is not asked again in this run.
_MOST_FAILURES = 8
_NO_ANSWER = (
    "expected an answer, got none with a word in it, or one that was broken off; it may have been "
    "cut before its first word (max_tokens), or withheld"
)


class FailedCall(NamedTuple):
    """A call that brought no score; the records lack it, and the next run asks again.

    Attributes:
        model: who was asked.
        query: what.
        reason: the error, without keys.
    """

    model: str
    query: str
    reason: str


@dataclass
class Worker:
    """Asks and grades, and notes both.

    Attributes:
        questions: n questions.
        models: M ids.
        askers: how to ask each model.
        grader: the grader.
        rules: what tells how each question's answers are graded from other ways, by its key.
        journal: where answers and grades are noted.
        failures: the calls that brought no score.
        given_up: models that failed too often in a row.
    """

    questions: Sequence[Question]
    models: Sequence[str]
    askers: Sequence[Ask]
    grader: Grade
    rules: Mapping[str, str]
    journal: Journal
    failures: list[FailedCall] = field(default_factory=list)
    given_up: set[int] = field(default_factory=set)
    _failed_cells: set[Cell] = field(default_factory=set)
    _in_a_row: Counter[int] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def do(self, cell: Cell) -> None:
        """Ask a model a question, unless it has answered it already, and grade the answer.

        Raises:
            OSError: the journal cannot be written: what would be paid for further would be lost.
        """
        row, column = cell
        question, model = self.questions[row], self.models[column]
        place = question.key, model
        entry = self.journal.entries.get(place)
        if entry is not None:
            answer = entry.answer
        else:
            try:
                answer = self.askers[column](question.query)
            except Exception as error:
                self._failed(cell, error)
                return
            if not answer.text.strip():
                self.journal.paid(place, answer.cost, model)
                self._failed(cell, EmptyResponseError(_NO_ANSWER))
                return
            self.journal.answered(place, answer)
        try:
            graded = grade_with(self.grader, question.row, answer.text)
        except Exception as error:
            if isinstance(error, GraderError):
                self.journal.paid(place, error.cost)
            self._failed(cell, error)
            return
        self.journal.graded(place, graded, self.rules[question.key])
        with self._lock:
            self._in_a_row[column] = 0

    def _failed(self, cell: Cell, error: Exception) -> None:
        row, column = cell
        reason = describe(error, secrets_of(self.askers[column], self.grader))
        with self._lock:
            self.failures.append(FailedCall(self.models[column], self.questions[row].query, reason))
            self._failed_cells.add(cell)
            self._in_a_row[column] += 1
            if self._in_a_row[column] >= _MOST_FAILURES:
                self.given_up.add(column)

    def table(self) -> Table:
        """What is known: scores and costs, and whom it is no use to ask."""
        n, m = len(self.questions), len(self.models)
        scores, costs = np.full((n, m), np.nan), np.full((n, m), np.nan)
        done = np.zeros((n, m), dtype=bool)
        for i, question in enumerate(self.questions):
            for j, model in enumerate(self.models):
                entry = self.journal.entries.get((question.key, model))
                if entry is None or entry.graded is None:
                    continue
                done[i, j] = True
                if entry.graded.score is not None:
                    scores[i, j] = entry.graded.score
                if entry.answer.cost is not None:
                    costs[i, j] = entry.answer.cost
        with self._lock:
            for cell in self._failed_cells:
                done[cell] = True
            done[:, sorted(self.given_up)] = True
        return Table(scores, costs, done)


@dataclass
class Budget:
    """How much may be spent, earlier runs included.

    Attributes:
        max_calls: most answers, or None.
        max_usd: most USD, or None.
        journal: where it stands what has been spent.
    """

    max_calls: int | None
    max_usd: float | None
    journal: Journal

    def left(self, flying: int) -> int | None:
        """How many more answers may be asked for while some are in flight; None: no limit.

        Raises:
            ValueError: USD are limited, and a call has no known cost.
        """
        return min(self._rooms(flying).values(), default=None)

    def has_money(self, flying: int) -> bool:
        """Whether USD are left for what costs as much as answers do, and asks for none.

        Raises:
            ValueError: as for :meth:`left`.
        """
        return self._rooms(flying).get("max_usd", 1) > 0

    @property
    def reached(self) -> Stopped | None:
        """The limit that leaves no room for another answer, or None."""
        return next((limit for limit, room in self._rooms(0).items() if room <= 0), None)

    def _rooms(self, flying: int) -> dict[Stopped, int]:
        """How many more answers each limit has room for.

        Calls in flight are expected to cost what others did on average, so that the last of them
        hardly passes the limit.
        """
        answers = len(self.journal.entries)
        rooms: dict[Stopped, int] = {}
        if self.max_calls is not None:
            rooms["max_calls"] = self.max_calls - answers - flying
        if self.max_usd is not None:
            if self.journal.unpriced:
                raise ValueError(
                    f"max_usd cannot be held: what calls of {sorted(self.journal.unpriced)} cost "
                    f"is not known; pass prices= (--prices), and of a judge judge(..., price=)"
                )
            mean = self.journal.spent / answers if answers else 0.0
            room = self.max_usd - self.journal.spent - flying * mean
            rooms["max_usd"] = 0 if room <= 0 else max(1, int(room / mean)) if mean else 1
        return rooms


def run(worker: Worker, strategy: Strategy, budget: Budget, concurrency: int) -> Stopped:
    """Ask what the strategy wants, until it wants nothing more or the budget is spent.

    Raises:
        OSError: the journal, or the file of records, cannot be written.
        ValueError: see :meth:`Budget.left`.
    """
    journal = worker.journal
    keys = {question.key: i for i, question in enumerate(worker.questions)}
    ungraded = [
        (keys[key], worker.models.index(model))
        for key, model in journal.ungraded(worker.rules, worker.models)
    ]
    total = len(worker.questions) * len(worker.models)
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="collect")
    flying: set[Future[None]] = set()
    queue: deque[Cell] = deque()
    try:
        _grade(worker, ungraded, budget, pool, concurrency)
        with progress_bar("collect", min(budget.max_calls or total, total), "call") as bar:
            bar.update(len(journal.entries))
            while True:
                left = budget.left(len(flying))
                if not queue and not flying and left != 0:
                    queue.extend(strategy(worker.table(), left))
                while queue and len(flying) < concurrency and (left is None or left > 0):
                    cell = queue.popleft()
                    if cell[1] not in worker.given_up:
                        flying.add(pool.submit(worker.do, cell))
                        left = budget.left(len(flying))
                if not flying:
                    break
                done, flying = wait(flying, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()  # raises what ends the run
                bar.update(len(done))
                bar.set_postfix_str(_money(budget))
                journal.write_now_and_then(worker.questions, worker.models)
    finally:
        # What is in flight is paid for: it is waited for, and noted.
        pool.shutdown(wait=True, cancel_futures=True)
    return "complete" if worker.table().done.all() else budget.reached or "decided"


def _grade(
    worker: Worker,
    answered: Sequence[Cell],
    budget: Budget,
    pool: ThreadPoolExecutor,
    concurrency: int,
) -> None:
    """Grade answers of earlier runs: all, unless that costs, and more than is left."""
    journal, queue = worker.journal, deque(answered)
    flying: set[Future[None]] = set()
    free = True  # as far as has been seen
    while queue or flying:
        spent = journal.spent
        while queue and len(flying) < concurrency:
            if not budget.has_money(len(flying)) and not (free and not flying):
                break
            flying.add(pool.submit(worker.do, queue.popleft()))
        if not flying:
            return
        done, flying = wait(flying, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
        free = journal.spent == spent


def _money(budget: Budget) -> str:
    unknown = " and what is not known" if budget.journal.unpriced else ""
    spent = f"${budget.journal.spent:.4f}{unknown} spent"
    if budget.max_usd is None:
        return spent
    return f"{spent}, ${max(0.0, budget.max_usd - budget.journal.spent):.4f} left"
