"""Functions that take what others take."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def same_arguments(other: Callable[P, Any]) -> Callable[[Callable[..., R]], Callable[P, R]]:
    """Give a function that hands its arguments on the signature of whom it hands them to."""

    def decorate(function: Callable[..., R]) -> Callable[P, R]:
        returned = signature(function).return_annotation
        signed: Any = function
        signed.__signature__ = signature(other).replace(return_annotation=returned)
        return signed  # type: ignore[no-any-return]

    return decorate
