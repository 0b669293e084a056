"""Keys for tests of cloud identities."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


@pytest.fixture(scope="session")
def google_key() -> dict[str, str]:
    """The key file of a service account, as Google hands it out. Only its token service is missing."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return {
        "type": "service_account",
        "project_id": "a-project",
        "private_key_id": "key-of-the-test",
        "private_key": text,
        "client_email": "lander@a-project.iam.gserviceaccount.com",
        "client_id": "1",
    }
