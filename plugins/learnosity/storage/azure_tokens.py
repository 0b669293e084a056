"""Gives obstore the credentials of an Azure account: a fixed key or signature, or tokens that are renewed in time.

obstore calls a provider in a thread of its own, never in the event loop. What a provider raises comes back from obstore
as text; `storage.errors` makes it an error again.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from learnosity.errors import StorageError, TransientStorageError
from learnosity.storage.error_codes import judge

Provider = Callable[[], Any]

_SCOPE = "https://storage.azure.com/.default"
# Words in the text of an azure-identity error. Nothing else tells that the service did not reply or is overloaded.
_PASSES = re.compile(
    r"no response|timed? ?out|connection (error|refused|reset|aborted)|failed to (connect|resolve)|unreachable"
    r"|throttled|too many requests|temporarily_unavailable|server_error",
    re.IGNORECASE,
)


def fixed(credential: dict[str, Any]) -> Provider:
    """A provider of credentials that do not change."""
    return lambda: credential


def is_base64(key: str) -> bool:
    """Whether a key can be used to sign."""
    try:
        return bool(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError):
        return False


class AzureTokens:
    """A provider of tokens.

    :param credential: of azure-identity.
    :param named: whose credential it is, for messages, after "the".
    :param audience: for whom the token is; "" = Azure's storage.
    """

    def __init__(self, credential: Any, named: str, audience: str = "") -> None:
        self._credential = credential
        self._named = named
        self._scope = f"{audience.rstrip('/')}/.default" if audience else _SCOPE

    def __call__(self) -> dict[str, Any]:
        """The token, and when it expires.

        :raises TransientStorageError: the token service cannot be reached, or has a fault.
        :raises StorageError: it refuses.
        """
        from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError

        try:
            token = self._credential.get_token(self._scope)
        except (ServiceRequestError, ServiceResponseError) as error:
            raise TransientStorageError(
                f"no token for the {self._named}: the token service cannot be reached."
            ) from error
        except ClientAuthenticationError as error:
            raise self._refusal(error) from None
        return {"token": token.token, "expires_at": datetime.fromtimestamp(token.expires_on, UTC)}

    def _refusal(self, error: Any) -> StorageError | TransientStorageError:
        text = str(error)
        code, told = re.search(r"AADSTS\d+", text), re.search(r"HTTP Error: (\d{3})", text)
        status = getattr(error.response, "status_code", 0) or int(told[1] if told else 0)
        detail = ", ".join(filter(None, [f"HTTP {status}" if status else "", code[0] if code else ""]))
        detail = f" ({detail or type(error).__name__})"
        if judge(status).transient if status else not code and _PASSES.search(text):
            return TransientStorageError(f"no token for the {self._named}: the token service has a fault{detail}.")
        return StorageError(f"no token for the {self._named}: it was refused{detail}. Check its fields and its rights.")
