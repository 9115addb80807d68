"""Route each query to the language model with the best balance of expected score and cost."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from avengers_core.artifact.artifact import RouterArtifact as RouterArtifact
    from avengers_core.errors import AllBackendsFailedError as AllBackendsFailedError
    from avengers_core.errors import ArtifactError as ArtifactError
    from avengers_core.errors import AvengersError as AvengersError
    from avengers_core.errors import BackendConfigError as BackendConfigError
    from avengers_core.errors import EmbedderError as EmbedderError
    from avengers_core.errors import EmbedderMismatchError as EmbedderMismatchError
    from avengers_core.errors import NoEligibleModelError as NoEligibleModelError
    from avengers_core.errors import NoRecordsError as NoRecordsError
    from avengers_core.errors import OptionalDependencyError as OptionalDependencyError
    from avengers_core.errors import RecordError as RecordError
    from avengers_core.evaluation.evaluate import evaluate as evaluate
    from avengers_core.evaluation.report import Report as Report
    from avengers_core.fitting.fit import fit as fit
    from avengers_core.fitting.probing import probe as probe
    from avengers_core.fitting.update import add_model as add_model
    from avengers_core.fitting.update import update as update
    from avengers_core.records.loading import load_records as load_records
    from avengers_core.records.record import Record as Record
    from avengers_core.records.record import Records as Records
    from avengers_core.records.splitting import split_records as split_records
    from avengers_core.routing.decision import Candidate as Candidate
    from avengers_core.routing.decision import ClusterVote as ClusterVote
    from avengers_core.routing.decision import RoutingDecision as RoutingDecision
    from avengers_core.routing.router import Router as Router

_ERRORS = (
    "AllBackendsFailedError",
    "ArtifactError",
    "AvengersError",
    "BackendConfigError",
    "EmbedderError",
    "EmbedderMismatchError",
    "NoEligibleModelError",
    "NoRecordsError",
    "OptionalDependencyError",
    "RecordError",
)
# Loaded on first use: who routes needs no fitting, who fits no evaluation.
_HOME = {
    "Candidate": "routing.decision",
    "ClusterVote": "routing.decision",
    "Record": "records.record",
    "Records": "records.record",
    "Router": "routing.router",
    "RouterArtifact": "artifact.artifact",
    "RoutingDecision": "routing.decision",
    "Report": "evaluation.report",
    "add_model": "fitting.update",
    "evaluate": "evaluation.evaluate",
    "fit": "fitting.fit",
    "load_records": "records.loading",
    "probe": "fitting.probing",
    "split_records": "records.splitting",
    "update": "fitting.update",
    **dict.fromkeys(_ERRORS, "errors"),
}

__all__ = sorted((*_HOME, "__version__"))  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
