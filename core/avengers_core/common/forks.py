"""Locks that forks wait for: a child would wait for ever for what another thread held."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager


def lock_over_forks() -> AbstractContextManager[bool]:
    """A reentrant lock that whoever forks waits for, so that no child is without its holder."""
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )
    return lock
