"""The functions of :mod:`avengers_core.bulk` with ``engine="ray"``; needs the extra ``ray``."""

from functools import partial

from avengers_core import bulk

fit = partial(bulk.fit, engine="ray")
route = partial(bulk.route, engine="ray")
evaluate = partial(bulk.evaluate, engine="ray")
embed = partial(bulk.embed, engine="ray")

__all__ = ["embed", "evaluate", "fit", "route"]
