"""The record of runs, one line per run, and the table that is made of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec

from chaos.evidence import Outcome

BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"
COLUMNS = ("lost", "duplicated", "incomplete", "leaked", "stuck", "orphans")


def read(path: Path) -> list[Outcome]:
    """All recorded runs; of a seed that ran twice the last one."""
    if not path.exists():
        return []
    found = {outcome.seed: outcome for outcome in msgspec.json.Decoder(Outcome).decode_lines(path.read_bytes())}
    return [found[seed] for seed in sorted(found)]


def append(path: Path, outcome: Outcome) -> None:
    """Record a run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(msgspec.json.encode(outcome) + b"\n")


def table(outcomes: Sequence[Outcome]) -> str:
    """A Markdown table by fault and step, with a line of sums."""
    rows: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        rows[outcome.fault, outcome.step].append(outcome)
    head = ("fault", "step", "runs", "ended well", "task tries more", "jobs", *COLUMNS)
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * 2 + " ---: |" * (len(head) - 2)]
    for (fault, step), group in sorted(rows.items()):
        lines.append(_row(fault, step, group))
    lines.append(_row("**all**", "", outcomes))
    return "\n".join(lines)


def write_into(page: Path, text: str) -> None:
    """Put `text` between the marks of a page."""
    content = page.read_text()
    before, _, rest = content.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def _row(fault: str, step: str, group: Sequence[Outcome]) -> str:
    well = sum(outcome.state == "success" for outcome in group)
    counts = [sum(bool(getattr(outcome, column)) for outcome in group) for column in COLUMNS]
    cells = [
        fault,
        step,
        len(group),
        well,
        sum(outcome.tries for outcome in group),
        sum(outcome.jobs for outcome in group),
        *counts,
    ]
    return "| " + " | ".join(map(str, cells)) + " |"
