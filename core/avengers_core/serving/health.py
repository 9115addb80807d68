"""Which backends to leave alone for a while: a circuit breaker per model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class _State:
    failures: int = 0  # in a row
    rests: int = 0  # of our own making, in a row, each twice as long as the one before
    length: float = 0.0  # of the rest, seconds; 0: there was none yet
    until: float = 0.0  # resting until then
    on_trial: bool = False  # one caller was let in after the rest


class BackendHealth:
    """Remembers which models failed lately; safe to share between threads.

    After ``threshold`` failures in a row a model rests for ``cooldown`` seconds. Then one caller
    may try it: if that fails too it rests for twice as long, and so on up to ``max_cooldown``. One
    success wipes the slate. A server that names a time to wait (``Retry-After``) is believed from
    its first failure on, and rests for that long where it is more.

    Args:
        threshold: failures in a row before a model rests, at least 1.
        cooldown: length of the first rest, seconds.
        max_cooldown: longest rest, seconds.
        clock: seconds since any fixed moment.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        *,
        threshold: int = 3,
        cooldown: float = 30.0,
        max_cooldown: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if threshold < 1:
            raise ValueError(f"threshold must be at least 1, got {threshold}")
        if not 0 <= cooldown <= max_cooldown:
            raise ValueError(
                f"expected 0 <= cooldown <= max_cooldown, got {cooldown} and {max_cooldown}"
            )
        self._threshold = threshold
        self._cooldown = cooldown
        self._max_cooldown = max_cooldown
        self._clock = clock
        self._lock = threading.Lock()
        self._states: dict[str, _State] = {}

    def available(self, model: str) -> bool:
        """Whether a model may be tried now; asking changes nothing."""
        state = self._states.get(model)
        return state is None or self._clock() >= state.until

    def admit(self, model: str) -> bool:
        """:meth:`available`, for a caller that is about to try the model.

        After a rest only one caller is let in; the others wait for how it fares, at most as long
        as the rest was.
        """
        if model not in self._states:  # nothing to remember of most models: no lock for them
            return True
        with self._lock:
            state = self._states.get(model)
            if state is None or state.length == 0:
                return True
            now = self._clock()
            if now < state.until:
                return False
            state.until = now + state.length
            state.on_trial = True
            return True

    def record_success(self, model: str) -> None:
        """A model answered."""
        if model in self._states:
            with self._lock:
                self._states.pop(model, None)

    def record_failure(self, model: str, *, retry_after: float | None = None) -> None:
        """A model failed.

        Args:
            model: which.
            retry_after: how long its server asks to be left alone, seconds.
        """
        with self._lock:
            state = self._states.setdefault(model, _State())
            now = self._clock()
            rest = min(max(retry_after or 0.0, 0.0), self._max_cooldown)
            # Calls that were under way when the rest began say nothing new.
            if now >= state.until or state.on_trial:
                state.failures += 1
                state.on_trial = False
                if state.failures >= self._threshold:
                    state.rests += 1
                    rest = max(rest, self._rest(state.rests))
                state.length = rest
            state.until = max(state.until, now + rest)

    def _rest(self, rests: int) -> float:
        return min(self._cooldown * 2.0 ** min(rests - 1, 30), self._max_cooldown)

    def __reduce__(self) -> tuple[Callable[..., BackendHealth], tuple[int, float, float]]:
        # What failed here and when says nothing elsewhere.
        return _fresh, (self._threshold, self._cooldown, self._max_cooldown)

    def __repr__(self) -> str:
        resting = sorted(m for m in list(self._states) if not self.available(m))
        return f"<BackendHealth: resting {resting}>" if resting else "<BackendHealth: all well>"


def _fresh(threshold: int, cooldown: float, max_cooldown: float) -> BackendHealth:
    return BackendHealth(threshold=threshold, cooldown=cooldown, max_cooldown=max_cooldown)
