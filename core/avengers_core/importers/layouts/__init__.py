"""The layouts: each module in these folders holds one, and is found by being here."""

from __future__ import annotations

from importlib import import_module
from pkgutil import walk_packages

from avengers_core.importers.layout import Layout


def _found() -> dict[str, Layout]:
    modules = [import_module(m.name) for m in walk_packages(__path__, f"{__name__}.")]
    layouts = [v for module in modules for v in vars(module).values() if isinstance(v, Layout)]
    return {layout.name: layout for layout in sorted(layouts, key=lambda layout: layout.name)}


LAYOUTS = _found()
