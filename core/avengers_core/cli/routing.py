"""Commands that ask a router: route, calibrate."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from avengers_core.cli.options import (
    alpha_options,
    artifact_option,
    constraint_options,
    engine_options,
    one_alpha,
    relax_option,
    scorer_options,
)
from avengers_core.cli.shared import given, in_flags, open_router, refuse, show_problems
from avengers_core.cli.values import PATH, SHARE, APath
from avengers_core.common.files import check_ends
from avengers_core.outputs import check_outputs
from avengers_core.records.names import counted
from avengers_core.records.record import RecordProblem
from avengers_core.records.sources.parts import rows_of_file
from avengers_core.records.sources.streams import rows_of
from avengers_core.routing.decision import RoutingDecision
from avengers_core.routing.decision.explaining import usd
from avengers_core.routing.router import Router

_BATCH = 1024


class _Queries(APath):
    """A file of queries; - is standard input."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, allow_dash=True, path_type=str)

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        file = str(super().convert(value, param, ctx))
        try:
            if file != _STDIN:
                check_ends(Path(file))
        except OSError as error:
            self.fail(f"{file}: {error.strerror}", param, ctx)
        return file


_STDIN = "-"


@click.command("route", short_help="Say which model should answer a query.")
@click.argument("query", nargs=-1)
@click.option(
    "--file",
    "-f",
    "source",
    type=_Queries(),
    help="One query a line. A line that begins with { is JSON and must hold a text `query`, any "
    "other is the question as it stands; blank lines are skipped. Or a JSON array, a table (CSV) "
    "or Parquet with `query`. Decisions begin with the number of their row. - is standard input.",
)
@artifact_option
@alpha_options("0.5")
@constraint_options
@click.option("-n", "--max-router", "n", type=click.IntRange(1), help="Name the n best models.")
@click.option("--prompt-tokens", type=click.IntRange(0), help="Length of the whole prompt.")
@relax_option
@scorer_options
@click.option("--explain", is_flag=True, help="Show the ranking and the clusters that voted.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a query.")
@click.option(
    "--output",
    "-o",
    type=PATH,
    help="Folder for decisions on whole files, which then stand in place of QUERY. A job that was "
    "killed goes on where it was.",
)
@engine_options("processes")
def route_command(
    query: tuple[str, ...],
    source: str | None,
    artifact: Path | None,
    balance: dict[str, float],
    scoring: dict[str, Any],
    explain: bool,
    as_json: bool,
    output: Path | None,
    work: dict[str, Any],
    **arguments: Any,
) -> None:
    """Say which model should answer QUERY (or each line of a file, or of standard input).

    With --output, QUERY stands for files, folders or patterns, of any size, of what --file takes.

    \b
    avengers route "Prove that there are infinitely many primes" --alpha 0.8
    avengers route -f questions.txt --alpha 0.3 --max-cost 0.01 --json > decisions.jsonl
    echo "Write a haiku" | avengers route --explain
    avengers route "logs/*.parquet" --engine ray --output decisions/
    """
    call = given(alpha=one_alpha(balance), **arguments)
    if output is not None:
        if source is not None or not query:
            raise click.UsageError("with --output, give the files as arguments")
        refuse(("explain", "as_json"), "with --output, which writes files of JSON lines")
        check_outputs([output], [query, artifact])
        router = open_router(artifact, **scoring)
        _route_files(router, query, output, **work, **call)
        return
    refuse(("engine", "workers"), "without --output")
    if as_json:
        refuse(("explain",), "with --json, which holds all of it")
    if len(query) > 1:
        raise click.UsageError(f"one QUERY, please, in quotation marks; got {len(query)}")
    if query and source is not None:
        raise click.UsageError("give a QUERY or --file, not both")
    # Standard input is None where it was closed.
    if not query and source is None and (sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError("give a QUERY, --file, or queries on standard input")
    router = open_router(artifact, **scoring)
    show = partial(_show, as_json=as_json, explain=explain)
    if query:
        show(None, query[0], router.route_batch(query, **call)[0])
        return
    rows = _rows(source or _STDIN)
    problems: list[RecordProblem] = []
    decided = 0
    while batch := list(itertools.islice(rows, _BATCH)):
        texts = [item for _, item in batch if isinstance(item, str)]
        decisions = iter(router.route_batch(texts, **call))
        decided += len(texts)
        for number, item in batch:
            if isinstance(item, str):
                show(number, item, next(decisions))
                continue
            problems.append(item)
            if as_json:
                click.echo(json.dumps({"row": number, "error": item.reason}, ensure_ascii=False))
    show_problems(problems, "input")
    _fail_without(decided, len(problems))
    if not decided:  # nothing in, nothing out; but a file may be another than was meant
        where = "standard input" if source in (None, _STDIN) else source
        click.echo(f"no query in {where}", err=True)


def _show(
    number: int | None, query: str, decision: RoutingDecision, *, as_json: bool, explain: bool
) -> None:
    """Print a decision; ``number``, that of its line, stands in front."""
    if as_json:
        row = {} if number is None else {"row": number}
        content = {**row, "query": query, **decision.to_dict()}
        click.echo(json.dumps(content, ensure_ascii=False))
        return
    text = str(decision)
    if explain:
        text = in_flags(decision.explain(), click.get_current_context().command) + "\n"
    click.echo(text if number is None else f"{number}: {text}")


def _route_files(router: Router, inputs: tuple[str, ...], output: Path, **call: Any) -> None:
    from avengers_core.jobs.routing import route

    done = route(router, inputs, output, **call)
    again = f", {done.skipped} of them there already" if done.skipped else ""
    click.echo(
        f"{output}: {counted(done.rows, 'decision')} in {counted(len(done.files), 'file')}{again}"
    )
    if done.rejected:
        click.echo(
            f"{counted(done.rejected, 'row')} without a query; each has a line with `error`",
            err=True,
        )
    _fail_without(done.rows, done.rejected)


def _fail_without(decided: int, rejected: int) -> None:
    """Let the command fail where there were rows, and not one was routed."""
    if rejected and not decided:
        raise click.ClickException("none of the rows holds a query")


def _rows(source: str) -> Iterator[tuple[int, str | RecordProblem]]:
    """The rows that are not blank, by their number from 1: the query, or what is wrong."""
    from avengers_core.jobs.queries import query_of

    for number, row in rows_of(sys.stdin.buffer) if source == _STDIN else rows_of_file(source):
        yield number, query_of(row, number)


@click.command("calibrate", short_help="Find alpha for a cost, score or saving.")
@artifact_option
@click.option("--cost", type=click.FloatRange(0), help="At most this mean cost, USD a call.")
@click.option("--score", type=SHARE, help="At least this mean score.")
@click.option(
    "--saving",
    type=click.FloatRange(0, 1, max_open=True),
    help="This share less than always asking the best single model, e.g. 0.27.",
)
@click.option(
    "--queries",
    type=_Queries(),
    help="A sample of your queries, as `route --file` takes them. Default: the "
    "artifact's own records.",
)
@constraint_options
@relax_option
@scorer_options
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def calibrate_command(
    artifact: Path | None,
    cost: float | None,
    score: float | None,
    saving: float | None,
    queries: str | None,
    scoring: dict[str, Any],
    as_json: bool,
    **limits: Any,
) -> None:
    """Find the alpha that is expected to meet a target of cost, score or saving.

    \b
    avengers calibrate --saving 0.27
    avengers calibrate --cost 0.002 --queries my-questions.txt
    """
    if sum(target is not None for target in (cost, score, saving)) != 1:
        raise click.UsageError("give exactly one of --cost, --score and --saving")
    router = open_router(artifact, **scoring)
    sample = None
    if queries is not None:
        rows = [item for _, item in _rows(queries)]
        sample = [item for item in rows if isinstance(item, str)]
        show_problems([item for item in rows if not isinstance(item, str)], "queries")
    path = router.alpha_path(sample, **given(**limits))
    target = path.target(cost=cost, score=score, saving=saving)
    if as_json:
        click.echo(json.dumps(target._asdict()))
    else:
        click.echo(
            f"alpha {target.alpha:.4f}: expected score {target.score:.3f}, "
            f"expected cost {usd(target.cost)} a call"
        )
