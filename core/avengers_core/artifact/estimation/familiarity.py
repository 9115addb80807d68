"""How like the records a query is, as the share of the records that are no more like the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.clusters import unit
from avengers_core.artifact.parts.arrays import check_arrays
from avengers_core.common.arrays import Floats
from avengers_core.common.functions import cached_property
from avengers_core.embedders.surface import BEYOND_ASCII

# Half degrees from 0 to 180, and twentieths.
_ANGLES = np.linspace(0, np.pi, 361)
_PARTS = 20
_FOREIGN = np.linspace(0, 1, _PARTS + 1)
# Steps from 0 to 2 of the table in which the distances of unit vectors are looked up. Near a
# cluster distances grow as angles do, where cosines hardly change.
_DISTANCES = 4096
_SQUARED = _DISTANCES**2 / 2


@dataclass(frozen=True, eq=False)
class Familiarity:
    """How many records lie how near to a cluster, and in what writing; counts add up.

    Two things make a query unlike the records: its vector lies far from every cluster, or more of
    its bytes are beyond ASCII than of theirs. The second tells languages apart that an embedder
    does not know, and puts side by side.

    A record that a cluster was made of is nearer to it than a new query like it would be. So its
    angle is that to the cluster without it.

    Attributes:
        members: (K,) distinct queries that each cluster was made of, 0 where it is not known;
            settled when an artifact is fitted, as centroids are.
        angles: (360,) records at 0 to half a degree from their nearest cluster, to a whole, ...
        foreign: (20,) records of whose bytes 0 to 5 % are beyond ASCII, to 10 %, and so on.
    """

    members: npt.NDArray[np.float64]
    angles: npt.NDArray[np.float64]
    foreign: npt.NDArray[np.float64]

    @classmethod
    def of(cls, labels: npt.NDArray[np.int64], k: int) -> Familiarity:
        """For clusters made of n queries, of which the (n,) labels are; without records."""
        return cls(np.bincount(labels, minlength=k).astype(np.float64), *_no_records())

    def emptied(self) -> Familiarity:
        """The same clusters without records."""
        return Familiarity(self.members, *_no_records())

    def collect(
        self, vectors: Floats, features: Floats, labels: npt.NDArray[np.int64], centroids: Floats
    ) -> Familiarity:
        """The same clusters with records.

        Args:
            vectors: (n, d) unit vectors.
            features: (n, 11) surface features.
            labels: (n,) their clusters.
            centroids: (K, d).
        """
        cosine = vectors @ unit(centroids).T
        members = self.members[labels][:, None]
        others = members * centroids[labels] - vectors
        length = np.linalg.norm(others, axis=1)
        without = np.einsum("ij,ij->i", others, vectors) / np.maximum(length, 1e-12)
        own = np.where(members[:, 0] > 1, without, -1.0)
        rows = np.arange(len(vectors))
        cosine[rows, labels] = np.where(members[:, 0] > 0, own, cosine[rows, labels])
        angle = np.arccos(np.clip(cosine.max(axis=1), -1.0, 1.0))
        angles, _ = np.histogram(angle, _ANGLES)
        foreign, _ = np.histogram(features[:, BEYOND_ASCII], _FOREIGN)
        return Familiarity(self.members, angles.astype(np.float64), foreign.astype(np.float64))

    def faded(self, factor: float) -> Familiarity:
        """The same clusters with counts that weigh ``factor`` times as much."""
        return replace(self, angles=self.angles * factor, foreign=self.foreign * factor)

    def __add__(self, other: Familiarity) -> Familiarity:
        return replace(
            self, angles=self.angles + other.angles, foreign=self.foreign + other.foreign
        )

    @cached_property
    def _tables(self) -> tuple[Floats, Floats]:
        """Share of the records at a distance or further, and as far beyond ASCII or further.

        Those in the same half degree count: of records that are all alike, each is familiar.
        """
        angle = 2 * np.arcsin(np.linspace(0, 1, _DISTANCES + 1))
        place = np.searchsorted(_ANGLES, angle, side="right") - 1
        return _beyond(self.angles).take(place, mode="clip"), _beyond(self.foreign)

    def __call__(self, cosine: Floats | float, beyond_ascii: Floats | None) -> Floats | float:
        """(n,) share of the records that are no more like the rest, in [0, 1].

        Args:
            cosine: (n,) of the query and the centroid nearest to it; a number for one query, of
                which the share is a number, too: arrays of one would take several times as long.
            beyond_ascii: (n,) share of bytes beyond ASCII, or None where only vectors are known.
        """
        angles, foreign = self._tables
        # The distance of unit vectors, sqrt(2 - 2 cos), in steps; rounding takes cosines beyond 1.
        # Tables, where one query counts and where many do: arccos takes several times as long.
        if isinstance(cosine, float):
            one: float = angles.item(min(int(sqrt(abs(1 - cosine) * _SQUARED)), _DISTANCES))
            if beyond_ascii is None:
                return one
            return min(one, foreign.item(min(int(beyond_ascii.item() * _PARTS), _PARTS - 1)))
        share = _look_up(angles, np.sqrt(np.abs(1 - cosine.astype(np.float64)) * _SQUARED))
        if beyond_ascii is None:
            return share
        beyond = _look_up(foreign, beyond_ascii.astype(np.float64) * _PARTS)
        return np.minimum(share, beyond)

    def arrays(self) -> dict[str, npt.NDArray[np.float64]]:
        """All arrays by name."""
        return {"members": self.members, "angles": self.angles, "foreign": self.foreign}

    def check(self, k: int) -> str | None:
        """What is wrong with the arrays, or None."""
        shapes = {"members": (k,), "angles": (len(_ANGLES) - 1,), "foreign": (len(_FOREIGN) - 1,)}
        return check_arrays(self.arrays(), shapes)


def _no_records() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return np.zeros(len(_ANGLES) - 1), np.zeros(len(_FOREIGN) - 1)


def _look_up(table: Floats, place: Floats) -> Floats:
    found: Floats = table.take(place.astype(np.int64), mode="clip")
    return found


def _beyond(counts: Floats) -> Floats:
    """Share of what is counted in each place, or beyond it."""
    share: Floats = np.cumsum(counts[::-1])[::-1] / max(counts.sum(), 1.0)
    return share
