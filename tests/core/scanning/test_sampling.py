"""Samples that do not depend on how the records are cut up."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from avengers_core.scanning.sampling import RANKS, Lowest, likely_limit, rank


def drawn(queries, size, seed):
    """The rows, ascending, of those of lowest rank."""
    ranks = [rank(query, "d", seed) for query in queries]
    return sorted(sorted(range(len(queries)), key=lambda i: (ranks[i], i))[:size])


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 10), st.integers(1, 7))
def test_parts_draw_the_sample_of_the_whole(numbers, size, parts):
    queries = [f"q{i}" for i in numbers]  # with repetitions
    whole = drawn(queries, size, seed=1)
    total: Lowest[int] = Lowest(size)
    for part, rows in enumerate(np.array_split(np.arange(len(queries)), parts)):
        lowest: Lowest[int] = Lowest(size)
        for row in rows.tolist():
            place = rank(queries[row], "d", 1)
            if lowest.wants(place):
                lowest.add(place, (part, row), row)
        for kept in lowest.items():
            total.add(*kept)
    assert [row for _, _, row in total.items()] == whole


def test_it_is_uniform_and_depends_on_the_seed():
    queries = [str(i) for i in range(20_000)]
    one = drawn(queries, 2_000, 0)
    other = drawn(queries, 2_000, 1)
    assert abs(np.mean(one) - 10_000) < 500
    assert len(set(one) & set(other)) < 400


def test_the_limit_holds_the_sample():
    ranks = sorted(rank(str(i), "d", 0) for i in range(50_000))
    limit = likely_limit(1_000, 50_000)
    below = sum(r <= limit for r in ranks)
    assert 1_000 <= below < 1_600
    assert likely_limit(10, 5) == RANKS
