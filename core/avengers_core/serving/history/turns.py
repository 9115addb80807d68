"""A conversation as no framework in particular has it: turns of text, media and tool calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Role = Literal["system", "user", "assistant", "tool"]
MediaKind = Literal["image", "file", "audio", "video"]


@dataclass(frozen=True)
class Media:
    """A picture, file, sound or video.

    Attributes:
        kind: which of these.
        mime: its MIME type, where that is known.
        data: its bytes in base64, or
        url: where it is to be found, or
        upload: its id or address at the provider that it was uploaded to.
        name: a file's name.
        block: what the framework had it in, where that can be sent on as it is.
    """

    kind: MediaKind
    mime: str | None = None
    data: str | None = None
    url: str | None = None
    upload: str | None = None
    name: str | None = None
    block: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Raw:
    """A block of the caller's that means something to the target's client alone, such as a text
    with a cache mark: it goes as it is."""

    block: Any


Part: TypeAlias = str | Media | Raw


@dataclass(frozen=True)
class Call:
    """A call of a tool.

    Attributes:
        id: what its result refers to; may be empty where a provider gives none.
        name: of the tool.
        arguments: by name.
        broken: they came as no JSON, and are one text here.
    """

    id: str
    name: str
    arguments: Mapping[str, Any]
    broken: bool = field(default=False, compare=False)

    @classmethod
    def of(cls, call_id: Any, name: str, given: Any) -> Call:
        """A call whose arguments are as a provider gave them: an object, its JSON, or neither."""
        if isinstance(given, str):
            with suppress(ValueError):
                given = json.loads(given)
        broken = not isinstance(given, Mapping)  # a model may not keep to what it is told
        arguments = given if not broken else {"arguments": given} if given else {}
        return cls(str(call_id or ""), name, arguments, broken)


@dataclass(frozen=True)
class Turn:
    """One message.

    Attributes:
        role: who speaks.
        parts: text and media, in order; not read of an assistant's own message.
        calls: the tools that the assistant calls.
        call_id: of the call that this is the result of.
        name: of the tool that this is the result of, or of the one who speaks.
        failed: the result is an error.
        own: the target itself wrote it, so it goes as it is.
        paused: the target stopped in the middle of it to be asked to go on.
        source: the framework's message, as long as it says just this.
    """

    role: Role
    parts: tuple[Part, ...] = ()
    calls: tuple[Call, ...] = ()
    call_id: str = ""
    name: str | None = None
    failed: bool = False
    own: bool = False
    paused: bool = False
    source: Any = field(default=None, compare=False, repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        if self.calls:
            return False
        # Asked of every turn, and much faster than any() of a generator.
        for part in self.parts:  # noqa: SIM110
            if not isinstance(part, str) or part.strip():
                return False
        return True
