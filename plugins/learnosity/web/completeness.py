"""Whether a dataset is complete: what was uploaded against what came back, level by level."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from learnosity.api.report_definition import group_label
from learnosity.dataset.manifest import Manifest

EMPTY = (
    "This dataset is empty: no session matched the request. Check the activities, the times and the item bank of the "
    "request below, and trigger a new run."
)


@dataclass(frozen=True, slots=True)
class Line:
    """One count.

    :param uploaded: in the input; None = not known, or the input does not name it.
    :param found: in the result; None = not recognised there.
    """

    name: str
    uploaded: int | None
    found: int | None

    @property
    def differs(self) -> bool:
        """Whether both are known and are not the same."""
        return None not in (self.uploaded, self.found) and self.uploaded != self.found


@dataclass(frozen=True, slots=True)
class Completeness:
    """What the page says about the completeness of a dataset.

    :param lines: the counts, from the users over the levels of the hierarchy to questions and sessions.
    :param gaps: what is missing, in words.
    :param empty: why there is nothing, if no gap says so; "" = there is something.
    """

    lines: tuple[Line, ...]
    gaps: tuple[str, ...]
    empty: str = ""

    @property
    def verdict(self) -> str:
        """The answer in a few words."""
        if self.gaps or self.empty:
            return "Not complete"
        compared = any(line.uploaded is not None and line.found is not None for line in self.lines)
        return "Complete: all that was uploaded came back" if compared else "Not known"


def completeness(manifest: Manifest) -> Completeness:
    """Compare the input of a dataset with its result, as its manifest counts them."""
    lines = tuple(line for line in _lines(manifest) if line.uploaded is not None or line.found is not None)
    returned = manifest.returned
    gaps = returned.gaps if returned else ()
    return Completeness(lines, gaps, EMPTY if returned and returned.nothing_matched and not gaps else "")


def _lines(manifest: Manifest) -> Iterator[Line]:
    sent, returned = manifest.input, manifest.returned
    yield Line("Users", sent.users if sent else None, returned.population if returned else None)
    levels = {level.key: level.groups for level in sent.levels} if sent else {}
    found = returned.groups if returned else {}
    keys = list(dict.fromkeys([*levels, *found]))
    for place, key in enumerate(keys):
        yield Line(group_label(manifest.request, place) or key, levels.get(key), found.get(key))
    yield Line("Questions", None, returned.questions if returned else None)
    # Only the number of uploaded sessions is shown. `returned.sessions` is the number for one question, so the two
    # cannot be compared.
    yield Line("Sessions", sent.sessions if sent else None, None)
