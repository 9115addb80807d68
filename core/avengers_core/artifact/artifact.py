"""The artifact: what fitting leaves of the records. Data, no code, no texts."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.clusters import assign
from avengers_core.artifact.estimation.cells import Beliefs, beliefs
from avengers_core.artifact.estimation.familiarity import Familiarity
from avengers_core.artifact.estimation.inference import Inference
from avengers_core.artifact.estimation.pricing import (
    at_prices,
    estimated_input_prices,
    notice_prices,
    notice_unpriced,
)
from avengers_core.artifact.info import ArtifactInfo
from avengers_core.artifact.merging import together
from avengers_core.artifact.parts.checking import fault_of
from avengers_core.artifact.published_export import load_published_export
from avengers_core.artifact.statistics import Statistics
from avengers_core.artifact.storage import content, folder
from avengers_core.artifact.sums import Sums
from avengers_core.common.functions import cached_property
from avengers_core.common.ranges import check_number
from avengers_core.errors import ArtifactError, EmbedderMismatchError
from avengers_core.records.names import counted, meant, shown
from avengers_core.records.prices import Prices, find_prices

if TYPE_CHECKING:
    from avengers_core.artifact.refinement import Refinement
    from avengers_core.embedders import EmbedderSpec
    from avengers_core.records.loading import Source
    from avengers_core.records.record import Records


@dataclass(frozen=True, eq=False)
class RouterArtifact:
    """Centroids and additive statistics: K clusters in d dimensions, M models, D datasets.

    Attributes:
        models: the M model ids, naming the columns of the statistics.
        datasets: the D dataset names, naming the columns of the topics.
        centroids: (K, d) float32, the raw k-means centers of unit vectors.
        statistics: the sums per (cluster, model).
        info: embedder id, fit parameters, origin.
        embedder_arrays: what a fitted embedder (TF-IDF) needs to be made again; else empty.
        refinement: what the calibrated scorer knows beyond these clusters, or None.
        familiarity: how like the clusters the records are, or None where it is not known.
        inference: what was found in the sums when it was saved, so that it need not be found again;
            of no effect once they are other ones.

    Raises:
        ArtifactError: the parts do not fit each other, or hold NaN or negative counts.
    """

    models: tuple[str, ...]
    datasets: tuple[str, ...]
    centroids: npt.NDArray[np.float32]
    statistics: Statistics
    info: ArtifactInfo
    embedder_arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    refinement: Refinement | None = None
    familiarity: Familiarity | None = None
    inference: Inference | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", tuple(self.models))
        object.__setattr__(self, "datasets", tuple(self.datasets))
        with np.errstate(over="ignore"):  # what is too large is found below
            centroids = np.ascontiguousarray(self.centroids, dtype=np.float32)
        object.__setattr__(self, "centroids", centroids)
        if fault := fault_of(self):
            raise ArtifactError(fault)

    @property
    def n_clusters(self) -> int:
        """K."""
        return int(self.centroids.shape[0])

    @property
    def dim(self) -> int:
        """d, the dimension of the embedding."""
        return int(self.centroids.shape[1])

    @property
    def n_records(self) -> int:
        """How many records the statistics sum up; what no model has a result on is none."""
        return round(float(self.statistics.size.sum()) - self.info.unanswered)

    @property
    def n_unanswered(self) -> int:
        """How many queries no model has a result on; like records, they make up the clusters."""
        return round(self.info.unanswered)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        statistics = sum(a.nbytes for a in self.statistics.arrays().values())
        embedder = sum(a.nbytes for a in self.embedder_arrays.values())
        refinement = self.refinement.nbytes if self.refinement else 0
        return int(self.centroids.nbytes + statistics + embedder + refinement)

    def token_prices(
        self, statistics: Statistics | None = None, highest: npt.NDArray[np.floating] | None = None
    ) -> npt.NDArray[np.float64]:
        """(M,) USD per prompt token, given to fit() or estimated; NaN where unknown.

        Args:
            statistics: to estimate from, see
                :func:`avengers_core.artifact.estimation.pricing.estimated_input_prices`; default,
                the artifact's own.
            highest: (M,) what an estimate may be at most, see
                :func:`avengers_core.artifact.estimation.pricing.highest_input_prices`; default,
                anything.
        """
        prices = {m: price.input for m, price in self.info.prices.items()}
        known = {**self.info.input_prices, **prices}
        given = np.array([known.get(m, np.nan) for m in self.models])
        estimated = estimated_input_prices(statistics or self.statistics)
        if highest is not None:
            estimated = np.minimum(estimated, highest)
        return np.where(np.isnan(given), estimated, given)

    def priced(self, statistics: Statistics) -> Statistics:
        """Sums over these models, with costs at the artifact's prices where it has some."""
        return at_prices(statistics, self.models, self.info.prices)

    def reprice(self, prices: Prices) -> RouterArtifact:
        """The artifact at other prices; its sums stay as they are.

        Costs are tokens times price where the records had tokens, also those that had no cost.
        See :func:`avengers_core.artifact.estimation.pricing.at_prices` for the others.

        Args:
            prices: model -> (input, output) or (input, output, cached input), USD per token, or
                ``"genai-prices"`` for the list prices of today (extra ``prices``). What it does
                not name keeps its price, and is logged where it has none.

        Raises:
            ArtifactError: none of the models has a price there.
            ValueError: a price that is no finite amounts of at least 0.
            OptionalDependencyError: ``"genai-prices"`` is not installed.
        """
        found = find_prices(self.models, prices)
        if not found:
            raise ArtifactError(f"prices name none of the models {shown(self.models)}")
        known = {**self.info.prices, **found}
        new = replace(self, info=self.info.model_copy(update={"prices": known}))
        notice_unpriced(new.statistics, self.models, known)
        notice_prices(new.statistics, self.models, known)
        return new

    @cached_property
    def beliefs(self) -> Beliefs:
        """What the calibrated scorer believes of the models in each of its clusters."""
        how: Any = {"info": self.info, "known": self.inference}
        if self.refinement is None:
            return beliefs(self.statistics.effective(), self.centroids, **how)
        r = self.refinement.effective()
        return beliefs(r.statistics, r.centroids, r.asked, **how)

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of all that routing depends on; equal only if two artifacts route alike."""
        return content.digest(self)

    def __repr__(self) -> str:
        return (
            f"<RouterArtifact: {counted(self.n_records, 'record')}, {self._asked}"
            f"{counted(len(self.models), 'model')}, {counted(self.n_clusters, 'cluster')}, "
            f"{self.dim} dims, embedder {self.info.embedder!r}>"
        )

    @property
    def _asked(self) -> str:
        n = self.n_unanswered
        return f"{counted(n, 'question')} that nobody has answered, " if n else ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RouterArtifact) and self.checksum == other.checksum

    def __hash__(self) -> int:
        return hash(self.checksum)

    # -- storage ---------------------------------------------------------------------------

    def save(
        self, path: str | os.PathLike[str], *, replacing: RouterArtifact | None = None
    ) -> None:
        """Write it as a folder; see :func:`avengers_core.artifact.storage.folder.save`."""
        folder.save(self, path, replacing=replacing)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RouterArtifact:
        """Read such a folder; see :func:`avengers_core.artifact.storage.folder.load`."""
        return folder.load(path, cls)

    @classmethod
    def from_reference_export(
        cls, path: str | os.PathLike[str], *, embedder: str | None = None
    ) -> RouterArtifact:
        """Import what the published implementation's ``--export_cluster`` writes.

        See :func:`avengers_core.artifact.published_export.load_published_export`.
        """
        return load_published_export(path, cls, embedder=embedder)

    # -- clusters --------------------------------------------------------------------------

    def assign(self, vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
        """The nearest centroid of each vector, by Euclidean distance.

        Args:
            vectors: (n, d) unit vectors.

        Returns:
            (n,) indices in [0, K).
        """
        return assign(vectors, self.centroids)

    def check_dimension(self, vectors: npt.NDArray[np.floating]) -> None:
        """Raise EmbedderMismatchError for (n, d) vectors of another length than the centroids."""
        if vectors.shape[1] != self.centroids.shape[1]:
            raise EmbedderMismatchError(
                f"the embedder {self.info.embedder!r} returned vectors of dimension "
                f"{vectors.shape[1]}, the artifact was fitted on {self.dim}: the model behind that "
                f"name is another one. Fit again with it, or embed with the old one."
            )

    def topics(self, cluster: int, most: int = 3) -> tuple[str, ...]:
        """The datasets that a cluster's records come from, most frequent first."""
        return self.statistics.most_frequent(cluster, self.datasets, most)

    # -- operations on the statistics, without clustering again ------------------------------

    def update(
        self, records: Records | Source, embedder: EmbedderSpec | None = None, **options: Any
    ) -> RouterArtifact:
        """Add further records; see :func:`avengers_core.update`."""
        from avengers_core import update

        return update(self, records, embedder, **options)

    def add_model(
        self,
        model: str,
        records: Records | Source | None = None,
        embedder: EmbedderSpec | None = None,
        *,
        like: str | None = None,
        price: Any = None,
        **options: Any,
    ) -> RouterArtifact:
        """Add one model, or more evidence of it; see :func:`avengers_core.add_model`."""
        from avengers_core import add_model

        return add_model(self, model, records, embedder, like=like, price=price, **options)

    def probe(
        self, records: Records | Source, n: int = 50, embedder: EmbedderSpec | None = None
    ) -> Records:
        """What to ask a new model; see :func:`avengers_core.probe`."""
        from avengers_core import probe

        return probe(self, records, n, embedder)

    @property
    def sums(self) -> Sums:
        """All that records have added up to."""
        return Sums.of(self)

    def emptied(self, models: Sequence[str], datasets: Sequence[str]) -> RouterArtifact:
        """The same clusters without records, for these models and datasets."""
        return self.sums.emptied(len(models), len(datasets)).put_into(self, models, datasets)

    def without_records(self) -> RouterArtifact:
        """The models' own sums, leaving out those that count records and queries."""
        return self.sums.without_records().put_into(self)

    def faded(self, factor: float, *, in_favour_of: RouterArtifact | None = None) -> RouterArtifact:
        """The same artifact with all evidence counting ``factor`` times as much.

        Args:
            factor: in [0, 1]; 0.5 after one half-life.
            in_favour_of: newer evidence, with the same clusters and models. A model then keeps
                50 records' worth of what is known of it in a cluster until as much is newer:
                a log says nothing of those who are not asked, and who forgets why they are not
                asks them again.

        Raises:
            ValueError: the factor is out of range.
        """
        check_number("factor", factor, 0, 1)
        newer = in_favour_of.sums if in_favour_of else None
        return self.sums.faded(factor, newer).put_into(self)

    def drop_models(self, models: Iterable[str]) -> RouterArtifact:
        """The artifact without some models.

        Raises:
            ArtifactError: a model is unknown, or none is left.
        """
        dropped = dict.fromkeys([models] if isinstance(models, str) else models)
        self._columns(dropped)
        return self.select_models([m for m in self.models if m not in dropped])

    def select_models(self, models: Sequence[str]) -> RouterArtifact:
        """The artifact with just these models, in this order."""
        columns = self._columns(models)
        prices = {
            name: {m: price for m, price in getattr(self.info, name).items() if m in models}
            for name in ("input_prices", "prices")
        }
        return self.sums.select_models(columns).put_into(self, models, told=prices)

    def merge(self, *others: RouterArtifact) -> RouterArtifact:
        """Add the statistics of artifacts with the same centroids (shards, days, machines).

        Models and datasets are the union, in order of appearance.

        Raises:
            ArtifactError: the centroids, the embedders, or what a missing result is differ.
        """
        merged = self
        for other in others:
            check_artifact(other)
            merged = together(merged, other, self.info.missing)
        return merged

    def _columns(self, models: Collection[str]) -> list[int]:
        """Where these models are among the artifact's; ArtifactError for one that is not."""
        place = {name: i for i, name in enumerate(self.models)}
        if unknown := [name for name in models if name not in place]:
            raise ArtifactError(
                f"no such model: {shown(unknown)}{meant(unknown, self.models)}; "
                f"there are {shown(self.models, most=100)}"
            )
        return [place[name] for name in models]


def check_artifact(value: object) -> None:
    """Raise TypeError for what is no artifact, such as the path of one."""
    if not isinstance(value, RouterArtifact):
        raise TypeError(
            f"expected a RouterArtifact, got {type(value).__name__}; RouterArtifact.load(path) "
            f"reads one"
        )
