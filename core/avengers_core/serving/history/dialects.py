"""What a backend may accept in a history that others wrote; what each kind does is in ``kinds``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from avengers_core.serving.history.turns import Media, MediaKind

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

SystemInMiddle = Literal["anywhere", "before answers", "never"]
ForeignCalls = Literal["kept", "told in the loop", "told"]
Protocol = Literal[
    "openai", "openai responses", "openai compatible", "anthropic", "bedrock", "gemini", "other"
]


@dataclass(frozen=True)
class Dialect:
    """What one kind of backend accepts.

    Attributes:
        name: of the kind.
        protocol: that its clients speak, whose words and blocks they take; ``"other"``, where
            nothing is known.
        providers: what frameworks call those who write it.
        call_id: pattern of the identifiers of tool calls.
        tool_name: pattern of the names of tools.
        speakers: whether messages may carry the name of who speaks.
        text_lists: whether a text may be given as a list of its parts.
        beside_texts: what a part of text may hold besides, such as a mark of where to cache.
        images: MIME types, None for all; so too for ``files``, ``audio`` and ``video``.
        file_name: pattern of the names of files, which then all have one, each once.
        text_with_files: a message with a file has to say something, too.
        by_url: kinds of media that may be given by their address.
        upload: pattern of what it calls a file that was uploaded to it.
        in_results: kinds of media that the result of a tool may hold.
        errors_in_text: but not the result of one that failed.
        system_in_middle: whether a system message may stand behind the beginning: anywhere, only
            between the user and the assistant, or nowhere.
        one_system: there may be only one.
        empty_messages: a message may say nothing.
        begins_with_user: the first message has to be the user's.
        alternates: the user and the assistant have to take turns.
        joins_own: its clients make one of two answers of its own in a row.
        user_after_tool: the user may speak directly after the result of a tool.
        ends_with_assistant: the last message may be the assistant's.
        calls: it takes calls of tools at all.
        calls_need_tools: it takes calls only together with definitions of tools.
        broken_arguments: a call may come back with arguments that are no JSON.
        text_with_calls: an answer may say something and call tools.
        calls_with_text: an answer that calls tools has to say something, too.
        cache_marks: how many marks of where to cache it takes; None: any number, or none at all.
        foreign_calls: whether tool calls that others made stay calls (``"kept"``); where each
            must carry reasoning that only the target could have written, they are told in words:
            in the loop that is under way, or all of them.
    """

    name: str
    protocol: Protocol = "other"
    providers: frozenset[str] = frozenset()
    call_id: str = r".+"
    tool_name: str = r"[a-zA-Z0-9_-]{1,64}"
    speakers: bool = True
    text_lists: bool = True
    beside_texts: frozenset[str] = frozenset()
    images: Set[str] | None = None
    files: Set[str] | None = None
    audio: Set[str] | None = None
    video: Set[str] | None = None
    file_name: str | None = None
    text_with_files: bool = False
    by_url: frozenset[MediaKind] = frozenset({"image"})
    upload: str | None = None
    in_results: frozenset[MediaKind] = frozenset()
    errors_in_text: bool = False
    system_in_middle: SystemInMiddle = "anywhere"
    one_system: bool = False
    empty_messages: bool = True
    begins_with_user: bool = False
    alternates: bool = False
    joins_own: bool = False
    user_after_tool: bool = True
    ends_with_assistant: bool = True
    calls: bool = True
    calls_need_tools: bool = False
    broken_arguments: bool = True
    text_with_calls: bool = True
    calls_with_text: bool = False
    cache_marks: int | None = None
    foreign_calls: ForeignCalls = "kept"

    @property
    def speaks_openai(self) -> bool:
        """Whether its protocol is one of OpenAI's."""
        return self.protocol.startswith("openai")

    @property
    def thinks_first(self) -> bool:
        """Whether it is a Claude that has to begin each loop of tool calls with its thoughts."""
        return self.protocol == "anthropic" and self.foreign_calls != "kept"

    @property
    def media(self) -> dict[str, bool | None]:
        """Which media it takes, as capabilities: False for those it takes in no format, else None
        (the model decides)."""
        kinds = {"images": self.images, "files": self.files, "audio": self.audio}
        kinds["video"] = self.video
        return {kind: None if known is None or known else False for kind, known in kinds.items()}

    def takes(self, media: Media) -> bool:
        """Whether a message of the user may hold this."""
        if media.upload is not None:
            return self.upload is not None and bool(re.match(self.upload, media.upload))
        if media.url is not None and media.kind not in self.by_url:
            return False
        known = {
            "image": self.images,
            "file": self.files,
            "audio": self.audio,
            "video": self.video,
        }[media.kind]
        if media.mime is None:
            return known is None or bool(known)
        return known is None or media.mime.partition(";")[0].lower() in known

    def takes_id(self, call_id: str) -> bool:
        """Whether it is a valid identifier of a tool call."""
        return self._ids.fullmatch(call_id) is not None

    def new_id(self, seed: str) -> str:
        """A valid identifier that is always the same for the same seed, so that a history is
        written alike each time and prompt caches hold."""
        number = int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big")
        digits = ""
        for _ in range(24):
            number, digit = divmod(number, len(_ALPHABET))
            digits += _ALPHABET[digit]
        made = f"call_{digits}"
        return made if self.takes_id(made) else digits[:9]

    def takes_name(self, name: str) -> bool:
        """Whether it is a valid name of a tool."""
        return self._names.fullmatch(name) is not None

    def tool(self, name: str) -> str:
        """A valid name for a tool; itself, where it is one."""
        if self.takes_name(name):
            return name
        made = re.sub(r"[^a-zA-Z0-9_-]+", "_", name).strip("_")[:64]
        return made if self.takes_name(made) else f"tool_{made}".rstrip("_")[:64]

    @cached_property
    def _ids(self) -> re.Pattern[str]:
        return re.compile(self.call_id)

    @cached_property
    def _names(self) -> re.Pattern[str]:
        return re.compile(self.tool_name)

    def file(self, name: str, taken: Set[str]) -> str:
        """A valid name for a file that is not ``taken``; itself, where it is one."""
        if not re.fullmatch(self.file_name or ".+", name):
            name = re.sub(r"[^a-zA-Z0-9-]+", " ", name).strip() or "file"
        numbered = (f"{name} {n}" for n in range(2, len(taken) + 3))
        return name if name not in taken else next(n for n in numbered if n not in taken)


NO_SIGNATURE = "skip_thought_signature_validator"
"""What a Gemini takes in place of a signature of its own, for calls that others made:
https://ai.google.dev/gemini-api/docs/thought-signatures"""


@dataclass(frozen=True)
class Target:
    """The backend that a history is for.

    Attributes:
        model: what the router calls it, which is how answers say who gave them.
        dialect: what it accepts.
        remote_name: what its provider calls the model, for answers that it gave elsewhere.
        copies: its client writes into the messages that it is given.
        tools: whether the call defines tools.
        marks: how many marks of where to cache the call has beside its history.
        samples: its client sends a temperature in any case.
        reads_reasoning: its client keeps the reasoning of an answer, so that a call without any had
            none.
        drops_reasoning: its client keeps it, but never sends it back.
    """

    model: str
    dialect: Dialect
    remote_name: str | None = None
    copies: bool = False
    reads_reasoning: bool = False
    drops_reasoning: bool = False
    tools: bool = True
    marks: int = 0
    samples: bool = False

    @property
    def called(self) -> str:
        """What its provider calls the model, as far as that is known."""
        return self.remote_name or self.model

    @property
    def tells_all_calls(self) -> bool:
        """Whether it takes no calls at all, not even its own."""
        return not self.dialect.calls or (self.dialect.calls_need_tools and not self.tools)

    @property
    def minds_text_with_calls(self) -> bool:
        """Whether it matters to it that there is a text beside a call of tools."""
        return not self.dialect.text_with_calls or self.dialect.calls_with_text

    def takes_back(self, tools: Iterable[str], *, says: bool, broken: bool) -> bool:
        """Whether it takes calls of tools of its own as it gave them.

        Args:
            tools: the names of those that are called: a model may make one up.
            says: there is a text beside the calls; read where :attr:`minds_text_with_calls`.
            broken: arguments are no JSON, such as those of an answer that was too long.
        """
        dialect = self.dialect
        if self.tells_all_calls or not all(map(dialect.takes_name, tools)):
            return False
        if self.minds_text_with_calls and says is not dialect.calls_with_text:
            return False
        return dialect.broken_arguments or not broken

    @property
    def wants_reasoning(self) -> bool:
        """Whether its own calls have to come back with the reasoning that they came with, for
        which its client has to keep it."""
        compatible = self.dialect.protocol == "openai compatible"
        return compatible and self.dialect.foreign_calls != "kept"

    @property
    def wants_signatures(self) -> bool:
        """Whether the first call of each answer has to be signed; by others, with
        :data:`NO_SIGNATURE`."""
        return self.dialect.protocol == "gemini" and is_gemini_3_or_later(self.remote_name or "")


def is_gemini_3_or_later(model: str) -> bool:
    """Whether it wants a signature with each first call of a tool."""
    found = re.search(r"gemini-(\d+)", model.lower())
    return found is not None and int(found[1]) >= 3
