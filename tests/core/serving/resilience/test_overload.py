"""Many callers at once, one backend that is down, one that limits the rate; the clock is ours."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import count
from types import SimpleNamespace

import pytest

from avengers_core.routing.decision import RoutingDecision
from avengers_core.routing.decision.candidates import Candidate
from avengers_core.serving.resilience.failover import Failover
from avengers_core.serving.resilience.health import BackendHealth

LIMITED, DOWN, SPARE = "limited", "down", "spare"
Limits = Callable[[int, float], bool]


class DownError(Exception):
    status_code = 503


class LimitError(Exception):
    status_code = 429

    def __init__(self, retry_after: float | None) -> None:
        super().__init__("slow down")
        named = {} if retry_after is None else {"retry-after": str(retry_after)}
        self.response = SimpleNamespace(status_code=429, headers=named)


class Overload:
    """Calls of several callers, each of whom makes the next when one is answered.

    Args:
        limits: whether the backend that limits the rate refuses its nth call, begun at a time.
        retry_after: what it says then, seconds.
        seconds: how long an answer takes.
    """

    def __init__(self, limits: Limits, retry_after: float | None, seconds: float) -> None:
        self.limits = limits
        self.retry_after = retry_after
        self.seconds = seconds
        self.now = 0.0
        self.asked: list[float] = []
        self.health = BackendHealth(clock=lambda: self.now)
        ranked = enumerate((LIMITED, DOWN, SPARE))
        candidates = tuple(Candidate(model, 1.0 - i, 0.5, 0.01, 1.0) for i, model in ranked)
        self.decision = RoutingDecision(candidates, {}, (), 0.5, "x")

    def run(self, callers: int, calls: int) -> int:
        """How many of the calls were answered."""
        waiting: list[tuple[float, int, Iterator[None]]] = []
        order, answered = count(), 0

        def go_on(call: Iterator[None]) -> bool:
            for _ in call:
                heapq.heappush(waiting, (self.now + self.seconds, next(order), call))
                return False
            return True

        for _ in range(callers):
            go_on(self.call())
        begun = callers
        while waiting:
            self.now, _, call = heapq.heappop(waiting)
            if go_on(call):
                answered += 1
                if begun < calls:
                    begun += 1
                    go_on(self.call())
        return answered

    def call(self) -> Iterator[None]:
        for attempt in Failover(self.decision, self.health):
            with attempt:
                refused = False
                if attempt.model == LIMITED:
                    self.asked.append(self.now)
                    refused = self.limits(len(self.asked), self.now)
                yield
                if attempt.model == DOWN:
                    raise DownError
                if refused:
                    raise LimitError(self.retry_after)
                return
        raise AssertionError("nobody answered")

    def asked_a_second(self) -> float:
        """Once the first answers are there: before, nobody can know."""
        first = 2 * self.seconds
        return sum(at >= first for at in self.asked) / (self.now - first)


def every_third(n: int, now: float) -> bool:
    return n % 3 == 0


def a_second_of_three(n: int, now: float) -> bool:
    return now % 3 < 1


@pytest.mark.parametrize("seconds", [0.2, 1.0])
@pytest.mark.parametrize("retry_after", [None, 1.0, 5.0])
@pytest.mark.parametrize("limits", [every_third, a_second_of_three])
def test_many_callers_ask_hardly_more_often_than_one(
    limits: Limits, retry_after: float | None, seconds: float
) -> None:
    one, fifty = (Overload(limits, retry_after, seconds) for _ in range(2))
    assert one.run(callers=1, calls=500) == 500
    assert fifty.run(callers=50, calls=500) == 500
    assert fifty.asked_a_second() <= 2 * one.asked_a_second()
    # Nor does the limit shut it out: its turn comes as soon as it is over.
    assert len(one.asked) > 50


def test_a_backend_that_answers_again_is_asked_by_all() -> None:
    overload = Overload(lambda n, now: now < 5, None, 0.2)
    overload.run(callers=50, calls=15_000)
    last = [at for at in overload.asked if at > overload.now - 5]
    assert len(last) > 0.9 * 50 * 5 / 0.2
