"""The command that makes records: collect."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from avengers_core.cli.options import FILE, SEED, NewFile, names
from avengers_core.cli.pricing import file_of, prices_option
from avengers_core.cli.questions import read_questions
from avengers_core.cli.shared import given, refuse
from avengers_core.errors import OptionalDependencyError
from avengers_core.outputs import check_outputs
from avengers_core.records.prices import Price, find_prices
from avengers_core.records.questions import Question

_JUDGE = "judge:"
_SCHEMA = "json:"
_ANSWER_TOKENS = 400
_RUBRIC_TOKENS, _VERDICT_TOKENS = 130, 60  # of a judge, for each answer
_STOPPED = {
    "complete": "nobody is left to ask",
    "decided": "stopped early, as choices stand; --strategy full asks the rest",
    "max_calls": "stopped at --max-calls; the same command with more goes on",
    "max_usd": "stopped at --max-usd; the same command with more goes on",
}


@click.command("collect", short_help="Ask models your questions, grade, and write records.")
@click.argument("questions", type=FILE)
@names("--models", help="Whom to ask, by the ids of the endpoint in the environment.")
@click.option(
    "--grade",
    required=True,
    help="exact, normalised, contains, number, choice, regex[:PATTERN], json[:SCHEMA], "
    "MODULE:FUNCTION, or judge:MODEL.",
)
@click.option("--rubric", help="What a judge's score means, in words.")
@click.option("--output", "-o", type=NewFile(), help="File of records.")
@click.option(
    "--strategy",
    type=click.Choice(["adaptive", "full", "random"]),
    default="adaptive",
    help="adaptive: ask first what teaches most, and stop where choices stand.",
)
@click.option("--max-usd", type=click.FloatRange(0, min_open=True), help="Most USD, in all.")
@click.option("--max-calls", type=click.IntRange(1), help="Most answers, in all.")
@click.option("--concurrency", type=click.IntRange(1, 1000), default=8)
@click.option("--max-tokens", type=click.IntRange(1), help="Longest answer, tokens.")
@prices_option("Default: what the endpoint says a call cost, else genai-prices if it is installed.")
@click.option("--seed", type=SEED, default=0)
@click.option("--dry-run", is_flag=True, help="Say how many calls it would be, and about how much.")
def collect_command(
    questions: Path,
    models: tuple[str, ...],
    grade: str,
    rubric: str | None,
    output: Path | None,
    max_tokens: int | None,
    prices: Any,
    dry_run: bool,
    **options: Any,
) -> None:
    """Ask models the QUESTIONS of a file, grade the answers, and write records to fit on.

    QUESTIONS are JSON lines, a JSON array, CSV or Parquet with `query`, and optionally `reference`,
    `dataset` and `index`; or a .txt file of one question a line. Answers are noted beside the
    output, in OUTPUT.journal: the same command goes on after a kill, and asks for nothing twice.

    \b
    export OPENROUTER_API_KEY=...
    avengers collect questions.jsonl --models openai/gpt-5-mini,qwen/qwen3-8b \\
        --grade normalised --max-usd 5 -o records.jsonl
    avengers fit records.jsonl --questions questions.jsonl -o artifact/
    """
    from avengers_core.collecting import collect, judge
    from avengers_core.collecting.answers import endpoint_asker
    from avengers_core.collecting.collect import check_gradable
    from avengers_core.collecting.journal import journal_of
    from avengers_core.records.questions import as_questions
    from avengers_core.serving.backends.endpoints import find_endpoint

    if not models:
        raise click.UsageError("--models names nobody to ask")
    judge_model = grade.removeprefix(_JUDGE) if grade.startswith(_JUDGE) else None
    if judge_model == "":
        raise click.UsageError("--grade judge:MODEL names no model")
    if judge_model is None:
        refuse(["rubric"], "without --grade judge:MODEL, which reads it")
    if output is not None:
        schema = grade.removeprefix(_SCHEMA) if grade.startswith(_SCHEMA) else None
        check_outputs([output, journal_of(output)], [questions, schema, file_of(prices)])
    rows = read_questions(questions)
    priced = _prices(prices, [*models, *([judge_model] if judge_model else [])])
    if dry_run:
        asked = as_questions(rows)
        check_gradable(asked, grade)
        click.echo(_estimate(asked, models, priced or {}, max_tokens, judge_model, **options))
        return
    if output is None:
        raise click.UsageError("give --output, the file of records to write")
    endpoint = find_endpoint()
    arguments = {} if max_tokens is None else {"max_tokens": max_tokens}

    def reach(model: str) -> Any:
        name = endpoint.remote_name(model)
        if name is None:
            raise click.ClickException(f"{model} cannot be reached through the endpoint")
        return endpoint_asker(endpoint, name, arguments)

    grader: Any = grade
    if judge_model is not None:
        price = (priced or {}).get(judge_model)
        grader = judge(reach(judge_model), **given(rubric=rubric, price=price))
    else:
        sys.path.append("")  # MODULE:FUNCTION may be of a file in this folder
    records = collect(
        rows,
        {model: reach(model) for model in models},
        grader,
        path=output,
        prices=priced,
        **options,
    )
    answered = {m: sum(m in record.scores for record in records) for m in models}
    each = ", ".join(f"{model} {n:,}" for model, n in answered.items())
    click.echo(f"{output}: {len(records):,} records, ${records.spent:.4f} spent ({each})")
    if records.unpriced:
        click.echo(f"beside what calls of {', '.join(records.unpriced)} cost; --prices says it")
    click.echo(_STOPPED[records.stopped])
    for model in records.given_up:
        click.echo(f"{model} was not asked on: too many of its calls failed in a row")


def _prices(prices: Any, models: Sequence[str]) -> Any:
    if prices is not None:
        return find_prices(models, prices)
    try:
        return find_prices(models, "genai-prices")
    except OptionalDependencyError:
        return None


def _estimate(
    questions: Sequence[Question],
    models: Sequence[str],
    prices: Mapping[str, Price],
    max_tokens: int | None,
    judge_model: str | None,
    *,
    strategy: str,
    max_calls: int | None,
    max_usd: float | None,
    **_others: Any,
) -> str:
    """How many calls a full table is, about what it costs, and how far the budget reaches."""
    from avengers_core.embedders.tokens import estimate_tokens

    n, m = len(questions), len(models)
    prompt = sum(estimate_tokens(question.query) for question in questions)
    answers = n * min(_ANSWER_TOKENS, max_tokens or _ANSWER_TOKENS)
    # Who, how often each question, and about how many tokens are read and written in all.
    work = [(model, model, 1, prompt, answers) for model in models]
    if judge_model is not None:
        # Of each answer: the question, the answer and the rubric read, a sentence and a score said.
        read = prompt + answers + _RUBRIC_TOKENS * n
        work.append((f"{judge_model} as a judge", judge_model, m, read, _VERDICT_TOKENS * n))
    lines, total, unknown = [f"{n:,} questions x {m} models: {n * m:,} calls"], 0.0, 0
    for who, model, times, read, written in work:
        price = prices.get(model)
        cost = 0.0 if price is None else times * price.cost(read, written)
        lines.append(f"  {who}: {'price unknown' if price is None else f'${cost:.4f}'}")
        total, unknown = total + cost, unknown + (price is None)
    if any(model in prices for model in models):
        without = f", without {unknown} of unknown price" if unknown else ""
        lines.append(f"about ${total:.4f} in all{without}, at {answers // n} tokens an answer")
    else:
        lines.append("what it costs is not known: give --prices, or install the extra `prices`")
    reach = [n * m] if max_calls is None else [n * m, max_calls]
    if max_usd is not None and not unknown and total > 0:
        reach.append(int(n * m * max_usd / total))
    if min(reach) < n * m:
        lines.append(f"the budget reaches for about {min(reach):,} calls of these")
    elif strategy == "adaptive" and max_calls is None and max_usd is None:
        lines.append("adaptive stops earlier where choices stand")
    return "\n".join(lines)
