"""Known secrets, and texts without them, however a text spells them."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import NoReturn
from urllib.parse import quote, quote_plus

MASK = "***"
_WHOLE_WORD = 8  # characters; a shorter secret may be a part of an ordinary word
# What servers that need no key are told, and what stands for nothing: ordinary words.
_NO_SECRETS = frozenset(
    [
        "none",
        "null",
        "true",
        "false",
        "nil",
        "empty",
        "dummy",
        "fake",
        "any",
        "test",
        "key",
        "api-key",
        "apikey",
        "no-key",
        "not-needed",
        "not_needed",
        "unused",
        "ollama",
        "lm-studio",
        "lmstudio",
        "bearer",
        "basic",
    ]
)
# What a text may have in place of a character: percent-encoded bytes, escapes of JSON and of
# reprs (also quoted again and again), entities of HTML.
_ESCAPE = re.compile(
    r"(?P<bytes>(?:(?:%(?:25)*|\\+x)[0-9a-fA-F]{2})+)"
    r"|(?P<units>(?:\\+u[0-9a-fA-F]{4})+)"
    r"|\\+U(?P<point>[0-9a-fA-F]{8})"
    r"|(?P<entity>&(?:\#\d{1,7}|\#[xX][0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos);)"
    r"|\\+[nrtbfav0]?"
)
_BYTE = re.compile(r"(?:%(?:25)*|\\+x)([0-9a-fA-F]{2})")
_UNIT = re.compile(r"\\+u([0-9a-fA-F]{4})")
# Characters that are not seen: keys that were copied have some of them, or lose them.
_INVISIBLE = re.compile(
    r"[\s\x00-\x20\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2000-\u200f"
    r"\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0"
    r"\ufff0-\ufffb\U000e0000-\U000e0fff]+"
)

Span = tuple[int, int]
Width = Callable[[str], int]


class Secrets:
    """What is secret of a client, a backend or a call.

    A text is compared by what it spells: ``p%40ss``, ``p@ss`` and ``p\\u0040ss`` are the same,
    invisible characters do not count, and each secret is also known in base64. Of a secret shorter
    than eight characters only whole words are taken out; placeholders such as ``"none"`` are no
    secrets.

    Args:
        values: the secrets; blank ones do not count.
        everything: whether all that there is counts as one.
    """

    def __init__(self, values: Iterable[str] = (), *, everything: bool = False) -> None:
        self._everything = everything
        told = (value.strip() for value in values)
        self._values = frozenset(v for v in told if v.strip("*") and v.lower() not in _NO_SECRETS)
        self._forms: tuple[set[str], set[str]] | None = None

    def masked(self, text: str) -> str:
        """A text with ``***`` in place of each secret."""
        if self._everything and text:
            return MASK
        return without(text, self._spans(text)) if self._values and text else text

    def are_in(self, text: str) -> bool:
        """Whether a text shows one."""
        return self._everything or any(True for _ in self._spans(text))

    def are_in_pickle(self, data: bytes) -> bool:
        """Whether a pickle holds one."""
        for value in self._values:
            raw = value.encode("utf-8", "surrogatepass")
            if len(value) >= _WHOLE_WORD and raw in data:
                return True
            if len(raw) < 256 and b"\x8c" + bytes([len(raw)]) + raw in data:
                return True
        return self._everything

    def _looked_for(self) -> tuple[set[str], set[str]]:
        """What may stand in a text, and what a text may spell; found with the first text."""
        if self._forms is None:
            literal, spelled = set[str](), set[str]()
            for value in self._values:
                spelled |= {_spell(form) for form in _encoded(value)}
                if len(value) >= _WHOLE_WORD:
                    literal |= _quoted(value)
            self._forms = literal, spelled - {""}
        return self._forms

    def _spans(self, text: str) -> Iterator[Span]:
        literal, secret = self._looked_for()
        for form in literal:
            yield from ((start, start + len(form)) for start in _found(form, text))
        spelled = _spell(text)
        there = [form for form in secret if form in spelled]
        if not there:
            return
        places = list(_places(text))
        for form in there:
            for start in _found(form, spelled):
                stop = start + len(form)
                if len(form) >= _WHOLE_WORD or _is_word(spelled, places, start, stop):
                    yield places[start][0], places[stop - 1][1]

    def __or__(self, other: Secrets) -> Secrets:
        # What is known of one that holds all stays known.
        for whole, part in ((self, other), (other, self)):
            if whole._everything or (part._values <= whole._values and not part._everything):
                return whole
        return Secrets(self._values | other._values)

    def __bool__(self) -> bool:
        return self._everything or bool(self._values)

    def __repr__(self) -> str:
        return f"Secrets({len(self._values)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Secrets are not pickled")


NO_SECRETS = Secrets()
"""Nothing that is known."""

EVERYTHING = Secrets(everything=True)
"""What counts as secret where it could not be found out what is: nothing is shown."""


def without(text: str, spans: Iterable[Span]) -> str:
    """A text with ``***`` in place of what lies in spans, which may overlap."""
    out, end = [], 0
    for start, stop in sorted(spans):
        if start >= end:
            out += [text[end:start], MASK]
        end = max(end, stop)
    return "".join(out) + text[end:]


def _encoded(value: str) -> set[str]:
    """A secret, and what it is in base64, which has ends of its own for each padding."""
    raw = value.encode("utf-8", "surrogatepass")
    return {
        value,
        *(encode(raw).decode().rstrip("=") for encode in (_standard, _urlsafe) if len(raw) > 3),
    }


_standard, _urlsafe = base64.b64encode, base64.urlsafe_b64encode


def _quoted(value: str) -> set[str]:
    """A secret as it may stand in a text where the text around it hides how it is spelled."""
    forms = {value, repr(value)[1:-1], ascii(value)[1:-1], json.dumps(value)[1:-1]}
    forms.add(_INVISIBLE.sub("", value))
    for quoting in (quote, quote_plus):
        forms.add(quoting(value.encode("utf-8", "replace"), safe=""))
    forms |= {" ".join(form.split()) for form in forms}
    return {form for form in forms if len(form) >= _WHOLE_WORD}


def _spell(text: str) -> str:
    """What a text spells: its escapes resolved, without what is not seen."""
    if "\\" in text or "%" in text or "&" in text:
        text = _ESCAPE.sub(lambda m: "".join(c for c, _, _ in _resolved(m)), text)
    return _INVISIBLE.sub("", text)


def _places(text: str) -> Iterator[Span]:
    """For each character of :func:`_spell`, where in the text it is."""
    end = 0
    for match in _ESCAPE.finditer(text):
        yield from _plain(text, end, match.start())
        yield from ((a, b) for c, a, b in _resolved(match) if not _INVISIBLE.match(c))
        end = match.end()
    yield from _plain(text, end, len(text))


def _plain(text: str, start: int, stop: int) -> Iterator[Span]:
    """Of a part without escapes: each character but those that are not seen."""
    for unseen in _INVISIBLE.finditer(text, start, stop):
        yield from pairwise(range(start, unseen.start() + 1))
        start = unseen.end()
    yield from pairwise(range(start, stop + 1))


def _resolved(match: re.Match[str]) -> Iterator[tuple[str, int, int]]:
    """The characters that an escape stands for, each with its beginning and end."""
    if match["bytes"]:
        units = list(_BYTE.finditer(match.string, *match.span("bytes")))
        data = bytes(int(unit[1], 16) for unit in units)
        try:
            text, lengths = data.decode(), None
        except UnicodeDecodeError:  # the repr of a text has one byte a character
            text, lengths = data.decode("latin-1"), 1
        yield from _spread(text, units, lambda c: lengths or len(c.encode()))
    elif match["units"]:
        units = list(_UNIT.finditer(match.string, *match.span("units")))
        data = b"".join(int(unit[1], 16).to_bytes(2, "little") for unit in units)
        text = data.decode("utf-16-le", "replace")
        if sum(1 + (ord(c) > 0xFFFF) for c in text) != len(units):  # half a pair
            text = "\ufffd" * len(units)
        yield from _spread(text, units, lambda c: 1 + (ord(c) > 0xFFFF))
    elif match["point"]:
        point = int(match["point"], 16)
        yield chr(point) if point < 0x110000 else "\ufffd", *match.span()
    elif match["entity"]:
        yield from ((c, *match.span()) for c in html.unescape(match["entity"]))


def _spread(text: str, units: list[re.Match[str]], width: Width) -> Iterator[tuple[str, int, int]]:
    at = 0
    for character in text:
        last = at + width(character) - 1
        yield character, units[at].start(), units[last].end()
        at = last + 1


def _is_word(spelled: str, places: list[Span], start: int, stop: int) -> bool:
    """Whether no letter or digit touches a place; what is not seen parts words."""
    for at, beside in ((start, start - 1), (stop, stop)):
        touches = 0 < at < len(spelled) and places[at - 1][1] == places[at][0]
        if touches and (spelled[beside].isalnum() or spelled[beside] == "_"):
            return False
    return True


def _found(form: str, text: str) -> Iterator[int]:
    at = text.find(form)
    while at >= 0:
        yield at
        at = text.find(form, at + 1)
