"""The queries of files: rows with a text ``query``, or lines of plain text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from avengers_core.common.plain import encodable, of_json
from avengers_core.records.record import Record, RecordProblem
from avengers_core.records.sources.parts import Part, read
from avengers_core.records.sources.streams import Row
from avengers_core.scanning.batches import batched


def query_rows(part: Part) -> Iterator[tuple[dict[int, str], dict[int, RecordProblem]]]:
    """Queries of a part by their row, a few thousand at a time, and the rows without one.

    A row is an object with a text ``query``, or a line of plain text.
    """
    for rows in batched(read(part)):
        found = [(number, query_of(item, number)) for number, item in rows]
        yield (
            {number: query for number, query in found if isinstance(query, str)},
            {number: query for number, query in found if not isinstance(query, str)},
        )


def query_of(item: Row | Record, number: int) -> str | RecordProblem:
    """The query of a row, which is ``number`` in its file, or what is wrong with it.

    A line that begins with ``{`` is JSON and must hold a text ``query``; any other is the query.
    """
    if isinstance(item, RecordProblem):
        return item
    excerpt = item[:80].decode("utf-8", "replace") if isinstance(item, bytes) else str(item)[:80]
    if isinstance(item, bytes):
        if not item.startswith(b"{"):
            try:
                return item.decode()
            except UnicodeDecodeError as error:
                return RecordProblem(number, f"not UTF-8 ({error.reason})", excerpt)
        try:
            item = of_json(item)
        except ValueError as error:
            return RecordProblem(number, f"not JSON ({error})", excerpt)
    query = item.get("query") if isinstance(item, Mapping) else None
    if isinstance(query, str):
        return encodable(query)
    return RecordProblem(number, "expected an object with a text `query`", excerpt)
