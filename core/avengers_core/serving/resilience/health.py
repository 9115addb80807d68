"""Which backends to leave alone for a while: a circuit breaker per model."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from avengers_core.common.ranges import check_number, check_whole


@dataclass
class _State:
    failures: int = 0  # in a row
    rests: int = 0  # of our own making, in a row, each twice as long as the one before
    length: float = 0.0  # of the rest, seconds; 0: there was none yet
    since: float = 0.0  # when it began
    until: float = 0.0  # resting until then
    limited: bool = False  # the rest was for a limit on the rate
    room: int = 0  # how many callers at once are let in after the rest
    widened: float = 0.0  # when that last grew
    inside: int = 0  # how many are
    entered: float = 0.0  # when the last one was let in


_OF_A_LIMIT = 1.0  # second, of a rest for a limit on the rate, where the server names no time
_LONGEST_STEP = 5.0  # seconds, between one widening after such a rest and the next
_RECOVERED = 8  # callers at once, all of whom were answered


class BackendHealth:
    """Remembers which models failed lately; safe to share between threads.

    After ``threshold`` failures in a row a model rests for ``cooldown`` seconds. Then one caller
    may try it: if that fails too it rests for twice as long, and so on up to ``max_cooldown``. Each
    success after the rest lets one more in at a time, until all may come. A server that names a
    time to wait (``Retry-After``) is believed from its first failure on, and rests for that long
    where it is more. One that limits the rate of calls rests at its first refusal for a second at
    least, and then lets in twice as many only when it has answered for as long as it rested, or
    for five seconds: many callers at once do not overrun it. What calls say that began before the
    rest is no news.

    Args:
        threshold: failures in a row before a model rests, at least 1.
        cooldown: length of the first rest, seconds.
        max_cooldown: longest rest, seconds.
        clock: seconds since any fixed moment.

    Attributes:
        now: the clock, for the ``begun`` of what is recorded later.

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
        check_whole("threshold", threshold, 1)
        check_number("max_cooldown", max_cooldown)
        check_number("cooldown", cooldown, 0, max_cooldown)
        self._threshold = threshold
        self._cooldown = cooldown
        self._max_cooldown = max_cooldown
        self.now = self._clock = clock
        self._lock = threading.Lock()
        self._states: dict[str, _State] = {}
        self._renewed = -math.inf

    def available(self, model: str) -> bool:
        """Whether a model may be tried now; asking changes nothing."""
        state = self._states.get(model)
        return state is None or self._clock() >= state.until

    def admit(self, model: str) -> bool:
        """:meth:`available`, for a caller that is about to try the model and will report back.

        After a rest only some are let in; the others wait for how they fare, at most as long as the
        rest was.
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
            if state.inside >= state.room:
                if now < state.entered + state.length:
                    return False
                state.inside = 0  # whoever was let in never reported back
            state.inside += 1
            state.entered = now
            return True

    def record_success(self, model: str, begun: float | None = None) -> None:
        """A model answered.

        Args:
            model: which.
            begun: when it was asked; default, just now.
        """
        if model not in self._states:
            return
        with self._lock:
            state = self._states.get(model)
            if state is None or self._is_old(state, begun):
                return
            now = self._clock()
            state.inside = max(state.inside - 1, 0)
            if not state.limited:
                state.room += 1
            elif now >= state.widened + min(state.length, _LONGEST_STEP):
                state.room *= 2
                state.widened = now
            state.until = min(state.until, now)  # it was asked though it rested
            state.failures = state.rests = 0
            if state.length == 0 or state.room > _RECOVERED:
                self._states.pop(model, None)

    def record_failure(
        self,
        model: str,
        *,
        limited: bool = False,
        retry_after: float | None = None,
        begun: float | None = None,
    ) -> None:
        """A model failed.

        Args:
            model: which.
            limited: its server takes no more calls for now.
            retry_after: how long its server asks to be left alone, seconds.
            begun: when it was asked; default, just now.
        """
        with self._lock:
            state = self._states.setdefault(model, _State())
            now = self._clock()
            asked = _OF_A_LIMIT if retry_after is None and limited else retry_after or 0.0
            rest = min(max(asked, 0.0), self._max_cooldown)
            # Calls that were under way when the rest began say nothing new.
            if now >= state.until and not self._is_old(state, begun):
                state.failures += 1
                if state.failures >= self._threshold:
                    state.rests += 1
                    rest = max(rest, self._rest(state.rests))
                state.length, state.since, state.limited = rest, now, limited
                state.room, state.inside = 1, 0
            state.until = max(state.until, now + rest)
            state.widened = state.until

    def release(self, model: str) -> None:
        """A call of the model ended, and says nothing of its health."""
        if model in self._states:
            with self._lock:
                if (state := self._states.get(model)) is not None:
                    state.inside = max(state.inside - 1, 0)

    def renew(self) -> None:
        """The connections are closed, and later calls open new ones: how those fare that are under
        way says nothing of any model, and none of them is waited for."""
        with self._lock:
            self._renewed = self._clock()
            for state in self._states.values():
                state.inside = 0

    def _is_old(self, state: _State, begun: float | None) -> bool:
        if begun is None:
            return False
        return begun <= self._renewed or (state.length > 0 and begun < state.since)

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
