"""The kinds of values that options and arguments take."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click

from avengers_core.common.ranges import MOST_SEED

SEED = click.IntRange(0, MOST_SEED)
SHARE = click.FloatRange(0, 1)
# Endings of files with pictures in them.
_DRAWN = (".html", ".png", ".svg")


class APath(click.Path):
    """A path that is not empty, as it is of a variable that is not set.

    An empty one would be the folder that the command runs in.
    """

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not str(value):
            self.fail("expected a path, got an empty one", param, ctx)
        return super().convert(value, param, ctx)


PATH = APath(path_type=Path)
FILE = APath(path_type=Path, exists=True, dir_okay=False)


class NewFile(APath):
    """A file to be written; what stands against it is found before the work, not after it.

    Args:
        endings: one of which its name must have; default, any name will do.
    """

    def __init__(self, *endings: str) -> None:
        super().__init__(path_type=Path, dir_okay=False)
        self._endings = endings

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        file = Path(str(super().convert(value, param, ctx)))
        if self._endings and file.suffix not in self._endings:
            expected = " or ".join(self._endings)
            self.fail(f"expected a path that ends in {expected}, got {file.name}", param, ctx)
        if not file.parent.is_dir():
            raise click.ClickException(f"{file}: there is no folder {file.parent}")
        if self._endings and file.suffix in _DRAWN:
            from avengers_core.evaluation.plots.plots import require_matplotlib

            require_matplotlib()
        return file


class NewArtifact(APath):
    """A folder that an artifact can be written to, which is found before the work, too."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        from avengers_core.artifact.storage.folder import check_folder

        folder = Path(str(super().convert(value, param, ctx)))
        check_folder(folder)
        return folder


class InputPath(click.ParamType):  # type: ignore[type-arg]  # in newer releases only
    """A path; or an address (``s3://...``), of which a path would make another, as a text."""

    name = "path"

    def convert(self, value: Any, param: Any, ctx: Any) -> Path | str:
        return value if "://" in str(value) else cast("Path", PATH.convert(value, param, ctx))
