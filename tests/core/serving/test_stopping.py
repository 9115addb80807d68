from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from avengers_core.serving.stopping import Cut, sequences_of

LETTERS = st.text("ab ", max_size=12)


@given(text=LETTERS, stop=st.lists(st.text("ab ", max_size=3), max_size=3), data=st.data())
def test_a_text_in_parts_is_cut_where_the_whole_one_is(text, stop, data):
    at = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    parts = [text[i:j] for i, j in zip([0, *at], [*at, len(text)], strict=True)]
    found = [text.find(s) for s in stop if s and s in text]
    cut = Cut(stop)
    out = []
    for part in parts:
        out.append(cut(part))
        if cut.over:
            break
    said = "".join(out) + cut.rest()
    # The end of the first that is complete decides, as with a provider, which sees no further.
    if not found:
        assert said == text
        assert not cut.over
    else:
        assert cut.over
        assert not any(s and s in said for s in stop)
        assert text.startswith(said)
        assert any(s and text.startswith(s, len(said)) for s in stop)


def test_stop_sequences_as_callers_say_them():
    assert sequences_of("END") == ("END",)
    assert sequences_of(["a", "", "b"]) == ("a", "b")
    assert sequences_of(None) == sequences_of("") == sequences_of([]) == ()
