"""Help that teaches, versions, and both spellings of every option."""

from __future__ import annotations

import re

import click
import pytest

from avengers_core import __version__
from avengers_core.cli import main
from avengers_core.evaluation.evaluate import DEFAULT_ALPHAS

COMMANDS = sorted(main.commands)


def test_there_is_a_version_and_a_list_of_commands(run):
    assert run("--version").stdout == f"avengers, version {__version__}\n"
    listed = run("--help").stdout
    for command in COMMANDS:
        summary = main.commands[command].short_help
        assert f"  {command}" in listed
        assert summary in listed, "not cut"
    assert run("-h").stdout == listed


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(run, command):
    text = run(command, "--help").stdout
    assert text.startswith(f"Usage: main {command}")
    assert f"avengers {command} " in text, "shows an example"
    options = [o for o in main.commands[command].params if isinstance(o, click.Option)]
    for option in options:
        if not option.hidden:
            assert option.opts[0] in text
            assert option.help or option.default is not None, option.name
    assert max(map(len, text.splitlines())) <= 100


def test_help_says_which_alphas_are_meant(run):
    said = " ".join(run("evaluate", "--help").stdout.split())
    *some, last = (f"{alpha:g}" for alpha in DEFAULT_ALPHAS)
    assert f"Default: each of {', '.join(some)} and {last}." in said
    assert "Default: 0.5." in " ".join(run("route", "--help").stdout.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_arguments_are_explained(command):
    """Every argument is named in the text above the options."""
    found = main.commands[command]
    for argument in found.params:
        if isinstance(argument, click.Argument):
            name = (argument.metavar or argument.name or "").upper().strip("[]")
            assert name in (found.help or ""), name


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_options_are_usage_errors(run, command):
    error = run(command, "--no-such-option", code=2).stderr
    assert "--no-such-option" in error
    assert "Traceback" not in error


def test_underscores_work_wherever_dashes_do(run, artifact):
    options = "--performance{}weight 0.4 --cost{}sensitivity 0.6 --max{}router 2 --top{}k 2"
    options += " --beta 5 --scorer reference --min{}accuracy 0.01 --budget{}limit 1"
    options += " --excluded{}models odd --prompt{}tokens 50"
    dashes, underscores = (
        run("route", "alpha", "-a", artifact, "--json", *options.replace("{}", c).split()).stdout
        for c in "-_"
    )
    assert dashes == underscores
    assert '"alpha": 0.4' in dashes
    assert '"scorer": "reference"' in dashes


PUBLISHED = {
    "evaluate": """--input --output --clusters --train_ratio --performance_weight
        --cost_sensitivity --min_accuracy --budget_limit --max_router --excluded_models
        --excluded_datasets --dataset_exclusion_mode --export_cluster --seed --top_k --beta""",
    "fit": "--n_clusters --export_cluster --seed --excluded_models --excluded_datasets",
    "route": """--performance_weight --cost_sensitivity --min_accuracy_threshold --budget_limit
        --max_router --excluded_models --top_k --k --beta""",
}


@pytest.mark.parametrize("command", sorted(PUBLISHED))
def test_the_published_names_of_the_options_are_known(command):
    known = {o for p in main.commands[command].params for o in (*p.opts, *p.secondary_opts)}
    for option in PUBLISHED[command].split():
        assert re.sub("_", "-", option) in known
