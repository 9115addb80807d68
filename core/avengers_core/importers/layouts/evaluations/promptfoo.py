"""promptfoo."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from avengers_core.importers.layout import Found, Result, by_row, each, layout
from avengers_core.importers.questions import question_of
from avengers_core.importers.reading.tables import Place, Row
from avengers_core.importers.values import (
    amount,
    at,
    first,
    mapping,
    number,
    one,
    sequence,
    text,
    usage,
)

_ERROR = 2  # failureReason: 0 none, 1 an assertion, 2 an error
# Of a table: the column of a provider's answers, which names the prompt, and variables in prompts.
_ANSWERS = re.compile(r"\[(?P<provider>.+?)\] (?P<prompt>.*)", re.DOTALL)
_VARIABLE = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")


@layout(
    "promptfoo",
    "promptIdx & testIdx",
    "results.results[] & results.stats",
    "results.results[] & evalId",
    "results[] & table & stats",
    "prompt.raw & provider.id",
    "prompt.raw & success & score",
    "Status & Score & Grader Reason & Comment",
)
@by_row
def promptfoo(row: Row, place: Place) -> Iterator[Found]:
    """Results of tests, one a row, or all in one object, or those on one test a row of a table.

    The score is that of all assertions together; named scores can be chosen. Errors have none.

    Source: github.com/promptfoo/promptfoo, src/types and docs of output formats.
    """
    inner = one(row, "results.results", "results")
    if inner is None:
        is_table = "Grader Reason" in row
        yield from _in_table(row, place) if is_table else _result(row, place, place.dataset)
        return
    dataset = str(at(row, "config.description") or place.dataset)
    yield from each(sequence(inner, "results"), place, _result, dataset=dataset)


def _result(row: Any, place: Place, dataset: str) -> Iterator[Result]:
    prompt = row["prompt"]
    query = question_of(first(one(prompt, "raw", "display"), prompt))
    failed = row.get("failureReason") == _ERROR or (
        bool(row.get("error")) and at(row, "response.output") is None
    )
    names = mapping(row.get("namedScores"), "namedScores")
    cost = amount(one(row, "cost", "response.cost"))
    cached = at(row, "response.cached") is True and not cost
    tokens = mapping(at(row, "response.tokenUsage"), "tokenUsage")
    yield Result(
        query,
        _model(row.get("provider")),
        {}
        if failed
        else {"score": number(one(row, "score", "success"))}
        | {k: number(v) for k, v in names.items()},
        dataset,
        place,
        usage=usage(None if cached else cost, tokens.get("prompt"), tokens.get("completion")),
    )


def _in_table(row: Row, place: Place) -> Iterator[Result]:
    """The variables of a test, then for each prompt and provider the answer, status and scores."""
    cells = list(row.items())
    status = [i for i, (name, _) in enumerate(cells) if name.partition(" (")[0] == "Status"]
    variables = {name: value for name, value in cells[: status[0] - 1] if name != "Description"}
    for i in status:
        (column, _), (_, passed), (_, score), (_, named) = cells[i - 1 : i + 3]
        answers = _ANSWERS.fullmatch(column)
        if answers is None:
            raise ValueError(f"expected a column [provider] prompt, got {column!r:.60}")
        if not passed:  # not asked
            continue
        query = _VARIABLE.sub(lambda v: variables.get(v[1], v[0]), answers["prompt"])
        is_whole = query != answers["prompt"] and "{{" not in query and "{%" not in query
        scores = {"score": number(score), **mapping(named, "Named Scores")}
        yield Result(
            query if is_whole else question_of(variables),
            answers["provider"],
            {} if passed == "ERROR" else {name: number(value) for name, value in scores.items()},
            place.dataset,
            place,
        )


def _model(provider: Any) -> str:
    """A provider's label where it has one, else its id (``openai:gpt-4o-mini``)."""
    return text(first(one(provider, "label", "id"), provider), "provider")
