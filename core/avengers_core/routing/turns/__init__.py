"""The turns of a conversation: which of them say what it is about."""

from __future__ import annotations

from avengers_core.routing.turns.turns import Turns

__all__ = ["Turns"]
