"""How Sphinx builds the pages of this folder and the API from the docstrings: ``make docs``."""

from __future__ import annotations

import pydoc
from typing import Any

import avengers_core

# Before autodoc does it with TYPE_CHECKING on, which pydantic's models do not survive.
import avengers_langchain  # noqa: F401
import avengers_llamaindex  # noqa: F401

project = "avengers-router"
version = release = avengers_core.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser"]
html_theme = "furo"
html_title = "avengers-router"
exclude_patterns = ["_build"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True

# Pieces of annotations: names without their module, and what Sphinx cuts at a comma.
nitpick_ignore_regex = [
    (r"py:class", r"(np|npt)\.\w+|\w+\.Annotated|_\w+|TypeAliasForwardRef"),
    (r"py:class", r"AllowInfNan|FieldInfo|NoneType|PydanticUndefined|Figure|Path"),
    (r"py:class", r"G[et]|Le|[\d.]+"),
    (
        r"py:class",
        r"Ask|Average|Basis|CallSource|HalfLife|EmbedderSpec|Engine|Grade|Inference|Missing|OnEmpty|Outcomes|Prices|Source",
    ),
    (r"py:.*", r".*(Annotated|Literal)\[.*|(dict|tuple)\[str"),
    (r"py:class", r"\(?[nd]( \+ 11)?\)?|float32"),
]


def as_text(_app: Any, _env: Any, node: Any, text: Any) -> Any:
    """A reference that has no entry here, but names something that there is, is left as text.

    So one that names nothing fails the build, and numpy's inventory need not be fetched.
    """
    target, module = node["reftarget"], node.get("py:module") or ""
    inside = f"{module}.{node.get('py:class') or ''}"
    names = (target, f"{module}.{target}", f"{inside}.{target}")
    return text if any(pydoc.locate(name) is not None for name in names) else None


def without_factory(
    _app: Any, _what: str, _name: str, _obj: Any, _options: Any, given: str | None, returned: Any
) -> tuple[str | None, Any]:
    """A signature in which the default that a dataclass makes anew is an ellipsis."""
    return given and given.replace("<factory>", "..."), returned


def is_undescribed(
    _app: Any, _what: str, _name: str, obj: Any, _skip: bool, _options: Any
) -> bool | None:
    """Fields of named tuples, which their class describes."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("missing-reference", as_text)
    app.connect("autodoc-process-signature", without_factory)
    app.connect("autodoc-skip-member", is_undescribed)
