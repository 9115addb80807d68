"""The command as a process: pipes, and what it loads."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from printed import words

AVENGERS = [sys.executable, "-m", "avengers_core.cli"]


def call(*arguments, cwd, text=None, **options):
    return subprocess.run(
        [*AVENGERS, *map(str, arguments)],
        cwd=cwd,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_a_reader_that_stops_early_is_no_error(saved_artifact, tmp_path):
    (tmp_path / "many.txt").write_text("alpha beta\n" * 20_000)
    command = [*AVENGERS, "route", "-a", str(saved_artifact), "-f", "many.txt"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "alpha 0.5" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 141


def test_pipes_of_unicode_whatever_the_locale(saved_artifact, tmp_path):
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8"}
    done = call(
        *("route", "-a", saved_artifact, "--json"),
        cwd=tmp_path,
        text="\u65e5\u672c alpha\n",
        env=environment,
        encoding="utf-8",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["query"] == "\u65e5\u672c alpha"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
def test_closed_standard_input_is_a_usage_error_on_standard_error(tmp_path):
    command = f"{shlex.join([*AVENGERS, 'route'])} <&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert {"QUERY", "--file"} <= words(done.stderr)


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may write")
def test_a_folder_that_may_not_be_written_to(saved_artifact, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    done = call("merge", saved_artifact, "-o", "closed/merged", cwd=tmp_path)
    assert done.returncode == 1
    assert "closed" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_installed_command_is_the_module_and_tells_errors_on_standard_error(tmp_path):
    script = Path(sys.executable).with_name("avengers")
    if not script.exists():
        pytest.skip("installed without its script")
    command = [script, "route", "alpha", "-a", "nowhere"]
    failed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.count("\n") == 1
    assert "nowhere" in failed.stderr
