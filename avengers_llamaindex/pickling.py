"""What may be pickled: no keys, and nothing that would be missing on the other side."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

from llama_index.core.bridge.pydantic import SecretStr

from avengers_core.redaction import describe, names_key

_DEEPEST = 4  # mappings in mappings


def refuse_key(what: str, subject: object, instead: str) -> None:
    """Raise if an object holds what looks like a key, which a pickle would write in clear.

    Args:
        what: names the object in the error.
        subject: any object; its own attributes are looked at.
        instead: what to do instead, a sentence.

    Raises:
        TypeError: it holds one.
    """
    for name, value in getattr(subject, "__dict__", {}).items():
        if _is_key(name, value):
            raise TypeError(
                f"{what} holds a key ({name}), which a pickle would write in clear. {instead}"
            )


def refuse_unpicklable(what: str, subject: object, instead: str) -> None:
    """Raise if an object can not be pickled, with what to do instead; arguments as above.

    Raises:
        TypeError: it can not.
    """
    try:
        pickle.dumps(subject)
    except Exception as error:
        raise TypeError(f"{what} can not be pickled ({describe(error)}). {instead}") from error


def _is_key(name: str, value: Any, depth: int = 0) -> bool:
    if isinstance(value, Mapping):
        # Headers may be among other options. What is deeper may hold itself.
        return depth < _DEEPEST and any(_is_key(str(k), v, depth + 1) for k, v in value.items())
    return bool(isinstance(value, str | bytes | SecretStr) and value and names_key(name))
