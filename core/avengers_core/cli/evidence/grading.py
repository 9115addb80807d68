"""Grades on the command line."""

from __future__ import annotations

from pathlib import Path

import click

from avengers_core.cli.options import PATH


@click.command("feedback", short_help="Grade a call of a log.")
@click.argument("log", type=PATH)
@click.argument("id")
@click.argument("score", type=float)
@click.option("--source", help="Who says so, such as thumb or judge.")
def feedback_command(log: Path, id: str, score: float, source: str | None) -> None:
    """Note how good the answer to the call ID of a LOG was: a SCORE in [0, 1].

    The id is in the answer's metadata. The newest score of a call counts.

    \b
    avengers feedback calls.sqlite 3f0c9d... 1
    avengers feedback calls.sqlite 3f0c9d... 0.25 --source judge
    """
    from avengers_core.calls.grading import feedback

    given = feedback(log, id, score, source)
    click.echo(f"{log}: {given.id} has {given.score:g}")
