"""The functions of :mod:`avengers_core.bulk` with ``engine="ray"``; needs the extra ``ray``."""

from functools import partial

from avengers_core import jobs

fit = partial(jobs.fit, engine="ray")
route = partial(jobs.route, engine="ray")
evaluate = partial(jobs.evaluate, engine="ray")
embed = partial(jobs.embed, engine="ray")

__all__ = ["embed", "evaluate", "fit", "route"]
