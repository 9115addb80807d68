"""Values found when first asked for."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from functools import cached_property
else:
    T = TypeVar("T")

    class cached_property(functools.cached_property):  # noqa: N801
        """The standard library's, without the lock that it has before Python 3.12.

        One lock for all instances makes threads wait for each other's, and a child that is forked
        while it is held waits for ever. Two threads may each find the value; one is kept.
        """

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is None:
                return self
            known = instance.__dict__
            if self.attrname not in known:
                value = self.func(instance)
                known.setdefault(self.attrname, value)
            return known[self.attrname]


__all__ = ["cached_property"]
