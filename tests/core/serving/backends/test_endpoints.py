from __future__ import annotations

import pickle

import pytest

from avengers_core.errors import BackendConfigError
from avengers_core.serving.backends.endpoints import OPENROUTER_URL, endpoint_from_env

KEY = "the-marker-key"


@pytest.mark.parametrize(
    ("environ", "url", "prefix"),
    [
        ({"AVENGERS_BASE_URL": "http://a/v1", "AVENGERS_API_KEY": KEY}, "http://a/v1", None),
        ({"OPENROUTER_API_KEY": KEY}, OPENROUTER_URL, None),
        ({"OPENAI_API_KEY": KEY}, None, "openai/"),
        ({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://b/v1"}, "http://b/v1", None),
        (
            {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "https://eu.api.openai.com/v1"},
            "https://eu.api.openai.com/v1",
            "openai/",
        ),
    ],
)
def test_each_variable(environ: dict[str, str], url: str | None, prefix: str | None) -> None:
    endpoint = endpoint_from_env(environ)
    assert (endpoint.base_url, endpoint.prefix) == (url, prefix)
    assert endpoint.api_key.get_secret_value() == KEY


def test_order_of_precedence_and_no_key_for_a_foreign_url() -> None:
    everything = {
        "AVENGERS_BASE_URL": "http://a/v1",
        "AVENGERS_API_KEY": "one",
        "OPENROUTER_API_KEY": "two",
        "OPENAI_API_KEY": "three",
    }
    assert endpoint_from_env(everything).api_key.get_secret_value() == "one"
    del everything["AVENGERS_API_KEY"]
    endpoint = endpoint_from_env(everything)
    assert (endpoint.base_url, endpoint.api_key.get_secret_value()) == ("http://a/v1", "none")
    del everything["AVENGERS_BASE_URL"]
    assert endpoint_from_env(everything).api_key.get_secret_value() == "two"


def test_only_openai_models_at_openai() -> None:
    endpoint = endpoint_from_env({"OPENAI_API_KEY": KEY})
    assert endpoint.remote_name("openai/gpt-5") == "gpt-5"
    assert endpoint.remote_name("google/gemini-2.5-pro") is None
    assert endpoint_from_env({"OPENROUTER_API_KEY": KEY}).remote_name("openai/gpt-5") == (
        "openai/gpt-5"
    )


def test_without_any_the_error_names_the_variables() -> None:
    with pytest.raises(BackendConfigError) as caught:
        endpoint_from_env({"AVENGERS_BASE_URL": ""})
    for name in ("AVENGERS_BASE_URL", "AVENGERS_API_KEY", "OPENROUTER_API_KEY", "OPENAI_API_KEY"):
        assert name in str(caught.value)


def test_a_lone_key_is_pointed_out() -> None:
    with pytest.raises(BackendConfigError, match="AVENGERS_BASE_URL"):
        endpoint_from_env({"AVENGERS_API_KEY": KEY})


def test_the_key_is_never_shown_nor_pickled() -> None:
    url = f"http://user:{KEY}@host/v1"
    endpoint = endpoint_from_env({"AVENGERS_BASE_URL": url, "AVENGERS_API_KEY": KEY})
    assert KEY not in repr(endpoint) + str(endpoint)
    with pytest.raises(TypeError, match="key"):
        pickle.dumps(endpoint)
