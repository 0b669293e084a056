"""What one reply of GET reports/datasets can turn out to be.

Signed addresses and content stay in memory. They are in no `repr`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec

from learnosity.errors import DatasetNotReadyError, PermanentApiError, UnexpectedReplyError

SourceKind = Literal["url", "inline", "group"]
EXAMPLE = '{"files": "data.files[]", "url": "url", "name": "name"}'


class ResultFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One result file as listed. It holds nothing secret, so that it can be written down."""

    path: str
    kind: SourceKind = "url"
    bytes: int | None = None
    """Length that the listing promises; None when it does not say."""
    content_type: str | None = None
    group_path: tuple[str, ...] = ()
    """For `group`: which group to ask for."""


@dataclass(frozen=True, slots=True)
class Files:
    """A page of a list of files, every one of them with its address.

    :param files: each file with the address it is fetched from. Names may repeat: the caller refuses that.
    :param next_cursor: what to send as `next` for the following page; None when this page is the last.
    :param total: how many files all pages together have to hold; None when the reply does not say.
    """

    files: tuple[tuple[ResultFile, str], ...] = field(repr=False)
    next_cursor: str | None = field(default=None, repr=False)
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """One group of a dataset that is read one group at a time.

    The caller asks for every group in `children`, below the path that it asked for, until none is left. `expect_group`
    checks each answer.

    :param path: the path that the reply states; None when it states none.
    :param children: path of each group that the reply names, relative to this group, deeper ones included.
    :param content: the whole reply as JSON.
    """

    path: tuple[str, ...] | None
    children: tuple[tuple[str, ...], ...] = field(repr=False)
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Inline:
    """Content that came with the reply.

    :param files: each file with its content.
    """

    files: tuple[tuple[ResultFile, bytes], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Empty:
    """A list of files with nothing in it.

    :param next_cursor: what to send as `next`. On the first page there may be more. Later an empty page is the end.
    :param total: how many files all pages together have to hold; None when the reply does not say.
    """

    next_cursor: str | None = field(default=None, repr=False)
    total: int | None = None


@dataclass(frozen=True, slots=True)
class NotReady:
    """The dataset is not finished. Asking again later can help.

    :param status: the word of the reply that says so.
    """

    status: str

    def error(self) -> DatasetNotReadyError:
        """What to raise when asking again did not help for long enough."""
        return DatasetNotReadyError(
            f"The dataset is not ready: Learnosity's reply says `{self.status}`. Nothing was landed. Try again later."
        )


@dataclass(frozen=True, slots=True)
class Failed:
    """The dataset will never be finished.

    :param status: the word of the reply that says so.
    """

    status: str

    def error(self) -> PermanentApiError:
        """What to raise."""
        return PermanentApiError(
            f"There is no dataset to land: Learnosity's reply says `{self.status}`. Look at its job, and create the "
            "dataset again."
        )


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """It is not proven that everything in the reply would land.

    :param why: what could not be proven, without any value of the reply.
    :param sketch: keys, types and lengths of the reply.
    """

    why: str
    sketch: str

    def error(self) -> UnexpectedReplyError:
        """What to raise: it says how to declare where the files stand."""
        return UnexpectedReplyError(
            f"Learnosity's reply to GET reports/datasets is not understood: {self.why}. Nothing was landed. The reply "
            f"looks like this: {self.sketch}. If you know where the files stand in it, declare that in the extra "
            f"`results` of the connection, for example {EXAMPLE} (docs/learnosity-api.md)."
        )


Understood: TypeAlias = Files | Group | Inline | Empty
Reading: TypeAlias = Understood | NotReady | Failed | NotUnderstood


def understood(reading: Reading) -> Understood:
    """`reading`, if it is one that can be landed.

    :raises DatasetNotReadyError: when the dataset is not ready.
    :raises PermanentApiError: when the dataset has failed.
    :raises UnexpectedReplyError: when the reply is not understood.
    """
    if isinstance(reading, NotReady | Failed | NotUnderstood):
        raise reading.error()
    return reading


def expect_group(reading: Reading, asked: tuple[str, ...], parent: Group) -> Group:
    """`reading`, if it is the group that was asked for.

    :param asked: the path that was asked for.
    :param parent: the group that named it.
    :raises DatasetNotReadyError: when the dataset is not ready.
    :raises PermanentApiError: when the dataset has failed.
    :raises UnexpectedReplyError: when it is not understood, or is no group, or another one.
    """
    group = understood(reading)
    if not isinstance(group, Group):
        raise UnexpectedReplyError("Learnosity listed a group that it does not hold. Nothing was landed.")
    # A group that states no path is compared with its parent by content: the same content is the parent again.
    if group.path != asked if group.path is not None else group.content == parent.content:
        raise UnexpectedReplyError(
            "Learnosity answered with another group than the one that was asked for. Nothing was landed. If one reply "
            'holds the whole dataset, declare that in the extra `results` of the connection: {"inline": "data"} '
            "(docs/learnosity-api.md)."
        )
    return group
