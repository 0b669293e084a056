"""Stores contents, and the signed URLs of a long listing, encrypted, for the tasks that land the files.

So a shard need not request the whole listing again. They are stored next to the plan, encrypted with a key that is made
from the consumer secret. A URL gives access to a file for an hour at most. Publishing removes them.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from learnosity.api.encryption import sealing_key

# Signed URLs are used up to this many seconds after they were encrypted. They expire 60 minutes after they were signed.
# The other 10 minutes are for the time between signing and encryption, and for the download.
URLS_VALID_SECONDS = 50 * 60
_PURPOSE = b"learnosity result urls of dataset "
_FAST = 1  # the fastest compression level: the URLs of one dataset are similar, so even this level makes them small

Source: TypeAlias = str | bytes | None
"""A signed URL, the content, or nothing: then the file must be requested again."""


def seal_sources(sources: Sequence[Source], *, secret: str, dataset_id: str) -> bytes:
    """Encrypt URLs and contents. The result also holds the time of encryption.

    :param secret: the consumer secret, from which the key is made.
    :param dataset_id: a part of the key.
    """
    packed = zlib.compress(msgspec.msgpack.encode(sources), _FAST)
    return sealing_key(secret, _PURPOSE + dataset_id.encode()).encrypt(packed)


def unseal_sources(sealed: bytes | None, *, secret: str, dataset_id: str) -> list[Source]:
    """The decrypted URLs and contents, without URLs that are too old. Empty when the secret has changed."""
    from cryptography.fernet import InvalidToken

    if not sealed:
        return []
    key = sealing_key(secret, _PURPOSE + dataset_id.encode())
    try:
        packed = key.decrypt(sealed)
        is_old = time.time() - key.extract_timestamp(sealed) > URLS_VALID_SECONDS
    except InvalidToken:
        return []
    sources: list[Source] = msgspec.msgpack.decode(zlib.decompress(packed))
    return [None if is_old and isinstance(source, str) else source for source in sources]
