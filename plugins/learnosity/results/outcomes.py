"""The possible outcomes of reading one reply of GET reports/datasets.

Signed addresses and content are only in memory. No `repr` shows them, so that they get into no log.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec

from learnosity.errors import DatasetNotReadyError, PermanentApiError, UnexpectedReplyError

SourceKind = Literal["url", "inline", "group"]
EXAMPLE = '{"files": "data.files[]", "url": "url", "name": "name"}'


class ResultFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One result file in a listing. It contains nothing secret: it may be stored."""

    path: str
    kind: SourceKind = "url"
    bytes: int | None = None
    """The length that the listing gives; None when the listing gives no length."""
    content_type: str | None = None
    group_path: tuple[str, ...] = ()
    """For the kind `group`: the path of the group to request."""


@dataclass(frozen=True, slots=True)
class Files:
    """One page of a list of files. Every file has its address.

    :param files: each file with the address to fetch it from. The caller refuses two files with the same name.
    :param next_cursor: what to send as `next` to get the next page; None when this page is the last.
    :param total: how many files all pages together must have; None when the reply does not say.
    :param names: for each file its name without and with the keys above it as folders. Empty if no file has keys above
        it. If the page is one of several, all pages together decide which of the two names the files have.
    """

    files: tuple[tuple[ResultFile, str], ...] = field(repr=False)
    next_cursor: str | None = field(default=None, repr=False)
    total: int | None = None
    names: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Group:
    """One group of a dataset that is read one group at a time.

    The caller requests every group in `children`, and the children of those groups, until no group is left.
    `expect_group` checks each reply.

    :param path: the group's path in the reply; None when the reply gives no path.
    :param children: the path of each group that the reply names at any depth, relative to this group.
    :param content: the whole reply as JSON.
    """

    path: tuple[str, ...] | None
    children: tuple[tuple[str, ...], ...] = field(repr=False)
    content: bytes = field(repr=False)

    def digest(self) -> bytes:
        """A digest of the content, for `expect_group`."""
        return hashlib.sha256(self.content).digest()


@dataclass(frozen=True, slots=True)
class Inline:
    """Content that is inside the reply.

    :param files: each file with its content.
    """

    files: tuple[tuple[ResultFile, bytes], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Empty:
    """An empty list of files.

    :param next_cursor: what to send as `next`.
    :param total: how many files all pages together must have; None when the reply does not say.
    :param more: whether the reply says that more pages follow. Some endpoints send a cursor with their last page too.
        So a cursor alone does not say that.
    """

    next_cursor: str | None = field(default=None, repr=False)
    total: int | None = None
    more: bool = False


@dataclass(frozen=True, slots=True)
class NotReady:
    """The dataset is not finished. The caller can request it again later.

    :param status: the word of the reply that says so.
    """

    status: str

    def error(self) -> DatasetNotReadyError:
        """The error to raise when the dataset is still not ready after the last attempt."""
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
        """The error to raise."""
        return PermanentApiError(
            f"There is no dataset to land: Learnosity's reply says `{self.status}`. Look at its job, and create the "
            "dataset again."
        )


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """The reply is refused: it is not proven that all of its files would be landed.

    :param why: what could not be proven, without any value of the reply.
    :param sketch: keys, types and lengths of the reply.
    :param is_final: whether the API would reply the same if it were asked again. Otherwise, a reply with nothing in it
        may have come too early.
    """

    why: str
    sketch: str
    is_final: bool = False
    may_declare: bool = True
    """Whether a declaration of where the files are may help. Otherwise, the error does not propose one."""

    def error(self) -> UnexpectedReplyError:
        """The error to raise. Its message explains how to declare where the files are, if that may help."""
        hint = (
            f" If you know where the files stand in it, declare that in the extra `results` of the connection, for "
            f"example {EXAMPLE} (docs/reliability.md)."
        )
        return UnexpectedReplyError(
            f"Learnosity's reply to GET reports/datasets is not understood: {self.why}. Nothing was landed. The reply "
            f"looks like this: {self.sketch}.{hint if self.may_declare else ''}"
        )


Understood: TypeAlias = Files | Group | Inline | Empty
Reading: TypeAlias = Understood | NotReady | Failed | NotUnderstood


def understood(reading: Reading) -> Understood:
    """`reading` unchanged, if it can be landed.

    :raises DatasetNotReadyError: when the dataset is not ready.
    :raises PermanentApiError: when the dataset has failed.
    :raises UnexpectedReplyError: when the reply is not understood.
    """
    if isinstance(reading, NotReady | Failed | NotUnderstood):
        raise reading.error()
    return reading


def expect_group(reading: Reading, asked: tuple[str, ...], parent: bytes) -> Group:
    """`reading` unchanged, if it is the group that was requested.

    :param asked: the path that was requested.
    :param parent: the digest of the group whose reply named the requested group. Many groups wait for a request at the
        same time, and their parents' content would fill the memory. Empty for the root, which no reply names.
    :raises DatasetNotReadyError: when the dataset is not ready.
    :raises PermanentApiError: when the dataset has failed.
    :raises UnexpectedReplyError: when the reply is not understood, is not a group, or is another group.
    """
    group = understood(reading)
    if not isinstance(group, Group):
        raise UnexpectedReplyError("Learnosity listed a group that it does not hold. Nothing was landed.")
    # Some replies do not say which group they are. Such a reply is wrong if its content is equal to the content of the
    # parent group, because then Learnosity has sent the parent group again.
    if group.path != asked if group.path is not None else group.digest() == parent:
        raise UnexpectedReplyError(
            "Learnosity answered with another group than the one that was asked for. Nothing was landed. If one reply "
            'holds the whole dataset, declare that in the extra `results` of the connection: {"inline": "data"} '
            "(docs/reliability.md)."
        )
    return group
