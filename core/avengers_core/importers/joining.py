"""Results of single models, joined into one row for each query."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

Scale = tuple[float, float]


class Join:
    """Collects results; a model's second result on the same query begins another row."""

    def __init__(self) -> None:
        self._rows: dict[Hashable, list[dict[str, Any]]] = {}

    def add(
        self,
        key: Hashable,
        model: str,
        score: float | None,
        *,
        query: str,
        dataset: str,
        index: int | str | None = None,
        **usage: float | None,
    ) -> None:
        """Add one result.

        Args:
            key: equal for results on the same query.
            model: whose it is.
            score: in [0, 1], or None.
            query: the text.
            dataset: where it is from.
            index: its number there.
            usage: ``cost`` (USD), ``prompt_tokens``, ``completion_tokens``.
        """
        rows = self._rows.setdefault(key, [])
        row = next((r for r in rows if model not in r["records"]), None)
        if row is None:
            row = {"query": query, "records": {}, "usages": {}, "dataset": dataset, "index": index}
            rows.append(row)
        row["records"][model] = score
        known = {k: v for k, v in usage.items() if v is not None}
        if known:
            row["usages"][model] = known

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows, in order of first appearance."""
        for rows in self._rows.values():
            yield from rows


def scaled(score: float | None, scale: Scale | None) -> float | None:
    """A score brought to [0, 1].

    Raises:
        ValueError: it lies outside of the scale.
    """
    if score is None:
        return None
    low, high = scale or (0.0, 1.0)
    if not low <= score <= high:
        raise ValueError(f"the score {score:g} lies outside of [{low:g}, {high:g}]")
    return (score - low) / (high - low)
