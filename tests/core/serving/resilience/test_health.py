from __future__ import annotations

import pickle
import threading

import pytest

from avengers_core.serving.resilience.health import BackendHealth


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> BackendHealth:
    return BackendHealth(threshold=3, cooldown=10, max_cooldown=35, clock=clock)


def fail(health: BackendHealth, times: int = 1) -> None:
    for _ in range(times):
        health.record_failure("m")


def test_rests_after_failures_in_a_row(health: BackendHealth, clock: Clock) -> None:
    fail(health, 2)
    assert health.available("m")
    fail(health)
    assert not health.available("m")
    assert health.available("another")
    clock.now = 9.9
    assert not health.admit("m")
    clock.now = 10
    assert health.available("m")


def test_a_success_in_between_starts_the_count_anew(health: BackendHealth) -> None:
    fail(health, 2)
    health.record_success("m")
    fail(health, 2)
    assert health.available("m")


def test_one_caller_tries_after_a_rest(health: BackendHealth, clock: Clock) -> None:
    fail(health, 3)
    clock.now = 10
    assert [health.admit("m") for _ in range(3)] == [True, False, False]
    health.record_success("m")
    assert [health.admit("m") for _ in range(3)] == [True, True, False]  # more, bit by bit
    for _ in range(20):
        health.record_success("m")
    assert [health.admit("m") for _ in range(3)] == [True, True, True]


def test_a_caller_that_never_reports_back_does_not_block_the_model(
    health: BackendHealth, clock: Clock
) -> None:
    fail(health, 3)
    clock.now = 10
    assert health.admit("m")
    clock.now = 20
    assert health.admit("m")


def test_rests_double_up_to_the_longest(health: BackendHealth, clock: Clock) -> None:
    fail(health, 3)
    lengths = []
    for _ in range(4):
        start = clock.now
        while not health.admit("m"):
            clock.now += 1
        lengths.append(clock.now - start)
        fail(health)
    assert lengths == [10, 20, 35, 35]


def test_calls_under_way_when_the_rest_began_do_not_prolong_it(
    health: BackendHealth, clock: Clock
) -> None:
    fail(health, 3)
    clock.now = 5
    fail(health, 20)
    clock.now = 10
    assert health.available("m")


def test_a_late_success_does_not_end_a_rest(health: BackendHealth, clock: Clock) -> None:
    fail(health, 3)
    clock.now = 5
    health.record_success("m", begun=-1)
    assert not health.available("m")
    clock.now = 10
    assert [health.admit("m") for _ in range(2)] == [True, False]
    health.record_success("m", begun=-1)
    assert not health.admit("m")
    health.record_failure("m", begun=-1)
    assert health.available("m")
    health.release("m")
    assert health.admit("m")


def test_retry_after_is_believed_at_once(health: BackendHealth, clock: Clock) -> None:
    health.record_failure("m", retry_after=7)
    assert not health.available("m")
    clock.now = 7
    assert health.available("m")


def test_a_short_time_to_wait_stays_short_until_failures_add_up(
    health: BackendHealth, clock: Clock
) -> None:
    for rest in (1, 1, 10, 20):
        for _ in range(5):  # the first alone is news
            health.record_failure("m", retry_after=1)
        clock.now += rest - 0.1
        assert not health.admit("m")
        clock.now += 0.1
        assert [health.admit("m") for _ in range(2)] == [True, False]


@pytest.mark.parametrize(("retry_after", "until"), [(1e9, 35), (-5, 0), (0, 0)])
def test_retry_after_is_kept_within_bounds(
    health: BackendHealth, clock: Clock, retry_after: float, until: float
) -> None:
    health.record_failure("m", retry_after=retry_after)
    clock.now = until
    assert health.available("m")
    if until:
        clock.now = until - 0.1
        assert not health.available("m")


@pytest.mark.parametrize(
    "arguments", [{"threshold": 0}, {"cooldown": -1}, {"cooldown": 5, "max_cooldown": 4}]
)
def test_arguments_are_checked(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"threshold|cooldown"):
        BackendHealth(**arguments)  # type: ignore[arg-type]


def test_threads_share_it(clock: Clock) -> None:
    health = BackendHealth(threshold=8000, cooldown=10, clock=clock)
    threads = [threading.Thread(target=fail, args=(health, 1000)) for _ in range(8)]
    for thread in threads[:-1]:
        thread.start()
    for thread in threads[:-1]:
        thread.join()
    assert health.available("m")
    threads[-1].start()
    threads[-1].join()
    assert not health.available("m")


def test_who_leaves_without_an_answer_makes_room_for_one(
    health: BackendHealth, clock: Clock
) -> None:
    fail(health, 3)
    clock.now = 10
    assert health.admit("m")
    health.record_success("m")
    assert [health.admit("m") for _ in range(3)] == [True, True, False]
    health.release("m")
    assert [health.admit("m") for _ in range(2)] == [True, False]


def test_only_one_of_many_threads_is_admitted(health: BackendHealth, clock: Clock) -> None:
    fail(health, 3)
    clock.now = 10
    admitted = []
    barrier = threading.Barrier(16)

    def ask() -> None:
        barrier.wait()
        admitted.append(health.admit("m"))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(admitted) == 1


def test_a_pickle_remembers_settings_only(health: BackendHealth) -> None:
    fail(health, 3)
    copy = pickle.loads(pickle.dumps(BackendHealth(threshold=1)))
    assert copy.available("m")
    copy.record_failure("m")
    assert not copy.available("m")
    assert "resting ['m']" in repr(health)


def test_calls_whose_connections_were_closed_say_nothing(
    health: BackendHealth, clock: Clock
) -> None:
    fail(health, 2)
    clock.now = 1
    begun = health.now()
    health.renew()
    for _ in range(3):
        health.record_failure("m", begun=begun)
    health.record_success("m", begun=begun)
    assert health.admit("m")
    clock.now = 2
    health.record_failure("m", begun=health.now())
    assert not health.admit("m")


def test_whoever_was_let_in_before_the_connections_were_closed_is_not_waited_for(
    health: BackendHealth, clock: Clock
) -> None:
    fail(health, 3)
    clock.now = 10
    assert health.admit("m")
    health.renew()
    health.record_failure("m", begun=10)
    clock.now = 11
    assert health.admit("m")
