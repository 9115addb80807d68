"""A uniform sample that does not depend on how the records are cut up, or in which order done.

Every record has a pseudo-random rank, a hash of what it is; the sample are those of lowest rank
(bottom-k sampling). So one process, many and a cluster draw the same one.
"""

from __future__ import annotations

import heapq
import math
from hashlib import blake2b
from operator import itemgetter
from typing import Generic, TypeVar

T = TypeVar("T")

RANKS = 1 << 64


def rank(query: str, dataset: str, seed: int) -> int:
    """A record's place in the order that samples are drawn in: in [0, 2^64)."""
    salt = (seed % RANKS).to_bytes(8, "big")
    digest = blake2b(query.encode("utf-8", "replace"), digest_size=8, salt=salt)
    digest.update(b"\0" + dataset.encode("utf-8", "replace"))
    return int.from_bytes(digest.digest(), "big")


def likely_limit(size: int, n: int) -> int:
    """A rank that almost surely has ``size`` of n records below it, and not many more."""
    return RANKS if n <= size else min(RANKS, int(RANKS * (size + 8 * math.sqrt(size) + 8) / n))


class Lowest(Generic[T]):
    """Keeps the items of lowest rank, the first of those of equal rank.

    Args:
        size: how many.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[int, int, int, T]] = []

    def wants(self, rank: int) -> bool:
        """Whether an item of this rank might be kept."""
        return len(self._heap) < self._size or rank <= -self._heap[0][0]

    def add(self, rank: int, place: tuple[int, int], item: T) -> None:
        """Offer an item; ``place``, its part and row, decides between equal ranks."""
        heapq.heappush(self._heap, (-rank, -place[0], -place[1], item))
        if len(self._heap) > self._size:
            heapq.heappop(self._heap)

    def items(self) -> list[tuple[int, tuple[int, int], T]]:
        """Rank, place and item of those kept, by place."""
        kept = ((-r, (-p, -i), item) for r, p, i, item in self._heap)
        return sorted(kept, key=itemgetter(1))
