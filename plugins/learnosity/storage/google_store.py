"""A GCS store that also reads objects with `Content-Encoding: gzip`, such as those of `gsutil cp -Z`.

GCS decompresses such an object for a client that does not accept gzip, and sends large ones in chunks over HTTP/1.1.
Then the reply has no length, and obstore fails. obstore sends its headers with every request, so what it writes and
lists goes through a store without this header, as before: the replies to that are not compressed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from learnosity.errors import StorageError
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.store import ObjectInfo

# With this header, GCS sends an object that has `Content-Encoding: gzip` as it is stored. Without it, GCS decompresses
# the object (unless its `Cache-Control` is `no-transform`). Then the reply has no length or no entity tag, and obstore
# fails with an error that `_NOT_AS_STORED` finds.
AS_STORED = {"Accept-Encoding": "gzip"}
_NOT_AS_STORED = re.compile(r"(Content-Length|E-?Tag) Header missing", re.IGNORECASE)


class GoogleStore(ObstoreStore):
    """A prefix of a bucket.

    :param as_stored: opens the same prefix with a client that reads objects as they are stored.
    """

    def __init__(self, *args: Any, as_stored: Callable[[], ObstoreStore], **more: Any) -> None:
        super().__init__(*args, **more)
        self._as_stored = as_stored

    async def get(self, path: str, *, limit: int | None = None) -> bytes | None:
        try:
            return await super().get(path, limit=limit)
        except StorageError as error:
            if not _NOT_AS_STORED.search(str(error)):
                raise
        return await self._as_stored().get(path, limit=limit)

    async def head(self, path: str) -> ObjectInfo | None:
        try:
            return await super().head(path)
        except StorageError as error:
            if not _NOT_AS_STORED.search(str(error)):
                raise
        return await self._as_stored().head(path)

    def read(self, path: str) -> Iterator[bytes]:
        try:
            yield from super().read(path)
            return
        except StorageError as error:
            # obstore checks the headers before it reads the body. So the caller has no data yet, and the object can be
            # read again from its start.
            if not _NOT_AS_STORED.search(str(error)):
                raise
        yield from self._as_stored().read(path)
