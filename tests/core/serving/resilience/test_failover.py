from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import httpx
import openai
import pytest

from avengers_core.errors import AllBackendsFailedError, ContentRefusedError, EmptyResponseError
from avengers_core.redaction import describe
from avengers_core.routing.decision import RoutingDecision
from avengers_core.routing.decision.candidates import Candidate
from avengers_core.serving.resilience.failover import Failover
from avengers_core.serving.resilience.faults import Failure, classify
from avengers_core.serving.resilience.health import BackendHealth

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
        (status_error(303), "bad_response"),
        (status_error(429, text="code: insufficient_quota"), "quota"),
        (status_error(429, text="RESOURCE_EXHAUSTED: exceeded your current quota"), "rate_limit"),
        (status_error(403, text="Your team has reached its monthly spending limit."), "quota"),
        (status_error(400, text="Arrearage: account not in good standing"), "quota"),
        (status_error(400, text="API key not valid. Please pass a valid one."), "authentication"),
        (status_error(400, text="x/y is not a valid model ID"), "not_found"),
        (status_error(400, text="The model `x` has been decommissioned"), "not_found"),
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
        (RuntimeError("Response was terminated early: MALFORMED_RESPONSE"), "bad_response"),
        (ValueError("1 validation error for AIMessage\ntool_calls.0.args"), "bad_response"),
        (ValueError({"message": "upstream", "code": 502}), "server_error"),
    ],
)
def test_another_model_may_do_better(error: Exception, kind: str) -> None:
    failure = classify(error)
    assert (failure.kind, failure.blame) == (kind, "backend")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (status_error(400), "bad_request"),
        (status_error(405), "bad_request"),
        (status_error(422), "bad_request"),
        (status_error(413), "too_long"),
        (status_error(400, text="maximum context length is 8192 tokens"), "too_long"),
        (status_error(400, text="prompt is too long: 210000 tokens > 200000 maximum"), "too_long"),
        (status_error(400, text="blocked by our content_policy"), "content"),
        (status_error(403, text="Your input was flagged for 'violence'."), "content"),
        (ValueError("bug"), "refused"),
        (NotImplementedError("tools"), "refused"),
        (TypeError("got an unexpected keyword argument 'x'"), "refused"),
        (type("ContextOverflowError", (Exception,), {})("no"), "too_long"),
        (ContentRefusedError("safety"), "content"),
        (RuntimeError("Response was terminated early: SAFETY"), "content"),
        (RuntimeError("Response was terminated early: MAX_TOKENS"), "refused"),
        (ValueError("Response has no candidates"), "content"),
    ],
)
def test_what_is_refused(error: Exception, kind: str) -> None:
    failure = classify(error)
    assert (failure.kind, failure.blame) == (kind, "request")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (status_error(400, text="Your credit balance is too low"), "quota"),
        (KeyError("choices"), "bad_response"),
        (AttributeError("'str' object has no attribute 'choices'"), "bad_response"),
        (TypeError("'NoneType' object is not subscriptable"), "bad_response"),
        (TypeError("Received response with null value for `choices`"), "bad_response"),
        (IndexError("list index out of range"), "bad_response"),
        (EmptyResponseError(), "bad_response"),
        (ValueError({"message": "upstream overloaded"}), "server_error"),
    ],
)
def test_what_looks_like_a_refusal_and_is_none(error: Exception, kind: str) -> None:
    failure = classify(error)
    assert (failure.kind, failure.blame) == (kind, "backend")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(503), GeneratorExit()])
def test_what_stops_the_program_is_nobodys_fault(error: BaseException) -> None:
    assert classify(error).blame == "nobody"


def test_the_cause_decides_where_the_error_says_nothing() -> None:
    error = RuntimeError("wrapped")
    error.__cause__ = status_error(429, {"retry-after": "3"})
    assert classify(error) == Failure("rate_limit", "backend", 3)


@pytest.mark.parametrize(
    "said",
    [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        "The input token count (1200000) exceeds the maximum number of tokens allowed",
        "Input is too long for requested model.",
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        "the request exceeds the available context size. try increasing it",
        "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
        "`inputs` tokens + `max_new_tokens` must be <= 4097.",
        "`inputs` must have less than 1024 tokens. Given: 1245",
        "Your request exceeded model token limit: 131072 (requested: 200000)",
        "Range of input length should be [1, 30720]",
        "Prompt exceeds max length",
        "Please reduce the length of the messages or completion.",
        "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
    ],
)
def test_a_prompt_that_is_too_long_is_told_in_many_words(said: str) -> None:
    assert classify(status_error(400, text=said)).kind == "too_long"


@pytest.mark.parametrize(
    "said",
    [
        "Content Exists Risk",
        "DataInspectionFailed: Input data may contain inappropriate content.",
        "The request was rejected because it was considered high risk",
        "Output blocked by content filtering policy",
    ],
)
def test_a_refusal_is_told_in_many_words(said: str) -> None:
    assert classify(status_error(400, text=said)).kind == "content"


def test_a_model_that_cannot_do_it_is_none_that_is_not_there() -> None:
    said = "No endpoints found that support image input"
    failure = classify(status_error(404, text=said))
    assert (failure.kind, failure.blame) == ("bad_request", "request")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2.5s"}, 62.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"}, 0.12),
        ({"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "6m0s"}, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "4"}, 4),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert classify(status_error(429, headers)).retry_after == seconds


LATER = datetime(2100, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": format_datetime(LATER, usegmt=True)},
        {
            "anthropic-ratelimit-tokens-remaining": "0",
            "anthropic-ratelimit-tokens-reset": "2100-01-01T00:00:00Z",
        },
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{LATER.timestamp():.0f}"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{LATER.timestamp() * 1000:.0f}"},
    ],
)
def test_retry_after_may_be_a_moment(headers: dict[str, str]) -> None:
    seconds = classify(status_error(429, headers)).retry_after
    assert seconds is not None
    assert 1e8 < seconds < 4e9


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("Rate limit reached. Please try again in 1m7.66s. Visit", 67.66),
        ("Please retry in 22.5s.", 22.5),
        ("{'retryDelay': '7s'}", 7),
        ("Try again in a minute.", None),
    ],
)
def test_how_long_to_wait_may_be_said_in_words(said: str, seconds: float | None) -> None:
    assert classify(status_error(429, text=said)).retry_after == seconds


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


def test_what_two_refuse_is_the_callers_fault() -> None:
    first, second = status_error(400), status_error(422)
    health = BackendHealth(threshold=1)
    failover = Failover(decision("a", "b", "c"), health)
    with pytest.raises(openai.APIStatusError) as caught:
        call(failover, {"a": first, "b": second, "c": "answer"})
    assert caught.value is first
    assert "a and b" in str(first)
    assert [t.model for t in failover.tried] == ["a", "b"]
    assert health.available("a")


def test_what_one_refuses_another_kind_may_take() -> None:
    failover = Failover(decision("a1", "a2", "b"), BackendHealth(), kind_of=lambda m: m[0])
    assert call(failover, {"a1": ValueError("no tools"), "a2": TimeoutError(), "b": "yes"}) == "yes"
    assert [t.model for t in failover.tried] == ["a1"]


def test_a_refusal_among_failures_is_one_of_them() -> None:
    failover = Failover(decision("a", "b"), BackendHealth())
    with pytest.raises(AllBackendsFailedError) as caught:
        call(failover, {"a": status_error(400), "b": TimeoutError("late")})
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert [t.kind for t in caught.value.tried] == ["bad_request", "timeout"]


def test_a_second_refusal_that_cannot_be_masked_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STUB_API_KEY", "the-marker-key")

    class StubbornError(ValueError):
        def __init_subclass__(cls) -> None:
            raise TypeError("sealed")

        def __str__(self) -> str:
            return "refused the-marker-key"

    with pytest.raises(AllBackendsFailedError) as caught:
        call(
            Failover(decision("a", "b"), BackendHealth()),
            {"a": StubbornError(), "b": StubbornError()},
        )
    assert "marker" not in "".join(traceback.format_exception(caught.value))


def test_the_only_ones_refusal_is_raised() -> None:
    error = status_error(400)
    with pytest.raises(openai.APIStatusError) as caught:
        call(Failover(decision("a"), BackendHealth()), {"a": error})
    assert caught.value is error


def test_a_prompt_that_is_too_long_goes_to_larger_windows() -> None:
    windows = {"a": 8, "b": 4, "c": 16, "d": 32, "e": None}
    long = status_error(400, text="maximum context length")
    failover = Failover(decision(*windows), BackendHealth(), window_of=windows.__getitem__)
    assert call(failover, {"a": long, "c": long, "d": "yes"}) == "yes"
    failover = Failover(decision("a", "b"), BackendHealth(), window_of=windows.__getitem__)
    with pytest.raises(openai.APIStatusError) as caught:
        call(failover, {"a": long})
    assert caught.value is long


def test_a_content_refusal_is_a_setting() -> None:
    outcomes = {"a": status_error(403, text="flagged"), "b": "yes"}
    with pytest.raises(openai.APIStatusError) as caught:
        call(Failover(decision("a", "b"), BackendHealth()), outcomes)
    assert "asked of a" in str(caught.value)
    assert call(Failover(decision("a", "b"), BackendHealth(), on_refusal="next"), outcomes) == "yes"


def test_all_failed_names_each_and_shows_no_key() -> None:
    failover = Failover(decision("a", "b"), BackendHealth())
    errors = {m: status_error(401, text="bad key the-marker-key") for m in "ab"}
    with pytest.raises(AllBackendsFailedError, match=r"(?s)a: authentication.*b: authentic") as e:
        call(failover, errors)
    assert "the-marker-key" not in str(e.value)


def test_max_attempts() -> None:
    failover = Failover(decision("a", "b", "c"), BackendHealth(), max_attempts=2)
    with pytest.raises(AllBackendsFailedError, match=r"\b1\b"):
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
        code = "odd"
        status = True
        response = SimpleNamespace(status_code="many", headers=3)
        request = None

    assert classify(OddError()).blame == "request"


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
        (_OddError(), "refused"),
        (_with(code=float("inf")), "connection"),
        (_with(response={"ResponseMetadata": None}), "connection"),
    ],
)
def test_odd_errors_are_not_replaced_by_others(error: Exception, kind: str) -> None:
    assert classify(error).kind == kind
    assert describe(error).startswith(type(error).__name__)
