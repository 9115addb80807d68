"""Commands on a log of calls: feedback, learn, watch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from avengers_core.cli.options import artifact_option, together
from avengers_core.cli.shared import open_router, save
from avengers_core.cli.values import FILE, PATH, NewArtifact, NewFile
from avengers_core.outputs import check_outputs

log_options = together(
    click.argument("log", type=FILE),
    artifact_option,
    click.option(
        "--false-alarm",
        type=click.FloatRange(0, 1, True, True),
        default=0.05,
        help="Chance of any alarm, ever, in a log without changes.",
    ),
    click.option(
        "--html",
        type=NewFile(".html"),
        help="Also write a self-contained page with pictures (extra `plot`).",
    ),
)


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


@click.command("learn", short_help="Add a log's graded calls to an artifact.")
@log_options
@click.option("--output", "-o", type=NewArtifact(), required=True, help="Artifact to write.")
@click.option("--half-life", help="Time after which evidence counts half: 12h, 30d, 4w.")
def learn_command(
    log: Path,
    artifact: Path | None,
    output: Path,
    half_life: str | None,
    false_alarm: float,
    html: Path | None,
) -> None:
    """Add the graded calls of a LOG, which the plugins' `log=` wrote, to an artifact.

    Says which models moved, which clusters decide otherwise, and what `avengers watch` says. A
    call is learnt once, so the same command may run every night.

    \b
    avengers learn calls.sqlite -a artifact/ -o artifact/ --half-life 30d
    """
    from avengers_core.learning import learn

    check_outputs([output, html], [log])
    check_outputs([html], [artifact])
    router = open_router(artifact)
    lesson = learn(log, router, half_life=half_life, false_alarm=false_alarm)
    save(lesson.artifact, output, read=(artifact, router.artifact))
    click.echo(str(lesson))
    _save_page(html, lesson.watch)


@click.command("watch", short_help="Compare a log with what was promised; find changes.")
@log_options
def watch_command(log: Path, artifact: Path | None, false_alarm: float, html: Path | None) -> None:
    """Compare the calls of a LOG with what the router promised, and say what has changed.

    Nothing is written but the page. It may be run as often as one likes: the chance of a false
    alarm does not grow.

    \b
    avengers watch calls.sqlite -a artifact/ --html page.html
    """
    from avengers_core.learning import watch

    check_outputs([html], [log, artifact])
    seen = watch(log, artifact, false_alarm=false_alarm)
    click.echo(str(seen))
    _save_page(html, seen)


def _save_page(html: Path | None, seen: Any) -> None:
    if html is not None:
        seen.save_html(html)
        click.echo(f"wrote {html}")
