"""Object stores behind one small interface: what landing writes to and input is read from.

`ObstoreStore` serves S3, GCS, Azure and local files through the same code. Every write is atomic: a reader sees
the whole object or none. Errors come out as `StorageError` (change something) or `TransientStorageError` (wait),
never with an address's query or a credential in them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from learnosity.errors import StorageError


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One stored object.

    :param path: relative to the store's prefix.
    :param size: bytes.
    :param modified: Unix seconds by the store's clock; None where the store does not say.
    """

    path: str
    size: int
    etag: str | None
    modified: float | None = None


class Store(Protocol):
    """An object-storage prefix. Paths are relative to it, with `/` between parts."""

    @property
    def uri(self) -> str:
        """The prefix as a URI without credentials, for people to read."""

    @property
    def is_local(self) -> bool:
        """Whether names have to suit a file system."""

    async def put(
        self,
        path: str,
        content: bytes | memoryview,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> str | None:
        """Write one whole object; returns its entity tag where the store has them."""

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
        """Write one object from a stream, in bounded memory; the store decides how. An error in `chunks` leaves none.

        :param size: bytes that `chunks` will give. None = unknown.
        :returns: the entity tag, where the store has them.
        :raises BrokenWriteError: the write broke, and only a second one from the start can succeed.
        """

    async def get(self, path: str, *, limit: int | None = None) -> bytes | None:
        """One whole object, None when it is not there.

        :param limit: the most bytes that are expected; None = any number.
        :raises StorageError: it has more, and is not read.
        """

    async def head(self, path: str) -> ObjectInfo | None:
        """What the store says of an object, None when it is not there."""

    async def replace(self, path: str, content: bytes, expected: ObjectInfo | None) -> bool:
        """Write one object, if nobody has changed it since.

        :param expected: what `head` said of it; None = it was not there.
        :returns: False when it has been changed, and was not written. A store without conditional writes writes it
            in any case.
        """

    def list(self, prefix: str) -> AsyncIterator[Sequence[ObjectInfo]]:
        """Objects below the folder `prefix` ("" = all), in batches, in no order."""

    async def delete(self, paths: Sequence[str]) -> None:
        """Remove objects; one that is not there is no error."""

    def read(self, path: str) -> Iterator[bytes]:
        """One object as a stream of chunks, for code outside an event loop."""

    async def discard_unfinished(self, prefix: str) -> int:
        """Remove what killed writes left below the folder `prefix`, where the store lets that be found.

        :returns: how many there were. A write that is under way there fails, as `TransientStorageError`.
        :raises StorageError: it is not allowed.
        """


def check_size(where: str, size: int, limit: int | None) -> None:
    """Let an object pass that is not larger than expected.

    :raises StorageError: it is larger.
    """
    if limit is not None and size > limit:
        raise StorageError(f"{where} has {size:,} bytes, and at most {limit:,} are expected: it is not read.")
