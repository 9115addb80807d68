"""Sums that add up: of any kind, and over records, some of each model and some that all share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import Self

from avengers_core.artifact.clusters import ratio, select
from avengers_core.common.arrays import Floats

if TYPE_CHECKING:
    from avengers_core.records.record import Missing


class Adding:
    """Dataclasses that add up field by field; a sum has None where one of both has."""

    def __add__(self, other: Self) -> Self:
        this: Any = self
        pairs = [(getattr(self, f.name), getattr(other, f.name)) for f in fields(this)]
        return type(self)(*(None if a is None or b is None else a + b for a, b in pairs))


class SumsOfModels:
    """A dataclass of sums over records, and of what is settled before there are any.

    Attributes:
        SHARED: names of the sums that all models share.
        PER_MODEL: names of the fields behind those, which each model has of its own; models are the
            last axis.
    """

    SHARED: ClassVar[tuple[str, ...]] = ()
    PER_MODEL: ClassVar[tuple[str, ...]]
    n: Floats

    def __init_subclass__(cls) -> None:
        if cls.SHARED:
            names = [*cls.__annotations__]
            cls.PER_MODEL = tuple(names[names.index(cls.SHARED[-1]) + 1 :])

    def arrays(self) -> dict[str, Floats]:
        """The sums by name."""
        return {name: getattr(self, name) for name in (*self.SHARED, *self.PER_MODEL)}

    def of_failing(self) -> Mapping[str, Floats]:
        """The sums of a model that has scored 0 on every record, but those that are 0."""
        raise NotImplementedError

    def __add__(self, other: Self) -> Self:
        return self._with({name: a + getattr(other, name) for name, a in self.arrays().items()})

    def scaled(self, worth: Floats, shared: float = 1.0) -> Self:
        """Sums as of other numbers of records.

        Args:
            worth: factors of the models' own, (M,), or (K, M) by cluster.
            shared: factor of those that all models share.
        """
        factors = {**dict.fromkeys(self.SHARED, shared), **dict.fromkeys(self.PER_MODEL, worth)}
        return self._with({name: getattr(self, name) * by for name, by in factors.items()})

    def select_models(self, columns: Sequence[int | None], missing: Missing = "skip") -> Self:
        """The columns asked for, in that order; None gives a model without results.

        Args:
            columns: indices into the M models.
            missing: what such a model has scored: nothing, or (``"zero"``) 0 on every record.
        """
        absent = self.of_failing() if missing == "zero" else {}
        return self._with(
            {
                name: select(getattr(self, name), columns, absent.get(name, 0.0))
                for name in self.PER_MODEL
            }
        )

    def lent(self, column: int, share: float) -> Self:
        """One column more: the sums of a model times ``share``, as inference for another.

        Of as many records as their weights are worth: those that come after have weights of 1.
        """
        lender = self.effective().select_models([column]).scaled(np.array([share]))
        return self._with(
            {
                name: np.append(getattr(self, name), getattr(lender, name), axis=-1)
                for name in self.PER_MODEL
            }
        )

    def effective(self) -> Self:
        """The same means, of as many records as their weights are worth, where these are known."""
        return self

    def without_records(self) -> Self:
        """The models' own sums, leaving out those that count records and queries."""
        return self._with({name: np.zeros_like(getattr(self, name)) for name in self.SHARED})

    def _with(self, sums: Mapping[str, Floats]) -> Self:
        changed: Any = self
        same: Self = replace(changed, **sums)
        return same


class WeightedSums(SumsOfModels):
    """Sums over records that have weights, with those of the weights' squares."""

    squares: Floats

    @property
    def worth(self) -> Floats:
        """(..., M) records that a weighted one is worth in each sum; 1 where all weights are 1.

        Source: Kish's effective sample size, (sum w)^2 / sum w^2.
        """
        worth: Floats = ratio(self.n, self.squares, empty=1.0)
        return worth

    def effective(self) -> Self:
        if np.array_equal(self.squares, self.n):
            return self
        worth = self.worth
        own = {name: getattr(self, name) * worth for name in self.PER_MODEL}
        return self._with({**own, "squares": own["n"]})

    def telling(self) -> dict[str, Floats]:
        """The sums by name, without the squares where all weights are 1."""
        arrays = self.arrays()
        if np.array_equal(self.squares, self.n):
            del arrays["squares"]
        return arrays
