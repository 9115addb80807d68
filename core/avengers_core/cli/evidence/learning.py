"""Commands on a log of calls: learn, watch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from avengers_core.cli.options import NewFile, artifact_option, together
from avengers_core.outputs import check_outputs

log_options = together(
    click.argument("log", type=click.Path(path_type=Path, exists=True, dir_okay=False)),
    artifact_option,
    click.option(
        "--false-alarm",
        type=click.FloatRange(0, 1, True, True),
        default=0.05,
        show_default=True,
        help="Chance of any alarm, ever, in a log without changes.",
    ),
    click.option(
        "--html",
        type=NewFile(),
        help="Also write a self-contained page with pictures (extra `plot`).",
    ),
)


@click.command("learn", short_help="Add a log's graded calls to an artifact.")
@log_options
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, help="Artifact to write."
)
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
    from avengers_core.artifact.storage import check_folder
    from avengers_core.learning import learn

    check_outputs([output, html], [log])
    check_outputs([html], [artifact])
    _check_page(html)
    check_folder(output)
    lesson = learn(log, artifact, half_life=half_life, false_alarm=false_alarm)
    lesson.artifact.save(output)
    click.echo(f"{output}: {lesson.artifact!r}")
    click.echo(str(lesson))
    _save(html, lesson.watch)


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
    _check_page(html)
    seen = watch(log, artifact, false_alarm=false_alarm)
    click.echo(str(seen))
    _save(html, seen)


def _check_page(html: Path | None) -> None:
    if html is not None:
        from avengers_core.evaluation.plots.plots import require_matplotlib

        if html.suffix != ".html":
            raise click.UsageError(f"expected a page that ends in .html, got {html.name}")
        require_matplotlib()


def _save(html: Path | None, seen: Any) -> None:
    if html is not None:
        seen.save_html(html)
        click.echo(f"wrote {html}")
