"""The command ``avengers``."""

from __future__ import annotations

import logging

import click

from avengers_core import __version__
from avengers_core.cli import (
    evaluating,
    fitting,
    inspecting,
    pricing,
    routing,
    studying,
)
from avengers_core.cli.evidence import collecting, importing, learning, probing
from avengers_core.cli.shared import CONTEXT_SETTINGS, Commands

_COMMANDS = (
    *(evaluating, fitting, inspecting, pricing, routing, studying),
    *(collecting, importing, learning, probing),
)


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


for module in _COMMANDS:
    for command in vars(module).values():
        if isinstance(command, click.Command):
            main.add_command(command)
