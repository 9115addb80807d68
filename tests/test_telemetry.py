"""Spans and counts of calls, as OpenTelemetry's SDK exports them."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from keyword_router import EASY, HARD, SPARE
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from stub_server import StubServer

from avengers_core import Router
from avengers_core.errors import AllBackendsFailedError, OptionalDependencyError
from avengers_core.serving.watching import telemetry
from avengers_langchain import AvengersChatModel
from avengers_llamaindex import AvengersLLM


@pytest.fixture(params=[AvengersChatModel, AvengersLLM])
def plugin(
    request: pytest.FixtureRequest, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> Any:
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    return request.param


def ask(llm: Any, question: str) -> Any:
    return llm.invoke(question) if isinstance(llm, AvengersChatModel) else llm.complete(question)


def counted(reader: InMemoryMetricReader) -> dict[str, list[tuple[dict[str, Any], float]]]:
    data = reader.get_metrics_data()
    found: dict[str, list[tuple[dict[str, Any], float]]] = {}
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                points: Any = metric.data.data_points
                found[metric.name] = [(dict(p.attributes), p.value) for p in points]
    return found


@pytest.mark.parametrize("otel", [True, None])
def test_a_call_is_a_span(
    plugin: Any, router: Router, server: StubServer, exported: Any, otel: bool | None
) -> None:
    server.fail(HARD, status=500)
    ask(plugin(router=router, otel=otel), "Prove it")
    (span,) = exported[0].get_finished_spans()
    attributes = dict(span.attributes)
    assert span.name == f"chat {HARD}"
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.request.model"] == HARD
    assert attributes["gen_ai.response.model"] == SPARE
    assert attributes["gen_ai.usage.input_tokens"] > 0
    assert attributes["gen_ai.usage.output_tokens"] > 0
    assert attributes["avengers.failovers"] == 1
    assert attributes["avengers.propensity"] == 1
    found = counted(exported[1])
    assert found["avengers.choices"] == [({"gen_ai.response.model": SPARE}, 1)]
    (failover, n), *_ = found["avengers.failovers"]
    assert (failover["gen_ai.request.model"], n) == (HARD, 1)


def test_a_stream_and_a_failure(
    plugin: Any, router: Router, server: StubServer, exported: Any
) -> None:
    llm = plugin(router=router)
    list(llm.stream("hello") if plugin is AvengersChatModel else llm.stream_complete("hello"))
    for model in (HARD, SPARE, EASY):
        server.fail(model, status=500)
    with pytest.raises(AllBackendsFailedError):
        ask(llm, "Prove it")
    streamed, failed = exported[0].get_finished_spans()
    assert streamed.attributes["gen_ai.response.model"] == EASY
    assert streamed.status.status_code is trace.StatusCode.UNSET
    assert failed.status.status_code is trace.StatusCode.ERROR
    assert failed.attributes["error.type"] == "AllBackendsFailedError"
    assert "gen_ai.response.model" not in failed.attributes


def test_nothing_without_being_wanted(plugin: Any, router: Router, exported: Any) -> None:
    ask(plugin(router=router, otel=False), "Prove it")
    assert exported[0].get_finished_spans() == ()


def test_no_provider_no_span(router: Router) -> None:
    assert telemetry.find_telemetry(False) is None
    proxies = (trace.ProxyTracerProvider, metrics._internal._ProxyMeterProvider)
    assert not any(telemetry._is_set_up(kind()) for kind in proxies)


def test_not_installed(plugin: Any, router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    telemetry._telemetry.cache_clear()
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(OptionalDependencyError):
        plugin(router=router, otel=True)
    plugin(router=router)
