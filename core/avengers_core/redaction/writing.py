"""What would write a secret in clear is not written."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from avengers_core.redaction.errors import describe, masked_cause
from avengers_core.redaction.finding import found, secrets_of
from avengers_core.redaction.known import Secrets
from avengers_core.redaction.names import is_sent_along
from avengers_core.redaction.shapes import redacted

_PLAIN = (str, Mapping, list, tuple)


def field_that_shows(fields: Mapping[str, Any], written: str | bytes | None = None) -> str | None:
    """The field of an object that would show what is secret, or None.

    Args:
        fields: name -> value.
        written: what would be written, a text or a pickle, where not all fields are; default, all.
    """
    objects = [field for field in fields.items() if not isinstance(field[1], _PLAIN)]
    if not _are_in(written, Secrets(found(*objects))):
        # Clients share most of what they hold: one look at all of them is enough, then.
        fields = {name: value for name, value in fields.items() if isinstance(value, _PLAIN)}
    for name, value in fields.items():
        secrets = Secrets(found((name, value)))
        if _are_in(written, secrets) if secrets else _shows(name, value):
            return name
    return None


def _are_in(written: str | bytes | None, secrets: Secrets) -> bool:
    if isinstance(written, bytes):
        return secrets.are_in_pickle(written)
    return bool(secrets) if written is None else secrets.are_in(written)


def _shows(name: str, value: Any) -> bool:
    """Whether a value looks as if it were secret, where nothing says so."""
    if isinstance(value, Mapping):
        return any(_shows(str(k), v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return any(_shows(name, one) for one in value)
    return isinstance(value, str) and (
        (bool(value) and is_sent_along(name)) or redacted(value) != value
    )


def refuse_key(what: str, subject: object, instead: str) -> None:
    """Raise if a pickle of an object would hold what is secret in clear.

    Args:
        what: names the object in the error.
        subject: any object; what is secret is looked for in its attributes.
        instead: what to do instead, a sentence.

    Raises:
        TypeError: it would, or that cannot be found out. The error names the attribute.
    """
    written = None
    with suppress(Exception):  # where it cannot be pickled, all that it holds counts
        written = pickle.dumps(subject)
    try:
        name = field_that_shows(getattr(subject, "__dict__", {}), written)
    except Exception as error:
        raise TypeError(
            f"{what} cannot be pickled: whether it holds a secret could not be found out "
            f"({describe(error, secrets_of(subject))}). {instead}"
        ) from None
    if name is not None:
        raise TypeError(
            f"{what} cannot be pickled: its {name} is secret, and would be written in clear. "
            f"{instead}"
        )


def refuse_unpicklable(what: str, subject: object, instead: str) -> None:
    """Raise if an object cannot be pickled, with what to do instead; arguments as above.

    Raises:
        TypeError: it cannot.
    """
    try:
        pickle.dumps(subject)
    except Exception as error:
        known = secrets_of(subject)
        raise TypeError(
            f"{what} cannot be pickled ({describe(error, known)}). {instead}"
        ) from masked_cause(error, known)
