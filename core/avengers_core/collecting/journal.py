"""What has been asked, answered and graded: nothing that was paid for is lost or doubled.

Beside the file of records, in ``<records>.journal``, stands one line for each answer, written
before it is graded, and one for each grade. A run that is killed leaves at most one line that is
cut short, which the next run takes away.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from avengers_core.collecting.answers import Answer
from avengers_core.collecting.grades import Graded
from avengers_core.errors import RecordError
from avengers_core.records.questions import Question
from avengers_core.records.record import Record, Records, Usage
from avengers_core.records.writing import write_records

Place = tuple[str, str]
"""A question's key and a model."""

THE_JUDGE = "the judge"
"""What messages call the model that grades."""

_SECONDS_BETWEEN_WRITES = 5.0


@dataclass(frozen=True)
class Entry:
    """An answer, and its grade where it has been graded.

    Attributes:
        answer: what the model answered.
        graded: None: not yet.
        rule: what it was graded by; None: not known.
    """

    answer: Answer
    graded: Graded | None = None
    rule: str | None = None


def journal_of(records: Path) -> Path:
    """Where the journal of a file of records lies."""
    return records.with_name(f"{records.name}.journal")


class Journal:
    """The answers and grades so far; in memory, and in a file where there is one.

    A context manager. Threads may share it; another process is kept out.

    Args:
        records: the file of records beside which the journal lies, or None.

    Attributes:
        entries: by question and model.
        spent: USD of all answers and grades, as far as they are known.
        unpriced: the models with a reply of which it is not known what it cost, and
            :data:`THE_JUDGE` where that is not known of a grade.

    Raises:
        RecordError: the journal is damaged or in use, or there are records without a journal.
        OSError: a file cannot be read or written.
    """

    def __init__(self, records: Path | None) -> None:
        self.entries: dict[Place, Entry] = {}
        self.spent = 0.0
        self.unpriced: set[str] = set()
        self._records = records
        self._mutex = threading.Lock()
        self._file: IO[bytes] | None = None
        self._written = time.monotonic()
        self._process_lock: FileLock | None = None
        if records is None:
            return
        path = journal_of(records)
        if records.exists() and not path.exists():
            raise RecordError(
                f"{records} holds records that were not collected here; name another file"
            )
        self._process_lock = FileLock(f"{path}.lock", blocking=False)
        try:
            self._process_lock.acquire()
        except Timeout:
            raise RecordError(f"{records}: another run is collecting into it") from None
        try:
            self._file = path.open("ab+")
            self._file.truncate(self._read(self._file, path))
        except BaseException:
            self.close()
            raise

    @classmethod
    def as_it_stands(cls, records: Path | None) -> Journal:
        """What is noted beside a file of records, if anything; nobody is kept out meanwhile.

        Raises:
            RecordError: the journal is damaged.
            OSError: it cannot be read.
        """
        journal = cls(None)
        if records is not None and (path := journal_of(records)).exists():
            with path.open("rb") as file:
                journal._read(file, path)
        return journal

    def answered(self, place: Place, answer: Answer) -> None:
        """Note an answer."""
        self._note(place, answer=asdict(answer))

    def graded(self, place: Place, graded: Graded, rule: str) -> None:
        """Note the grade of an answer that was noted before, and what it was graded by."""
        self._note(place, graded=graded._asdict(), rule=rule)

    def paid(self, place: Place, cost: float | None, whose: str = THE_JUDGE) -> None:
        """Note what somebody took who gave no grade, or no answer."""
        if cost != 0:
            self._note(place, paid=cost, whose=whose)

    def ungraded(self, rules: Mapping[str, str], models: Collection[str]) -> list[Place]:
        """The answers without a grade; one by another rule counts no longer.

        Args:
            rules: by which answers are graded now, by the questions' keys; others do not matter.
            models: whose answers matter.
        """
        places = [place for place in self.entries if place[0] in rules and place[1] in models]
        for place in places:
            if self.entries[place].rule not in (None, rules[place[0]]):
                self.entries[place] = Entry(self.entries[place].answer)
        return [place for place in places if self.entries[place].graded is None]

    def records(self, questions: Sequence[Question], models: Sequence[str]) -> Records:
        """The records that answers and grades make: one for each question with a score."""
        with self._mutex:
            entries = dict(self.entries)
        each = (_record(question, models, entries) for question in questions)
        return Records((record for record in each if record is not None), order=models)

    def write(self, records: Records) -> None:
        """Put the file of records in place, whole."""
        if self._records is not None:
            write_records(records, self._records)
        self._written = time.monotonic()

    def write_now_and_then(self, questions: Sequence[Question], models: Sequence[str]) -> None:
        """:meth:`write`, unless that was a moment ago."""
        if time.monotonic() - self._written > _SECONDS_BETWEEN_WRITES:
            self.write(self.records(questions, models))

    def close(self) -> None:
        """Close the file; another process may then go on with it."""
        if self._file is not None:
            with suppress(OSError):  # of what could not be written, which has been raised
                self._file.close()
        if self._process_lock is not None:
            self._process_lock.release()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _note(self, place: Place, **facts: Any) -> None:
        line = {"question": place[0], "model": place[1], **facts}
        with self._mutex:
            if self._file is not None:
                try:
                    self._file.write(json.dumps(line).encode() + b"\n")
                    self._file.flush()
                    os.fsync(self._file.fileno())
                except OSError as error:
                    raise OSError(error.errno, error.strerror, self._file.name) from None
            self._take(line)

    def _read(self, file: IO[bytes], path: Path) -> int:
        """Take in the whole lines of a journal; how many bytes these are."""
        file.seek(0)
        whole = 0
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise RecordError(
                    f"{path}, line {number}: not a line of a journal of answers "
                    f"({type(error).__name__}: {error})"
                ) from None
        return whole

    def _take(self, line: Mapping[str, Any]) -> None:
        place = line["question"], line["model"]
        whose = THE_JUDGE
        if "answer" in line:
            answer = Answer(**line["answer"])
            self.entries[place] = Entry(answer)
            whose, cost = line["model"], answer.cost
        elif "graded" in line:
            graded = Graded(**line["graded"])
            self.entries[place] = Entry(self.entries[place].answer, graded, line.get("rule"))
            cost = graded.cost
        else:
            whose, cost = line.get("whose", THE_JUDGE), line["paid"]
        if cost is None:
            self.unpriced.add(whose)
        else:
            self.spent += cost


def _record(
    question: Question, models: Sequence[str], entries: Mapping[Place, Entry]
) -> Record | None:
    scores: dict[str, float | None] = {}
    usages: dict[str, Usage | None] = {}
    for model in models:
        entry = entries.get((question.key, model))
        if entry is None or entry.graded is None or entry.graded.score is None:
            continue
        scores[model] = entry.graded.score
        usages[model] = Usage(**asdict(entry.answer))  # its text is none of the fields
    if not scores:
        return None
    return Record(
        query=question.query,
        scores=scores,
        usages=usages,
        dataset=question.dataset,
        index=question.index,
    )
