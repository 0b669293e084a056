"""Decides which datasets are removed. Pure functions: `Found` of each dataset comes in, a `Verdict` comes out.

In doubt, a dataset is kept: the store does not tell a time, or a manifest or `latest.json` cannot be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from learnosity.retention.rules import Rule

HOUR = 3600.0
DAY = 24 * HOUR
# A landing saves notes, such as its plan and which files have landed. If the newest note is younger than this, the
# landing may still run, so the dataset is kept: the longest task of a landing may take 24 hours by default
# (`execution_timeout`). The two hours above that are a margin.
IN_FLIGHT_SECONDS = 26 * HOUR


@dataclass(frozen=True, slots=True)
class Found:
    """What the store has of one dataset. Times are Unix seconds by the store's clock; None = the store does not say.

    :param is_published: whether it has a manifest.
    :param published: time of the manifest.
    :param has_notes: whether there are notes of a landing (its plan, and which files have landed).
    :param noted: time of the newest note.
    :param touched: time of the newest object that landing has written; of a dataset with a manifest, its time.
    :param is_marked: whether a removal has begun.
    :param files: number of its result files; of a dataset without a manifest, of its objects.
    :param total_bytes: their size.
    :param published_at: time of publication as the manifest has it, for people; "" = not published.
    :param problem: why it cannot be judged; None = it can.
    """

    dataset_id: str
    is_published: bool = False
    published: float | None = None
    has_notes: bool = False
    noted: float | None = None
    touched: float | None = None
    is_marked: bool = False
    files: int = 0
    total_bytes: int = 0
    published_at: str = ""
    problem: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it could be read, and has no object that landing or removing has written."""
        return not (self.is_published or self.has_notes or self.is_marked or self.files or self.problem)


@dataclass(frozen=True, slots=True)
class Latest:
    """The dataset that `latest.json` of a dataset type names.

    :param dataset_id: the dataset that it names; None = there is no `latest.json`.
    :param problem: why it cannot be read; None = it can.
    """

    dataset_id: str | None = None
    problem: str | None = None

    def names(self, found: Found) -> bool:
        """Whether it names a dataset. A UUID means the same in upper and in lower case."""
        return self.dataset_id is not None and self.dataset_id.lower() == found.dataset_id.lower()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a dataset is removed, and why.

    :param is_problem: whether a person should look at it.
    """

    found: Found
    goes: bool
    why: str
    is_problem: bool = False


def by_rule(datasets: Sequence[Found], latest: Latest, rule: Rule, now: float) -> list[Verdict]:
    """The verdict for each dataset of one type at one destination, newest first.

    :param datasets: all of them: the newest are counted.
    :param now: Unix seconds of the store's clock.
    """
    # `published_at` is the time inside the manifest. The second sort, below, goes by `published`, the time that the
    # store tells for the manifest. Several manifests may have the same `published`: many stores tell whole seconds, and
    # in a copied bucket it is the time of the copy. Then they stay in the order of this first sort.
    order = sorted(datasets, key=lambda each: (each.published_at, each.dataset_id), reverse=True)
    # If the store does not tell the time of a manifest, `published` is None. Such a dataset may be the newest one. So
    # it comes first, and counts as one of the newest for `keep_newest`. `_by_rule` never removes it.
    order.sort(key=lambda each: -(each.published if each.published is not None else float("inf")))
    published = [each for each in order if each.is_published]
    # If latest.json names none of the published datasets, the newest one is kept, even if the rule has no
    # `keep_newest`. So consumers still find a dataset.
    is_named = any(latest.names(each) for each in published)
    kept = {each.dataset_id for each in published[: max(rule.keep_newest or 0, 0 if is_named else 1)]}
    return [_by_rule(each, latest, rule, now, each.dataset_id in kept) for each in order if not each.is_empty]


def _by_rule(found: Found, latest: Latest, rule: Rule, now: float, is_newest: bool) -> Verdict:
    if refusal := _untouchable(found, latest, now):
        return refusal
    if found.is_published:
        if found.published is None:
            return Verdict(found, False, "kept: the store does not tell when it was published", True)
        if is_newest:
            return Verdict(found, False, "kept: it is one of the newest")
        age = now - found.published
        if rule.keep_days is not None and age < rule.keep_days * DAY:
            return Verdict(found, False, f"kept: it is not yet {rule.keep_days:g} days old")
        return Verdict(found, True, f"superseded, {_age(age)} old")
    if found.is_marked:
        return Verdict(found, True, "its removal was cut off")
    newest = found.noted if found.has_notes else found.touched
    if newest is None:
        return Verdict(found, False, "kept: the store does not tell how old its objects are", True)
    if now - newest < rule.abandoned_days * DAY:
        return Verdict(found, False, f"kept: not published, and not yet left alone for {rule.abandoned_days:g} days")
    return Verdict(found, True, f"landing abandoned, last touched {_age(now - newest)} ago")


def by_id(found: Found, latest: Latest, now: float) -> Verdict:
    """The verdict for a dataset that a person has named."""
    return _untouchable(found, latest, now) or Verdict(found, True, "named by its id")


def _untouchable(found: Found, latest: Latest, now: float) -> Verdict | None:
    """Why nobody may remove a dataset now; None = it may go."""
    if found.problem:
        return Verdict(found, False, f"kept: {found.problem}", True)
    if latest.problem:
        return Verdict(found, False, f"kept: {latest.problem}", True)
    if latest.names(found):
        return Verdict(found, False, "kept: latest.json names it")
    if found.has_notes and (found.noted is None or now - found.noted < IN_FLIGHT_SECONDS):
        return Verdict(found, False, "kept: a landing may be in flight")
    return None


def _age(seconds: float) -> str:
    return f"{seconds / DAY:.0f} days" if seconds >= 2 * DAY else f"{seconds / HOUR:.0f} hours"
