"""Public name of :mod:`avengers_core.jobs`: fit, route, evaluate and embed files of any size."""

from avengers_core.jobs import (
    ENGINES,
    Engine,
    FileProblem,
    Fitted,
    Problems,
    Written,
    embed,
    evaluate,
    fit,
    route,
)

__all__ = [
    "ENGINES",
    "Engine",
    "FileProblem",
    "Fitted",
    "Problems",
    "Written",
    "embed",
    "evaluate",
    "fit",
    "route",
]
