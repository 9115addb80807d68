"""The command that makes records: collect."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from avengers_core.cli.options import names
from avengers_core.cli.pricing import file_of, prices_option
from avengers_core.cli.questions import read_questions
from avengers_core.cli.shared import given, refuse
from avengers_core.cli.values import FILE, SEED, NewFile
from avengers_core.errors import OptionalDependencyError
from avengers_core.outputs import check_outputs
from avengers_core.records.names import counted
from avengers_core.records.prices import find_prices

_JUDGE = "judge:"
_SCHEMA = "json:"
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
@click.option("--dry-run", is_flag=True, help="Say how many calls are left, and about how much.")
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
    from avengers_core.cli.evidence.estimating import estimate
    from avengers_core.collecting import collect, judge
    from avengers_core.collecting.answers import endpoint_asker
    from avengers_core.collecting.collect import check_gradable
    from avengers_core.collecting.journal import journal_of
    from avengers_core.records.questions import as_questions
    from avengers_core.serving.backends.endpoints import find_endpoint

    models = tuple(dict.fromkeys(models))
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

    def grader(ask: Any) -> Any:
        if judge_model is None:
            return grade
        price = (priced or {}).get(judge_model)
        return judge(ask, **given(rubric=rubric, price=price, name=judge_model))

    sys.path.append("")  # MODULE:FUNCTION may be of a file in this folder
    if dry_run:
        asked, unasked = as_questions(rows), grader(str)
        check_gradable(asked, unasked)
        limits = {"judge_model": judge_model, "max_tokens": max_tokens, **options}
        click.echo(estimate(asked, models, unasked, output, priced or {}, **limits))
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

    records = collect(
        rows,
        {model: reach(model) for model in models},
        grader(judge_model and reach(judge_model)),
        path=output,
        prices=priced,
        **options,
    )
    answered = {m: sum(m in record.scores for record in records) for m in models}
    each = ", ".join(f"{model} {n:,}" for model, n in answered.items())
    click.echo(f"{output}: {counted(len(records), 'record')}, ${records.spent:.4f} spent ({each})")
    if records.unpriced:
        click.echo(f"beside what calls of {', '.join(records.unpriced)} cost; --prices says it")
    click.echo(_STOPPED[records.stopped])
    for model in records.given_up:
        click.echo(f"{model} was not asked on: too many of its calls failed in a row")
    if records.failures and not any(answered.values()):
        raise click.ClickException("no call brought a score, and there is nothing to fit")


def _prices(prices: Any, models: Sequence[str]) -> Any:
    if prices is not None:
        return find_prices(models, prices)
    try:
        return find_prices(models, "genai-prices")
    except OptionalDependencyError:
        return None
