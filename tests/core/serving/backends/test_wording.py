"""What is said in one provider's words, in another's."""

from __future__ import annotations

import pytest

from avengers_core.serving.backends.wording import note_left_out, told
from avengers_core.serving.history import ANTHROPIC, GEMINI, OPENAI, OPENAI_RESPONSES, OTHER, Target
from avengers_core.serving.stopping import note_cut


def test_lengths_have_one_name_each() -> None:
    for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
        said = {name: 5, "stop_sequences": ["x"], "seed": 1, "own": 2}
        words, cut = told([{"max_tokens": 9}, said], Target("m", GEMINI))
        rest = {"stop_sequences": ["x"], "own": 2}
        assert (words, cut) == ({"max_output_tokens": 5, "seed": 1, **rest}, ())
        assert told([said], Target("m", ANTHROPIC)) == ({"max_tokens": 5, **rest}, ())
        assert told([said], Target("m", OTHER)) == (said, ())


@pytest.mark.parametrize(
    ("name", "target"),
    [("seed", Target("m", ANTHROPIC)), ("presence_penalty", Target("m", OPENAI, "gpt-5.1"))],
)
def test_what_is_left_out_is_said_once(
    name: str, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    note_left_out.cache_clear()
    assert told([{name: None, "top_p": 0.5}], target) == ({"top_p": 0.5}, ())
    assert not caplog.records
    for _ in range(2):
        assert told([{name: 1, "top_p": 0.5}], target) == ({"top_p": 0.5}, ())
    (record,) = caplog.records
    assert name in record.getMessage()


@pytest.mark.parametrize(
    "target", [Target("m", OPENAI_RESPONSES), Target("openai/gpt-5", OPENAI, "gpt-5")]
)
def test_answers_are_cut_where_stop_sequences_are_not_taken(
    target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    note_cut.cache_clear()
    for none in (None, [], [""]):
        assert told([{"stop": none}], target) == ({}, ())
    assert not caplog.records
    for _ in range(2):
        assert told([{"stop": ["a"]}, {"stop_sequences": "x"}], target) == ({}, ("x",))
    (record,) = caplog.records
    assert target.dialect.name in record.getMessage()


def test_a_temperature_goes_before_what_cannot_stand_beside_it() -> None:
    claude = Target("m", ANTHROPIC, "claude-sonnet-4-5")
    both = {"temperature": 0.1, "top_p": 0.5}
    assert told([both], claude) == ({"temperature": 0.1}, ())
    assert told([both, {"temperature": None}], claude)[0]["top_p"] == 0.5
    sampling = Target("m", ANTHROPIC, "claude-sonnet-4-5", samples=True)
    assert told([{"top_p": 0.5}], sampling) == ({}, ())
