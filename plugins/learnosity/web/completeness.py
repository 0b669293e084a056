"""Whether a dataset is complete: what was uploaded against what came back, level by level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from learnosity.api.report_definition import group_label
from learnosity.dataset.completeness import accepted_population
from learnosity.dataset.manifest import Manifest

EMPTY = "No session matched the request."
WHAT_TO_DO = "Check the activities, the times and the item bank of the request below, and trigger a new run."
GAPS_TO_DO = (
    "Users and groups are missing where no session matched the request, or where the input names them differently than "
    "Learnosity does. Check the activities and times of the request and the names in the input, and trigger a new run."
)
# The manifest has each gap as a sentence. If a sentence begins with this word ("Nothing matched: …"), the whole result
# is empty. Then the page calls the dataset empty.
NOTHING = "Nothing "
NO_INPUT = "This run has uploaded no input that could be counted, so there is nothing to compare the result with."
NO_LEVELS = "The groups of the input were too many to be counted per level."
NOT_COUNTED = "The input of this type is not counted by users and groups."
OF_SESSIONS = (
    "The input names sessions. The result counts sessions of each question and does not name them, so these counts "
    "cannot be compared."
)
_SHOWN_GLOBS, _LONGEST_GLOB = 10, 200
ALL_CAME = "Complete: all that was uploaded came back"
NO_GAP = "No gap is known: users in no group or in several may be counted differently"
NOT_FOUND = "What has no count in the result was not recognised there, or its files were left out."


@dataclass(frozen=True, slots=True)
class Line:
    """One count.

    :param uploaded: in the input; None = not known, or the input does not name it.
    :param found: in the result; None = not recognised there.
    :param accepted: the numbers that the result may have without a gap; None = that of `uploaded`.
    """

    name: str
    uploaded: int | None
    found: int | None
    accepted: range | None = None

    @property
    def equal(self) -> bool:
        """Whether both are known and are the same."""
        return self.uploaded is not None and self.uploaded == self.found

    @property
    def differs(self) -> bool:
        """Whether both are known, and are a gap."""
        if self.uploaded is None or self.found is None:
            return False
        return not self.equal and (self.accepted is None or self.found not in self.accepted)


@dataclass(frozen=True, slots=True)
class Completeness:
    """What the page says about the completeness of a dataset.

    :param lines: the counts, from the users over the levels of the hierarchy to questions and sessions.
    :param gaps: what is missing, in words.
    :param empty: why the result is empty, and what to do; "" = it is not empty.
    :param unknown: why counts are not known, a sentence for each reason.
    :param part: what `include` left out, in words; "" = nothing.
    """

    lines: tuple[Line, ...]
    gaps: tuple[str, ...]
    empty: str = ""
    unknown: tuple[str, ...] = ()
    part: str = ""

    @property
    def to_do(self) -> str:
        """What to do about the gaps; "" if there are none."""
        return GAPS_TO_DO if self.gaps else ""

    @property
    def verdict(self) -> str:
        """The answer in a few words."""
        if self.empty:
            return "Empty"
        if self.gaps or any(line.differs for line in self.lines):
            return "Not complete"
        compared = [line for line in self.lines if line.uploaded is not None and line.found is not None]
        if all(line.equal for line in compared):
            return ALL_CAME if compared else "Nothing to compare with"
        return NO_GAP

    @property
    def tone(self) -> str:
        """How the verdict is marked: `good`, `bad`, or "" where nothing is certain."""
        return {"Empty": "bad", "Not complete": "bad", ALL_CAME: "good"}.get(self.verdict, "")


def completeness(manifest: Manifest) -> Completeness:
    """Compare the input of a dataset with its result, as its manifest counts them."""
    lines = tuple(line for line in _lines(manifest) if line.uploaded is not None or line.found is not None)
    returned = manifest.returned
    said = returned.gaps if returned else ()
    nothing = [gap for gap in said if gap.startswith(NOTHING)]
    empty = bool(nothing) or (returned is not None and returned.nothing_matched)
    return Completeness(
        lines,
        tuple(gap for gap in said if gap not in nothing),
        " ".join([*(nothing or [EMPTY]), WHAT_TO_DO]) if empty else "",
        tuple(_unknown(manifest, lines)),
        _part(manifest),
    )


def _part(manifest: Manifest) -> str:
    left_out = manifest.left_out or 0
    if left_out < 1:
        return ""
    globs = [f"“{glob[:_LONGEST_GLOB]}”" for glob in (manifest.include or ())[:_SHOWN_GLOBS]]
    return f"The run had include {', '.join(globs) or 'set'}, which left out {left_out:,} of the result files."


def _unknown(manifest: Manifest, lines: Sequence[Line]) -> Iterator[str]:
    """Why a count of the table is missing, for each reason that holds."""
    sent = manifest.input
    of_sessions = sent is not None and sent.users is None and sent.sessions is not None
    if of_sessions:
        yield OF_SESSIONS
    elif any(line.uploaded is None for line in lines):
        yield NO_INPUT if sent is None else NO_LEVELS if sent.users is not None else NOT_COUNTED
    if not of_sessions and any(line.found is None for line in lines):
        yield NOT_FOUND


def _lines(manifest: Manifest) -> Iterator[Line]:
    sent, returned = manifest.input, manifest.returned
    accepted = accepted_population(sent) if sent else None
    yield Line("Users", sent.users if sent else None, returned.population if returned else None, accepted)
    levels = {level.key: level.groups for level in sent.levels} if sent else {}
    found = returned.groups if returned else {}
    keys = list(dict.fromkeys([*levels, *found]))
    for place, key in enumerate(keys):
        yield Line(group_label(manifest.request, place) or key, levels.get(key), found.get(key))
    yield Line("Questions", None, returned.questions if returned else None)
    # The page shows how many sessions were uploaded, but not how many came back, because this is not known:
    # `returned.sessions` counts only the sessions of one question, the one with the most sessions.
    yield Line("Sessions", sent.sessions if sent else None, None)
