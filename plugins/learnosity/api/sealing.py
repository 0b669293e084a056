"""Encrypts what must be stored for a while and gives access without a password, with a key from the consumer secret."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


def sealing_key(secret: str, purpose: bytes) -> Fernet:
    """The key for one purpose. What is sealed for one purpose cannot be opened for another one.

    :param secret: the consumer secret.
    :param purpose: what is sealed, and for which dataset.
    """
    # Late: DAG files need no cryptography.
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derived = HKDF(SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
