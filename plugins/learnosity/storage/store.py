"""One small interface for all object stores: landing writes to them, and input is read from them.

`ObstoreStore` serves S3, GCS, Azure and local files. Every write is atomic: a reader sees the whole object or no
object. Errors are `StorageError` (a person must change something) or `TransientStorageError` (try again later). They
never contain a credential or the query of a URL.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from learnosity.errors import TooLargeError

IsOwn = Callable[[str], bool]
"""Whether this package writes an object, by its path relative to the store's prefix."""


def every_path(path: str) -> bool:
    """The `IsOwn` of a folder in which nobody else writes."""
    return True


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One stored object.

    :param path: relative to the store's prefix.
    :param size: bytes.
    :param modified: time of the last write, in Unix seconds of the store's clock; None = unknown.
    :param version: GCS's generation number of the content, for conditional writes; None = the store has no versions.
    :param problem: why it cannot be opened, whatever its name is; None = it can. Only `list_keys` gives such objects.
    """

    path: str
    size: int
    etag: str | None
    modified: float | None = None
    version: str | None = None
    problem: str | None = None

    @property
    def marks_folder(self) -> bool:
        """Whether it is a folder marker: consoles and drivers write such empty objects. It is no file."""
        return self.path.endswith("/")


class Store(Protocol):
    """An object-storage prefix. Paths are relative to it, with `/` between parts."""

    @property
    def uri(self) -> str:
        """The prefix as a URI without credentials, for messages."""

    @property
    def is_local(self) -> bool:
        """Whether the store may be a file system. Then stricter rules for file names apply."""

    async def put(
        self,
        path: str,
        content: bytes | memoryview,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> str | None:
        """Write one whole object. Return its entity tag; None if the store has no tags."""

    def memory_for(self, size: int | None) -> int:
        """Bytes in memory while `put_stream` writes an object.

        :param size: bytes of the object. None = unknown.
        """

    async def put_stream(
        self,
        path: str,
        chunks: AsyncIterator[bytes | memoryview],
        size: int | None,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> str | None:
        """Write one object from a stream, in limited memory. If `chunks` raises an error, no object is written.

        :param size: bytes that `chunks` will give. None = unknown.
        :returns: the entity tag; None if the store has no tags.
        :raises BrokenWriteError: the write failed. Only a new write from the first byte can succeed.
        """

    async def get(self, path: str, *, limit: int | None = None) -> bytes | None:
        """The content of one object; None when the object does not exist.

        :param limit: largest allowed size in bytes; None = no limit.
        :raises StorageError: the object is larger. It is not read.
        """

    async def head(self, path: str) -> ObjectInfo | None:
        """Size, entity tag and time of an object; None when the object does not exist."""

    async def replace(self, path: str, content: bytes, expected: ObjectInfo | None) -> bool:
        """Write one object, if nobody has changed it since `head` was called.

        :param expected: the result of `head`; None = the object did not exist.
        :returns: False when the object has changed: then nothing is written. A store without conditional writes
            always writes, and returns True.
        """

    def list(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
        """Objects below the folder `prefix` ("" = all), in batches and in any order.

        The path of a folder marker ends with a slash. `delete` is the only other method that takes such a path.

        :raises UnreadableNameError: an object has a name that this store cannot open.
        """

    async def folders(self, prefix: str) -> Sequence[str]:
        """Names of the folders directly below the folder `prefix` ("" = all), in any order.

        A folder of a file system may be empty.
        """

    def list_keys(self) -> AsyncIterator[Sequence[ObjectInfo]]:
        """Every object below the prefix by its exact name. This is for input files, whose names are not ours.

        The path of a folder marker ends with a slash. There may be names that this store cannot open
        (`object_names.unreadable`), and in a folder what is no file (`problem`). An object may come twice.

        :raises UnreadableNameError: the store cannot list a folder with such a name in it.
        """

    async def delete(self, paths: Sequence[str]) -> None:
        """Remove objects. A path without an object is no error."""

    def read(self, path: str) -> Iterator[bytes]:
        """The content of one object in chunks, for code outside an event loop."""

    async def discard_unfinished(self, prefix: str, is_own: IsOwn = every_path) -> int:
        """Remove the remains of killed writes below the folder `prefix`, if the store can list them.

        :param is_own: remains of other objects stay, for somebody else may be writing them. Default: all are removed.
        :returns: how many were removed. A write that still runs there fails with `TransientStorageError`.
        :raises StorageError: the credentials do not allow it.
        :raises TransientStorageError: the store fails for now.
        """


def check_size(where: str, size: int, limit: int | None) -> None:
    """Check that an object is not larger than `limit`.

    :raises TooLargeError: the object is larger.
    """
    if limit is not None and size > limit:
        raise TooLargeError(f"{where} has {size:,} bytes, and at most {limit:,} are expected: it is not read.")
