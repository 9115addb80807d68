from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import httpx
import openai
import pytest

from avengers_core.errors import AllBackendsFailedError
from avengers_core.redaction import describe
from avengers_core.routing.decision import Candidate, RoutingDecision
from avengers_core.serving.failover import Failover
from avengers_core.serving.faults import Failure, classify
from avengers_core.serving.health import BackendHealth

REQUEST = httpx.Request(
    "POST", "http://127.0.0.1/v1", headers={"Authorization": "Bearer the-marker-key"}
)


def status_error(
    status: int, headers: Mapping[str, str] | None = None, text: str = "no"
) -> openai.APIStatusError:
    response = httpx.Response(status, headers=headers, request=REQUEST)
    return openai.APIStatusError(text, response=response, body=None)


class GoogleLikeError(Exception):
    code = 503


class BotoLikeError(Exception):
    response = {"ResponseMetadata": {"HTTPStatusCode": 429}}  # noqa: RUF012


class ServiceUnavailableError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (status_error(429), "rate_limit"),
        (status_error(401), "authentication"),
        (status_error(403), "authentication"),
        (status_error(402), "quota"),
        (status_error(404), "not_found"),
        (status_error(408), "timeout"),
        (status_error(500), "server_error"),
        (status_error(529), "server_error"),
        (openai.APITimeoutError(REQUEST), "timeout"),
        (openai.APIConnectionError(request=REQUEST), "connection"),
        (openai.APIError("in a stream", REQUEST, body=None), "server_error"),
        (httpx.ReadTimeout("slow"), "timeout"),
        (httpx.RemoteProtocolError("dropped"), "connection"),
        (TimeoutError(), "timeout"),
        (ConnectionResetError(), "connection"),
        (json.JSONDecodeError("bad", "{", 0), "bad_response"),
        (GoogleLikeError(), "server_error"),
        (BotoLikeError(), "rate_limit"),
        (ServiceUnavailableError(), "server_error"),
        (ValueError({"message": "upstream", "code": 502}), "server_error"),
    ],
)
def test_another_model_may_do_better(error: Exception, kind: str) -> None:
    failure = classify(error)
    assert (failure.kind, failure.fail_over) == (kind, True)


@pytest.mark.parametrize("status", [400, 405, 413, 422])
def test_a_bad_request_is_the_callers(status: int) -> None:
    assert classify(status_error(status)) == Failure("bad_request", False)


def test_a_403_about_the_prompt_is_the_callers() -> None:
    text = "openai/gpt-5 requires moderation. Your input was flagged for 'violence'."
    assert classify(status_error(403, text=text)) == Failure("bad_request", False)


@pytest.mark.parametrize("error", [ValueError("bug"), TypeError(), KeyError("x")])
def test_what_is_not_known_is_not_failed_over(error: Exception) -> None:
    assert not classify(error).fail_over


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(503), GeneratorExit()])
def test_what_stops_the_program_is_not_failed_over(error: BaseException) -> None:
    assert not classify(error).fail_over


def test_the_cause_decides_where_the_error_says_nothing() -> None:
    error = RuntimeError("wrapped")
    error.__cause__ = status_error(429, {"retry-after": "3"})
    assert classify(error) == Failure("rate_limit", True, 3)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert classify(status_error(429, headers)).retry_after == seconds


def test_retry_after_may_be_a_date() -> None:
    seconds = classify(status_error(503, {"retry-after": formatdate(usegmt=True)})).retry_after
    assert seconds is not None
    assert seconds < 60


# -- the loop --


def decision(*models: str) -> RoutingDecision:
    candidates = tuple(Candidate(m, 1.0 - i / 10, 0.5, 0.01, 1.0) for i, m in enumerate(models))
    return RoutingDecision(candidates, {}, (), 0.5, "calibrated")


def call(failover: Failover, outcomes: Mapping[str, Any]) -> Any:
    for attempt in failover:
        with attempt:
            outcome = outcomes[attempt.model]
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome
    raise failover.exhausted()


def test_the_next_candidate_answers() -> None:
    failover = Failover(decision("a", "b"), BackendHealth())
    assert call(failover, {"a": status_error(500), "b": "answer"}) == "answer"
    assert [(t.model, t.kind) for t in failover.tried] == [("a", "server_error")]
    report = failover.report("b")
    assert (report["model"], report["tried"][0]["model"]) == ("b", "a")
    json.dumps(report)


def test_the_callers_error_is_raised_as_it_is() -> None:
    error = status_error(400)
    failover = Failover(decision("a", "b"), BackendHealth())
    with pytest.raises(openai.APIStatusError) as caught:
        call(failover, {"a": error})
    assert caught.value is error
    assert failover.tried == ()


def test_all_failed_names_each_and_shows_no_key() -> None:
    failover = Failover(decision("a", "b"), BackendHealth())
    errors = {m: status_error(401, text="bad key the-marker-key") for m in "ab"}
    with pytest.raises(AllBackendsFailedError, match=r"(?s)a: authentication.*b: authentic") as e:
        call(failover, errors)
    assert "the-marker-key" not in str(e.value)


def test_max_attempts() -> None:
    failover = Failover(decision("a", "b", "c"), BackendHealth(), max_attempts=2)
    with pytest.raises(AllBackendsFailedError, match="1 more were not tried"):
        call(failover, dict.fromkeys("abc", TimeoutError()))
    assert [t.model for t in failover.tried] == ["a", "b"]
    with pytest.raises(ValueError, match="max_attempts"):
        Failover(decision("a"), BackendHealth(), max_attempts=0)


def test_resting_models_come_last_but_come() -> None:
    health = BackendHealth(threshold=1)
    health.record_failure("a")
    failover = Failover(decision("a", "b"), health)
    assert [attempt.model for attempt in failover] == ["b", "a"]
    assert call(Failover(decision("a"), health), {"a": "long shot"}) == "long shot"
    assert health.available("a")


def test_failures_reach_the_health_and_successes_too() -> None:
    health = BackendHealth(threshold=2)
    outcomes = {"a": TimeoutError(), "b": "answer"}
    for _ in range(2):
        call(Failover(decision("a", "b"), health), outcomes)
    assert not health.available("a")
    assert health.available("b")


def stream(health: BackendHealth, error: BaseException) -> None:
    for attempt in Failover(decision("a", "b"), health):
        with attempt:
            attempt.commit()
            raise error


def test_after_the_first_chunk_errors_are_raised_but_noted() -> None:
    health = BackendHealth(threshold=2)
    for available in (True, False):  # that each stream began well wipes no slate
        with pytest.raises(ConnectionResetError):
            stream(health, ConnectionResetError("mid-stream"))
        assert health.available("a") is available


def test_a_stream_that_is_closed_early_is_a_success() -> None:
    health = BackendHealth(threshold=2)
    health.record_failure("a")
    with pytest.raises(GeneratorExit):
        stream(health, GeneratorExit())
    health.record_failure("a")
    assert health.available("a")


def test_odd_errors_do_no_harm() -> None:
    class OddError(Exception):
        code = "insufficient_quota"
        status = True
        response = SimpleNamespace(status_code="many", headers=3)
        request = None

    assert not classify(OddError()).fail_over


class _OddError(Exception):
    @property
    def status_code(self) -> int:
        raise RuntimeError("not now")

    def __str__(self) -> str:
        raise RuntimeError("nor this")


def _with(**attributes: object) -> Exception:
    error = ConnectionError("odd")
    vars(error).update(attributes)
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (_OddError(), "unknown"),
        (_with(code=float("inf")), "connection"),
        (_with(response={"ResponseMetadata": None}), "connection"),
    ],
)
def test_odd_errors_are_not_replaced_by_others(error: Exception, kind: str) -> None:
    assert classify(error).kind == kind
    assert describe(error).startswith(type(error).__name__)
