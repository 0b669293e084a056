"""The charts of `docs/performance.md`, as SVG: files/s by concurrency, memory by size, growth, and the peers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import msgspec

from benchmarks.rows import Row
from benchmarks.source import Files
from benchmarks.stack import Stack
from benchmarks.worker import Order

_WIDTH, _HEIGHT, _MARGIN = 420, 260, 56
_WIDE, _NAMES, _BAR = 870, 430, 20  # of a bar chart, in pixels: its width, the width of the names, the height of a bar
_COLOURS = ("#1f77b4", "#d62728", "#2ca02c")
CONCURRENCY = (4, 8, 16, 32, 64, 128, 256)
SIZES = (1_000, 5_000, 25_000, 100_000)


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: its name and its points, evenly spaced over the labels."""

    name: str
    values: Sequence[float]


class Growth(msgspec.Struct, frozen=True):
    """One step of `benchmarks.million`.

    :param seconds: by step of the landing.
    :param processor_us: processor time of all its processes, in microseconds a file.
    :param peak_mb: by step, of its largest process.
    :param calls: of the API.
    """

    files: int
    seconds: dict[str, float]
    processor_us: float
    peak_mb: dict[str, float]
    calls: int


def draw(stack: Stack, target: Path) -> None:
    """Measure and write the chart."""
    quick, late = Files("chart", 2000, 20_000), Files("chart-late", 2000, 20_000, answers="slow")
    stack.fresh_bucket()
    curves = []
    for files, name in ((quick, "answers at once"), (late, "answers after 50 ms")):
        stack.source.serve(files)
        rates = [_rate(stack, files, number) for number in CONCURRENCY]
        curves += [Line(name, rates), Line(f"{name}: adaptive", [_rate(stack, files, None)] * len(rates))]
    peaks: dict[str, list[float]] = {"plan": [], "land": [], "publish": []}
    for count in SIZES:
        files = Files(f"chart-{count}", count, 200)
        stack.source.serve(files)
        bucket = stack.fresh_bucket()
        for step, values in peaks.items():
            values.append(stack.ours(Order(steps=(step,), api=stack.source.api(files), bucket=bucket)).peak_mb)
    left = _plot("files/s by files under way", [str(n) for n in CONCURRENCY], curves, 0)
    right = _plot("peak memory (MB) by files", [f"{n:,}" for n in SIZES], [Line(*p) for p in peaks.items()], _WIDTH)
    _write(target, left, right)


def draw_growth(results: Path, target: Path) -> None:
    """Draw what `benchmarks.million` has measured and written.

    :param results: its file.
    """
    steps = msgspec.json.decode(results.read_bytes(), type=list[Growth])
    labels = [f"{step.files:,}" for step in steps]
    work = [Line("all processes together", [step.processor_us for step in steps])]
    peaks = [Line(name, [step.peak_mb[name] for step in steps]) for name in steps[0].peak_mb]
    _write(
        target,
        _plot("processor time (µs a file) by files", labels, work, 0),
        _plot("peak memory (MB) by files", labels, peaks, _WIDTH),
    )


def draw_peers(rows: Sequence[Row], target: Path) -> None:
    """Draw the rows that have a peer, as bars: how many times better ours is. A line on each bar is its goal.

    :param rows: as measured last.
    """
    compared = [row for row in rows if row.peer is not None]
    most = max(max(row.ratio, row.goal) for row in compared) * 1.15
    height = 50 + _BAR * len(compared)

    def x(ratio: float) -> float:
        return _NAMES + (_WIDE - _NAMES) * ratio / most

    parts = ['<text x="12" y="20" font-size="13">times better than the peer at its best setting; line: goal</text>']
    for number, row in enumerate(compared):
        top = 36 + _BAR * number
        colour = _COLOURS[2] if row.ok else _COLOURS[1]
        peer = " ".join(row.peer_name.split()[:3])  # three words, because a longer name would be cut off
        name = row.name if peer in row.name else f"{row.name} ({peer})"
        parts.append(
            f'<text x="{_NAMES - 6}" y="{top + 13}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_NAMES}" y="{top + 2}" width="{x(row.ratio) - _NAMES:.0f}" height="{_BAR - 6}" '
            f'fill="{colour}"/>'
            f'<line x1="{x(row.goal):.0f}" x2="{x(row.goal):.0f}" y1="{top}" y2="{top + _BAR - 2}" stroke="black" '
            f'stroke-width="2"/><text x="{x(max(row.ratio, row.goal)) + 6:.0f}" y="{top + 13}">{row.ratio:.2f}</text>'
        )
    target.write_text(_svg(_WIDE, height, "".join(parts)))


def _write(target: Path, left: str, right: str) -> None:
    target.write_text(_svg(2 * _WIDTH, _HEIGHT, left + right))


def _svg(width: int, height: int, content: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11"><rect width="100%" height="100%" fill="white"/>{content}</svg>\n'
    )


def _rate(stack: Stack, files: Files, concurrency: int | None) -> float:
    order = Order(
        steps=("plan", "land", "publish"), api=stack.source.api(files), bucket=stack.prefix(), concurrency=concurrency
    )
    return files.count / stack.ours(order).total


def _plot(title: str, labels: Sequence[str], lines: Sequence[Line], left: int) -> str:
    top = max(max(line.values) for line in lines) * 1.1
    inner_width, inner_height = _WIDTH - _MARGIN - 30, _HEIGHT - _MARGIN - 44

    def x(index: int) -> float:
        return left + _MARGIN + inner_width * index / max(1, len(labels) - 1)

    def y(value: float) -> float:
        return 36 + inner_height * (1 - value / top)

    parts = [f'<text x="{left + _MARGIN}" y="18" font-size="13">{title}</text>']
    for step in range(5):
        value = top * step / 4
        parts.append(
            f'<line x1="{x(0):.0f}" x2="{x(len(labels) - 1):.0f}" y1="{y(value):.0f}" y2="{y(value):.0f}" '
            f'stroke="#ddd"/>'
            f'<text x="{left + _MARGIN - 6}" y="{y(value) + 4:.0f}" text-anchor="end">{value:,.0f}</text>'
        )
    for index, label in enumerate(labels):
        parts.append(f'<text x="{x(index):.0f}" y="{36 + inner_height + 16}" text-anchor="middle">{label}</text>')
    for number, line in enumerate(lines):
        adaptive = line.name.endswith("adaptive")
        colour = _COLOURS[number // 2 if any(each.name.endswith("adaptive") for each in lines) else number]
        points = " ".join(f"{x(index):.0f},{y(value):.0f}" for index, value in enumerate(line.values))
        dash = ' stroke-dasharray="5 4"' if adaptive else ""
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        across, down = left + _MARGIN + (number % 2) * 170, 36 + inner_height + 32 + 14 * (number // 2)
        parts.append(
            f'<line x1="{across}" x2="{across + 18}" y1="{down - 4}" y2="{down - 4}" stroke="{colour}" '
            f'stroke-width="2"{dash}/><text x="{across + 22}" y="{down}">{line.name}</text>'
        )
    return "".join(parts)
