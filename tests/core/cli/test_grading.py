"""``avengers feedback``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from click.testing import CliRunner

from avengers_core.calls import Call, read_log
from avengers_core.calls.store import open_log, write
from avengers_core.cli import main


def test_a_grade_joins_its_call(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    given = {"id": "a", "time": 1.0, "question": "why?", "answered_by": "m", "propensity": 1.0}
    with closing(open_log(path)) as log:
        write(log, [Call(**{**dict.fromkeys(Call._fields), **given})])  # type: ignore[arg-type]
    for arguments, code in (
        (["a", "0.25", "--source", "judge"], 0),
        (["nobody", "1"], 1),
        (["a", "2"], 1),
        (["a", "good"], 2),
    ):
        result = CliRunner().invoke(main, ["feedback", str(path), *arguments])
        assert result.exit_code == code, result.output
    assert read_log(path)[0].scores == {"m": 0.25}
