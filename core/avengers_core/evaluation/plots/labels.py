"""Names written beside points in a picture, so that they hide neither points nor each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from avengers_core.common.arrays import Floats, Ints

_INK, _GREY = "#1a1a1a", "#777777"
_RADIUS, _OF_NAMELESS = 4.0, 7.0  # of marks, in points of type
# Rings of eight places around a point; in the outer ones, a line leads to the name.
_RINGS, _NEAR = 5, 2
# Characters that a name may have in a picture, if it can be told from the others with so many.
_LENGTHS = (32, 40, 52)


def shortened(names: Sequence[str]) -> list[str]:
    """Names as short as they can be told apart: long ones lose their provider, then their middle.

    Args:
        names: all different.
    """
    if max(map(len, names), default=0) <= _LENGTHS[0]:
        return list(names)
    bare = [name.rsplit("/", 1)[-1] for name in names]
    bare = bare if len(set(bare)) == len(names) else list(names)
    for most in _LENGTHS:
        cut = [
            b if len(b) <= most else f"{b[: most - most // 3 - 1]}…{b[-(most // 3) :]}"
            for b in bare
        ]
        if len(set(cut)) == len(names):
            return cut
    return bare


def plain(text: str) -> str:
    """A text that matplotlib shows as it is: dollar signs would set it as a formula."""
    return text.replace("$", r"\$")


def label_points(
    ax: Any,
    x: Floats,
    y: Floats,
    names: Sequence[str],
    *,
    radius: Floats | None = None,
    around: Iterable[Floats] = (),
    nameless: Floats | None = None,
    sparse: bool = False,
) -> None:
    """Write names beside points, where they hide neither points nor each other.

    Everything else must be drawn and every scale set before.

    Args:
        ax: the axes.
        x: (n,) of the points.
        y: (n,) of the points.
        names: n texts.
        radius: (n,) of the points' marks, in points of type; default 4.
        around: lines to keep free, (m, 2) corners each.
        nameless: (k, 2) further marks, of a radius of 7, which have no names.
        sparse: leave out a name that would hide something; else the place that hides least is
            taken.
    """
    if not len(names):
        return
    ax.figure.get_layout_engine().execute(ax.figure)
    scale = ax.figure.dpi / 72
    marks = (np.full(len(names), _RADIUS) if radius is None else radius) * scale
    at = ax.transData.transform(np.stack([x, y], axis=1))
    circles = np.concatenate([at - marks[:, None], at + marks[:, None]], axis=1)
    if nameless is not None:
        others, space = ax.transData.transform(nameless), _OF_NAMELESS * scale
        boxes = np.concatenate([others - space, others + space], axis=1)
        circles = np.concatenate([circles, boxes])
    written = np.empty((0, 4))
    lines = [np.tile(_dots(ax.transData.transform(line), scale), 2) for line in around]
    dots = np.concatenate(lines) if lines else np.empty((0, 4))
    frame = ax.get_window_extent()
    for i in np.argsort(-marks, kind="stable"):
        text = ax.annotate(
            plain(names[i]),
            (x[i], y[i]),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=8,
            color=_INK,
        )
        extent = text.get_window_extent()
        size = np.array([extent.width, extent.height])
        places = _places(extent.width, extent.height, marks[i] + 2 * scale)
        # Far from its point, a name would be taken for that of another.
        corners = at[i] + (places[:8] if sparse else places)
        boxes = np.concatenate([corners, corners + size], axis=1)
        away = np.arange(len(boxes)) // 8 * 30
        # A line behind a text does little harm, a mark does more, another text most.
        hidden = 1000 * _overlaps(boxes, circles) + 3000 * _overlaps(boxes, written)
        hidden += _overlaps(boxes, dots)
        outside = (boxes[:, 0] < frame.x0) | (boxes[:, 2] > frame.x1)
        outside |= (boxes[:, 1] < frame.y0) | (boxes[:, 3] > frame.y1)
        best = int(np.argmin(hidden + 30_000 * outside + away))
        if sparse and hidden[best]:
            text.remove()
            continue
        text.set_position((corners[best] - at[i]) / scale)
        if best >= 8 * _NEAR:
            foot = np.clip(at[i], boxes[best, :2], boxes[best, 2:])
            ends = ax.transData.inverted().transform(np.stack([at[i], foot]))
            ax.plot(*ends.T, color=_GREY, linewidth=0.5, scalex=False, scaley=False)
        space = scale * np.array([-3.0, 0.0, 3.0, 0.0])
        written = np.concatenate([written, boxes[best : best + 1] + space])


def _places(width: float, height: float, gap: float) -> Floats:
    """(8 rings, 2) offsets of a text's lower left corner from its point, the nearest ring first."""
    places = [
        place
        for away in gap + height * np.arange(_RINGS)
        for place in (
            (0.8 * gap, 0.8 * away),
            (0.8 * gap, -0.8 * away - height),
            (-0.8 * gap - width, 0.8 * away),
            (-0.8 * gap - width, -0.8 * away - height),
            (away, -height / 2),
            (-away - width, -height / 2),
            (-width / 2, away),
            (-width / 2, -away - height),
        )
    ]
    return np.array(places, dtype=np.float64)


def _dots(corners: Floats, step: float) -> Floats:
    """(m, 2) dots along a line through (n, 2) corners, a step apart."""
    if len(corners) < 2:
        return corners
    length = np.concatenate([[0.0], np.linalg.norm(np.diff(corners, axis=0), axis=1).cumsum()])
    at = np.arange(0.0, length[-1], step)
    return np.stack([np.interp(at, length, corners[:, axis]) for axis in (0, 1)], axis=1)


def _overlaps(boxes: Floats, others: Floats) -> Ints:
    """How many of (m, 4) others, x0, y0, x1, y1, each of (n, 4) boxes overlaps."""
    a, b = boxes[:, None], others[None]
    apart = (a[..., 2] < b[..., 0]) | (b[..., 2] < a[..., 0])
    apart |= (a[..., 3] < b[..., 1]) | (b[..., 3] < a[..., 1])
    count: Ints = (~apart).sum(axis=1)
    return count
