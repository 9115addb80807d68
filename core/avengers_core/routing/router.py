"""The router: a query in, a decision out."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.embedders.surface import NAMES, features_of, surface
from avengers_core.errors import ArtifactError, EmbedderMismatchError
from avengers_core.routing.alpha_path import AlphaCurve, curve, find_path
from avengers_core.routing.calls import Call, OnEmpty, make_call
from avengers_core.routing.decision import RoutingDecision
from avengers_core.routing.engine import Engine
from avengers_core.routing.scoring import Point, Points, Scorer, make_scorer

if TYPE_CHECKING:
    from avengers_core.embedders import Embedder, EmbedderSpec

DEFAULT_ARTIFACT = Path(__file__).parents[1] / "artifact" / "default"

_MOST_ALPHAS = 1000  # remembered for targets that were asked for


class Router:
    """Picks a model for each query from an artifact.

    Immutable but for :meth:`swap`, which is atomic; safe to share between threads.

    Args:
        artifact: what :func:`avengers_core.fit` returns.
        embedder: anything that :func:`avengers_core.embedders.resolve_embedder` takes; default,
            the one that the artifact names.
        scorer: ``calibrated``, ``reference`` or ``paper``; default, the artifact's own
            (``calibrated`` unless it was imported).
        scorer_options: options of the scorer, such as ``top_k=3``, ``beta=9.0``.

    Raises:
        EmbedderMismatchError: the embedder is not the one the artifact was fitted with.
        ValueError: no such scorer or option.
    """

    def __init__(
        self,
        artifact: RouterArtifact,
        embedder: EmbedderSpec | None = None,
        scorer: str | None = None,
        **scorer_options: Any,
    ) -> None:
        if not isinstance(artifact, RouterArtifact):
            raise TypeError(
                f"expected a RouterArtifact, got {artifact!r:.60}; Router.load() takes a path"
            )
        self._scorer_spec = (scorer, scorer_options)
        self._embedder = None if embedder is None else _embedder_of(artifact, embedder)
        self.engine = Engine(artifact, make_scorer(artifact, scorer, **scorer_options))

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        embedder: EmbedderSpec | None = None,
        scorer: str | None = None,
        **scorer_options: Any,
    ) -> Router:
        """A router from an artifact folder; raises what :meth:`RouterArtifact.load` raises."""
        artifact = RouterArtifact.load(path)
        if scorer is None and not scorer_options:
            try:
                make_scorer(artifact)
            except (TypeError, ValueError) as error:
                raise ArtifactError(f"{os.fspath(path)}: its scorer: {error!s:.200}") from None
        return cls(artifact, embedder, scorer, **scorer_options)

    @classmethod
    def default(
        cls, embedder: EmbedderSpec | None = None, scorer: str | None = None, **scorer_options: Any
    ) -> Router:
        """A router from the folder that ``AVENGERS_ARTIFACT`` names, else from the shipped one."""
        path = os.environ.get("AVENGERS_ARTIFACT") or DEFAULT_ARTIFACT
        return cls.load(path, embedder, scorer, **scorer_options)

    @property
    def artifact(self) -> RouterArtifact:
        """The artifact in force."""
        return self.engine.artifact

    @property
    def scorer(self) -> Scorer:
        """The scorer in force."""
        return self.engine.scorer

    @property
    def models(self) -> tuple[str, ...]:
        """The ids of the models it chooses from."""
        return self.engine.artifact.models

    @property
    def embedder(self) -> Embedder:
        """The embedder, made on first use.

        Raises:
            EmbedderError: the artifact names one that can not be made from its name.
        """
        if self._embedder is None:
            # Without a lock, which a forked child might find taken; two threads may each make one.
            self._embedder = _embedder_of(self.engine.artifact)
        return self._embedder

    def swap(self, artifact: RouterArtifact) -> None:
        """Put another artifact of the same embedder in force, at once for all later calls.

        Raises:
            EmbedderMismatchError: it was fitted with another embedder.
        """
        current = self.engine.artifact.info.embedder
        if artifact.info.embedder != current:
            raise EmbedderMismatchError(
                f"this router embeds with {current!r}; the new artifact was fitted with "
                f"{artifact.info.embedder!r}. Make a new Router for it."
            )
        name, options = self._scorer_spec
        self.engine = Engine(artifact, make_scorer(artifact, name, **options))

    def __repr__(self) -> str:
        return f"<Router: {self.engine.scorer.name}, {self.engine.artifact!r}>"

    def check(self, **arguments: Any) -> None:
        """Raise ValueError for arguments that :meth:`route` would refuse whatever the query."""
        self.engine.constraints(make_call(**arguments))

    def route(
        self,
        query: str,
        *,
        alpha: float | None = None,
        performance_weight: float | None = None,
        cost_sensitivity: float | None = None,
        models: Collection[str] | None = None,
        exclude: Collection[str] = (),
        max_cost: float | None = None,
        min_score: float | None = None,
        n: int = 1,
        prompt_tokens: int | None = None,
        unavailable: Mapping[str, str] | None = None,
        on_empty: OnEmpty = "raise",
    ) -> RoutingDecision:
        """Rank the models for one query.

        Args:
            query: the question; blank text is decided on the artifact's overall means.
            alpha: weight of expected score against expected cost, 0 = cheapest, 1 = best;
                default 0.5.
            performance_weight: with ``cost_sensitivity``, another way to give alpha: only their
                ratio matters, alpha = pw / (pw + cs).
            cost_sensitivity: see ``performance_weight``.
            models: the only models allowed; default all.
            exclude: models not allowed.
            max_cost: highest expected cost, USD a call.
            min_score: lowest expected score, in [0, 1].
            n: how many models :attr:`RoutingDecision.models` is to name.
            prompt_tokens: length of the whole prompt in tokens where it is longer than the query
                (retrieved text, history); costs are scaled to it where the artifact knows what a
                prompt token costs.
            unavailable: model -> reason, models that can not serve this call.
            on_empty: ``"raise"``, or ``"relax"``: if the limits leave nobody, take the model
                nearest to them, one with records near the query if there is one (never one that
                ``models``, ``exclude`` or ``unavailable`` rule out).

        Raises:
            NoEligibleModelError: nobody is left; the message says which constraint removed whom.
            ValueError: an argument out of range, or a model that the artifact does not have.
            EmbedderError: the embedder failed.
        """
        call = make_call(
            alpha=alpha,
            performance_weight=performance_weight,
            cost_sensitivity=cost_sensitivity,
            models=models,
            exclude=exclude,
            max_cost=max_cost,
            min_score=min_score,
            n=n,
            prompt_tokens=prompt_tokens,
            unavailable=unavailable,
            on_empty=on_empty,
        )
        if _is_blank(query):
            return _overall(self.engine, call)
        vectors = self.embedder.embed([query])
        return _decide_one(self.engine, query, vectors, call)

    def route_batch(self, queries: Iterable[str], **arguments: Any) -> list[RoutingDecision]:
        """:meth:`route` for many queries: one embedding pass, one matrix product.

        Args:
            queries: n texts.
            arguments: as for :meth:`route`, the same for all.
        """
        call = make_call(**arguments)
        queries = _texts(queries)
        known = [query for query in queries if not _is_blank(query)]
        vectors = self.embedder.embed(known) if known else None
        return _decide(self.engine, queries, known, vectors, call)

    async def aroute(self, query: str, **arguments: Any) -> RoutingDecision:
        """:meth:`route`, embedding asynchronously; same arguments."""
        call = make_call(**arguments)
        if _is_blank(query):
            return _overall(self.engine, call)
        vectors = await self.embedder.aembed([query])
        return _decide_one(self.engine, query, vectors, call)

    async def aroute_batch(self, queries: Iterable[str], **arguments: Any) -> list[RoutingDecision]:
        """:meth:`route_batch`, embedding asynchronously."""
        call = make_call(**arguments)
        queries = _texts(queries)
        known = [query for query in queries if not _is_blank(query)]
        vectors = await self.embedder.aembed(known) if known else None
        return _decide(self.engine, queries, known, vectors, call)

    def route_vectors(
        self, vectors: npt.NDArray[np.floating], **arguments: Any
    ) -> npt.NDArray[np.int64]:
        """The best model for each of many vectors; no Python loop over them.

        Args:
            vectors: (n, d) unit vectors of the artifact's embedder, or (n, d + 11) from
                :meth:`embed`, which add what the calibrated scorer wants to know of the texts.
            arguments: as for :meth:`route`, the same for all.

        Returns:
            (n,) indices into :attr:`models`.

        Raises:
            ValueError: wrong shape, and what :meth:`route` raises.
        """
        call = make_call(**arguments)
        return self.engine.choose(self.points(vectors, call.prompt_tokens), call)

    def embed(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        """What :meth:`route_vectors` takes for the very decisions of :meth:`route_batch`.

        Args:
            queries: n texts, none of them blank.

        Returns:
            (n, d + 11) float32: the embedder's unit vectors, and the texts' surface features.
        """
        texts = _texts(queries)
        vectors = self.embedder.embed(texts)
        self.artifact.check_dimension(vectors)
        return np.concatenate([vectors, surface(texts)], axis=1)

    def points(self, vectors: npt.NDArray[np.floating], prompt_tokens: int | None = None) -> Points:
        """Vectors as :meth:`route_vectors` takes them, told apart into their parts."""
        vectors = np.asarray(vectors)
        dim = self.artifact.dim
        if vectors.ndim == 2 and vectors.shape[1] == dim:
            return Points(vectors, None, prompt_tokens)
        if vectors.ndim == 2 and vectors.shape[1] == dim + len(NAMES):
            return Points(vectors[:, :dim], vectors[:, dim:], prompt_tokens)
        raise ValueError(
            f"expected vectors of shape (n, {dim}), or (n, {dim + len(NAMES)}) from "
            f"Router.embed(), got {vectors.shape}"
        )

    def alpha_path(self, queries: Sequence[str] | None = None, **constraints: Any) -> AlphaCurve:
        """Expected score and cost as functions of alpha, with every alpha at which they change.

        Args:
            queries: a sample of what will be asked; default, the artifact's own clusters, each
                weighed by its records.
            constraints: as for :meth:`route`.

        Returns:
            The curve; exact, without a grid, for the scorers whose utility is linear in alpha.
            Models that ``models``, ``exclude`` or ``unavailable`` rule out count as unknown.

        Raises:
            ValueError: no queries, and what :meth:`route` raises.
            NoEligibleModelError: the constraints leave nobody for a query.
        """
        return self._alpha_path(self.engine, queries, make_call(**constraints))

    def _alpha_path(self, engine: Engine, queries: Sequence[str] | None, call: Call) -> AlphaCurve:
        """:meth:`alpha_path` with the engine that was in force when it was asked for."""
        if queries is not None:
            if not len(queries):
                raise ValueError("expected at least one query, got none")
            sizes = None
            points = self.points(self.embed(_texts(queries)), call.prompt_tokens)
            features = engine.scorer.features(points)
        else:
            sizes = engine.scorer.statistics.size
            features, sizes = engine.scorer.center_features()[sizes > 0], sizes[sizes > 0]
        path = find_path(engine, features, call)
        estimate, models = engine.estimate(features, call.alpha), engine.artifact.models
        out = call.constraints.ruled_out(models)
        there = np.array([model not in out for model in models])
        score, cost = (np.where(there, a, np.nan) for a in (estimate.score, estimate.cost))
        return curve(path, models, score, cost, weight=sizes)

    def alpha_for(
        self,
        *,
        cost: float | None = None,
        score: float | None = None,
        saving: float | None = None,
        queries: Sequence[str] | None = None,
        **constraints: Any,
    ) -> float:
        """The alpha that is expected to meet one target.

        Args:
            cost: the best score at no more than this mean cost, USD a call.
            score: the lowest cost at no less than this mean score, in [0, 1].
            saving: the best score at this share, in [0, 1), less than what always choosing the
                best single model costs.
            queries: as for :meth:`alpha_path`.
            constraints: as for :meth:`route`.

        Raises:
            AvengersError: no alpha meets it; the message says what can be had.
            ValueError: not exactly one target.
        """
        call, engine = make_call(**constraints), self.engine
        # Found once for the artifact in force: it takes a pass over all clusters.
        key = repr((cost, score, saving, call))
        if queries is None and key in engine.alphas:
            return engine.alphas[key]
        path = self._alpha_path(engine, queries, call)
        alpha = path.target(cost=cost, score=score, saving=saving).alpha
        if queries is None and len(engine.alphas) < _MOST_ALPHAS:
            engine.alphas[key] = alpha
        return alpha


def _decide_one(
    engine: Engine, query: str, vectors: npt.NDArray[np.float32], call: Call
) -> RoutingDecision:
    """Decide one text, not blank, from its (1, d) vector."""
    engine.artifact.check_dimension(vectors)
    surface = features_of(query) if engine.scorer.needs_surface else None
    features = engine.scorer.features_of_one(Point(vectors[0], surface, call.prompt_tokens))
    return engine.decide_one(features, "query", call)


def _overall(engine: Engine, call: Call) -> RoutingDecision:
    """Decide blank text, on the artifact's overall means."""
    return engine.decide_one(engine.scorer.overall(call.prompt_tokens)[0], "overall", call)


def _decide(
    engine: Engine,
    queries: Sequence[str],
    known: list[str],
    vectors: npt.NDArray[np.float32] | None,
    call: Call,
) -> list[RoutingDecision]:
    """Decide texts; the ``known`` among them are those with vectors, the others are blank."""
    decided = []
    if vectors is not None:
        engine.artifact.check_dimension(vectors)
        points = Points(
            vectors, surface(known) if engine.scorer.needs_surface else None, call.prompt_tokens
        )
        decided = engine.decide(engine.scorer.features(points), "query", call)
        if len(decided) == len(queries):
            return decided
    overall = _overall(engine, call)
    rest = iter(decided)
    return [next(rest) if q.strip() else overall for q in queries]


def _texts(queries: Iterable[str]) -> Sequence[str]:
    if isinstance(queries, str):
        raise TypeError("expected a list of queries, got one text; use route() for one")
    return queries if isinstance(queries, Sequence) else list(queries)


def _is_blank(query: str) -> bool:
    try:
        return not query.strip()
    except AttributeError:
        raise TypeError(f"expected a text to route, got {type(query).__name__}") from None


def _embedder_of(artifact: RouterArtifact, spec: EmbedderSpec | None = None) -> Embedder:
    from avengers_core.artifact.embedder import embedder_of  # which imports every embedder

    return embedder_of(artifact, spec)
