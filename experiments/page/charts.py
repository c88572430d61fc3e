"""Charts as SVG text that follows the colours of the page, in light and in dark."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape

from experiments.page.evidence import Curve

_Range = tuple[float, float]
_Scale = Callable[[float], float]

COLOURS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2"),
    *("#832db6", "#a96b59", "#e76300", "#b9ac70"),
)
"""The palette of all pictures, `style.PALETTE`, whose library would take long to import."""
_WIDTH, _LEFT, _ROW = 720, 230, 30
_NAME = 29  # letters of a line of a name that have room there
_FRAME = (46, 12, 300, 220)  # left, top, width and height of a square chart's inside


def leaderboard(
    rows: Sequence[tuple[str, Mapping[str, float] | None, Sequence[float]]], *, percent: bool
) -> str:
    """Draw a line a method: mean, 95 % interval, and a dot for each fold.

    Args:
        rows: Name, an `Estimate` as plain values, and the folds.
        percent: Whether the values are shares.
    """
    values = [v for _, found, folds in rows if found for v in (*folds, *_ends(found))]
    if not values:
        return ""
    # The interval of two folds is wide, but no share is above 1.
    least, most = (0.0, 1.0) if percent else (-math.inf, math.inf)
    low, high = _nice(max(min(values), least), min(max(values), most))
    height = _ROW * len(rows) + 28

    def x(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - 20)

    body = []
    for tick in _ticks(low, high):
        shown = f"{100 * tick:.0f}" if percent else f"{tick:g}"
        body.append(_line("grid", (x(tick), 4), (x(tick), height - 24)))
        body.append(_text(x(tick), height - 8, shown, "middle"))
    for number, (name, found, folds) in enumerate(rows):
        y = _ROW * number + 18
        lines = textwrap.wrap(name, _NAME, max_lines=2, placeholder=" …")
        for place, line in enumerate(lines):
            body.append(_text(_LEFT - 12, y + 4 + 14 * (place - (len(lines) - 1) / 2), line, "end"))
        if not found:
            continue
        start, end = (min(max(end, low), high) for end in _ends(found))
        body.append(_line("bar", (x(start), y), (x(end), y)))
        body += [f'<circle class="dot" cx="{x(v):.1f}" cy="{y}" r="3.5"/>' for v in folds]
        mean = x(found["mean"])
        body.append(_line("mean", (mean, y - 9), (mean, y + 9)))
    return _svg(_WIDTH, height, body, "Mean, 95 % interval and folds of every method")


def curves(named: Mapping[str, Curve], places: Mapping[str, int]) -> str:
    """Draw a line a method with a band of one standard deviation over folds.

    Args:
        named: Curves by method.
        places: Number of each method, by which it has the same colour in all charts.
    """
    points = [
        v
        for c in named.values()
        for m, s in zip(c.mean, c.std, strict=True)
        for v in (m - s, m + s)
    ]
    if not points:
        return ""
    steps = [step for curve in named.values() for step in curve.steps]
    to_x, to_y, body = _axes((0.0, max(steps) or 1.0), _nice(min(points), max(points)), "step")
    for number, (name, curve) in enumerate(named.items()):
        xs = [to_x(step) for step in curve.steps]
        upper = [to_y(m + s) for m, s in zip(curve.mean, curve.std, strict=True)]
        lower = [to_y(m - s) for m, s in zip(curve.mean, curve.std, strict=True)]
        band = [*zip(xs, upper, strict=True), *reversed(list(zip(xs, lower, strict=True)))]
        line = zip(xs, map(to_y, curve.mean), strict=True)
        body.append(f'<polygon class="band {_colour(places[name])}" points="{_points(band)}"/>')
        body.append(f'<polyline class="line {_colour(places[name])}" points="{_points(line)}"/>')
        body += _legend(number, name, places[name])
    return _square(body, len(named), "Learning curves")


def reliability(
    named: Mapping[str, Sequence[tuple[float, float, int]]], places: Mapping[str, int]
) -> str:
    """Draw the share of right answers over confidence, a line a method; see `curves`."""
    to_x, to_y, body = _axes((0.0, 1.0), (0.0, 1.0), "confidence")
    body.append(
        f'<polyline class="grid" points="{_points([(to_x(0), to_y(0)), (to_x(1), to_y(1))])}"/>'
    )
    for number, (name, bins) in enumerate(named.items()):
        points = [(to_x(confidence), to_y(right)) for confidence, right, _ in bins]
        body.append(f'<polyline class="line {_colour(places[name])}" points="{_points(points)}"/>')
        body += [
            f'<circle class="point {_colour(places[name])}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
            for x, y in points
        ]
        body += _legend(number, name, places[name])
    return _square(body, len(named), "Share of right answers over confidence")


def trade(
    named: Mapping[str, tuple[float, float]], places: Mapping[str, int], what: str, *, percent: bool
) -> str:
    """Draw a point a method: a measure over milliseconds an answer, on a logarithmic axis.

    Args:
        named: Milliseconds and the measure, by method.
        places: See `curves`.
        what: Name of the measure.
        percent: Whether that is a share.
    """
    if not named:
        return ""
    factor = 100 if percent else 1
    xs = {name: math.log10(ms) for name, (ms, _) in named.items()}
    ys = {name: factor * value for name, (_, value) in named.items()}
    low, high = math.floor(min(xs.values()) - 0.1), math.ceil(max(xs.values()) + 0.1)
    parts = (1, 2, 5) if high - low <= 2 else (1,)
    shown = (part * 10.0**n for n in range(low, high + 1) for part in parts)
    ticks = {math.log10(ms): f"{ms:g}" for ms in shown if math.log10(ms) <= high}
    title = f"{what}{', %' if percent else ''} over milliseconds an answer"
    y = _nice(min(ys.values()), max(ys.values()))
    to_x, to_y, body = _axes((low, high), y, title, ticks)
    for number, name in enumerate(named):
        place = f'cx="{to_x(xs[name]):.1f}" cy="{to_y(ys[name]):.1f}"'
        body.append(f'<circle class="point {_colour(places[name])}" {place} r="5"/>')
        body += _legend(number, name, places[name])
    return _square(body, len(named), title)


def _axes(
    x: _Range, y: _Range, name: str, x_ticks: Mapping[float, str] | None = None
) -> tuple[_Scale, _Scale, list[str]]:
    """Return where values lie along both axes, and the axes drawn."""
    left, top, width, height = _FRAME

    def to_x(value: float) -> float:
        return left + (value - x[0]) / (x[1] - x[0]) * width

    def to_y(value: float) -> float:
        return top + height - (value - y[0]) / (y[1] - y[0]) * height

    body = []
    for tick in _ticks(*y):
        body.append(_line("grid", (left, to_y(tick)), (left + width, to_y(tick))))
        body.append(_text(left - 6, to_y(tick) + 4, f"{tick:g}", "end"))
    for tick, shown in (x_ticks or {tick: f"{tick:g}" for tick in _ticks(*x)}).items():
        body.append(_line("grid", (to_x(tick), top + height), (to_x(tick), top + height + 4)))
        body.append(_text(to_x(tick), top + height + 16, shown, "middle"))
    body.append(_text(left + width / 2, top + height + 32, name, "middle"))
    return to_x, to_y, body


def _colour(place: int) -> str:
    # Where there are more methods than colours, lines are dashed and points hollow.
    return f"c{place % len(COLOURS)}" + (" again" if place >= len(COLOURS) else "")


def _legend(number: int, name: str, place: int) -> list[str]:
    y = _FRAME[1] + 12 + 20 * number
    x = _FRAME[0] + _FRAME[2] + 20
    return [
        _line(f"line {_colour(place)}", (x, y - 4), (x + 18, y - 4)),
        _text(x + 26, y, name, "start"),
    ]


def _square(body: Sequence[str], names: int, title: str) -> str:
    top, height = _FRAME[1], _FRAME[3]
    return _svg(_WIDTH, max(top + height + 40, top + 20 * names + 12), body, title)


def _svg(width: int, height: int, body: Sequence[str], title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(body)}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(kind: str, start: _Range, end: _Range) -> str:
    (x, y), (u, v) = start, end
    return f'<line class="{kind}" x1="{x:.1f}" y1="{y:.1f}" x2="{u:.1f}" y2="{v:.1f}"/>'


def _points(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _ends(found: Mapping[str, float]) -> tuple[float, float]:
    low, high = found["low"], found["high"]
    return (found["mean"],) * 2 if low is None else (low, high)


def _step(low: float, high: float) -> float:
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def _nice(low: float, high: float) -> tuple[float, float]:
    """Widen a range to whole ticks."""
    if high - low < 1e-9:
        low, high = low - 0.05 * (abs(low) or 1.0), high + 0.05 * (abs(high) or 1.0)
    step = _step(low, high)
    return math.floor(low / step) * step, math.ceil(high / step) * step


def _ticks(low: float, high: float) -> list[float]:
    step = _step(low, high)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 10) for n in range(first, math.floor(high / step + 1e-9) + 1)]
