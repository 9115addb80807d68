"""What a log says, as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import numpy as np

from avengers_core.learning.drift import Alarm
from avengers_core.records.names import counted, one_line
from avengers_core.routing.decision.explaining import text_table, usd

if TYPE_CHECKING:
    from avengers_core.learning.learn import Lesson
    from avengers_core.learning.watch import Watch

_PROMISES = ("model", "calls", "graded", "promised", "realised", "± 95 %", "promised $", "cost")
_MOST_LINES = 8
_LEAST_MOVE = 0.005


def to_text(watch: Watch) -> str:
    """Promised against realised, what is unlike, what has changed, and what to do."""
    lines = [summary(watch), "", text_table(columns(watch), promise_rows(watch)), ""]
    lines += [one_line(line) for line in notes(watch)]
    return "\n".join(lines)


def lesson_text(lesson: Lesson) -> str:
    """What was learnt and what it changes, then :func:`to_text` of the log."""
    if not lesson.learnt:
        return "\n".join(["no graded call that is new: nothing learnt", "", to_text(lesson.watch)])
    kept = "" if lesson.faded == 1 else f"; what was known before counts {lesson.faded:.0%}"
    lines = [f"learnt from {counted(lesson.learnt, 'graded call')}{kept}"]
    lines.append(
        f"at alpha {lesson.alpha:g}, {lesson.redirected:.1%} of the log's calls would go to "
        f"another model now"
    )
    lines += [
        f"  {m.model}: expected score {_number(m.score_before)} -> {_number(m.score)}"
        + _change_of_cost(m.cost_before, m.cost)
        for m in lesson.moved[:_MOST_LINES]
        if not abs(m.score - m.score_before) < _LEAST_MOVE
    ]
    for t in lesson.turned[:_MOST_LINES]:
        topics = ", ".join(t.topics)
        lines.append(
            f"  cluster {t.cluster} ({topics}; {t.share:.1%} of all): {t.before} -> {t.now}"
        )
    if (more := len(lesson.turned) - _MOST_LINES) > 0:
        lines.append(f"  ... and {counted(more, 'more cluster')}")
    return "\n".join([*map(one_line, lines), "", to_text(lesson.watch)])


def summary(watch: Watch) -> str:
    """One line: how many calls, and when."""
    return (
        f"{counted(watch.calls, 'call')} from {moment(watch.first)} to {moment(watch.last)}, "
        f"{watch.graded:,} of them graded"
    )


def columns(watch: Watch) -> Sequence[str]:
    """What :func:`promise_rows` tells; nothing of costs where none is known."""
    return _PROMISES if _knows_costs(watch) else _PROMISES[:-2]


def promise_rows(watch: Watch) -> list[Sequence[str]]:
    """What was promised and what came, of all calls and by model."""
    n = len(columns(watch))
    return [
        (
            p.model,
            f"{p.calls:,}",
            f"{p.graded:,}",
            _number(p.promised_score),
            _number(p.score),
            _number(p.error),
            _money(p.promised_cost),
            _money(p.cost),
        )[:n]
        for p in watch.promises
    ]


def notes(watch: Watch) -> list[str]:
    """What to know beside the table."""
    lines = []
    if watch.left_out:
        lines.append(
            f"left out: {counted(watch.left_out, 'call')} without texts, with vectors of another "
            f"embedder"
        )
    if not _knows_costs(watch):
        lines.append(
            "costs are not known: the artifact has no prices (`avengers reprice`), or the backends "
            "count no tokens"
        )
    if np.isfinite(watch.unlike):
        lines.append(
            f"unlike the records: {watch.unlike:.1%} of the calls (± {watch.unlike_error:.1%}; 5 % "
            f"is usual)"
        )
    lines += [f"changed: {alarm_text(alarm)}" for alarm in watch.alarms]
    if not watch.alarms:
        lines.append("no change of any model")
    else:
        lines.append(
            f"(in a log without changes, at most {watch.false_alarm:.0%} for any such line, ever); "
            f"`avengers learn --half-life` follows them"
        )
    lines += [f"fit anew: {reason}" for reason in watch.fit_anew]
    if not watch.fit_anew:
        lines.append("no need to fit anew")
    return lines


def _knows_costs(watch: Watch) -> bool:
    return any(np.isfinite(p.cost) for p in watch.promises)


def alarm_text(alarm: Alarm) -> str:
    """One alarm in a line."""
    return (
        f"{alarm.model} {alarm.where}, {alarm.before:.2f} ({counted(alarm.n_before, 'score')}) -> "
        f"{alarm.after:.2f} ({alarm.n_after:,}) since about {moment(alarm.since)}, seen at "
        f"graded call {alarm.seen_call:,}"
    )


def moment(time: float) -> str:
    """A time of day, UTC."""
    return datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%d %H:%M")


def _number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else ""


def _change_of_cost(before: float, now: float) -> str:
    """Nothing where both are unknown."""
    if not np.isfinite([before, now]).any():
        return ""
    return f", cost {_money(before) or 'unknown'} -> {_money(now) or 'unknown'}"


def _money(value: float) -> str:
    return usd(value) if np.isfinite(value) else ""
