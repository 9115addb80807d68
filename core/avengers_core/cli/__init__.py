"""The command ``avengers``."""

from __future__ import annotations

import logging

import click

from avengers_core import __version__
from avengers_core.cli.evaluating import evaluate_command
from avengers_core.cli.evidence.collecting import collect_command
from avengers_core.cli.evidence.grading import feedback_command
from avengers_core.cli.evidence.importing import import_command
from avengers_core.cli.evidence.learning import learn_command, watch_command
from avengers_core.cli.fitting import fit_command, merge_command, update_command
from avengers_core.cli.inspecting import inspect_command
from avengers_core.cli.pricing import reprice_command
from avengers_core.cli.probing import probe_command
from avengers_core.cli.routing import calibrate_command, route_command
from avengers_core.cli.shared import CONTEXT_SETTINGS, Commands
from avengers_core.cli.studying import sweep_command


@click.group(cls=Commands, context_settings=CONTEXT_SETTINGS)
@click.version_option(__version__, prog_name="avengers")
def main() -> None:
    """Route each query to the model with the best balance of accuracy and cost.

    \b
    avengers route "What is the capital of France?"     who should answer?
    avengers fit records.jsonl -o artifact/             a router from your own records
    avengers evaluate --input records.jsonl             how good would it be?

    Records are JSON lines: {"query": "...", "records": {"model": score}, "usages": {"model":
    {"cost": usd}}, "dataset": "..."}. Options may be written with dashes or underscores.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)


for command in (
    calibrate_command,
    collect_command,
    evaluate_command,
    feedback_command,
    fit_command,
    import_command,
    inspect_command,
    learn_command,
    merge_command,
    probe_command,
    reprice_command,
    route_command,
    sweep_command,
    update_command,
    watch_command,
):
    main.add_command(command)
