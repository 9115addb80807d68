"""What is carried over, to whom, in turns that no framework has."""

from __future__ import annotations

import pytest

from avengers_core.serving.history import (
    ANTHROPIC,
    ANTHROPIC_THINKING,
    BEDROCK,
    GEMINI,
    MISTRAL,
    OLLAMA,
    OPENAI,
    OPENAI_COMPATIBLE,
    OPENAI_COMPATIBLE_REASONING,
    PERPLEXITY,
    TEXT_ONLY,
    Call,
    Dialect,
    Media,
    Target,
    Turn,
    anthropic_dialect,
    carried_over,
    compatible_dialect,
    has_words,
    readable,
    sources,
    without_thoughts,
)

ASKED = Turn("user", ("What is it?",), source="question")
CALLED = Turn("assistant", (), (Call("functions.search:0", "my search", {"query": "x"}),))
FOUND = Turn("tool", ("found",), call_id="functions.search:0", source="result")
PICTURE = Media("image", "image/png", data="AAAA")


def test_what_can_go_as_it_is_is_the_same_object() -> None:
    own = Turn("assistant", calls=(Call("any id", "any name", {}),), own=True, source="own")
    turns = [ASKED, own, Turn("tool", ("found",), call_id="any id", source="result")]
    for kept, given in zip(carried_over(turns, ANTHROPIC), turns, strict=True):
        assert kept is given


@pytest.mark.parametrize("dialect", [OPENAI_COMPATIBLE, MISTRAL, ANTHROPIC], ids=lambda d: d.name)
def test_identifiers_and_names_are_replaced_alike_in_call_and_result(dialect: object) -> None:
    _, call, result = carried_over([ASKED, CALLED, FOUND], dialect)  # type: ignore[arg-type]
    assert dialect.takes_id(call.calls[0].id)  # type: ignore[attr-defined]
    assert call.calls[0].name == "my_search"
    assert result.call_id == call.calls[0].id
    assert carried_over([ASKED, CALLED, FOUND], dialect)[1] == call  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["9lives", "-x", "a" * 100, "my search", "搜索", "a.b", ""])
def test_a_name_is_made_that_is_taken(name: str) -> None:
    for dialect in (OPENAI, ANTHROPIC, BEDROCK, GEMINI, MISTRAL):
        assert dialect.takes_name(dialect.tool(name))


def test_calls_with_the_same_identifier_are_told_apart() -> None:
    turns = [ASKED, CALLED, FOUND, CALLED, FOUND]
    calls = [turn.calls[0].id for turn in carried_over(turns, ANTHROPIC) if turn.calls]
    assert len(set(calls)) == 2


def test_what_is_said_beside_calls_stands_alone_where_it_has_to() -> None:
    both = Turn("assistant", ("Let me see.",), CALLED.calls)
    turns = carried_over([ASKED, both, FOUND], MISTRAL)
    assert [turn.role for turn in turns] == ["user", "assistant", "user", "assistant", "tool"]
    assert turns[1].parts == ("Let me see.",)
    assert not turns[1].calls
    assert not turns[3].parts
    assert turns[3].calls
    assert len(carried_over([ASKED, both, FOUND], OPENAI)) == 3


@pytest.mark.parametrize("dialect", [OPENAI_COMPATIBLE, ANTHROPIC, BEDROCK], ids=lambda d: d.name)
def test_an_error_says_something(dialect: Dialect) -> None:
    failed = Turn("tool", (), call_id=FOUND.call_id, failed=True, source="result")
    assert not carried_over([ASKED, CALLED, failed], dialect)[-1].is_empty


@pytest.mark.parametrize("dialect", [OPENAI_COMPATIBLE, ANTHROPIC, GEMINI], ids=lambda d: d.name)
def test_somebody_asks(dialect: Dialect) -> None:
    turns = carried_over([Turn("system", ("Be kind.",), source="system")], dialect)
    assert [turn.role for turn in turns] == ["system", "user"]
    for kind in (OPENAI, dialect):  # of an answer that says nothing, nothing is left
        assert [turn.role for turn in carried_over([Turn("assistant")], kind)] == ["user"]


def test_who_takes_no_calls_is_told_of_them() -> None:
    target = Target("it", PERPLEXITY)
    assert target.tells_all_calls
    turns = carried_over([ASKED, CALLED, FOUND], PERPLEXITY, tell_calls=True)
    assert [turn.role for turn in turns] == ["user"]
    assert not target.takes_back(["search"], says=False, broken=False)


def test_a_call_of_its_own_goes_back_as_it_was_where_that_is_taken() -> None:
    for dialect, says, broken, taken in (
        (OPENAI, True, True, True),
        (OPENAI_COMPATIBLE, True, False, True),
        (OPENAI_COMPATIBLE, True, True, False),
        (MISTRAL, False, False, True),
        (MISTRAL, True, False, False),
    ):
        its = Target("it", dialect)
        assert its.takes_back(["search"], says=says, broken=broken) is taken
        assert not its.takes_back(["search", "my search"], says=says, broken=broken)


def test_a_message_without_any_part_says_something() -> None:
    turns = [Turn("user", ()), Turn("assistant", ("Yes?",)), Turn("user", ("",), source="blank")]
    first, _, last = carried_over(turns, OPENAI)
    assert first.parts
    assert last.source == "blank"  # which OpenAI takes


def test_two_answers_of_its_own_in_a_row_stand_where_its_client_joins_them() -> None:
    own = Turn("assistant", own=True, source="own")
    for dialect, roles in (
        (BEDROCK, ["user", "assistant", "assistant", "user"]),
        (GEMINI, ["user", "assistant", "user", "assistant", "user"]),
        (compatible_dialect("gemma-3"), ["user", "assistant", "user", "assistant", "user"]),
        (OPENAI_COMPATIBLE, ["user", "assistant", "assistant", "user"]),
    ):
        assert [t.role for t in carried_over([ASKED, own, own, ASKED], dialect)] == roles


def test_files_have_names_that_are_taken_and_a_text_beside_them() -> None:
    def file(name: str | None) -> Media:
        return Media("file", "application/pdf", data="AAAA", name=name)

    named = Turn("user", (file("my report_v1.2.pdf"), "Sum up"), source="first")
    alone = Turn("user", (file("my report_v1.2.pdf"), file(None)), source="second")
    kept = Turn("user", (file("A (1)"), "And this?"), source="third")
    answer = Turn("assistant", ("Yes",))
    turns = carried_over([named, answer, alone, answer, kept], BEDROCK)
    names = [p.name for turn in turns for p in turn.parts if isinstance(p, Media)]
    assert names == ["my report v1 2 pdf", "my report v1 2 pdf 2", "file", "A (1)"]
    assert any(isinstance(part, str) for part in turns[2].parts)
    assert turns[4].source == "third"
    assert carried_over([named], ANTHROPIC)[0].source == "first"


def test_ollama_fetches_no_pictures() -> None:
    assert "image" in compatible_dialect("llava", "http://localhost:8000/v1").by_url
    assert not compatible_dialect("llava", f"{OLLAMA}/v1").by_url


def test_a_call_without_result_gets_one_and_a_result_without_call_is_told() -> None:
    turns = carried_over([FOUND, ASKED, CALLED, ASKED], OPENAI)
    assert [turn.role for turn in turns] == ["user", "assistant", "tool", "user"]
    assert "found" in turns[0].parts
    assert turns[2].failed


def test_without_tools_some_are_told_all_calls() -> None:
    """https://github.com/langchain-ai/langchain-aws/issues/591"""
    call = Call("a", "search", {"query": "x"})
    turns = [
        Turn("user", ("Search.",)),
        Turn("assistant", ("So.",), (call,)),
        Turn("tool", ("found",), call_id="a"),
        Turn("user", ("Sum it up.",)),
    ]
    assert any(turn.calls for turn in carried_over(turns, BEDROCK))
    told = carried_over(turns, BEDROCK, tell_calls=True)
    assert not any(turn.calls or turn.role == "tool" for turn in told)
    assert "found" in str(told)
    assert Target("m", BEDROCK, tools=False).tells_all_calls
    assert not Target("m", BEDROCK).tells_all_calls


@pytest.mark.parametrize("dialect", [ANTHROPIC_THINKING, OPENAI_COMPATIBLE_REASONING])
def test_a_loop_that_needs_thoughts_of_its_own_is_told_in_words(dialect: object) -> None:
    turns = carried_over([ASKED, CALLED, FOUND], dialect)  # type: ignore[arg-type]
    assert [turn.role for turn in turns] == ["user"]
    assert {"What is it?", "found"} <= set(turns[0].parts)


def test_claude_keeps_the_calls_of_turns_that_are_finished() -> None:
    answered = Turn("assistant", ("It is so.",))
    turns = carried_over([ASKED, CALLED, FOUND, answered, ASKED], ANTHROPIC_THINKING)
    assert [turn.role for turn in turns] == ["user", "assistant", "tool", "assistant", "user"]


def test_pictures_go_where_the_target_takes_them() -> None:
    shown = Turn("tool", ("found", PICTURE), call_id="functions.search:0", source="result")
    turns = [ASKED, CALLED, shown]
    assert PICTURE in carried_over(turns, ANTHROPIC)[2].parts
    *_, result, moved = carried_over(turns, OPENAI)
    assert PICTURE not in result.parts
    assert (moved.role, moved.parts[-1]) == ("user", PICTURE)
    asked = carried_over([Turn("user", ("Look:", PICTURE), source="x")], TEXT_ONLY)[0]
    assert all(isinstance(part, str) for part in asked.parts)


def test_system_messages_stand_where_they_may() -> None:
    late = Turn("system", ("Be kind.",), source="late")
    turns = [ASKED, late, Turn("assistant", ("Yes.",)), ASKED]
    assert carried_over(turns, OPENAI)[1] is late
    kinds = {dialect.name: carried_over(turns, dialect) for dialect in (ANTHROPIC, GEMINI)}
    for carried in kinds.values():
        assert all(turn.role != "system" for turn in carried)
        assert any("Be kind." in turn.parts for turn in carried)


def test_a_history_begins_and_ends_with_the_user_where_it_must() -> None:
    turns = carried_over([Turn("assistant", ("Hello!",))], GEMINI)
    assert [turn.role for turn in turns] == ["user", "assistant", "user"]


def test_answers_that_say_nothing_are_left_out() -> None:
    assert carried_over([ASKED, Turn("assistant", ("",)), ASKED], OPENAI) == [ASKED, ASKED]


@pytest.mark.parametrize(
    ("model", "ends"), [("claude-3-5-haiku-latest", True), ("claude-opus-4-6", False)]
)
def test_older_claudes_go_on_with_what_the_caller_began(model: str, ends: bool) -> None:
    assert anthropic_dialect(model, thinking=False).ends_with_assistant is ends
    assert not anthropic_dialect(model, thinking=True).ends_with_assistant


def test_models_behind_one_protocol_are_told_by_name() -> None:
    assert compatible_dialect("mistralai/devstral-small") is MISTRAL
    assert compatible_dialect("deepseek/deepseek-v4-pro") is OPENAI_COMPATIBLE_REASONING
    assert compatible_dialect("qwen/qwen3-8b") is OPENAI_COMPATIBLE


def test_leavings_say_what_a_reader_can_use() -> None:
    found = {"type": "web_search_result", "url": "https://a.b", "encrypted_content": "x" * 40}
    told = readable({"type": "web_search_tool_result", "tool_use_id": "srv", "content": [found]})
    assert "https://a.b" in told
    assert "xxx" not in told
    assert "srv" not in told
    assert readable({"type": "reasoning", "id": "rs_1", "encrypted_content": "x"}) == ""
    assert (
        sources([{"url": "u", "title": "T"}, {"web": {"uri": "u", "title": "T"}}]).count("T") == 1
    )
    assert without_thoughts("<think>\nhm\n</think>\n\nYes <think>") == "Yes <think>"
    assert without_thoughts("<think>hm") == ""
    assert not any(map(has_words, ("<think>hm", "<think>hm</think> ", " ")))
    assert has_words("<b>Yes</b>")
