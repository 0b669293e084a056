"""Collects the problems of the input: file, row and reason of the first ones, and a count of all."""

from __future__ import annotations

from typing import Final

from learnosity.errors import InputError, InputProblem

MAX_PROBLEMS: Final = 1_000
"""Reading stops after this many problems."""


class Problems:
    """Counts the problems and keeps the first ones."""

    def __init__(self) -> None:
        self.count = self._repeated = 0
        self._kept: list[InputProblem] = []

    def add(self, file: str, line: int, what: str, *, repeated: bool = False) -> None:
        """Note a problem.

        :param line: line of an NDJSON file, or row of a table, from 1. 0 = the whole file.
        :param repeated: whether it is an id that was there before; default False.
        :raises InputError: there are `MAX_PROBLEMS` problems, so reading stops.
        """
        self.count += 1
        self._repeated += repeated
        if len(self._kept) < InputError.KEPT:
            self._kept.append(InputProblem(file, line, what))
        if self.count >= MAX_PROBLEMS:
            raise self.error(at_least=True)

    def error(self, headline: str = "", *, at_least: bool = False) -> InputError:
        """The error to raise. `headline` says why reading stopped before the end of the input."""
        found = f"{'at least ' if at_least else ''}{self.count:,} problem{'s' if self.count != 1 else ''}"
        advice = f"The input has {found}; nothing was sent. Correct the input and run again."
        if self._repeated:
            advice += (
                f" {self._repeated:,} of them repeat what is there already: an id, or a user in the same group. Leave "
                "them out, as SELECT DISTINCT does."
            )
        if self.count > len(self._kept):
            advice += f" The first {len(self._kept)}:"
        parts = [part for part in (headline, advice if self.count else "") if part]
        return InputError(" ".join(parts), self._kept, self.count, at_least=at_least)
