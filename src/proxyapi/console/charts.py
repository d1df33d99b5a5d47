"""Bars and charts as SVG made by the server: widths and heights are attributes, colours are classes of the style sheet.

All arithmetic is on integers; coordinates have two decimals. The words around a chart are HTML, because the picture is
stretched to its box.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup
from msgspec import Struct

SERIES_MAX = 6
"""Five named ones and "other"."""
STEPS = 4
Axis = Callable[[int, int], str]
"""Writes a value beside a chart whose axis has that top: all of one axis have as many decimals."""
_NICE = (12, 16, 20, 24, 28, 32, 40, 48, 60, 80, 100)
"""Tops of an axis, in tenths of a power of ten: each divides into four round steps."""
FULL_PERCENT = 99.5
NEAR_PERCENT = 85
HELD_PERCENT_MIN = 1.4
"""A hold is never too narrow to be seen."""


class Series(Struct, frozen=True):
    """One colour of a stacked chart: a name, and a value for each step on the axis."""

    name: str
    values: Sequence[int]


def bar(used: int, limit: int, held: int = 0, *, label: str, large: bool = False, mode: str = "used") -> Markup:
    """Solid: used (`mode` used: its colour warns near the end; free: what is available). Hatched, by the pattern that
    `base.html` defines: held."""
    whole = max(1, limit)
    used_share = min(10_000, max(0, used) * 10_000 // whole)
    held_share = 10_000 - used_share if used + held >= limit else max(0, held) * 10_000 // whole
    if held > 0:
        held_share = max(held_share, int(HELD_PERCENT_MIN * 100))
        used_share = min(used_share, 10_000 - held_share)
    look = mode
    if mode == "used":
        look = "full" if used_share >= FULL_PERCENT * 100 else "warn" if used_share >= NEAR_PERCENT * 100 else "used"
    solid = Markup('<rect class="{}" width="{}%" height="100%"/>').format(look, _hundredths(used_share))
    hatched = Markup("")
    if held > 0:
        hatched = Markup('<rect x="{}%" width="{}%" height="100%" fill="url(#held)"/>').format(
            _hundredths(used_share), _hundredths(held_share)
        )
    return Markup('<svg class="bar{}" role="img" aria-label="{}" width="100%" height="{}">{}{}</svg>').format(
        " bar-l" if large else "", label, 12 if large else 6, solid, hatched
    )


def nice_top(highest: int) -> int:
    """The top of an axis that starts at zero and holds `highest`; four steps divide it."""
    power = 1
    while highest > 10 * power:
        power *= 10
    tops = (top * power // 10 for top in _NICE if top * power >= highest * 10)
    return next((top for top in tops if top and top % STEPS == 0), 12 * power)


def stacked(
    series: Sequence[Series],
    steps: Sequence[str],
    *,
    label: str,
    tell: Callable[[int], str],
    axis: Axis,
) -> Markup:
    """Columns of up to six colours, one per step; `tell` writes a value in the tooltip, `axis` one beside the chart."""
    totals = [sum(line.values[at] for line in series) for at in range(len(steps))]
    top = nice_top(max(totals, default=0))
    columns = Markup("").join(_column(series, at, step, totals[at], top, tell) for at, step in enumerate(steps))
    grid = _grid(STEPS, len(steps) * 10)
    picture = Markup('<svg viewBox="0 0 {} 100" preserveAspectRatio="none" aria-hidden="true">{}{}</svg>').format(
        max(1, len(steps)) * 10, grid, columns
    )
    plot = Markup('<div class="plot" data-chart tabindex="0" role="img" aria-label="{}">{}</div>').format(
        label, picture
    )
    return _framed(plot, [axis(top * (STEPS - at) // STEPS, top) for at in range(STEPS + 1)], _marks(steps))


def _column(series: Sequence[Series], at: int, step: str, total: int, top: int, tell: Callable[[int], str]) -> Markup:
    words = [step, tell(total)]
    pieces, y = Markup(""), 10_000
    for number, line in enumerate(series, 1):
        value = line.values[at]
        if value <= 0:
            continue
        words.append(f"{number};{_word(line.name)};{tell(value)}")
        height = value * 10_000 // top
        y -= height
        pieces += Markup('<rect class="f{}" x="{}" y="{}" width="6.8" height="{}"/>').format(
            number, f"{at * 10 + 1}.6", _hundredths(y), _hundredths(height)
        )
    return Markup('<g class="day" data-tip="{}"><rect class="hit" x="{}" y="0" width="10" height="100"/>{}</g>').format(
        "|".join(words), at * 10, pieces
    )


def line(values: Sequence[int], steps: Sequence[str], *, label: str, axis: Axis, forecast: int = 0) -> Markup:
    """One line over its area, and `forecast` more steps as a dashed line down to zero."""
    top = nice_top(max(values, default=0))
    width = max(1, len(values) + forecast - 1) * 10
    points = [f"{at * 10} {_hundredths(10_000 - max(0, value) * 10_000 // top)}" for at, value in enumerate(values)]
    pieces = _grid(2, width)
    if points:
        path = "M" + "L".join(points)
        pieces += Markup('<path class="area" d="{0}L{1} 100L0 100Z"/><path class="line" d="{0}"/>').format(
            path, (len(values) - 1) * 10
        )
        if forecast:
            pieces += Markup('<path class="line line-dash" d="M{}L{} 100"/>').format(points[-1], width)
    picture = Markup('<svg viewBox="0 0 {} 100" preserveAspectRatio="none" aria-hidden="true">{}</svg>').format(
        width, pieces
    )
    plot = Markup('<div class="plot plot-s" role="img" aria-label="{}">{}</div>').format(label, picture)
    return _framed(plot, [axis(top * (2 - at) // 2, top) for at in range(3)], list(steps))


def spark(values: Sequence[int], *, wide: bool = False) -> Markup:
    """A small line without words, for a row of a table."""
    top = max(values, default=0) or 1
    points = "L".join(f"{at * 10} {_hundredths(2_100 - value * 1_900 // top)}" for at, value in enumerate(values))
    return Markup(
        '<svg class="spark{}" viewBox="0 0 {} 22" preserveAspectRatio="none" aria-hidden="true">'
        '<path class="line" d="M{}"/></svg>'
    ).format(" spark-w" if wide else "", max(1, len(values) - 1) * 10, points or "0 21")


def _grid(steps: int, width: int) -> Markup:
    return Markup("").join(
        Markup('<path class="grid-l{}" d="M0 {}H{}"/>').format(
            " grid-0" if at == steps else "", _hundredths(at * 10_000 // steps), width
        )
        for at in range(steps + 1)
    )


def _framed(plot: Markup, axis: Sequence[str], marks: Sequence[str]) -> Markup:
    def spans(texts: Sequence[str]) -> Markup:
        return Markup("").join(Markup("<span>{}</span>").format(text) for text in texts)

    return Markup(
        '<div class="chart">{}<div class="ylab" aria-hidden="true">{}</div>'
        '<div class="xlab" aria-hidden="true">{}</div></div>'
    ).format(plot, spans(axis), spans(marks))


def _marks(steps: Sequence[str]) -> list[str]:
    """The first, the last and two between."""
    if len(steps) <= 4:
        return list(steps)
    last = len(steps) - 1
    return [steps[at] for at in (0, last // 3, last * 2 // 3, last)]


def _word(text: str) -> str:
    """A name within a tooltip, whose parts are split at `|` and `;`."""
    return text.replace("|", "/").replace(";", ",")


def _hundredths(value: int) -> str:
    whole, rest = divmod(value, 100)
    return f"{whole}.{rest:02d}" if rest else str(whole)
