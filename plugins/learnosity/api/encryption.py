"""Makes keys from the consumer secret. What must not be read is encrypted with them while it has to be stored.

These are signed URLs, and contents of replies.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


def sealing_key(secret: str, purpose: bytes) -> Fernet:
    """The key for one purpose. What it encrypts cannot be decrypted with the key for another purpose.

    :param secret: the consumer secret.
    :param purpose: what is encrypted, and for which dataset.
    """
    # Imported here, because these imports take time, and many tasks that import this module need no key.
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derived = HKDF(SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
