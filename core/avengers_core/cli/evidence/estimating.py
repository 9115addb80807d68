"""What a run of collect would ask, and about what it would cost: its dry run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avengers_core.collecting.graders import rules_of
from avengers_core.collecting.journal import Journal
from avengers_core.embedders.tokens import estimate_tokens
from avengers_core.records.names import counted
from avengers_core.records.prices import Price
from avengers_core.records.questions import Question

_ANSWER_TOKENS = 400
_RUBRIC_TOKENS, _VERDICT_TOKENS = 130, 60  # of a judge, for each answer


def estimate(
    questions: Sequence[Question],
    models: Sequence[str],
    grader: Any,
    output: Path | None,
    prices: Mapping[str, Price],
    *,
    judge_model: str | None,
    max_tokens: int | None,
    strategy: str,
    max_calls: int | None,
    max_usd: float | None,
    **_others: Any,
) -> str:
    """How many calls are left of a full table, about what they cost, and how far a budget reaches.

    Args:
        questions: n of them.
        models: whom to ask.
        grader: the grader; a judge of this name and rubric, who need not be there.
        output: the file of records, beside which the journal of earlier runs lies.
        prices: of models and judge, those that are known.
        judge_model: the judge's id, if one grades.
        max_tokens: of an answer.
        strategy: what is asked first.
        max_calls: most answers, those of earlier runs included.
        max_usd: most USD, likewise.
    """
    journal = Journal.as_it_stands(output)
    answered = min(_ANSWER_TOKENS, max_tokens or _ANSWER_TOKENS)
    left = {m: [q for q in questions if (q.key, m) not in journal.entries] for m in models}
    calls = sum(map(len, left.values()))
    # Who, and about how many tokens are read and written in all.
    work = [
        (m, m, sum(estimate_tokens(q.query) for q in asked), answered * len(asked))
        for m, asked in left.items()
    ]
    if judge_model is not None:
        # Of each answer: the question, the answer and the rubric read, a sentence and a score said.
        by_key = {question.key: question for question in questions}
        rules = rules_of(grader, questions)
        graded = [question for asked in left.values() for question in asked]
        graded += [by_key[key] for key, _ in journal.ungraded(rules, models)]
        read = sum(estimate_tokens(q.query) + answered + _RUBRIC_TOKENS for q in graded)
        name = f"{judge_model} as a judge"
        work.append((name, judge_model, read, _VERDICT_TOKENS * len(graded)))
    table = len(questions) * len(models)
    there = f", {table - calls:,} of them answered before" if calls < table else ""
    each = f"{counted(len(questions), 'question')} x {counted(len(models), 'model')}"
    lines = [f"{each}: {counted(table, 'call')}{there}"]
    total, unknown = 0.0, 0
    for who, model, read, written in work:
        price = prices.get(model)
        cost = 0.0 if price is None else price.cost(read, written)
        lines.append(f"  {who}: {'price unknown' if price is None else f'${cost:.4f}'}")
        total, unknown = total + cost, unknown + (price is None)
    if any(model in prices for model in models):
        without = f", without {unknown} of unknown price" if unknown else ""
        what = "for what is left" if there else "in all"
        lines.append(f"about ${total:.4f} {what}{without}, at {answered} tokens an answer")
    else:
        lines.append("what it costs is not known: give --prices, or install the extra `prices`")
    reach = [calls]
    if max_calls is not None:
        reach.append(max_calls - len(journal.entries))
    if max_usd is not None and not unknown and total > 0:
        reach.append(int(calls * (max_usd - journal.spent) / total))
    if min(reach) < calls:
        lines.append(f"the budget reaches for about {counted(max(min(reach), 0), 'call')} of these")
    elif calls and strategy == "adaptive" and max_calls is None and max_usd is None:
        lines.append("adaptive stops earlier where choices stand")
    return "\n".join(lines)
