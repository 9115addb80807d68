"""Reading, checking and splitting records."""

from __future__ import annotations

import gc
import gzip
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avengers_core import Record, RecordError, Records, load_records, split_records
from avengers_core.records.names import meant
from avengers_core.records.outcomes import to_outcomes
from avengers_core.records.questions import as_questions
from avengers_core.records.sources.streams import MAX_LINE_BYTES
from avengers_core.records.splitting import split_indices
from avengers_core.scanning.scan import open_records
from avengers_core.scanning.surveying import survey

GOOD = {"query": "q", "records": {"a": 1, "b": 0.5}, "dataset": "d", "index": 3}


def line(**changes):
    return json.dumps({**GOOD, **changes})


def read(content, **options):
    data = content.encode() if isinstance(content, str) else content
    return load_records(io.BytesIO(data), **options)


@pytest.mark.parametrize(
    ("score", "expected"),
    [(True, 1.0), (False, 0.0), (0, 0.0), (1, 1.0), (0.25, 0.25), (None, None)],
)
def test_scores(score, expected):
    assert read(line(records={"a": score}))[0].scores == {"a": expected}


@pytest.mark.parametrize("score", [7, -0.1, 1.0001, "1", "NaN", [1], {}])
def test_what_is_no_score(score):
    records = read(line(records={"a": score}))
    assert not records
    assert "a number in [0, 1]" in records.problems[0].reason
    assert records.problems[0].reason.startswith("records.a")


@pytest.mark.parametrize("score", [np.float32(0.5), np.int64(1), np.bool_(True)])
def test_numbers_of_numpy_are_scores(score):
    assert load_records([{**GOOD, "records": {"a": score}}])[0].scores == {"a": float(score)}
    assert len(load_records([{**GOOD, "records": {"a": np.complex64(1)}}]).problems) == 1


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["score", "cost"])
def test_nan_and_infinity_are_rejected(number, field):
    score, cost = (number, "1") if field == "score" else ("1", number)
    text = f'{{"query": "q", "records": {{"a": {score}}}, "usages": {{"a": {{"cost": {cost}}}}}}}'
    assert len(read(text).problems) == 1


@pytest.mark.parametrize(
    "bad",
    [
        '{"query": "q", "records": {"a": 1}',
        "[]",
        "null",
        '"text"',
        "{}",
        line(query=3),
        line(query="  "),
        line(records={}),
        line(records=[1]),
        line(usages={"a": {"cost": -1}}),
        line(usages={"a": {"cost": 1e13}}),  # of which no sum could be made
        line(usages={"a": {"prompt_tokens": 1e300}}),
        line(usages={"a": {"cost": "1"}}),
        line(usages={"a": {"prompt_tokens": -5}}),
        line(index=1.5),
        "[" * 100_000,
        '{"a":' * 100_000,
        "\0\0\0",
        line() + line(),
        b'{"query": "\xff\xfe", "records": {"a": 1}}',
    ],
)
def test_a_bad_line_is_listed_and_the_others_are_read(bad):
    data = bad if isinstance(bad, bytes) else bad.encode()
    good = line().encode()
    records = read(b"\n".join([good, data, good]))
    assert len(records) == 2
    (problem,) = records.problems
    assert problem.line == 2
    assert problem.reason
    assert len(problem.excerpt) <= 80
    assert problem.excerpt.isprintable()
    with pytest.raises(RecordError, match=r"\b2\b"):
        read(b"\n".join([good, data, good]), strict=True)


def test_line_ends_and_marks():
    text = "\ufeff" + line() + "\r\n\r\n" + line(query="a\u2028b\u0085c\x0bd") + "\r\n" + line()
    records = read(text)
    assert not records.problems
    assert [r.query for r in records] == ["q", "a\u2028b\u0085c\x0bd", "q"]


def test_problems_are_printable():
    (problem,) = read('{"query": "q", "records": {"\\u001b[31m\\n": 7}}\x1b').problems
    assert str(problem).isprintable()
    (problem,) = read('{"query": "q", "records": {"\\u001b[31m\\n": 7}}').problems
    assert problem.reason.startswith("records. [31m : a score is")
    assert str(problem).isprintable()


@pytest.mark.parametrize("as_it_comes", [json.loads, str.encode])
def test_fields_of_nothing_are_as_if_they_were_not_there(as_it_comes):
    plain = '{"query": "q", "records": {"a": 1, "b": null}}'
    nothing = plain[:-1] + ', "usages": null, "dataset": null, "index": null, "propensity": null}'
    given = [as_it_comes(text) for text in (plain, nothing)]
    records = load_records(given if isinstance(given[0], dict) else io.BytesIO(b"\n".join(given)))
    assert not records.problems
    assert records[0] == records[1]
    bad = as_it_comes('{"query": "q", "records": {"a": 7}, "dataset": null}')
    assert load_records([bad]).problems[0].reason.startswith("records.a")


@pytest.mark.parametrize(("given", "index"), [(17.0, 17), ("17.0", "17.0"), (0, 0)])
def test_whole_numbers_of_a_column_with_gaps(given, index):
    assert read(line(index=given))[0].index == index


def test_nul_inside_of_a_text_is_kept():
    assert read(line(query="a\0b"))[0].query == "a\0b"


def test_duplicates_are_evidence_each():
    assert len(read("\n".join([line()] * 3))) == 3


def test_a_long_line_is_read_and_a_huge_one_reported():
    long = "x" * 10_000_000
    records = read(line(query=long))
    assert records[0].query == long
    huge = b'{"query": "' + b"x" * MAX_LINE_BYTES + b'"}'
    records = read(huge + b"\n" + line().encode())
    assert len(records) == 1
    assert "longer than" in records.problems[0].reason


def test_empty_sources():
    for source in ("", "\n\n  \n"):
        records = read(source)
        assert len(records) == 0
        assert records.problems == ()
    assert load_records([]).models == ()


def test_paths_streams_and_iterables(tmp_path):
    text = line() + "\n" + line(query="r")
    plain, packed = tmp_path / "a.jsonl", tmp_path / "b.whatever"
    plain.write_text(text)
    packed.write_bytes(gzip.compress(text.encode()))
    unseekable = io.BufferedReader(io.BytesIO(gzip.compress(text.encode())))
    sources = [
        plain,
        str(plain),
        packed,
        io.StringIO(text),
        io.BytesIO(text.encode()),
        unseekable,
        [GOOD, {**GOOD, "query": "r"}],
        (Record.model_validate(r) for r in (GOOD, {**GOOD, "query": "r"})),
    ]
    for source in sources:
        assert [r.query for r in load_records(source)] == ["q", "r"]


def test_a_stream_of_the_caller_stays_open(tmp_path):
    packed = gzip.compress(line().encode())
    streams = io.BytesIO(line().encode()), io.BytesIO(packed), io.StringIO(line())
    assert [len(load_records(stream)) for stream in streams] == [1, 1, 1]
    gc.collect()
    assert not any(stream.closed for stream in streams)


def test_what_is_not_utf8_in_a_text_stream_is_one_bad_line(tmp_path):
    file = tmp_path / "r.jsonl"
    file.write_bytes(b"\n".join([line().encode(), b'{"query": "\xff"}', line().encode()]))
    with file.open(encoding="utf-8") as stream:
        records = load_records(stream)
    assert len(records) == 2
    assert [p.line for p in records.problems] == [2]


def test_a_truncated_compressed_file_keeps_what_was_read():
    lines = "\n".join(line(query=f"q{i}" + "x" * 50) for i in range(20_000))
    records = read(gzip.compress(lines.encode())[:-30_000])
    assert 0 < len(records) < 20_000
    assert "cannot be read on from here" in records.problems[-1].reason


def test_wrong_kinds_of_source():
    with pytest.raises(TypeError):
        load_records(GOOD)
    with pytest.raises(OSError, match="nowhere"):
        load_records("nowhere.jsonl")
    with pytest.raises(ValueError, match=r"missing.*'no'"):
        load_records([], missing="no")


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_exception(data):
    records = read(data + b"\n" + line().encode())
    assert len(records) + len(records.problems) >= 1


@given(st.lists(st.one_of(st.just(line()), st.text(max_size=30).filter(lambda t: "\n" not in t))))
def test_every_line_is_a_record_a_problem_or_blank(lines):
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    if data[:2] == b"\x1f\x8b":
        return
    records = read(data)
    filled = [part for part in data.removeprefix(b"\xef\xbb\xbf").split(b"\n") if part.strip()]
    assert len(records) + len(records.problems) == len(filled)


scores = st.dictionaries(
    st.text(min_size=1, max_size=5).filter(str.isprintable),
    st.none() | st.floats(0, 1),
    min_size=1,
    max_size=3,
)


@given(st.lists(st.tuples(st.text(min_size=1).filter(str.strip), scores), max_size=5))
def test_round_trip(rows):
    made = [Record(query=query, records=s) for query, s in rows]
    assert [record.scores for record in made] == [s for _, s in rows]
    records = read("\n".join(record.model_dump_json(by_alias=True) for record in made))
    assert not records.problems
    assert list(records) == made


def test_half_a_surrogate_pair_costs_no_row_and_can_be_written():
    rows = [{**GOOD, "query": "cut \ud83d", "index": "\ude00"}, {**GOOD, "query": "\ud83d\ude00"}]
    for records in (load_records(rows), read("\n".join(map(json.dumps, rows)))):
        assert [r.query for r in records] == ["cut \ufffd", "\U0001f600"]
        assert records[0].index == "\ufffd"
        assert records[0].model_dump_json()


def test_models_and_datasets_are_in_order_of_appearance():
    rows = [
        {"query": "1", "records": {"b": 1}, "dataset": "y"},
        {"query": "2", "records": {"a": 1, "b": 1}, "dataset": "x"},
    ]
    records = load_records(rows)
    assert records.models == ("b", "a")
    assert records.datasets == ("y", "x")
    assert records[1:].models == ("b", "a")
    assert records.without_models(["b"]).models == ("a",)
    assert len(records.without_models(["b"])) == 1


def test_missing_is_nothing_or_zero():
    rows = [{"query": "1", "records": {"a": 1, "b": None}}, {"query": "2", "records": {"b": 1}}]
    skip = to_outcomes(load_records(rows)).scores
    zero = to_outcomes(load_records(rows, missing="zero")).scores
    np.testing.assert_array_equal(skip, [[1, math.nan], [math.nan, 1]])
    np.testing.assert_array_equal(zero, [[1, 0], [0, 1]])


# -- splitting -----------------------------------------------------------------------------------


def sample(sizes):
    return load_records(
        [
            {"query": f"{name}{i}", "records": {"a": 1, "b": 0}, "dataset": name, "index": i}
            for name, n in sizes.items()
            for i in range(n)
        ]
    )


@given(
    st.dictionaries(st.sampled_from("xyz"), st.integers(1, 12), min_size=1),
    st.floats(0.05, 0.95),
    st.integers(0, 1000),
)
def test_a_split_is_a_partition_in_the_same_ratio(sizes, ratio, seed):
    records = sample(sizes)
    train, test = split_records(records, ratio, seed)
    assert sorted(r.query for r in (*train, *test)) == sorted(r.query for r in records)
    for name, n in sizes.items():
        assert sum(r.dataset == name for r in train) == int(n * ratio)
    again = split_records(records, ratio, seed)
    assert [r.query for r in again.train] == [r.query for r in train]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(0, 1000))
def test_repeated_queries_stay_together(numbers, seed):
    rows = [
        {"query": f"q{n}", "records": {"a": 1}, "dataset": "xyz"[i % 3]}
        for i, n in enumerate(numbers)
    ]
    train, test = split_records(rows, 0.5, seed)
    assert len(train) + len(test) == len(rows)
    assert not {r.query for r in train} & {r.query for r in test}


def test_another_seed_another_split():
    records = sample({"x": 50})
    assert [r.query for r in split_records(records, 0.5, 1).test] != [
        r.query for r in split_records(records, 0.5, 2).test
    ]


def test_excluded_datasets_soft_and_hard():
    records = sample({"x": 10, "y": 10})
    soft = split_records(records, excluded_datasets=["y"])
    assert (len(soft.train), len(soft.test)) == (17, 3)
    assert soft.test.datasets == ("x",)
    hard = split_records(records, excluded_datasets=["y"], dataset_exclusion_mode="hard")
    assert hard.train.datasets == hard.test.datasets == ("x",)


def test_excluded_models():
    for left_out in (["a"], "a"):
        split = split_records(sample({"x": 10}), excluded_models=left_out)
        assert split.train.models == split.test.models == ("b",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_ratio": 1}, r"train_ratio.*\b1$"),
        ({"train_ratio": 0}, r"train_ratio.*\b0$"),
        ({"dataset_exclusion_mode": "medium"}, "soft"),
        ({"excluded_models": ["zzz"]}, r"\['zzz'\].*\['a', 'b'\]"),
        ({"excluded_datasets": ["zzz"]}, r"\['zzz'\]"),
    ],
)
def test_a_split_that_can_not_be(options, message):
    with pytest.raises(ValueError, match=message):
        split_records(sample({"x": 10}), **options)


def test_the_published_split(shared):
    reference = np.load(shared / "reference" / "reference_uiuc9.npz")
    records = load_records(shared / "data" / "uiuc9.jsonl.gz")
    train, test = split_indices([r.query for r in records], [r.dataset for r in records], 0.7, 42)
    names = [f"{r.dataset}|{r.index}" for r in records]
    assert sorted(names[i] for i in train) == sorted(reference["train_index"].tolist())
    assert [names[i] for i in test] == reference["test_index"].tolist()


def test_records_say_what_they_are():
    assert repr(read(line() + "\nx")) == ("<Records: 1 query, 2 models, 1 dataset, 1 problem>")
    assert isinstance(read(line())[:1], Records)


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (json.dumps(GOOD, indent=1).encode(), "looks like JSON over several lines"),
        (b"prompt,a,b\nq,1,0\n", "looks like a table"),
        (b"prompt|a|b\nq|1|0\n", "looks like a table"),
        (b'{"id": 1, "prompt": "q"}', "avengers import"),
        (json.dumps(GOOD).encode("utf-16"), "looks like UTF-16: `iconv"),
    ],
)
def test_a_file_of_another_kind_is_named_in_its_first_line(content, hint):
    problems = read(content).problems
    assert hint in problems[0].reason
    assert "\0" not in problems[0].excerpt
    assert not any("looks like" in p.reason for p in problems[1:])


@pytest.mark.parametrize(
    "line", [b'{"query": "q"}', b"broken", b'{"query": "a, b"', b'{"a": [1, 2]}']
)
def test_a_bad_first_line_is_no_other_kind_of_file(line):
    assert "looks like" not in load_records(io.BytesIO(line)).problems[0].reason


class Table:
    """As tables of pandas are: of columns, whose names it gives."""

    columns = ("query", "records")

    def __iter__(self):
        return iter(self.columns)


@pytest.mark.parametrize(
    ("given", "named"),
    [(GOOD, "dict"), (None, "NoneType"), (5, "int"), (Table(), "Table.*Parquet")],
)
def test_what_gives_no_rows_is_refused(given, named):
    for read_it in (load_records, as_questions):
        with pytest.raises(TypeError, match=named):
            read_it(given)


def test_paths_among_records_are_refused(tmp_path):
    with pytest.raises(TypeError, match=r"a\.jsonl"):
        load_records([GOOD, tmp_path / "a.jsonl"])


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[2J", "\ud800", "\u202e", "x" * 257])
def test_names_that_no_output_could_show_are_refused(name):
    for row in (
        {"query": "q", "records": {"good": 1, name: 1}},
        {"query": "q", "records": {"good": 1}, "dataset": name},
    ):
        (problem,) = load_records([row]).problems
        assert problem.reason.startswith(("records: ", "dataset: "))
        assert str(problem).isprintable()
        assert len(str(problem)) < 300


@pytest.mark.parametrize(
    "name", ["x" * 256, "![x](http://e)", "=1+1", "@cf/llama|é", "<b>", "模型 1"]
)
def test_names_that_can_be_printed_are_taken(name):
    (record,) = load_records([{"query": "q", "records": {name: 1}, "dataset": name}])
    assert (list(record.scores), record.dataset) == ([name], name)


@pytest.mark.parametrize(
    ("usages", "noticed"),
    [
        ({"openai/gpt-5": {"cost": 1}}, True),
        ({"openai/gpt-5": {"cost": 1}, "gpt-5": None}, True),
        ({"gpt-5": {"cost": 1}, "judge": {"cost": 1}}, False),
        ({"other": {"cost": 1}}, False),
    ],
)
def test_costs_under_other_names_than_scores_are_noticed(caplog, tmp_path, usages, noticed):
    # That it has a cost in one record does not give it one in another.
    own = {"gpt-5": {"cost": 1}, "other": {"cost": 1}}
    rows = [{"query": "q", "records": {"gpt-5": 1, "other": 1}, "usages": own}]
    rows.append({"query": "r", "records": {"gpt-5": 1}, "usages": usages})

    def named():
        return "'openai/gpt-5'" in caplog.text and "'gpt-5'" in caplog.text

    load_records(rows)
    assert named() is noticed
    caplog.clear()
    file = tmp_path / "records.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with open_records(str(file), "serial") as scan:
        survey(scan).notice()
    assert named() is noticed


@pytest.mark.parametrize(
    ("unknown", "near"),
    [
        (["openai/gpt5"], ["openai/gpt-5"]),
        (["gpt-5"], ["openai/gpt-5"]),
        (["gpt-5", "Qwen/qwen3"], ["openai/gpt-5", "qwen/qwen3-8b"]),
        (["nobody"], []),
        ([7], []),
    ],
)
def test_names_of_no_model_are_like_some(unknown, near):
    said = meant(unknown, ["openai/gpt-5", "qwen/qwen3-8b"])
    assert [model for model in ("openai/gpt-5", "qwen/qwen3-8b") if model in said] == near
    assert bool(said) == bool(near)


def test_of_many_names_of_no_model_some_are_looked_at():
    looked = []

    class Name(str):
        def __str__(self):
            looked.append(self)
            return "gpt5"

    assert "openai/gpt-5" in meant([Name(i) for i in range(1000)], ["openai/gpt-5"])
    assert len(looked) < 10
