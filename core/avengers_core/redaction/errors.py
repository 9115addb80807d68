"""Errors of other libraries on one line of ours, or raised again, without what is secret.

Where a check itself fails, nothing is shown.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from types import new_class
from typing import TYPE_CHECKING, Any, TypeVar

from avengers_core.redaction.finding import attribute, secrets_of_environment, secrets_sent
from avengers_core.redaction.known import Secrets
from avengers_core.redaction.shapes import redacted

if TYPE_CHECKING:
    import httpx

_SHOWN = 300  # characters of a foreign error text in ours
_READ = 1_000_000  # of it, where known secrets are looked for
_SEARCHED = 20_000  # and where patterns are
_DEEPEST = 6  # lists in lists of what an error is made of
_MOST = 50  # errors in a chain
_HTTPX = ("httpx", "httpx2")  # before version 3 of openai, and from there on
_OF_CONTENT = ("content-length", "content-encoding", "transfer-encoding")  # as it was sent
# What errors made in C keep besides their arguments.
_FILES = ("filename", "filename2", "errno", "strerror")
_KEPT = (*_FILES, "object", "reason", "msg", "doc", "text", "name")


R = TypeVar("R", bound="httpx.Response")


def describe(error: object, *secrets: str | Secrets) -> str:
    """An error on one line, shortened, without secrets.

    Args:
        error: an exception, of which the class is named too; or the text of one.
        secrets: what is known to be secret; what was sent with the error's request, and keys in the
            environment, are known besides.
    """
    text = ""
    with suppress(Exception):  # what an error is made of may be anything
        text = _cleaner(error, secrets)(" ".join(str(error)[:_READ].split()))
    if isinstance(error, BaseException):
        name = type(error).__name__
        text = f"{name}: {text}" if text else name
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def masked_cause(error: BaseException, *secrets: str | Secrets) -> BaseException | None:
    """An error as the cause of one of ours: masked, or None where it cannot be."""
    return error if mask(error, *secrets) else None


def mask(error: BaseException, *secrets: str | Secrets) -> bool:
    """Let an error of another library, and those it came from, show no secret.

    Its class stays, and all attributes but texts; one that cannot be changed, or makes its text of
    other things, becomes one of a class of the same name under its own, which shows none. An error
    that it came from and that shows a secret whatever is done is no longer its cause.

    Args:
        error: the error; it is changed.
        secrets: as for :func:`describe`.

    Returns:
        Whether a traceback of it, and its repr, show none now.
    """
    try:
        clean = _cleaner(error, secrets)
        chain = list(_chain(error))
        showing = [each for each in chain if not _mask(each, clean)]
        for each in chain:
            if any(before in showing for before in (each.__cause__, each.__context__)):
                for name in ("__cause__", "__context__"):
                    object.__setattr__(each, name, None)
        return not any(each in showing for each in _chain(error))
    except Exception:
        return False


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, those it came from and those it is a group of."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _MOST:
        each = waiting.pop()
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            parts = (each.__cause__, each.__context__, *getattr(each, "exceptions", ()))
            waiting += [part for part in parts if isinstance(part, BaseException)]


def _cleaner(error: object, secrets: tuple[str | Secrets, ...]) -> Callable[[str], str]:
    known = secrets_of_environment()
    for each in secrets:
        known |= each if isinstance(each, Secrets) else Secrets([each])
    for one in _chain(error) if isinstance(error, BaseException) else ():
        known |= secrets_sent(one)
    # An error says the same in many places.
    return cache(lambda text: redacted(known.masked(text[:_READ])[:_SEARCHED]))


def _mask(error: BaseException, clean: Callable[[str], str]) -> bool:
    """Mask what an error is made of; whether it shows no secret now."""
    masked: dict[str, Any] = {}
    for name, value in _parts(error):
        if isinstance(value, str | bytes | list | tuple | Mapping):
            masked[name] = _masked(value, clean)
            if masked[name] is value or masked[name] == value:
                del masked[name]
    response = getattr(error, "response", None)
    if (without := _masked_response(response, clean)) is not response:
        masked["response"] = without
    for name, value in list(masked.items()):
        with suppress(Exception):
            object.__setattr__(error, name, value)  # its own may refuse
            del masked[name]
    if not masked and _shows_none(error, clean):
        return True
    with suppress(Exception):
        _disguise(error, clean, masked)
        return _shows_none(error, clean)
    with suppress(Exception):  # Python's own classes stay, but say what they are made of
        error.args = tuple(_said(each, clean) for each in error.args)
        for name in _KEPT:
            if (said := _said(kept := getattr(error, name, None), clean)) is not kept:
                setattr(error, name, said)
        return _shows_none(error, clean)
    return False


def _parts(error: BaseException) -> Iterator[tuple[str, Any]]:
    """What an error keeps: its arguments, attributes (also the notes), slots and what C keeps."""
    slots: list[str] = []
    for kind in type(error).__mro__:
        own = vars(kind).get("__slots__", ())
        slots += (own,) if isinstance(own, str) else own
    names = dict.fromkeys(("args", *getattr(error, "__dict__", {}), *slots, *_KEPT))
    for name in names:
        with suppress(Exception):  # it is not there, or raises
            yield name, getattr(error, name)


def _disguise(error: BaseException, clean: Callable[[str], str], masked: dict[str, Any]) -> None:
    """Have an error that cannot be changed, or makes its text of other things, say it otherwise.

    Its class becomes one of the same name that it inherits from: whoever asks for its class finds
    what it was.

    Args:
        error: the error.
        clean: masks a text.
        masked: attributes in whose place these are to be found.
    """
    kind = type(error)
    text = ""
    with suppress(Exception):
        text = clean(str(error))
    says: dict[str, Any] = {
        "__slots__": (),
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__str__": lambda _: text,
        "__repr__": lambda _: f"{kind.__name__}({text!r})",
        # A pickle would hold what it is made of, and nobody could import its class.
        "__reduce_ex__": lambda *_: (RuntimeError, (f"{kind.__name__}: {text}",)),
    }
    says |= {name: _constant(value) for name, value in masked.items()}
    disguised = new_class(kind.__name__, (kind,), {}, lambda body: body.update(says))
    object.__setattr__(error, "__class__", disguised)


def _constant(value: Any) -> property:
    return property(lambda _: value)


def _said(value: Any, clean: Callable[[str], str]) -> Any:
    """What an error was made of; its text, masked, where that or its repr shows a secret."""
    return value if _are_clean((str(value), repr(value)), clean) else clean(str(value))


def _shows_none(error: BaseException, clean: Callable[[str], str]) -> bool:
    # A group shows others, which are looked at themselves.
    try:
        # Frames of those that it came from would be read from their files, and shown nowhere.
        alone = traceback.TracebackException(type(error), error, None, limit=0, compact=True)
        shown = ["".join(alone.format_exception_only())]
        if not hasattr(error, "exceptions"):
            shown.append(repr(error))
        return _are_clean(shown, clean)
    except Exception:  # its own methods may do anything
        return False


def _are_clean(texts: Iterable[str], clean: Callable[[str], str]) -> bool:
    return all(clean(text) == text[:_SEARCHED] for text in texts)


def without_what_was_sent(response: R) -> R:
    """A response of httpx; where it is an error, without what its request says that is secret."""
    if not response.is_error:
        return response
    known = secrets_sent(response)
    masked: R = _masked_response(response, known.masked)
    with suppress(RuntimeError):  # how long it took is not always known
        masked.elapsed = response.elapsed
    return masked


def _masked_response(response: Any, clean: Callable[[str], str]) -> Any:
    """The response that an error is of, which traces show too; None where it cannot be masked."""
    headers = getattr(response, "headers", None) or {}
    if response is None or not isinstance(headers, Mapping):
        return response
    text = None
    with suppress(Exception):  # nobody has read it, so nobody shows it
        text = response.text
    texts = [str(part) for part in (text, getattr(response, "reason_phrase", None)) if part]
    texts += [str(value) for value in headers.values()]
    if all(clean(each) in (each, each[:_SEARCHED]) for each in texts):
        return response
    if type(response).__module__.partition(".")[0] not in _HTTPX:
        return None
    kept = {k: clean(str(v)) for k, v in headers.items() if k.lower() not in _OF_CONTENT}
    reason = clean(response.reason_phrase).encode("ascii", "replace")
    return type(response)(
        response.status_code,
        headers=kept,
        content=None if text is None else clean(text).encode(),
        request=attribute(response, "request"),
        extensions={"reason_phrase": reason},
    )


def _masked(value: Any, clean: Callable[[str], str], depth: int = 0) -> Any:
    """A value with its texts masked; the same object where they are clean, or it is another's."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bytes):
        text = value.decode("latin-1")
        return value if clean(text) == text else clean(text).encode("latin-1", "replace")
    if depth < _DEEPEST and isinstance(value, Mapping):
        pairs = {
            _masked(k, clean, depth + 1): _masked(v, clean, depth + 1) for k, v in value.items()
        }
        return value if pairs == value else pairs
    if depth < _DEEPEST and isinstance(value, list | tuple):
        each = [_masked(one, clean, depth + 1) for one in value]
        if each == list(value):
            return value
        if hasattr(value, "_fields"):  # a named tuple
            return type(value)(*each)
        return type(value)(each)
    return value
