"""Small plots as inline SVG text: heat maps, bars, and the information plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

__all__ = ["SERIES", "Track", "heat_map", "plane", "ticks"]

INK, QUIET, RULE, FRAME = "#1c2126", "#66707a", "#d9dcd6", "#d97706"
SERIES = ("#0f766e", "#c2410c", "#4338ca", "#a16207", "#be185d", "#475569")  # one colour for each model
_STOPS = ((247, 246, 241), (167, 211, 204), (36, 134, 128), (8, 60, 69))  # from nothing to most


def heat_map(
    values: Sequence[Sequence[float | None]], rows: Sequence[str], columns: Sequence[str], *,
    row_title: str = "", column_title: str = "", form: str = "{:.2f}", marked: Sequence[tuple[int, int]] = (),
    peaks: Sequence[float] | None = None,
) -> str:
    """A table of numbers shaded from pale (0) to dark (the peak), each written in its cell.

    Arguments: values (R, C); row and column names; titles of the axes; the number format; cells to
    frame; ``peaks``, what counts as dark in each row, else the largest value of all.
    """
    finite = [v for row in values for v in row if v is not None]
    top = max([*finite, 0]) or 1.0
    wide = max([len(form.format(v)) for v in finite] + [3])
    cell_w, cell_h, size = max(34, 8 * wide + 10), 30, 12
    left = 14 + 7.2 * max([len(str(r)) for r in rows] + [0]) + (18 if row_title else 0)
    slanted = any(7 * len(str(c)) > cell_w - 4 for c in columns)
    reach = 6.6 * max([len(str(c)) for c in columns] + [0])
    head = (0.71 * reach + 16 if slanted else 24) + (22 if column_title else 0)
    width, height = left + cell_w * len(columns) + (0.71 * reach if slanted else 10), head + cell_h * len(rows) + 6
    out = [f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img" class="plot">']
    if column_title:
        out.append(_text(left + cell_w * len(columns) / 2, 14, column_title, "middle", QUIET))
    if row_title:
        middle = head + cell_h * len(rows) / 2
        turned = f' transform="rotate(-90 12 {middle:.0f})"'
        out.append(_text(12, middle, row_title, "middle", QUIET, extra=turned))
    for c, name in enumerate(columns):
        x, y = left + cell_w * (c + 0.5), head - 8
        turned = f' transform="rotate(-45 {x:.1f} {y:.1f})"' if slanted else ""
        out.append(_text(x, y, name, "start" if slanted else "middle", INK, extra=turned))
    for r, name in enumerate(rows):
        y = head + cell_h * r
        out.append(_text(left - 8, y + cell_h / 2 + 4, name, "end", INK))
        for c, value in enumerate(values[r]):
            x = left + cell_w * c
            share = 0.0 if value is None else value / ((peaks[r] or 1.0) if peaks else top)
            frame = f' stroke="{FRAME}" stroke-width="2"' if (r, c) in marked else ""
            out.append(f'<rect x="{x + 1:.1f}" y="{y + 1:.1f}" width="{cell_w - 2}" height="{cell_h - 2}" rx="3" fill="{_shade(share)}"{frame}/>')
            said = "" if value is None else form.format(value)
            out.append(_text(x + cell_w / 2, y + cell_h / 2 + 4, said, "middle", "#fff" if share > 0.52 else INK, size))
    return "".join([*out, "</svg>"])


@dataclass(frozen=True)
class Track:
    """One model on the plane: its point, the curve it is the end of, and what its I(x;z) is."""

    name: str
    point: tuple[float, float]
    curve: Sequence[tuple[float, float]] = field(default=())
    information: float | None = None
    labels: Sequence[str] = field(default=())  # one for each point of the curve


def plane(tracks: Sequence[Track], *, x_title: str, y_title: str, width: int = 680, height: int = 400) -> str:
    """Rate (right) against distortion (up): a filled dot is a model, a ring its I(x;z), the line fewer units sent."""
    left, right, top, bottom = 70, 24, 18, 52
    points = [p for t in tracks for p in (t.point, *t.curve, *([(t.information, t.point[1])] if t.information is not None else []))]
    (x0, x1, x_marks), (y0, y1, y_marks) = _axis([p[0] for p in points]), _axis([p[1] for p in points])

    def at(p: tuple[float, float]) -> tuple[float, float]:
        return (
            left + (p[0] - x0) / (x1 - x0) * (width - left - right),
            height - bottom - (p[1] - y0) / (y1 - y0) * (height - top - bottom),
        )

    out = [f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" class="plot">']
    for mark in x_marks:
        x = at((mark, y0))[0]
        out.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{height - bottom}" stroke="{RULE}"/>')
        out.append(_text(x, height - bottom + 18, f"{mark:g}", "middle", QUIET))
    for mark in y_marks:
        y = at((x0, mark))[1]
        out.append(f'<line x1="{left}" y1="{y:.1f}" x2="{width - right}" y2="{y:.1f}" stroke="{RULE}"/>')
        out.append(_text(left - 8, y + 4, f"{mark:g}", "end", QUIET))
    out.append(_text((left + width - right) / 2, height - 12, x_title, "middle", INK))
    middle = (top + height - bottom) / 2
    out.append(_text(16, middle, y_title, "middle", INK, extra=f' transform="rotate(-90 16 {middle:.0f})"'))
    for i, track in enumerate(tracks):
        colour = SERIES[i % len(SERIES)]
        if track.curve:
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(at, track.curve))
            out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-opacity=".55"/>')
        for p, label in zip(track.curve, track.labels or [""] * len(track.curve)):
            x, y = at(p)
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour}" fill-opacity=".7"><title>{escape(label)}</title></circle>')
        x, y = at(track.point)
        if track.information is not None:
            ring = at((track.information, track.point[1]))[0]
            out.append(f'<line x1="{ring:.1f}" y1="{y:.1f}" x2="{x:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-dasharray="2 3"/>')
            out.append(f'<circle cx="{ring:.1f}" cy="{y:.1f}" r="5" fill="#fff" stroke="{colour}" stroke-width="2"><title>I(x;z)</title></circle>')
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{colour}"/>')
        halo = ' font-weight="600" paint-order="stroke" stroke="#fff" stroke-width="4"'  # legible on the curve
        if len(tracks) > 1:  # a legend, since models may lie close together
            y = top + 16 + 18 * i
            out.append(f'<circle cx="{width - right - 12}" cy="{y - 4}" r="5" fill="{colour}"/>')
            x, side = width - right - 24, "end"
        else:
            far = x + 7 * len(track.name) > width - right
            x, y, side = x + (6 if far else -6), y - 14, "end" if far else "start"
        out.append(_text(x, y, track.name, side, colour, 12, halo))
    return "".join([*out, "</svg>"])


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round numbers from at or below ``low`` to at or above ``high``.

    >>> ticks(0.3, 9.1)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    span = (high - low) or max(abs(high), 1.0)
    power = 10.0 ** math.floor(math.log10(span / about))
    step = next(power * s for s in (1, 2, 5, 10) if span / (power * s) <= about)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * i, 10) for i in range(first, max(last, first + 1) + 1)]


def _axis(values: Sequence[float]) -> tuple[float, float, list[float]]:
    marks = ticks(min(values), max(values))
    return marks[0], marks[-1], marks


def _text(x: float, y: float, said: str, anchor: str, colour: str, size: int = 12, extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}"{extra}>{escape(str(said))}</text>'


def _shade(share: float) -> str:
    place = min(max(share, 0.0), 1.0) ** 0.8 * (len(_STOPS) - 1)
    i = min(int(place), len(_STOPS) - 2)
    low, high = _STOPS[i], _STOPS[i + 1]
    return "#" + "".join(f"{round(a + (b - a) * (place - i)):02x}" for a, b in zip(low, high))
