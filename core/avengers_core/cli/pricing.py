"""Prices on the command line: the option, and the command that applies new ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.cli.options import in_place_option
from avengers_core.cli.shared import save
from avengers_core.cli.values import PATH
from avengers_core.outputs import check_outputs
from avengers_core.records.names import counted

F = TypeVar("F", bound=Callable[..., Any])

LIBRARY = "genai-prices"


class _FromFile(dict[str, Any]):
    """Prices, and the file that they were read from."""

    def __init__(self, file: Any, prices: dict[str, Any]) -> None:
        super().__init__(prices)
        self.file = Path(str(file))


def file_of(prices: Any) -> Path | None:
    """The file that the value of ``--prices`` was read from, if it was."""
    return prices.file if isinstance(prices, _FromFile) else None


class PriceList(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """The name of the library of list prices, or a JSON file, read."""

    name = "prices"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        from avengers_core.common.files import open_named
        from avengers_core.records.prices import as_price

        if value == LIBRARY or isinstance(value, dict):
            return value
        try:
            with open_named(Path(str(value))) as stream:
                content = json.load(stream)
        except OSError as error:
            self.fail(f"{value}: {error.strerror}; give {LIBRARY} or a JSON file", param, ctx)
        except (ValueError, RecursionError):
            self.fail(f"{value} is not JSON", param, ctx)
        if not isinstance(content, dict):
            self.fail(f"{value} must hold an object of model: [input, output]", param, ctx)
        try:
            return _FromFile(value, {m: as_price(price, m) for m, price in content.items()})
        except ValueError as error:
            self.fail(f"{value}: {error}", param, ctx)


def prices_option(help: str, required: bool = False) -> Callable[[F], F]:
    """``--prices``."""
    return click.option(
        "--prices",
        type=PriceList(),
        required=required,
        help=f"{LIBRARY}, or a JSON file of {{model: [input, output]}} or [input, output, cached "
        f"input], in USD a token. {help}",
    )


@click.command("reprice", short_help="Put other prices into an artifact.")
@click.argument("artifact", type=PATH)
@in_place_option
@prices_option("Models that it does not name keep theirs.", required=True)
def reprice_command(artifact: Path, output: Path | None, prices: Any) -> None:
    """Count the costs of an ARTIFACT at other prices, without its records.

    Costs are tokens times price where the records had tokens.

    \b
    avengers reprice artifact/ -o repriced/ --prices genai-prices
    avengers reprice artifact/ --prices prices.json
    """
    check_outputs([output], [file_of(prices)])
    old = RouterArtifact.load(artifact)
    new = old.reprice(prices)
    save(
        new, output or artifact, f", {counted(len(new.info.prices), 'price')}", read=(artifact, old)
    )
