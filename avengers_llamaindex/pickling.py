"""What may be pickled: no keys, and nothing that would be missing on the other side."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from typing import Any

from llama_index.core.bridge.pydantic import SecretStr

_KEY_NAME = re.compile(r"api_?key|access_key|secret|password|authorization|(^|_)token$", re.I)


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
        raise TypeError(
            f"{what} can not be pickled ({type(error).__name__}: {error}). {instead}"
        ) from error


def _is_key(name: str, value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_KEY_NAME.search(str(key)) for key in value)
    return bool(_KEY_NAME.search(name) and isinstance(value, str | SecretStr) and value)
