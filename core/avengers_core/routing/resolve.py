"""What ``router=`` of the plugins takes."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.storage.manifest import MANIFEST
from avengers_core.routing.router import Router


def resolve_router(router: Any) -> Router:
    """A router, from itself, an artifact or its path, or from None for the default artifact.

    An artifact is read once for as long as it stays as it is: copies of a chat model, and models
    made for each request, share one router.

    Raises:
        ArtifactError: no artifact at the path.
        ValueError: an empty path.
        TypeError: something else.
    """
    if isinstance(router, Router):
        return router
    if isinstance(router, RouterArtifact):
        return Router(router)
    if router is None:
        router = os.environ.get("AVENGERS_ARTIFACT") or ""
    elif not isinstance(router, str | os.PathLike):
        raise TypeError(
            f"router must be a Router, an artifact, the path of one or None, got "
            f"{type(router).__name__}"
        )
    elif not os.fspath(router):
        raise ValueError("router= is an empty path; leave it out for the default artifact")
    path = os.fspath(router)
    return _loaded(path, _changed(path))


@lru_cache(maxsize=16)
def _loaded(path: str, changed: int) -> Router:
    return Router.load(path) if path else Router.default()


def _changed(path: str) -> int:
    """When an artifact was written; 0 for the shipped one, or if there is none."""
    try:
        return (Path(path) / MANIFEST).stat().st_mtime_ns if path else 0
    except OSError:
        return 0
