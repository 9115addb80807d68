"""Settings of any kind are taken or refused at once, by an error that says which."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avengers_core import AvengersError, Router
from avengers_core.embedders import OpenAIEmbedder

from .conftest import cases

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["raise", "relax", "paper", "openai/gpt-5"]),
    st.lists(st.sampled_from(["nobody", "", "\ud800"]), max_size=3),
)
ARGUMENTS = (
    "alpha",
    "performance_weight",
    "cost_sensitivity",
    "models",
    "exclude",
    "max_cost",
    "min_score",
    "n",
    "prompt_tokens",
    "on_empty",
)


@pytest.fixture(scope="module")
def router():
    return Router.default()


@cases(1200)
@given(st.dictionaries(st.sampled_from(ARGUMENTS), VALUES, max_size=3), st.text(max_size=20))
def test_arguments_of_route(router, arguments, query):
    try:
        decision = router.route(query, **arguments)
    except (AvengersError, ValueError, TypeError) as error:
        assert len(str(error)) < 3000  # noqa: PT017
        return
    json.dumps(decision.to_dict(), allow_nan=False)
    assert decision.explain()


URLS = st.one_of(
    st.text(max_size=20),
    st.builds(
        "{}user:hunter2@{}{}".format,
        st.sampled_from(["http://", "https://", "", "//", "ftp://", "http:/", "HTTP://x/"]),
        st.sampled_from(["host", "host:80", "[::1]:9", "host:port", "", "[", "h\x00st", "höst"]),
        st.sampled_from(["/v1", "", "/a?b=c", "#d", "/\ud800", " /v1"]),
    ),
)


@cases(1000)
@given(URLS, st.text(max_size=12))
def test_addresses_and_keys_of_endpoints(url, key):
    embedder = OpenAIEmbedder("stub", base_url=url, api_key="s3cret" + key)
    clients = embedder._clients
    shown = repr(embedder) + clients.describe(ValueError(f"{url} refused s3cret{key}"))
    try:
        clients._options()
    except AvengersError as error:
        shown += str(error)
    assert "hunter2" not in shown
    assert "s3cret" not in shown
