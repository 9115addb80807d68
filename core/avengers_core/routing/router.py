"""The router: a query in, a decision out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Unpack

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.common.closing import Closing
from avengers_core.embedders.surface import surface
from avengers_core.errors import ArtifactError
from avengers_core.routing.alpha.curve import AlphaCurve
from avengers_core.routing.alpha.targets import Targets
from avengers_core.routing.call import CallArguments, RoutingCall
from avengers_core.routing.deciding import Deciding
from avengers_core.routing.decision import RoutingDecision
from avengers_core.routing.embedding import Embedding
from avengers_core.routing.engine import Engine
from avengers_core.routing.queries import Queries, texts_of, with_text
from avengers_core.routing.scoring import Scorer, make_scorer
from avengers_core.routing.turns import Turns

if TYPE_CHECKING:
    from avengers_core.embedders import Embedder, EmbedderSpec

DEFAULT_ARTIFACT = Path(__file__).parents[1] / "artifact" / "default"


class Router(Closing):
    """Picks a model for each query from an artifact.

    Immutable; safe to share between threads. For another artifact, make another router.

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
        self._embedding = Embedding(artifact, embedder)
        self.engine = Engine(artifact, make_scorer(artifact, scorer, **scorer_options))
        self._targets = Targets(self.engine)
        self._deciding = Deciding(self.engine, self._targets)

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
        try:
            router = cls(artifact, None, scorer, **scorer_options)
        except (TypeError, ValueError) as error:
            if scorer is not None or scorer_options:  # the caller's, not the artifact's
                raise
            raise ArtifactError(f"{os.fspath(path)}: its scorer: {error!s:.200}") from None
        if embedder is not None:
            router._embedding = Embedding(artifact, embedder)
        return router

    @classmethod
    def default(
        cls, embedder: EmbedderSpec | None = None, scorer: str | None = None, **scorer_options: Any
    ) -> Router:
        """A router from the folder that ``AVENGERS_ARTIFACT`` names, else from the shipped one."""
        path = os.environ.get("AVENGERS_ARTIFACT") or DEFAULT_ARTIFACT
        return cls.load(path, embedder, scorer, **scorer_options)

    @property
    def artifact(self) -> RouterArtifact:
        """The artifact."""
        return self.engine.artifact

    @property
    def scorer(self) -> Scorer:
        """The scorer."""
        return self.engine.scorer

    @property
    def models(self) -> tuple[str, ...]:
        """The ids of the models it chooses from."""
        return self.engine.artifact.models

    @property
    def embedder(self) -> Embedder:
        """The embedder, made on first use.

        Raises:
            EmbedderError: the artifact names one that cannot be made from its name.
        """
        return self._embedding.embedder

    def close(self) -> None:
        """Close the connections of the embedder, if it has any; a later use opens new ones."""
        self._embedding.close()

    async def aclose(self) -> None:
        """:meth:`close`, from inside an event loop, whose connections are closed at the end."""
        await self._embedding.aclose()

    def __repr__(self) -> str:
        return f"<Router: {self.engine.scorer.name}, {self.engine.artifact!r}>"

    def check(self, **arguments: Any) -> None:
        """Raise ValueError for arguments that :meth:`route` would refuse whatever the query."""
        call = RoutingCall.of(**arguments)
        self.engine.eligibility(call.policy.own_alpha, call)

    def route(
        self, query: str, *, earlier: Sequence[str] = (), **arguments: Unpack[CallArguments]
    ) -> RoutingDecision:
        """Rank the models for one query.

        Args:
            query: the question; blank text is decided on the artifact's overall means, and of a
                longer one the first 100,000 characters count (the decision says it in ``cut``).
            earlier: what the same human said before in a conversation, oldest first: "go on" is
                decided on what it goes on with, see :mod:`avengers_core.routing.turns`.
            arguments: ``n``, how many models :attr:`RoutingDecision.models` is to name;
                ``prompt_tokens``, the length of the whole prompt where it is longer than the query
                (retrieved text, history), to which costs are scaled where the artifact knows what a
                prompt token costs; ``unavailable``, model -> why it cannot serve this call;
                ``cached_tokens``, model -> tokens at the beginning of the prompt that its provider
                has read before, which cost less where it has a price for cached input; and the
                fields of :class:`~avengers_core.routing.policy.Policy`: ``alpha`` (default 0.5), or
                ``performance_weight`` and ``cost_sensitivity``, ``target_cost``, ``target_score``
                or ``target_saving``; and the limits ``models``, ``exclude``, ``max_cost``,
                ``min_score``, ``min_support``, ``min_familiarity``, ``fallback``, ``on_empty``.

        Raises:
            NoEligibleModelError: nobody is left; the message says which limit removed whom.
            ValueError: an argument out of range, or a model that the artifact does not have.
            EmbedderError: the embedder failed.
        """
        return self.decide(query, RoutingCall.of(**arguments), earlier)

    def decide(self, query: str, call: RoutingCall, earlier: Sequence[str] = ()) -> RoutingDecision:
        """:meth:`route`, with what it takes by name as one object, made and checked before."""
        turns = Turns.of(query, earlier)
        return self._deciding.conversation(turns, self._embedding.of_turns(turns.texts), call)

    def route_batch(self, queries: Iterable[str], **arguments: Any) -> list[RoutingDecision]:
        """:meth:`route` for many queries: one embedding pass, one matrix product.

        Args:
            queries: n texts.
            arguments: as for :meth:`route`, the same for all.
        """
        call, texts = RoutingCall.of(**arguments), texts_of(queries)
        vectors = self._embedding.of_batch(with_text(texts))
        return self._deciding.many(texts, vectors, call)

    async def aroute(
        self, query: str, *, earlier: Sequence[str] = (), **arguments: Any
    ) -> RoutingDecision:
        """:meth:`route`, embedding asynchronously; same arguments."""
        return await self.adecide(query, RoutingCall.of(**arguments), earlier)

    async def adecide(
        self, query: str, call: RoutingCall, earlier: Sequence[str] = ()
    ) -> RoutingDecision:
        """:meth:`decide`, embedding asynchronously."""
        turns = Turns.of(query, earlier)
        vectors = await self._embedding.aof_turns(turns.texts)
        return self._deciding.conversation(turns, vectors, call)

    async def aroute_batch(self, queries: Iterable[str], **arguments: Any) -> list[RoutingDecision]:
        """:meth:`route_batch`, embedding asynchronously."""
        call, texts = RoutingCall.of(**arguments), texts_of(queries)
        vectors = await self._embedding.aof_batch(with_text(texts))
        return self._deciding.many(texts, vectors, call)

    def route_vectors(
        self, vectors: Queries | npt.NDArray[np.floating], **arguments: Any
    ) -> npt.NDArray[np.int64]:
        """The best model for each of many queries; no Python loop over them.

        Args:
            vectors: what :meth:`embed` returns; or (n, d) unit vectors of the artifact's embedder,
                without what the calibrated scorer wants to know of the texts.
            arguments: as for :meth:`route` but for ``n``, the same for all.

        Returns:
            (n,) indices into :attr:`models`.

        Raises:
            ValueError: wrong shape, and what :meth:`route` raises.
        """
        call = RoutingCall.of(**arguments)
        if call.n > 1:
            raise ValueError(f"route_vectors() names one model a query, got n={call.n}")
        queries = self.queries(vectors, call)
        return self.engine.choose_many(queries, self._deciding.alpha(call), call)

    def embed(self, queries: Sequence[str]) -> Queries:
        """What :meth:`route_vectors` takes for the very decisions of :meth:`route_batch`.

        Args:
            queries: n texts, none of them blank.
        """
        texts = texts_of(queries)
        return Queries(self._embedding.of_batch(texts), surface(texts))

    def queries(self, vectors: Queries | npt.NDArray[np.floating], call: RoutingCall) -> Queries:
        """Queries as :meth:`route_vectors` takes them, checked, in prompts as the call says."""
        given = vectors if isinstance(vectors, Queries) else Queries(np.asarray(vectors))
        given.check(self.artifact.dim)
        return given.with_prompt_tokens(call.prompt_tokens)

    def chances(self, decision: RoutingDecision) -> dict[str, float]:
        """How likely each candidate of a decision is the best, as far as the records tell.

        The share of the ways in which scores may be (:attr:`RoutingDecision.plausible_scores`) in
        which its utility at the decision's alpha is the highest; costs count as they are expected.
        One more way, in which all are alike, leaves nobody without a chance.

        Args:
            decision: of this router.

        Returns:
            model -> probability; they add up to 1.
        """
        return self._deciding.chances(decision)

    def alpha_path(self, queries: Sequence[str] | None = None, **constraints: Any) -> AlphaCurve:
        """Expected score and cost as functions of alpha, with every alpha at which they change.

        Args:
            queries: a sample of what will be asked; default, the artifact's own clusters, each
                weighed by its records.
            constraints: as for :meth:`route`, but for ``n``, alpha and the other ways to give it.

        Returns:
            The curve; exact, without a grid, for the scorers whose utility is linear.
            Models that ``models``, ``exclude`` or ``unavailable`` rule out count as unknown.

        Raises:
            ValueError: no queries, and what :meth:`route` raises.
            NoEligibleModelError: the constraints leave nobody for a query.
        """
        call = RoutingCall.of_any_alpha(**constraints)
        sample = None if queries is None else self.queries(self.embed(queries), call)
        return self._targets.curve(sample, call)

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
            constraints: as for :meth:`alpha_path`.

        Raises:
            AvengersError: no alpha meets it; the message says what can be had.
            ValueError: not exactly one target.
        """
        targets = {"cost": cost, "score": score, "saving": saving}
        if queries is not None:
            return self.alpha_path(queries, **constraints).alpha_for(**targets)
        return self._targets.alpha(targets, RoutingCall.of_any_alpha(**constraints))
