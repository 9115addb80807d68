"""Names of models and datasets: what they may be, and how they are shown.

They come from files of others and go to terminals, tables, pictures, pages and file formats. What
no output could show is refused where it comes in; what is special to one format only, such as the
``|`` of a Markdown table or the ``=`` of a spreadsheet, is escaped by whoever writes that format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice

MAX_NAME = 256
_SHOWN = 80
_MOST_MEANT = 5


def fault_of_name(name: str) -> str | None:
    """Why a text cannot name a model or a dataset, in words, or None.

    A name has 1 to 256 characters that can be printed, in the sense of :meth:`str.isprintable`:
    no control characters, line ends, lone surrogates, or marks of writing direction.
    """
    if not name:
        return "a name is empty"
    if len(name) > MAX_NAME:
        return f"a name may have {MAX_NAME} characters, {shown([name[:20]])} has {len(name):,}"
    if not name.isprintable():
        bad = next(c for c in name if not c.isprintable())
        return f"a name cannot hold the character U+{ord(bad):04X}, as {shown([name])} does"
    return None


def one_line(text: str) -> str:
    """A text without line ends and what else a terminal would obey."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def shown(values: Iterable[object], most: int = 10) -> str:
    """A few values for an error's message: on one line, each shortened, of many the first ones."""
    texts = [one_line(repr(value)) for value in values]
    cut = [t if len(t) <= _SHOWN else t[: _SHOWN - 1] + "…" for t in texts[:most]]
    return few(cut, most, len(texts))


def few(texts: Sequence[str], most: int, n: int | None = None) -> str:
    """The first of some texts, and how many more there are: of n, if these are not all."""
    more = (len(texts) if n is None else n) - most
    return ", ".join(texts[:most]) + (f" and {more:,} more" if more > 0 else "")


def meant(unknown: Iterable[object], known: Iterable[str]) -> str:
    """A question for an error's message: which models names that are no model's may be meant for.

    A model is also known without its provider. Nothing, where none is like them; of many names, as
    of another catalogue, only the first are looked at, for each takes milliseconds.
    """
    names = {name: model for model in known for name in (model, model.rpartition("/")[2])}
    near = [get_close_matches(str(name), names, n=1) for name in islice(unknown, _MOST_MEANT)]
    models = dict.fromkeys(names[name] for found in near for name in found)
    return f" (did you mean {', '.join(map(repr, models))}?)" if models else ""


def counted(n: int, one: str, many: str = "") -> str:
    """So many things, as ``1 row`` or ``2,000 rows``; ``many``: if that is no usual plural."""
    usual = f"{one[:-1]}ies" if one.endswith("y") else f"{one}s"
    return f"{n:,} {one if n == 1 else many or usual}"


def check_rows(expected: str, given: object) -> None:
    """Raise TypeError for one row in place of several, for a table, and for what holds none.

    A table of pandas or of another library would give the names of its columns.

    Args:
        expected: what it should be, in words.
        given: what is to give row after row.
    """
    got = f"expected {expected}, got {type(given).__name__}"
    if isinstance(given, str | bytes | Mapping):
        raise TypeError(f"{got}, which is one alone: pass a list")
    if not callable(getattr(given, "columns", print)):  # rows of SQLAlchemy have a method
        raise TypeError(
            f"{got}: pass its rows, such as table.to_dict('records'), or write it as Parquet and "
            f"pass the path"
        )
    if not isinstance(given, Iterable):
        raise TypeError(got)


def check_list(name: str, value: object) -> None:
    """Raise ValueError for what is neither None nor a list of models' names, which no text is."""
    if value is not None and (isinstance(value, str | bytes) or not isinstance(value, Iterable)):
        raise ValueError(f"{name} must be a list of model ids, got {value!r}")
