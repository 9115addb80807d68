"""The options that several commands have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

import click

from avengers_core.cli.shared import given
from avengers_core.cli.values import PATH, SHARE, InputPath, NewArtifact
from avengers_core.routing.policy import alpha_from_weights

F = TypeVar("F", bound=Callable[..., Any])


def names(*declarations: str, help: str) -> Callable[[F], F]:
    """An option for a list of names."""
    return click.option(
        *declarations,
        metavar="NAMES",
        multiple=True,
        help=help + " Separate with commas, or repeat the option.",
        callback=_names,
    )


def _names(ctx: click.Context, option: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    each = [[name.strip() for name in text.split(",") if name.strip()] for text in given]
    if [] in each:  # it would be as if the option were not there
        got = given[each.index([])]
        raise click.BadParameter(f"expected names, separated by commas, got {got!r}", ctx, option)
    return tuple(name for names in each for name in names)


def together(*options: Callable[[F], F], into: str = "") -> Callable[[F], F]:
    """Options that several commands have, as one decorator; help shows them in this order.

    Args:
        options: decorators.
        into: the command gets those that were given as one mapping of this name; default, each by
            itself.
    """

    def decorate(function: F) -> F:
        found: Any = function
        before = len(getattr(function, "__click_params__", ()))
        if into:

            @wraps(function)
            def found(**values: Any) -> Any:
                mapping = given(**{name: values.pop(name) for name in grouped})
                return function(**{into: mapping}, **values)

        for option in reversed(options):
            found = option(found)
        grouped = [option.name for option in found.__click_params__[before:]]
        return cast("F", found)

    return decorate


artifact_option = click.option(
    "--artifact",
    "-a",
    type=PATH,
    envvar="AVENGERS_ARTIFACT",
    help="Artifact folder. Default: $AVENGERS_ARTIFACT, else the one that ships with the package.",
)

in_place_option = click.option("--output", "-o", type=NewArtifact(), help="Default: in place.")

records_option = click.option(
    "--input",
    "-i",
    "records",
    type=InputPath(),
    multiple=True,
    required=True,
    help="Records: a file, folder, pattern or address, as `fit` takes them; repeat for several.",
)

scorer_options = together(
    click.option(
        "--scorer",
        type=click.Choice(["calibrated", "paper", "reference"]),
        help="calibrated (default), paper (arXiv 2508.12631) or reference (its published code).",
    ),
    click.option("--top-k", "--k", type=click.IntRange(1), help="Clusters that vote."),
    click.option("--beta", type=float, help="Sharpness of the clusters' votes."),
    into="scoring",
)


def alpha_options(default: str) -> Callable[[F], F]:
    """``--alpha``, or the published ``--performance-weight`` and ``--cost-sensitivity``.

    The command gets those that were given as ``balance``, for :func:`one_alpha`.
    """
    return together(
        click.option(
            "--alpha",
            type=SHARE,
            help=f"Weight of score against cost: 0 = cheapest, 1 = best. Default: {default}.",
        ),
        click.option(
            "--performance-weight",
            type=click.FloatRange(0),
            help="With --cost-sensitivity another way to give alpha: pw / (pw + cs). One of "
            "them alone lies in [0, 1], and the other is 1 minus it.",
        ),
        click.option("--cost-sensitivity", type=click.FloatRange(0), help="See above."),
        into="balance",
    )


def one_alpha(balance: Mapping[str, float]) -> float | None:
    """The alpha that options of :func:`alpha_options` come to; None where none was given."""
    if not balance:
        return None
    if len(balance) > 1 and "alpha" in balance:
        raise click.UsageError("give --alpha, or the two weights, not both")
    if len(balance) == 1:
        ((name, given),) = balance.items()
        if given > 1:
            flag = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{flag} alone must lie in [0, 1], got {given:g}; give both")
    return balance["alpha"] if "alpha" in balance else alpha_from_weights(**balance)


train_ratio_option = click.option(
    "--train-ratio",
    type=click.FloatRange(0, 1, True, True),
    default=0.7,
    help="Share of each dataset to fit on; the rest is held out.",
)

# The command gets it as ``on_empty``.
relax_option = click.option(
    "--relax",
    "on_empty",
    is_flag=True,
    flag_value="relax",
    default=None,
    help="If the limits leave nobody, take the nearest model.",
)

constraint_options = together(
    names("--models", help="The only models to use."),
    names("--exclude", "--excluded-models", help="Models not to use."),
    click.option(
        "--fallback",
        help="Model for queries unlike the records: without --min-familiarity, the least "
        "familiar 5 %.",
    ),
    click.option(
        "--min-familiarity",
        type=SHARE,
        help="Queries less like the records than all but this share of them go to --fallback; "
        "without one, by overall means.",
    ),
    click.option(
        "--min-support",
        type=SHARE,
        help="Lowest share of an expectation that rests on records of the model itself.",
    ),
    click.option(
        "--min-score",
        "--min-accuracy",
        "--min-accuracy-threshold",
        type=SHARE,
        help="Lowest expected score.",
    ),
    click.option(
        "--max-cost",
        "--budget-limit",
        type=click.FloatRange(0),
        help="Highest expected cost, USD a call.",
    ),
)


_ENGINES = (
    "memory: this process, with all at once. In parts, files of any size in constant memory: "
    "serial (this process), processes (of this machine), ray (a cluster; $RAY_ADDRESS)."
)


def engine_options(default: str, *aliases: str, engines: str = _ENGINES) -> Callable[[F], F]:
    """``--engine`` and ``--workers``.

    Args:
        default: the engine.
        aliases: what ``--workers`` is called before all.
        engines: what the engines are.
    """

    return together(
        click.option(
            "--engine",
            type=click.Choice(["memory", "serial", "processes", "ray"]),
            default=default,
            is_eager=True,
            help=f"Who does the work. {engines}",
        ),
        click.option(
            *aliases,
            "--workers",
            "workers",
            type=click.IntRange(1),
            callback=_workers,
            help="Processes, or tasks of Ray, at a time. Default: one a processor.",
        ),
        into="work",
    )


def _workers(ctx: click.Context, option: click.Parameter, value: int | None) -> int | None:
    engine = ctx.params.get("engine")
    if value is not None and engine in ("memory", "serial"):
        raise click.UsageError(
            f"{option.opts[0]} cannot be used with --engine {engine}, where one process does "
            f"the work; give --engine processes or ray"
        )
    return value
