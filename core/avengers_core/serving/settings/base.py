"""What the settings of every subject are made of."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict

CONFIG = ConfigDict(
    arbitrary_types_allowed=True,
    extra="forbid",
    hide_input_in_errors=True,
    ignored_types=(cached_property,),
)
"""For the plugins' own classes, whose frameworks' bases say otherwise."""


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool | bytes):
        raise ValueError(f"expected a number, got {value!r:.40}")
    return value


Number = Annotated[float, BeforeValidator(_no_truth_value)]
"""A number, and not what only counts as one."""

WholeNumber = Annotated[int, BeforeValidator(_no_truth_value)]
"""A whole one."""


def given(**values: Any) -> dict[str, Any]:
    """Those that are not None."""
    return {name: value for name, value in values.items() if value is not None}
