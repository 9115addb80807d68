"""What an artifact says of itself."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from avengers_core.common.plain import encodable
from avengers_core.records.prices import Price, as_price
from avengers_core.records.record import Missing

FORMAT_VERSION = 1

Cells = Literal["separate", "joint", "topics", "levelled", "smooth", "held", "bounded"]
"""Ways to read a model's results in a cluster, the oldest first: each does all that those before
it do, see :class:`ArtifactInfo`."""
_CELLS: tuple[Cells, ...] = get_args(Cells)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat("T", "seconds")


_Text = Annotated[str, AfterValidator(encodable)]


class ArtifactInfo(BaseModel):
    """What an artifact says of itself.

    Attributes:
        embedder: id of the embedder whose vectors the centroids are made of.
        fit: how it was fitted (clusters asked for, seed, k-means settings).
        missing: what a model without a result is in the sums: unknown (``"skip"``), or ``"zero"``.
        scorer: the scorer that a router uses unless told otherwise.
        scorer_options: and its options.
        cells: how a model's results in a cluster are read: each model by itself (``"separate"``,
            artifacts of older versions), the models together (``"joint"``, a little newer), these
            topic by topic (``"topics"``), so that expected sums are those of the records, too
            (``"levelled"``), with costs that go smoothly from cluster to cluster besides
            (``"smooth"``), with models of few records held back, too (``"held"``), or with prices
            that are estimated bounded by what calls cost (``"bounded"``), see
            :mod:`avengers_core.artifact.estimation.cells` and
            :func:`avengers_core.artifact.estimation.pricing.highest_input_prices`.
        alpha: what its scale is: typical ranges of score and cost (``"ranges"``, artifacts of older
            versions), or what is spent (``"costs"``), see
            :class:`avengers_core.routing.scoring.alpha_scale.AlphaScale`.
        trust: how far what is inferred of a model is believed where it was kept from, in [0, 1];
            1, wholly, in artifacts of versions that did not know doubt.
        error: by how much that is off on a whole topic, root mean square, beyond what chance makes
            of few records; 0 where it is not known.
        input_prices: USD per prompt token by model, where they were given and need not be
            estimated from token counts.
        prices: USD per token by model, at which costs are counted where tokens are known.
        unanswered: queries in the sums that no model has a result on; they say what is asked.
        source: what it was made from, in words.
        note: anything a user must know about its numbers.
        created: when, ISO 8601, UTC.
        learnt_until: the last grade of a log that it has learnt, ISO 8601, UTC; empty if none.
        version: version of this package that made it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedder: _Text
    fit: dict[str, Any] = Field(default_factory=dict)
    missing: Missing = "skip"
    scorer: _Text = "calibrated"
    cells: Cells = "separate"
    alpha: Literal["ranges", "costs"] = "ranges"
    trust: float = Field(default=1.0, ge=0, le=1)
    error: float = Field(default=0.0, ge=0, le=1)
    scorer_options: dict[str, Any] = Field(default_factory=dict)
    input_prices: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        default_factory=dict
    )
    prices: dict[str, Price] = Field(default_factory=dict)
    unanswered: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    source: _Text = ""
    note: _Text = ""
    created: _Text = Field(default_factory=_now)
    learnt_until: _Text = ""
    version: _Text = ""

    def reads_cells(self, way: Cells) -> bool:
        """Whether cells are read in this way, or one that came later."""
        return _CELLS.index(self.cells) >= _CELLS.index(way)

    @field_validator("prices", mode="before")
    @classmethod
    def _prices(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {model: as_price(price, str(model)) for model, price in given.items()}


NEWEST = ArtifactInfo(embedder="", cells=_CELLS[-1], alpha="costs", created="")
"""How artifacts of this version are read."""
