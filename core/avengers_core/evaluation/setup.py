"""How an evaluation is made, for whoever reads its report."""

from __future__ import annotations

from typing import Any, cast

from avengers_core import __version__
from avengers_core.common.plain import plain
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.policy import NUMBERS
from avengers_core.routing.router import Router


def setup_of(router: Router, call: RoutingCall) -> dict[str, Any]:
    """How an evaluation is made, as plain JSON types.

    Args:
        router: the router, whose artifact says how it was fitted.
        call: what is asked of it; its own alpha does not matter.
    """
    artifact, info, policy = router.artifact, router.artifact.info, call.policy
    limits = {
        "models": policy.models and sorted(policy.models),
        "exclude": sorted(policy.exclude) or None,
        "unavailable": call.unavailable or None,
        **{name: getattr(policy, name) for name in NUMBERS},
        "prompt_tokens": call.prompt_tokens,
    }
    made: dict[str, Any] = {
        "version": __version__,
        "embedder": info.embedder,
        "clusters": artifact.n_clusters,
        "fit_records": artifact.n_records,
        "fit_source": info.source,
        "fit_options": info.fit,
        "fit_version": info.version,
        "scorer": router.scorer.name,
        "scorer_options": router.scorer.options,
        "limits": {k: v for k, v in limits.items() if v is not None},
        "on_empty": policy.on_empty,
        "models_a_query": call.n,
    }
    return cast("dict[str, Any]", plain(made))
