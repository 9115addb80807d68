from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from avengers_core.serving.backends.model_settings import ModelSettings
from avengers_core.serving.backends.pool_settings import PoolSettings

KNOWN = ("a", "b", "c")
BACKEND = object()


def test_models_are_given_named_or_made_for_an_endpoint() -> None:
    settings = PoolSettings(models={"b": BACKEND, "a": "openai:gpt-5"})
    assert (settings.given, settings.named) == ({"b": BACKEND}, {"a": "openai:gpt-5"})
    assert not settings.from_endpoint
    assert settings.wanted(KNOWN) == ("b", "a")
    for models, wanted in ((None, KNOWN), (["c"], ("c",))):
        settings = PoolSettings(models=models)
        assert (settings.given, settings.named) == ({}, {})
        assert settings.from_endpoint
        assert settings.wanted(KNOWN) == wanted


@pytest.mark.parametrize("models", ["a", 5, BACKEND, [1], {1: BACKEND}])
def test_what_names_no_models(models: Any) -> None:
    with pytest.raises(TypeError, match="models="):
        PoolSettings(models=models)


@pytest.mark.parametrize(
    "settings",
    [
        PoolSettings(models=[]),
        PoolSettings(models=["d"]),
        PoolSettings(capabilities={"d": {}}),
        PoolSettings(model_settings=ModelSettings({"d": {"seed": 1}})),
    ],
)
def test_of_models_that_the_artifact_does_not_have_nothing_is_said(settings: PoolSettings) -> None:
    with pytest.raises(ValueError, match=r"models=|which the artifact does not have"):
        settings.wanted(KNOWN)


IDLE: list[dict[str, Any]] = [
    {"base_url": "http://host/v1"},
    {"api_key": SecretStr("k")},
    {"options": {"timeout": 3.0}},
    {"options": {"max_retries": 1}},
    {"model_settings": ModelSettings({"seed": 1})},
    {"model_settings": ModelSettings({"a": {"seed": 1}})},
]


@pytest.mark.parametrize("said", IDLE)
def test_what_is_said_of_backends_made_here_is_refused_where_none_is(said: dict[str, Any]) -> None:
    (name,) = said
    with pytest.raises(ValueError, match="timeout|max_retries" if name == "options" else name):
        PoolSettings(models={"a": BACKEND}, **said).refuse_idle()
    PoolSettings(models=["a"], **said).refuse_idle()


def test_what_is_said_of_backends_made_of_a_text_has_an_effect() -> None:
    models = {"a": "openai:gpt-5", "b": BACKEND}
    PoolSettings(models=models, options={"timeout": 3.0}).refuse_idle()
    PoolSettings(models=models, model_settings=ModelSettings({"a": {"seed": 1}})).refuse_idle()
    with pytest.raises(ValueError, match="'b'"):
        PoolSettings(models=models, model_settings=ModelSettings({"b": {"seed": 1}})).refuse_idle()


def test_what_is_said_of_one_model_goes_before() -> None:
    settings = PoolSettings(
        options={"timeout": 3.0, "max_retries": 1},
        model_settings=ModelSettings({"seed": 1, "a": {"seed": 2, "timeout": 5.0}}),
    )
    assert settings.of("a") == {"timeout": 5.0, "max_retries": 1, "seed": 2}
    assert settings.of("b") == {"timeout": 3.0, "max_retries": 1, "seed": 1}


def test_the_same_settings_are_told_by_the_backends_identity() -> None:
    settings = PoolSettings(router="artifact/", models={"a": BACKEND})
    assert settings.same(PoolSettings(router="artifact/", models=settings.models))
    assert not settings.same(PoolSettings(router="artifact/", models={"a": BACKEND}))
    assert not settings.same(PoolSettings(router="another/", models=settings.models))
    assert PoolSettings(models=["a"]).same(PoolSettings(models=["a"]))
    assert not PoolSettings(explore_seed=1).same(PoolSettings(explore_seed=2))
