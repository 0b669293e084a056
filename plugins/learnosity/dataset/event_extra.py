"""What the asset event of a published dataset says. Anybody can create an asset event, so its extra is checked here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from learnosity.dataset.layout import DatasetLayout
from learnosity.errors import PermanentError, RequestError

NEEDED = ("dataset_type", "dataset_id", "manifest_uri")
# `activities_of` returns at most this many activities, and leaves out further ones, so that no event and no page gets
# endless. Learnosity allows ten for the type `activity-summary-by-group`, and names no number for the other types.
MAX_ACTIVITIES = 100
_MAX_ID = 200  # maximum number of characters of an activity id; a longer id is left out


class AnnouncementError(PermanentError):
    """The extra of an asset event does not say which dataset was published. The message lists what is wrong."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One published dataset, as its asset event describes it.

    :param file_count: number of its files; None = the event does not say.
    :param total_bytes: size of its files; None = the event does not say.
    :param gaps: what is missing in it, in words.
    :param left_out: how many result files `include` left out; None = none, or the event does not say.
    """

    layout: DatasetLayout
    manifest_uri: str
    file_count: int | None
    total_bytes: int | None
    gaps: tuple[str, ...] = ()
    left_out: int | None = None


def read_announcement(extra: Any) -> Announcement:
    """Check the extra of an asset event. Keys that are not known are ignored.

    :param extra: any JSON value.
    :raises AnnouncementError: it does not name a dataset and its manifest.
    """
    if problems := list(_problems(extra)):
        raise AnnouncementError(f"{', '.join(problems)}.")
    try:
        layout = DatasetLayout(extra["dataset_type"], extra["dataset_id"])
    except RequestError as error:
        raise AnnouncementError(str(error)) from None
    return Announcement(
        layout,
        extra["manifest_uri"],
        _count(extra, "file_count"),
        _count(extra, "total_bytes"),
        gaps_of(extra),
        left_out_of(extra),
    )


def activities_of(said: Any) -> tuple[str, ...]:
    """The activities that an event, or the filters of a request, name; none for a value that is not understood.

    :param said: a mapping with `activities` or `activity_id`, or any other JSON value.
    """
    value = (said.get("activities") or said.get("activity_id")) if isinstance(said, Mapping) else None
    several = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
    named = [each for each in several if isinstance(each, str) and each.isprintable() and 0 < len(each) <= _MAX_ID]
    return tuple(named[:MAX_ACTIVITIES])


def _problems(extra: Any) -> Iterator[str]:
    if not isinstance(extra, Mapping):
        yield "its extra is not a JSON object"
        return
    for name in NEEDED:
        value = extra.get(name)
        if value is None:
            yield f"{name} is missing"
        elif not isinstance(value, str) or not value.strip() or not value.isprintable():
            yield f"{name} is not a text that can be used"


def _count(extra: Mapping[str, Any], name: str) -> int | None:
    value = extra.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def left_out_of(extra: Mapping[str, Any]) -> int | None:
    """How many result files of its dataset an event says that `include` left out; None = none, or it does not say."""
    return _count(extra, "left_out") or None


def gaps_of(extra: Mapping[str, Any]) -> tuple[str, ...]:
    """What an event says is missing in its dataset, in words."""
    value = extra.get("gaps")
    texts = [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
    return tuple(text for text in texts if text and text.isprintable())
