"""Import of what the published implementation's ``--export_cluster`` writes.

Its folder holds ``cluster_centers.npy``, ``metadata.json``, ``balance_metrics.json`` (accuracy and
cost per cluster and model), ``cluster_rankings.json`` and a pickled normaliser. The rankings have
alpha baked in and follow from the metrics; the normaliser is L2, which has no parameters, so the
pickle is never opened.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avengers_core.artifact.info import ArtifactInfo
from avengers_core.artifact.statistics import Statistics
from avengers_core.common.files import MIB, open_regular, read_regular
from avengers_core.errors import ArtifactError
from avengers_core.records.names import one_line, shown

if TYPE_CHECKING:
    from avengers_core.artifact.artifact import RouterArtifact

_SETTINGS = ("seed", "n_clusters", "top_k", "beta")
_MOST_JSON = 256 * MIB
_MOST_CENTERS = 4096 * MIB
# The metadata names embedding models freely; these are the same as an embedder of this package.
_EMBEDDERS = dict.fromkeys(("wordllama", "wordllama l2_supercat 256"), "wordllama/l2_supercat-256")


def load_published_export(
    path: str | os.PathLike[str], make: type[RouterArtifact], *, embedder: str | None = None
) -> RouterArtifact:
    """Turn an export folder into an artifact whose default scorer is ``reference``.

    The accuracy and cost of each cluster and model are multiplied back into sums, so any scorer
    and any alpha can be used, not just the one that was exported.

    Args:
        path: the export folder.
        make: the class of artifacts.
        embedder: id of the embedder that made the vectors; default, what the metadata says.

    Raises:
        ArtifactError: a file is missing or does not have the expected content.
    """
    folder = Path(path)
    try:
        metadata = json.loads(read_regular(folder / "metadata.json", _MOST_JSON))
        metrics = json.loads(read_regular(folder / "balance_metrics.json", _MOST_JSON))
        with open_regular(folder / "cluster_centers.npy", _MOST_CENTERS) as stream:
            centers = np.load(stream, allow_pickle=False)
        models = tuple(metadata["available_models"])
        config = metadata.get("config", {})
        named = embedder or str(metadata.get("embedding_model", "unknown"))
        statistics = _statistics(metrics, models, len(centers))
        if not statistics.size.any():
            raise ArtifactError("balance_metrics.json counts no query")
        # Which checks them, and whose errors are of the same kind.
        artifact = make(
            models=models,
            datasets=("unknown",),
            centroids=centers,
            statistics=statistics,
            info=_info(metadata, config, named),
        )
    except ArtifactError as error:
        raise ArtifactError(f"{folder}: {error}") from None
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        MemoryError,
        RecursionError,
        EOFError,
        OverflowError,
    ) as error:
        raise ArtifactError(
            f"{folder} is not an export of the published implementation "
            f"(metadata.json, balance_metrics.json, cluster_centers.npy): "
            f"{one_line(repr(error)):.300}"
        ) from None
    return artifact


def _info(metadata: dict[str, Any], config: dict[str, Any], named: str) -> ArtifactInfo:
    known = {k: v for k, v in config.items() if k in _SETTINGS and v is not None}
    if odd := sorted(k for k, v in known.items() if type(v) not in (int, float)):
        raise ArtifactError(f"metadata.json: the config has no number for {shown(odd)}")
    return ArtifactInfo(
        embedder=_EMBEDDERS.get(named, named),
        fit={"imported": True, **{k: known[k] for k in ("seed", "n_clusters") if k in known}},
        scorer="reference",
        scorer_options={k: known[k] for k in ("top_k", "beta") if k in known},
        source=f"export of the published implementation, {metadata.get('timestamp', '')}",
    )


def _statistics(metrics: dict[str, Any], models: tuple[str, ...], k: int) -> Statistics:
    """Multiply means back into sums; a cluster without metrics stays empty."""
    statistics = Statistics.zeros(k, len(models), 1)
    for cluster, by_model in metrics.items():
        for model, cell in by_model.items():
            at = int(cluster), models.index(model)
            n = float(cell["total_queries"])
            statistics.n[at] = statistics.n_cost[at] = n
            statistics.score[at] = n * float(cell["accuracy"])
            statistics.cost[at] = float(cell.get("total_cost", n * float(cell["avg_cost"])))
    statistics.topics[:, 0] = statistics.n.max(axis=1)
    return statistics
