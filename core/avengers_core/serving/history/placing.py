"""Text and media of a history: only what a backend takes, where it takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from avengers_core.serving.history.dialects import Dialect
from avengers_core.serving.history.turns import Media, Part, Turn

_HERE = "(see the file)"


def fitted(turns: Sequence[Turn], dialect: Dialect) -> list[Turn]:
    """The turns with the media that the backend takes, where it takes them."""
    if not any(isinstance(part, Media) for turn in turns for part in turn.parts):
        return list(turns)
    fitted: list[Turn] = []
    moved: list[Part] = []  # what has to wait for the next message of the user
    for turn in turns:
        if turn.role == "user":
            parts = _taken(turn.parts, dialect)
            if moved or parts != turn.parts:
                turn = replace(turn, parts=(*moved, *parts), source=None)  # noqa: PLW2901
                moved = []
            fitted.append(turn)
            continue
        if moved and turn.role != "tool":
            fitted.append(Turn("user", tuple(moved)))
            moved = []
        if turn.own or not any(isinstance(part, Media) for part in turn.parts):
            fitted.append(turn)
            continue
        parts, put_off = _split(turn, dialect)
        moved += put_off
        changed = parts != turn.parts
        fitted.append(replace(turn, parts=parts, source=None) if changed else turn)
    if moved:
        fitted.append(Turn("user", tuple(moved)))
    return fitted


def with_names(turns: Sequence[Turn], dialect: Dialect) -> list[Turn]:
    """With names of files that the backend takes, and a text beside them where there is none."""
    named: list[Turn] = []
    taken: set[str] = set()
    for turn in turns:
        parts: list[Part] = []
        files = 0
        for part in turn.parts:
            if isinstance(part, Media) and part.kind == "file" and dialect.takes(part):
                part = replace(part, name=dialect.file(part.name or "file", taken))  # noqa: PLW2901
                taken.add(str(part.name))
                files += 1
            parts.append(part)
        spoken = any(isinstance(part, str) and part.strip() for part in parts)
        if files and turn.role == "user" and dialect.text_with_files and not spoken:
            parts.append(_HERE)
        changed = tuple(parts) != turn.parts
        named.append(replace(turn, parts=tuple(parts), source=None) if changed else turn)
    return named


def _taken(parts: tuple[Part, ...], dialect: Dialect) -> tuple[Part, ...]:
    return tuple(
        _left_out(part) if isinstance(part, Media) and not dialect.takes(part) else part
        for part in parts
    )


def _split(turn: Turn, dialect: Dialect) -> tuple[tuple[Part, ...], list[Part]]:
    """What of a turn can stay in it, and what has to go into a message of the user."""
    allowed = dialect.in_results if turn.role == "tool" else frozenset()
    if turn.failed and dialect.errors_in_text:
        allowed = frozenset()
    stay: list[Part] = []
    leave: list[Part] = []
    for part in turn.parts:
        if not isinstance(part, Media):
            stay.append(part)
        elif not dialect.takes(part):
            stay.append(_left_out(part))
        elif part.kind in allowed:
            stay.append(part)
        else:
            stay.append(f"[{part.kind}, shown in the next message]")
            origin = f"The tool {turn.name or ''}".strip() if turn.role == "tool" else "You"
            leave += [f"{origin} made this {part.kind}:", part]
    return tuple(stay), leave


def _left_out(media: Media) -> str:
    told = ", ".join(filter(None, (media.name, media.mime)))
    return f"[{media.kind} left out{': ' if told else ''}{told}]"
