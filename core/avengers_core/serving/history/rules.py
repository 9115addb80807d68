"""A history that others wrote, as a backend accepts it: the rules, step by step."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from avengers_core.serving.history.dialects import Dialect
from avengers_core.serving.history.placing import fitted, with_names
from avengers_core.serving.history.turns import Call, Part, Turn

_NO_RESULT = "No result of this call was recorded."
_EMPTY = "(an empty message)"
_FAILED = "(an error without a message)"
_FIRST = "(The assistant spoke first.)"
_GO_ON = "Go on."
_LET_ME_SEE = "Let me see."
_UNDERSTOOD = "Understood."


def carried_over(
    turns: Sequence[Turn], dialect: Dialect, *, tell_calls: bool = False
) -> list[Turn]:
    """The turns as the backend accepts them.

    Args:
        turns: the conversation. Where ``source`` is set, a turn says just what the framework's
            message says, in a form that the backend's client understands.
        dialect: what the backend accepts.
        tell_calls: all calls of tools are to be told in words, those of the target's own, too,
            which then must not be given as such.

    Returns:
        The turns to send: the same object where a turn can go as it is; one without ``source``
        where it has to be written anew. What the target itself wrote is never changed.
    """
    if tell_calls:
        dialect = replace(dialect, foreign_calls="told")
    if dialect.file_name is not None:
        turns = with_names(turns, dialect)
    steps = _answered(turns, dialect)
    if dialect.foreign_calls != "kept":
        steps = _told(steps, dialect)
    return _arranged(fitted(steps, dialect), dialect)


# -- tool calls: each with its result directly behind it, by an identifier that is accepted --


def _answered(turns: Sequence[Turn], dialect: Dialect) -> list[Turn]:
    if not any(turn.calls or turn.role == "tool" for turn in turns):
        return list(turns)
    taken = {call.id for turn in turns if turn.own for call in turn.calls}
    result_of: set[int] = set()
    answered: list[Turn] = []
    for i, turn in enumerate(turns):
        if i in result_of:
            continue
        if turn.role == "tool":
            answered.append(_lone_result(turn))
            continue
        if not turn.calls:
            answered.append(turn)
            continue
        found = _results(turns, i, result_of)
        calls = turn.calls if turn.own else tuple(_valid(c, dialect, taken) for c in turn.calls)
        answered.append(turn if calls == turn.calls else replace(turn, calls=calls, source=None))
        for call, result in zip(calls, found, strict=True):
            answered.append(_result(call, result))
    return answered


def _results(turns: Sequence[Turn], at: int, result_of: set[int]) -> list[Turn | None]:
    """The results of the calls of a turn, which are then in ``result_of``."""
    candidates = []
    for j in range(at + 1, len(turns)):
        if turns[j].calls:
            break
        if turns[j].role == "tool" and j not in result_of:
            candidates.append(j)
    found: list[Turn | None] = []
    for call in turns[at].calls:
        fits = [j for j in candidates if turns[j].call_id == call.id]
        if not fits and not call.id:  # a provider that gives none: by name, else in order
            fits = [j for j in candidates if turns[j].name == call.name] or candidates
        if not fits:
            found.append(None)
            continue
        first = fits[0]
        candidates.remove(first)
        result_of.add(first)
        found.append(turns[first])
    return found


def _valid(call: Call, dialect: Dialect, taken: set[str]) -> Call:
    """The call with a name and an identifier that are accepted, the latter not yet ``taken``."""
    call_id, n = call.id, 0
    while not call_id or not dialect.takes_id(call_id) or call_id in taken:
        # Some give every call the same identifier, or none: where it stands tells them apart.
        call_id, n = dialect.new_id(f"{call.id}:{len(taken)}:{n}"), n + 1
    taken.add(call_id)
    name = dialect.tool(call.name)
    return call if (call_id, name) == (call.id, call.name) else Call(call_id, name, call.arguments)


def _result(call: Call, result: Turn | None) -> Turn:
    if result is None:
        return Turn("tool", (_NO_RESULT,), call_id=call.id, name=call.name, failed=True)
    renamed = result.name not in (None, call.name)
    if result.call_id == call.id and not renamed:
        return result
    return replace(result, call_id=call.id, name=call.name, source=None)


def _lone_result(turn: Turn) -> Turn:
    """The result of a call that is not there."""
    return Turn("user", (f"The tool {turn.name or ''} returned:".replace("  ", " "), *turn.parts))


# -- loops that only their own model can go on with: told in words --


def _told(turns: Sequence[Turn], dialect: Dialect) -> list[Turn]:
    start = 0 if dialect.foreign_calls == "told" else _loop_start(turns)
    told: list[Turn] = []
    open_calls: dict[str, Call] = {}
    for i, turn in enumerate(turns):
        if turn.role == "tool" and turn.call_id in open_calls:
            told.append(Turn("user", _story(open_calls.pop(turn.call_id), turn)))
        elif turn.calls and not turn.own and i >= start:
            open_calls = {call.id: call for call in turn.calls}
            told.append(replace(turn, calls=(), source=None))
        else:
            told.append(turn)
    return told


def _loop_start(turns: Sequence[Turn]) -> int:
    """Where the loop of tool calls begins that is under way: behind the last answer, or, where it
    goes on behind one, behind the user's last word."""
    said = [i for i, turn in enumerate(turns) if turn.own or not turn.is_empty]
    answers = [i for i in said if turns[i].role == "assistant" and not turns[i].calls]
    asked = [i for i in said if turns[i].role == "user"]
    return min(max(answers, default=-1), max(asked, default=-1)) + 1


def _story(call: Call, result: Turn) -> tuple[Part, ...]:
    arguments = json.dumps(dict(call.arguments), ensure_ascii=False, default=str)
    called = f"The tool {call.name} was called with {arguments} and"
    if result.is_empty:
        return (f"{called} {'failed' if result.failed else 'returned nothing'}.",)
    return (f"{called} {'failed with' if result.failed else 'returned'}:", *result.parts)


# -- the order of messages --


def _arranged(turns: Sequence[Turn], dialect: Dialect) -> list[Turn]:
    leading = 0
    while leading < len(turns) and turns[leading].role == "system":
        leading += 1
    arranged = _said(turns[:leading], dialect)
    if dialect.one_system and len(arranged) > 1:
        arranged = [_joined(arranged)]
    rest = _in_turn(_said(_noted(turns[leading:], dialect), dialect), dialect)
    if not dialect.text_with_calls:
        rest = _apart(rest)
    if dialect.calls_with_text:
        rest = [_saying(turn) for turn in rest]
    if not rest:
        asked = [Turn("user", (_GO_ON,))] if dialect.begins_with_user or not arranged else []
        return arranged + asked if turns else []
    if dialect.begins_with_user and rest[0].role == "assistant":
        rest.insert(0, Turn("user", (_FIRST,)))
    last = rest[-1]
    if not dialect.ends_with_assistant and last.role == "assistant" and not last.paused:
        rest.append(Turn("user", (_GO_ON,)))
    return arranged + rest


def _said(turns: Iterable[Turn], dialect: Dialect) -> list[Turn]:
    """Without messages that say nothing."""
    said = []
    for turn in turns:
        if turn.role == "tool" and turn.failed and turn.is_empty and not dialect.empty_messages:
            said.append(replace(turn, parts=(_FAILED,), source=None))
        elif turn.own or not turn.is_empty or (turn.role == "tool" and turn.parts in ((), ("",))):
            said.append(turn)
        elif turn.role == "tool":  # blank, which is refused where nothing at all is not
            said.append(replace(turn, parts=(), source=None))
        elif turn.role == "user" and not (dialect.empty_messages and turn.parts):
            said.append(replace(turn, parts=(_EMPTY,), source=None))
        elif turn.role == "user" or (
            turn.role == "system" and dialect.empty_messages and turn.parts
        ):
            said.append(turn)
    return said


def _noted(turns: Sequence[Turn], dialect: Dialect) -> Sequence[Turn]:
    """With system messages as notes of the user's where they cannot stand."""
    if dialect.system_in_middle == "anywhere" or all(turn.role != "system" for turn in turns):
        return turns
    noted: list[Turn] = []
    for i, turn in enumerate(turns):
        asked = bool(noted) and noted[-1].role in ("user", "tool")
        answer_next = i + 1 == len(turns) or turns[i + 1].role == "assistant"
        stays = dialect.system_in_middle == "before answers" and asked and answer_next
        if turn.role != "system" or stays:
            noted.append(turn)
        elif not turn.is_empty:
            noted.append(Turn("user", ("System note:", *turn.parts)))
    return noted


def _in_turn(turns: Iterable[Turn], dialect: Dialect) -> list[Turn]:
    ordered: list[Turn] = []
    for turn in turns:
        last = ordered[-1] if ordered else None
        if last is None:
            ordered.append(turn)
        elif last.role == turn.role == "assistant" and not last.calls:
            if not (last.own or turn.own):
                ordered[-1] = _joined([last, turn])
            elif dialect.alternates and not (last.own and turn.own and dialect.joins_own):
                ordered += [Turn("user", (_GO_ON,)), turn]
            else:
                ordered.append(turn)
        elif last.role == turn.role == "user" and (
            dialect.alternates or None in (last.source, turn.source)
        ):
            ordered[-1] = _joined([last, turn])
        elif (last.role, turn.role) == ("tool", "user") and not dialect.user_after_tool:
            ordered += [Turn("assistant", (_UNDERSTOOD,)), turn]
        else:
            ordered.append(turn)
    return ordered


def _apart(turns: Iterable[Turn]) -> list[Turn]:
    """With what an answer says before it calls tools as an answer of its own."""
    apart: list[Turn] = []
    for turn in turns:
        if turn.calls and not turn.own and not replace(turn, calls=()).is_empty:
            said = replace(turn, calls=(), source=None)
            apart += [said, Turn("user", (_GO_ON,)), replace(turn, parts=(), source=None)]
        else:
            apart.append(turn)
    return apart


def _saying(turn: Turn) -> Turn:
    """With a word beside calls of tools, where there is none."""
    if turn.own or not turn.calls or not replace(turn, calls=()).is_empty:
        return turn
    return replace(turn, parts=(_LET_ME_SEE,), source=None)


def _joined(turns: Sequence[Turn]) -> Turn:
    parts: list[Any] = []
    for turn in turns:
        parts += turn.parts
    calls = tuple(call for turn in turns for call in turn.calls)
    return replace(turns[0], parts=tuple(parts), calls=calls, source=None)
