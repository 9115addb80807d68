"""The logs of this process: one a target, written out at the end, begun anew in a fork."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from typing import Any

from avengers_core.calls.writing import CallLog
from avengers_core.common.forks import lock_over_forks

_by_target: dict[str | int, CallLog] = {}
_opening = lock_over_forks()


def call_log(target: str | Callable[[dict[str, Any]], Any]) -> CallLog:
    """The one log of a path, or a function, in this process."""
    key = target if isinstance(target, str) else id(target)
    log = _by_target.get(key)
    if log is None:
        with _opening:
            log = _by_target.setdefault(key, CallLog(target))
    return log


def flush_all() -> None:
    """Have all logs of this process write what is waiting."""
    for log in _logs():
        log.flush()


def _logs() -> list[CallLog]:
    with _opening:  # they cannot be counted while another thread opens one
        return list(_by_target.values())


@atexit.register
def _close_all() -> None:
    for log in _logs():
        log.close()


def _after_fork() -> None:
    for log in _logs():
        log.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
