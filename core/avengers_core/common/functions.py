"""Functions that take what others take, and values found when first asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from inspect import signature
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

if TYPE_CHECKING:

    def cached_property(function: Callable[[Any], R]) -> R:
        """To others it is an attribute, and may take the place of one of a base class."""
        ...
else:

    class cached_property(functools.cached_property):  # noqa: N801
        """The standard library's, without the lock that it has before Python 3.12.

        One lock for all instances makes threads wait for each other's, and a child that is forked
        while it is held waits for ever. Two threads may each find the value; one is kept.
        """

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is None:
                return self
            return instance.__dict__.setdefault(self.attrname, self.func(instance))


def same_arguments(other: Callable[P, Any]) -> Callable[[Callable[..., R]], Callable[P, R]]:
    """Give a function that hands its arguments on the signature of whom it hands them to."""

    def decorate(function: Callable[..., R]) -> Callable[P, R]:
        returned = signature(function).return_annotation
        signed: Any = function
        signed.__signature__ = signature(other).replace(return_annotation=returned)
        return signed  # type: ignore[no-any-return]

    return decorate


__all__ = ["cached_property", "same_arguments"]
