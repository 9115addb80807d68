"""Graders: what people expect of each."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avengers_core import RecordError
from avengers_core.collecting import Answer, Graded, GraderError, as_grader, judge
from avengers_core.collecting.collect import check_gradable
from avengers_core.collecting.graders import grade_with
from avengers_core.records.questions import as_questions


def score(grader, reference, answer, **more):
    return grade_with(
        as_grader(grader), {"query": "q", "reference": reference, **more}, answer
    ).score


@pytest.mark.parametrize(
    ("grader", "reference", "answer", "expected"),
    [
        ("exact", "Paris", " Paris\n", 1),
        ("exact", "Paris", "paris", 0),
        ("exact", ["Paris", "Lutetia"], "Lutetia", 1),
        ("exact", 42, "42", 1),
        ("number", "0", "in sector E0", 1),
        ("number", "-.5e1", "It is -5", 1),
        ("normalised", "The Eiffel Tower", "eiffel  tower.", 1),
        ("normalised", "Straße", "STRASSE", 1),
        ("normalised", "ﬁne", "fine", 1),
        ("normalised", "Paris", "London", 0),
        ("contains", "Paris", "The capital is Paris, of course.", 1),
        ("contains", "art", "I like parties", 0),
        ("contains", ["a b", "c d"], "x c, d y", 1),
        ("number", "42", "So 6 x 7 = 42.", 1),
        ("number", 1234.5, "The total is $1,234.50", 1),
        ("number", "-3", "x = -3", 1),
        ("number", "7", "The answer is 7 because 3 + 4 = 7, and 5 is not.", 1),
        ("number", "0.3333333", "1/3, that is 0.33333333", 1),
        ("number", "18", "She has 20.\n#### 18", 1),
        ("number", "5", r"thus \boxed{5}, not 6", 1),
        ("number", "5", "no number at all", 0),
        ("number", "1e-9", "2e-9", 1),
        ("choice", "B", "The answer is (B).", 1),
        ("choice", "B", "B", 1),
        ("choice", "b", "B) because A is wrong. Answer: B", 1),
        ("choice", "C", r"\boxed{C}", 1),
        ("choice", "C", r"\boxed{\text{C}}", 1),
        ("choice", "A", "I think C", 0),
        ("choice", "A", "none of them", 0),
        ("choice", "(b)", "b)", 1),
        ("choice", "a", "The answer is **a**.", 1),
        ("choice", "B", "b is a good one", 0),
        ("number", "-5", "x = \u22125", 1),
        ("number", "12345", "It is 12\u202f345.", 1),
        ("number", "7", "The answers are 5 and 6, in all 7", 1),
        ("normalised", "+", "-", 0),
        ("normalised", "The", "a", 0),
        ("normalised", "The", " the ", 1),
        ("regex:^yes\\b", None, "yes, sir", 1),
        ("regex:^yes\\b", None, "oh yes", 0),
    ],
)
def test_string_graders(grader, reference, answer, expected):
    assert score(grader, reference, answer) == expected


@pytest.mark.parametrize(
    "name", ["exact", "normalised", "contains", "number", "choice", "regex", "json"]
)
@given(
    answer=st.text(max_size=200),
    reference=st.one_of(st.text(max_size=50).filter(str.strip), st.integers()),
)
def test_any_text_gets_a_score(name, answer, reference):
    more = {"pattern": "a+", "schema": {"type": "object"}}
    known = {"number": 3, "choice": "C"}.get(name, reference)
    assert score(name, known, answer, **more) in (0.0, 1.0)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("exact", {"reference": " "}),
        ("contains", {"reference": float("nan")}),
        ("normalised", {"reference": []}),
        ("number", {"reference": "four"}),
        ("choice", {"reference": "Paris"}),
        ("regex", {"pattern": "("}),
        ("json", {"schema": {"type": "thing"}}),
    ],
)
def test_no_answer_is_wrong_where_nobody_can_know(name, row):
    with pytest.raises(GraderError):
        score(name, **{"reference": None, **row}, answer="0")
    with pytest.raises(RecordError, match=name):
        check_gradable(as_questions([{"query": "q", **row}]), name)


@given(st.floats(-1e12, 1e12, allow_nan=False).map(lambda x: round(x, 3)))
def test_a_number_is_found_however_it_is_written(value):
    for text in (f"It is {value}", f"{value:,.3f}", f"#### {value!r}\nThat was 99 steps."):
        assert score("number", value, text) == 1


def test_json_with_a_schema(tmp_path):
    schema = {"type": "object", "required": ["name"], "properties": {"age": {"type": "integer"}}}
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(schema))
    for grader in (f"json:{file}", "json"):
        assert score(grader, None, '{"name": "Ann", "age": 3}', schema=schema) == 1
        assert score(grader, None, 'Sure:\n```json\n{"name": "Ann"}\n```', schema=schema) == 1
        assert score(grader, None, '{"age": 3}', schema=schema) == 0
        assert score(grader, None, "not JSON", schema=schema) == 0
    assert score("json", None, '{"age": 3}', schema=json.dumps(schema)) == 0


def test_a_function_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "my_graders.py").write_text(
        "def length(row, answer):\n    return len(answer) / 10\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert score("my_graders:length", None, "12345") == 0.5
    with pytest.raises(ValueError, match="no_such"):
        as_grader("my_graders:no_such")
    with pytest.raises(ValueError, match="no_module_here"):
        as_grader("no_module_here:f")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("regex:[", "regular expression"),
        ("json:words.json", "words.json"),
        ("json:schema.json", "objekt"),
        ("judge:some/model", "some/model"),
    ],
)
def test_a_name_of_no_grader_is_refused_before_anything_is_asked(name, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("words.json").write_text("no JSON")
    Path("schema.json").write_text('{"type": "objekt"}')
    with pytest.raises(ValueError, match=said):
        as_grader(name)


@pytest.mark.parametrize("grader", ["exact", "contains", "number", "choice", "regex", "json"])
def test_a_question_without_what_the_grader_needs(grader):
    with pytest.raises(GraderError):
        grade_with(as_grader(grader), {"query": "q"}, "{}")


@pytest.mark.parametrize("said", [1.5, -0.1, "good", float("nan"), object()])
def test_what_is_no_score_is_refused(said):
    with pytest.raises(GraderError):
        grade_with(lambda row, answer: said, {}, "x")


@pytest.mark.parametrize(("said", "expected"), [(True, 1.0), (0, 0.0), ("0.5", 0.5), (None, None)])
def test_what_is_a_score(said, expected):
    assert grade_with(lambda row, answer: said, {}, "x") == Graded(expected)


def test_graders_may_be_asynchronous():
    async def half(row, answer):
        return 0.5

    async def evaluator(*, outputs, reference_outputs):
        return {"key": "same", "score": outputs == reference_outputs}

    assert score(half, None, "x") == 0.5
    assert score(evaluator, "x", "x") == 1


def test_a_grader_that_fails_says_with_what():
    def fails(row, answer):
        raise KeyError("rubric")

    with pytest.raises(GraderError, match="rubric"):
        grade_with(fails, {}, "x")


# -- evaluators of others -------------------------------------------------------------------------


def test_evaluators_of_openevals_as_they_are():
    def exact_match(*, outputs, reference_outputs=None, **kwargs):
        return {"key": "exact_match", "score": outputs == reference_outputs, "comment": None}

    def several(inputs, outputs):
        return [{"key": "a", "score": 1.0}, {"key": "b", "score": 0.5}, {"key": "c", "score": None}]

    assert score(exact_match, "x", "x") == 1
    assert score(exact_match, "x", "y") == 0
    assert score(several, None, "y") == 0.75


def test_evaluators_of_llamaindex_as_they_are():
    pytest.importorskip("llama_index.core")
    from llama_index.core.evaluation import CorrectnessEvaluator, EvaluationResult
    from llama_index.core.evaluation.base import BaseEvaluator
    from llama_index.core.llms import MockLLM

    class Says(BaseEvaluator):
        def _get_prompts(self):
            return {}

        def _update_prompts(self, prompts):
            pass

        async def aevaluate(self, query=None, response=None, contexts=None, **kwargs):
            return EvaluationResult(score=0.25, passing=response == kwargs.get("reference"))

    assert score(Says(), "x", "x") == 0.25

    class Five(CorrectnessEvaluator):
        async def aevaluate(self, *args, **kwargs):
            return EvaluationResult(score=4.0, passing=True)

    assert score(Five(llm=MockLLM()), "x", "x") == 0.75


# -- a judge -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('Right.\n{"score": 1}', 1.0),
        ('{"score": 0.25, "why": "half"}', 0.25),
        ('I first thought {"score": 0} but no:\n```json\n{"score": 1.0}\n```', 1.0),
        ('{"score": true}', 1.0),
    ],
)
def test_judge(reply, expected):
    seen = []

    def ask(prompt):
        seen.append(prompt)
        return Answer(reply, cost=0.002)

    row = {"query": "Capital of France?", "reference": "Paris"}
    graded = grade_with(judge(ask, "1 if it names the city"), row, "It is Paris {now}")
    assert graded == Graded(expected, 0.002)
    for part in ("Capital of France?", "Paris", "It is Paris {now}", "1 if it names the city"):
        assert part in seen[0]


@pytest.mark.parametrize("reply", ["I like it", '{"score": 7}', '{"score": "good"}', ""])
def test_a_judge_that_gives_no_score(reply):
    with pytest.raises(GraderError) as caught:
        grade_with(judge(lambda prompt: Answer(reply, cost=0.25)), {"query": "q"}, "a")
    assert caught.value.cost == 0.25


@pytest.mark.parametrize(
    "model",
    [
        lambda prompt: '{"score": 0.75}',
        SimpleNamespace(
            invoke=lambda prompt: SimpleNamespace(text='{"score": 0.75}'), ainvoke=None
        ),
        SimpleNamespace(
            complete=lambda prompt: SimpleNamespace(text='{"score": 0.75}'), acomplete=None
        ),
    ],
)
def test_any_model_that_can_be_asked_can_judge(model):
    assert grade_with(judge(model), {"query": "q"}, "a") == Graded(0.75, None)


def test_a_judge_that_says_no_cost_has_a_price():
    counted = Answer('{"score": 1}', prompt_tokens=10, completion_tokens=5)
    grader = judge(lambda prompt: counted, price=(1e-6, 4e-6))
    assert grade_with(grader, {"query": "q"}, "a").cost == pytest.approx(30e-6)
    with pytest.raises(ValueError, match="judge"):
        judge(lambda prompt: counted, price=1e-6)


def test_what_is_no_model_cannot_judge():
    with pytest.raises(TypeError, match="judge"):
        judge(object())


def test_a_judge_is_told_nothing_of_a_reference_that_is_not_there():
    seen = []
    grader = judge(lambda prompt: seen.append(prompt) or Answer('{"score": 1}'))
    grade_with(grader, {"query": "q"}, SimpleNamespace)
    assert "reference" not in seen[0]
