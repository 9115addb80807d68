from __future__ import annotations

import pytest

from avengers_core.serving.backends.capabilities import Capabilities, Needs, unmet


def test_what_is_not_known_is_assumed() -> None:
    everything = Needs(tools=True, structured_output=True, images=True, audio=True, tokens=10**9)
    assert unmet(everything, Capabilities()) is None


@pytest.mark.parametrize(
    ("needs", "capabilities", "reason"),
    [
        (Needs(tools=True), Capabilities(tools=False), "tools"),
        (Needs(structured_output=True), Capabilities(structured_output=False), "structured"),
        (Needs(images=True), Capabilities(images=False), "images"),
        (Needs(files=True), Capabilities(files=False), "files"),
        (Needs(audio=True), Capabilities(audio=False), "audio"),
        (Needs(video=True), Capabilities(video=False), "video"),
        (Needs(providers=frozenset({"anthropic"})), Capabilities(provider="openai"), "anthropic"),
        (Needs(providers=frozenset({"anthropic"})), Capabilities(), "anthropic"),
        (Needs(tokens=101), Capabilities(context_window=100), "101 tokens"),
    ],
)
def test_unmet(needs: Needs, capabilities: Capabilities, reason: str) -> None:
    assert reason in (unmet(needs, capabilities) or "")
    assert unmet(Needs(tokens=100), capabilities) is None


def test_what_the_user_says_goes_first() -> None:
    own = Capabilities(tools=False, images=True)
    told = Capabilities(tools=True, context_window=10)
    assert own.overlaid(told) == Capabilities(tools=True, images=True, context_window=10)


def test_a_window_must_be_positive() -> None:
    with pytest.raises(ValueError, match="context_window"):
        Capabilities(context_window=0)
