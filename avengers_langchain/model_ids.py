"""Model ids as a setting: any collection of them, which pydantic keeps in order."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Annotated, Any

from pydantic import BeforeValidator


def _in_order(ids: Any) -> Any:
    return tuple(ids) if isinstance(ids, Set) else ids


ModelIds = Annotated[Sequence[str], BeforeValidator(_in_order)]
