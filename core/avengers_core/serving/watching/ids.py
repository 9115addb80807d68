"""Ids of calls, which nobody can guess, without asking the system for each."""

from __future__ import annotations

import os
from collections import deque

_LENGTH, _AT_ONCE = 16, 256  # bytes, and ids
# Threads share it, and none gets what another has taken.
_ready: deque[str] = deque()


def new_id() -> str:
    """32 hexadecimal digits, 16 bytes of the system's at random."""
    try:
        return _ready.popleft()
    except IndexError:
        digits = os.urandom(_AT_ONCE * _LENGTH).hex()
        step = 2 * _LENGTH
        first, *others = (digits[i : i + step] for i in range(0, len(digits), step))
        _ready.extend(others)
        return first


if hasattr(os, "register_at_fork"):  # those at hand are the parent's
    os.register_at_fork(after_in_child=_ready.clear)
