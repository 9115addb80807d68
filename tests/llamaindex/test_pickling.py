"""What is taken for a key when something is pickled."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.bridge.pydantic import SecretStr

from avengers_llamaindex.pickling import refuse_key, refuse_unpicklable


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_key", "k"),
        ("hf_token", SecretStr("k")),
        ("password", b"k"),
        ("default_headers", {"Authorization": "Bearer k"}),
        ("additional_kwargs", {"extra_headers": {"x-api-key": "k"}}),
    ],
)
def test_what_holds_a_key_is_refused(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"the LLM holds a key \({name}\).*Do else\."):
        refuse_key("the LLM", SimpleNamespace(**{name: value}), "Do else.")


def test_what_is_none_is_not_refused() -> None:
    subject = SimpleNamespace(
        api_key=None,
        password="",
        max_tokens=5,
        eos_token="</s>",
        cache_key="a",
        vocabulary={"password": 17, "secret": 3},
    )
    subject.itself = vars(subject)
    refuse_key("the LLM", subject, "Do else.")


def test_why_it_can_not_be_pickled_is_said_without_keys() -> None:
    class Holder:
        def __reduce__(self) -> Any:
            raise ValueError("Holder(api_key='abcdefgh')")

    with pytest.raises(TypeError, match=r"can not be pickled \(ValueError: Holder") as caught:
        refuse_unpicklable("the LLM", Holder(), "Do else.")
    assert "abcdefgh" not in str(caught.value)
