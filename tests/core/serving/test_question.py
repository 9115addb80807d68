from __future__ import annotations

import asyncio
import threading

import pytest

from avengers_core.serving.question import (
    QUESTION_VARIABLES,
    current_hint,
    is_observation,
    question_from_variables,
    routing_hint,
)


def test_variables_are_tried_in_order() -> None:
    variables = {name: f"the {name}" for name in reversed(QUESTION_VARIABLES)}
    assert question_from_variables(variables) == "the query_str"
    del variables["query_str"]
    assert question_from_variables(variables) == "the question"


def test_blank_and_other_values_do_not_count() -> None:
    assert question_from_variables({"question": " ", "query": ["x"], "input": "this"}) == "this"
    assert question_from_variables({"context": "documents"}) is None


@pytest.mark.parametrize(("text", "is_one"), [("Observation: 4", True), ("I observe", False)])
def test_observations(text: str, is_one: bool) -> None:
    assert is_observation(text) is is_one
    assert is_observation("\n " + text) is is_one


def test_hints_nest_and_end() -> None:
    with routing_hint("outer"):
        with routing_hint("inner"):
            assert current_hint() == "inner"
        assert current_hint() == "outer"
    assert current_hint() is None


async def test_each_task_and_thread_has_its_own_hint() -> None:
    async def ask(text: str) -> str | None:
        with routing_hint(text):
            await asyncio.sleep(0)
            return current_hint()

    assert await asyncio.gather(ask("a"), ask("b")) == ["a", "b"]
    seen = []
    with routing_hint("here"):
        thread = threading.Thread(target=lambda: seen.append(current_hint()))
        thread.start()
        thread.join()
    assert seen == [None]
