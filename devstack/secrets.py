"""Generated passwords and keys of one local stack, kept in a file that only its owner can read.

They live as long as the stack's folder, so that stopping and starting it again keeps logins and encrypted rows valid.
"""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

import msgspec

ADMIN, OPERATOR, VIEWER = "admin", "operator", "viewer"


def _word() -> str:
    return secrets.token_hex(16)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


class KeyPair(msgspec.Struct, frozen=True):
    """An access key with its secret."""

    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"KeyPair({self.access_key!r}, ***)"


def _key_pair() -> KeyPair:
    return KeyPair(access_key=secrets.token_hex(8).upper(), secret_key=secrets.token_hex(20))


class Secrets(msgspec.Struct, frozen=True):
    """All that is secret in one stack."""

    fernet_key: str = msgspec.field(default_factory=_fernet_key)
    jwt_secret: str = msgspec.field(default_factory=_word)
    api_secret: str = msgspec.field(default_factory=_word)
    passwords: dict[str, str] = msgspec.field(
        default_factory=lambda: {user: secrets.token_urlsafe(12) for user in (ADMIN, OPERATOR, VIEWER)}
    )
    s3_admin: KeyPair = msgspec.field(default_factory=_key_pair)
    s3_landing: KeyPair = msgspec.field(default_factory=_key_pair)
    control_token: str = msgspec.field(default_factory=_word)
    consumer: KeyPair = msgspec.field(default_factory=_key_pair)

    def __repr__(self) -> str:
        return "Secrets(***)"


def write_private(path: Path, content: bytes) -> None:
    """Write a file whole, readable by its owner alone from the first moment on."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)


def load_or_create(path: Path) -> Secrets:
    """The secrets in ``path``; made and written there when it does not exist.

    :raises msgspec.ValidationError: when the file holds something else
    """
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=Secrets)
    made = Secrets()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, msgspec.json.encode(made))
    return made
