from __future__ import annotations

import io
import sys

import pytest

from avengers_core.common import progress as module
from avengers_core.common.progress import progress
from avengers_core.embedders import WordLlamaEmbedder


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_passes_items_on() -> None:
    assert list(progress(range(3), desc="x")) == [0, 1, 2]
    assert list(progress(iter([]))) == []


def test_shows_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(module, "_DELAY_SECONDS", 0)
    assert list(progress([1, 2], desc="embedding", unit="text")) == [1, 2]
    assert "embedding" in terminal.getvalue()


def test_embedding_many_texts_shows_one(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(module, "_DELAY_SECONDS", 0)
    assert len(WordLlamaEmbedder().embed(["alpha", "beta"] * 100)) == 200
    assert "embedding" in terminal.getvalue()


def test_shows_nothing_for_short_work(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress([1, 2])) == [1, 2]
    assert not terminal.getvalue().strip()


@pytest.mark.parametrize("stream", [None, io.StringIO(), "closed"])
def test_is_silent_elsewhere(stream: object, monkeypatch: pytest.MonkeyPatch) -> None:
    if stream == "closed":
        stream = io.StringIO()
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(module, "_DELAY_SECONDS", 0)
    assert list(progress([1, 2])) == [1, 2]
    if stream is not None and not stream.closed:  # type: ignore[attr-defined]
        assert stream.getvalue() == ""  # type: ignore[attr-defined]


def test_does_not_load_tqdm_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "tqdm"] or ["tqdm"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(module, "_DELAY_SECONDS", 0)
    assert list(progress([1])) == [1]
    assert capsys.readouterr() == ("", "")
