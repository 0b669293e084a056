"""What commands print: text at once, columns, sizes."""

from __future__ import annotations

from collections.abc import Sequence


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Text columns: the first one to the left, all others, which hold numbers, to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        numbers = "".join(f"  {cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True))
        lines.append(f"  {first:<{widths[0]}}{numbers}".rstrip())
    return "\n".join(lines)


def size(number: int) -> str:
    """Bytes for people."""
    return f"{number / 1_000_000:.1f} MB" if number >= 100_000 else f"{number:,} bytes"
