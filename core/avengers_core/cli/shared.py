"""What the commands share: error reporting, reading of records, what does not go together."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from avengers_core.errors import AvengersError
from avengers_core.records.loading import load_records
from avengers_core.records.names import counted, one_line
from avengers_core.records.record import Records
from avengers_core.records.sources.files import public
from avengers_core.redaction import secrets_of_environment
from avengers_core.routing.router import DEFAULT_ARTIFACT, Router
from avengers_core.scanning.batches import Problems

if TYPE_CHECKING:
    from avengers_core.artifact.artifact import RouterArtifact

CONTEXT_SETTINGS: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    # The published scripts write --train_ratio; both spellings work everywhere.
    "token_normalize_func": lambda token: token.replace("_", "-"),
    "max_content_width": 100,
    "show_default": True,
}
_SHOWN_PROBLEMS = 5
_SHOWN_PATH = 200  # characters
# What a shell reports of programs that end because nobody reads on: 128 and the number of SIGPIPE.
_CLOSED_PIPE = 141
# What to do about what the system says.
_ADVICE = {
    errno.ENOENT: "expected one that is there; check how it is spelt, and from which folder",
    errno.EACCES: "check who may read and write it, or choose another place",
    errno.EISDIR: "expected a file",
    errno.ENOTDIR: "expected a folder where the path has a file",
    errno.ENAMETOOLONG: "choose a shorter one",
    errno.EROFS: "choose a place that can be written to",
    errno.ENOSPC: "make room, and give the same command again",
}
_ADVICE |= {errno.EPERM: _ADVICE[errno.EACCES], errno.EDQUOT: _ADVICE[errno.ENOSPC]}
# name=value, or name= alone; not where the message gives the option itself.
_ARGUMENT = re.compile(r"""\b(?P<name>[a-z_]+)=(?! \(--)(?P<value>"[^"]*"|'[^']*'|[\w.+-]*\w)?""")


class Commands(click.Group):
    """A group whose commands report expected errors in one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # A reader that has seen enough is no error. What is still buffered can go nowhere, of
            # which Python would complain at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(_CLOSED_PIPE)
        except (AvengersError, ValueError, OSError) as error:
            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            said = of_system(error) if isinstance(error, OSError) else str(error)
            text = secrets_of_environment().masked(said)
            lines = in_flags(text, command or self).split("\n")
            raise click.ClickException("\n".join(map(one_line, lines))) from error


def of_system(error: OSError) -> str:
    """What the system says of a file or folder, and what to do about it."""
    if error.errno is None or error.strerror is None:
        return str(error)
    files = (public(os.fsdecode(f)) for f in (error.filename, error.filename2) if f is not None)
    said = ": ".join((*map(_shortened, files), error.strerror))
    return "; ".join(filter(None, (said, _ADVICE.get(error.errno))))


def _shortened(file: str) -> str:
    return file if len(file) <= _SHOWN_PATH else f"{file[:_SHOWN_PATH]}…"


def in_flags(text: str, command: click.Command) -> str:
    """A text that names arguments as Python does (``max_cost=1``), as a command spells them.

    Args:
        text: of an error, or of a decision that is explained.
        command: whose options count; other names stay as they are.
    """
    options = {o.name: o for o in command.params if isinstance(o, click.Option)}

    def spelt(argument: re.Match[str]) -> str:
        option, value = options.get(argument["name"]), argument["value"]
        if option is None:
            return argument[0]
        return f"{option.opts[0]} {value}" if value and not option.is_flag else option.opts[0]

    return _ARGUMENT.sub(spelt, text)


def refuse(names: Collection[str], why: str) -> None:
    """Refuse options of the current command that would be ignored.

    Args:
        names: of their parameters.
        why: what follows "cannot be used".

    Raises:
        click.UsageError: one of them was given.
    """
    ctx = click.get_current_context()
    flags = [
        option.opts[0]
        for option in ctx.command.params
        if option.name in names
        and ctx.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]
    if flags:
        raise click.UsageError(f"{', '.join(flags)} cannot be used {why}")


def show_problems(problems: Problems | Sequence[object], where: str) -> None:
    """Say on standard error how many rows were rejected, and show the first few."""
    count = problems.count if isinstance(problems, Problems) else len(problems)
    first = problems.first if isinstance(problems, Problems) else problems
    if not count:
        return
    click.echo(one_line(f"{where}: {counted(count, 'row')} rejected"), err=True)
    for problem in first[:_SHOWN_PROBLEMS]:
        click.echo(one_line(f"  {problem}"), err=True)
    if count > _SHOWN_PROBLEMS:
        click.echo(f"  ... and {count - _SHOWN_PROBLEMS:,} more", err=True)


def save(
    artifact: RouterArtifact,
    output: Path,
    more: str = "",
    *,
    read: tuple[Path | None, RouterArtifact] | None = None,
) -> None:
    """Write an artifact, and say what it is.

    Args:
        artifact: what to write.
        output: where.
        more: to be said of it.
        read: where what it was made of was read (None: it is the shipped one), and that: in its
            own place nothing is written where another program has written meanwhile.
    """
    path, before = read or (None, None)
    in_place = path is not None and os.path.realpath(path) == os.path.realpath(output)
    artifact.save(output, replacing=before if in_place else None)
    click.echo(f"{output}: {artifact!r}{more}")


def given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {k: v for k, v in options.items() if v is not None and v != ()}


def open_router(artifact: Path | None, **options: Any) -> Router:
    """The router of ``--artifact``, or the default one."""
    return Router.load(artifact or DEFAULT_ARTIFACT, **given(**options))


def read_records(paths: Sequence[Path | str], **reading: Any) -> Records:
    """All records of some files; bad rows are counted on standard error, the first few shown."""
    records = load_records(list(paths), **reading)
    show_problems(records.problems, "input")
    if not records:
        raise click.ClickException(f"no record in {', '.join(public(str(path)) for path in paths)}")
    return records


def file_names(paths: Sequence[Path | str]) -> str:
    """What files are called, without their folders."""
    return ", ".join(Path(public(str(path))).name for path in paths)
