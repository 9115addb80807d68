"""Folders that somebody else has laid out, and disks that are full."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from limits import file_size_limit

from avengers_core import ArtifactError, Router, RouterArtifact, fit

unix = pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs, devices or limits there")


@pytest.fixture(scope="module")
def saved(make_records, embedder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "artifact"
    fit(make_records(), embedder, n_clusters=3).save(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return Path(shutil.copytree(saved, tmp_path / "artifact"))


def arrays_of(folder: Path) -> Path:
    (file,) = folder.glob("arrays-*")
    return file


@pytest.fixture(params=["artifact.json", "arrays"])
def file(request, folder):
    return folder / "artifact.json" if request.param == "artifact.json" else arrays_of(folder)


def refused(folder: Path, file: Path) -> str:
    with pytest.raises(ArtifactError) as error:
        Router.load(folder)
    text = str(error.value)
    assert str(folder) in text
    assert len(text) < len(str(folder)) + 300
    assert text.isprintable()
    return text


@unix
@pytest.mark.parametrize("target", ["/dev/zero", "/dev/stdin"])
def test_a_link_to_a_device_is_not_read(folder, file, target):
    file.unlink()
    file.symlink_to(target)
    refused(folder, file)


@unix
def test_a_fifo_is_not_waited_for(folder, file):
    file.unlink()
    os.mkfifo(file)
    refused(folder, file)


def test_a_folder_in_place_of_a_file(folder, file):
    file.unlink()
    file.mkdir()
    refused(folder, file)


def test_a_link_to_a_file_is_followed(folder, file, tmp_path):
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    RouterArtifact.load(folder)


@pytest.mark.parametrize("size", [20 * 1024**3, 3 * 1024**3])
def test_a_size_that_does_not_fit_is_not_read(folder, size):
    file = arrays_of(folder)
    os.truncate(file, size)  # with nothing in it, which takes no room on the disk
    refused(folder, file)


def test_a_manifest_that_is_too_large_is_not_read(folder):
    os.truncate(folder / "artifact.json", 20 * 1024**3)
    refused(folder, folder / "artifact.json")


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xff" * 8,
        (2**40).to_bytes(8, "little"),
        (9).to_bytes(8, "little") + b'{"a": [1]',
        (10).to_bytes(8, "little") + b'{"a": [1]}',
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
    ],
)
def test_a_header_that_can_not_be(folder, header):
    file = arrays_of(folder)
    file.write_bytes(header)
    refused(folder, file)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("refinement.spread", lambda a: a * 1e-300),
        ("refinement.centroids", lambda a: a.astype(np.float16)),
        ("refinement.linear.directions", lambda a: a * 1e30),
        ("refinement.moments.vector", lambda a: np.zeros(10**6)),
        ("statistics.n", lambda a: a.astype(np.int64)),
        ("statistics.n", lambda a: a * 1e-300),
        ("statistics.cost", lambda a: a + 1e200),
        ("statistics.topics", np.zeros_like),
        ("centroids", lambda a: a.astype(np.float64) + 1e200),
    ],
)
def test_numbers_that_can_not_be_are_found_at_load(folder, name, damage):
    file = arrays_of(folder)
    arrays = safetensors.numpy.load(file.read_bytes())
    arrays[name] = damage(arrays[name])
    content = safetensors.numpy.save(arrays)
    sha256 = hashlib.sha256(content).hexdigest()
    manifest = json.loads((folder / "artifact.json").read_text())
    manifest |= {"sha256": sha256, "arrays": f"arrays-{sha256[:16]}.safetensors"}
    (folder / manifest["arrays"]).write_bytes(content)
    (folder / "artifact.json").write_text(json.dumps(manifest))
    refused(folder, folder / manifest["arrays"])


def test_messages_do_not_repeat_what_is_long(folder):
    file = folder / "artifact.json"
    content = json.loads(file.read_text())
    for change in (
        {"format_version": "x" * 10**6},
        {"x\x1b[2J" * 10**5: 1},
        {"models": ["x" * 10**6] * 3},
        {"models": ["a\x1b[2J", "b", "c"]},
        {"sha256": "\x1b[2J"},
        {"info": {**content["info"], "y" * 10**6: 1}},
        {"info": {**content["info"], "scorer_options": {"z" * 10**6: 1}}},
    ):
        file.write_text(json.dumps({**content, **change}))
        refused(folder, file)


class TestSaving:
    @pytest.fixture
    def artifact(self, saved):
        return RouterArtifact.load(saved)

    @pytest.mark.parametrize("content", [b'{"name": "mine"}', b"[]", b"", b"\xff", b"null"])
    def test_the_folder_of_another_program_is_left_alone(self, artifact, tmp_path, content):
        (tmp_path / "artifact.json").write_bytes(content)
        (tmp_path / ".tmp-notes").write_text("years of work")
        before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
        with pytest.raises(ArtifactError, match=tmp_path.name):
            artifact.save(tmp_path)
        assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before

    def test_what_is_not_ours_in_our_folder_stays(self, artifact, folder):
        for name in ("README.md", ".tmp-notes", ".tmp-0123456789abcdef.txt"):
            (folder / name).write_text("years of work")
        leftover = folder / ".tmp-0123456789abcdef"
        leftover.write_text("of a killed save")
        artifact.drop_models(["odd"]).save(folder)
        assert {file.name for file in folder.iterdir()} == {
            "artifact.json", arrays_of(folder).name, "README.md", ".tmp-notes",
            ".tmp-0123456789abcdef.txt",
        }  # fmt: skip

    def test_the_folder_of_a_later_version_may_be_replaced(self, artifact, folder):
        file = folder / "artifact.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "format_version": 99}))
        artifact.save(folder)
        assert RouterArtifact.load(folder) == artifact

    @unix
    def test_a_link_in_the_folder_is_replaced_not_followed(self, artifact, folder, tmp_path):
        other = tmp_path / "other"
        shutil.copy(folder / "artifact.json", other)
        before = other.read_bytes()
        (folder / "artifact.json").unlink()
        (folder / "artifact.json").symlink_to(other)
        artifact.drop_models(["odd"]).save(folder)
        assert other.read_bytes() == before


@unix
@pytest.mark.parametrize("room", [100, 2000])
def test_a_save_without_room_leaves_nothing_half_written(saved, tmp_path, room):
    target, artifact = tmp_path / "new", RouterArtifact.load(saved)
    with file_size_limit(room), pytest.raises(OSError) as error:  # noqa: PT011 -- told apart below
        artifact.save(target)
    assert error.value.errno == errno.EFBIG
    assert error.value.filename == str(target / arrays_of(saved).name)
    assert list(target.iterdir()) == []
    artifact.save(target)  # now there is room
    assert RouterArtifact.load(target) == artifact
