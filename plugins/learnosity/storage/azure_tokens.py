"""Gives requests to Azure the credentials of an account: a fixed key or signature, or tokens that are renewed in time.

obstore calls a provider in a thread of its own, never in the event loop. What a provider raises comes back from obstore
as text; `storage.errors` makes it an error again.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

from learnosity.errors import ConnectionConfigError, LearnosityError, StorageError, TransientStorageError
from learnosity.storage.bucket_listing import listing_url
from learnosity.storage.error_codes import judge

if TYPE_CHECKING:
    from learnosity.storage.azure_token_requests import TokenRequests

Provider = Callable[[], Any]

_SCOPE = "https://storage.azure.com/.default"
_VERSION = "2023-11-03"  # version of the storage API, which each request names
_SIGNED_FOR = timedelta(hours=1)
# azure-identity raises the same type of error if a service refuses and if it does not reply. If the error's text
# matches this pattern, no service replied, and the error counts as temporary. The text of a proxy's reply with status
# 407 does not match: this proxy wants a login, so a retry does not help.
_PASSES = re.compile(
    r"no response|timed? ?out|connection (error|refused|reset|aborted)|failed to (connect|resolve)|unreachable"
    r"|unable to connect to proxy(?!.*: 407)",
    re.IGNORECASE,
)
# azure-identity's error has this text if it asked Azure's metadata service for a token and got none. Outside of Azure
# that is normal, because only Azure has this service. Then the connection has no credentials, and a retry does not help
# (see `_asked_metadata_alone`). If "Token request error" follows in the text, Azure's service itself has replied with
# an error. So this is a machine in Azure, and the text does not match.
_NO_METADATA = re.compile(r"ManagedIdentityCredential authentication unavailable(?!.*Token request error: \().*")
# Error codes of Microsoft's token service which say that the same request may succeed later. They are looked for before
# the HTTP status is judged: a reply with such a code can have status 400, which otherwise means a final refusal.
_SAYS_LATER = re.compile(r"temporarily_unavailable|AADSTS(90033|50196)\b")


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
    :param requests: sends the requests of the credential.
    :param named: whose credential it is, for messages, after "the".
    :param audience: for whom the token is; "" = Azure's storage.
    """

    def __init__(self, credential: Any, requests: TokenRequests, named: str, audience: str = "") -> None:
        self._credential = credential
        self._requests = requests
        self._named = named
        self._scope = f"{audience.rstrip('/')}/.default" if audience else _SCOPE

    def __call__(self) -> dict[str, Any]:
        """The token, and when it expires.

        :raises TransientStorageError: the token service cannot be reached, or has a fault.
        :raises StorageError: it refuses, or its certificate is not trusted.
        :raises ConnectionConfigError: a proxy or a PEM file of the settings cannot be used.
        """
        from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError

        try:
            token = self._credential.get_token(self._scope)
        except (LearnosityError, ServiceRequestError, ServiceResponseError, ClientAuthenticationError) as error:
            if failure := self._requests.failure:
                raise self._no_reply(failure) from None
            if isinstance(error, ClientAuthenticationError):
                raise self._refusal(error) from None
            raise TransientStorageError(
                f"no token for the {self._named}: the token service cannot be reached."
            ) from error
        return {"token": token.token, "expires_at": datetime.fromtimestamp(token.expires_on, UTC)}

    def _no_reply(self, failure: LearnosityError) -> LearnosityError:
        if isinstance(failure, ConnectionConfigError):
            return failure
        return type(failure)(f"no token for the {self._named}: {failure}")

    def _asked_metadata_alone(self, text: str) -> bool:
        """Whether only the metadata service was asked and gave no token, and nothing says that it is that of Azure."""
        from learnosity.storage.azure_token_requests import may_have_identity

        others = _NO_METADATA.sub("", text)
        is_alone = others != text and "AADSTS" not in others and not _PASSES.search(others)
        return is_alone and not self._requests.wants_machine and not may_have_identity()

    def _refusal(self, error: Any) -> LearnosityError:
        text, status = str(error), self._requests.status
        if self._asked_metadata_alone(text):
            return ConnectionConfigError(
                f"no token for the {self._named}: it has no credentials, and this machine has none. Give the "
                "connection a key, a `sas_token`, or `tenant_id` with login and password (docs/stores.md)."
            )
        code = re.search(r"AADSTS\d+", text)
        detail = ", ".join(filter(None, [f"HTTP {status}" if status else "", code[0] if code else ""]))
        detail = f" ({detail or type(error).__name__})"
        if _SAYS_LATER.search(text) or (judge(status).transient or status < 300 if status else _PASSES.search(text)):
            return TransientStorageError(f"no token for the {self._named}: the token service has a fault{detail}.")
        return StorageError(f"no token for the {self._named}: it was refused{detail}. Check its fields and its rights.")


class AzureRequests:
    """The requests for listings (see `ListingRequests`) and deletions.

    :param endpoint: address of the account.
    :param provider: gives the credentials; None = no identity.
    """

    def __init__(self, endpoint: str, account: str, container: str, provider: Provider | None) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._account = account
        self._container = container
        self._provider = provider

    async def listing(self, below: str, token: str, *, folders: bool) -> tuple[str, Mapping[str, str]]:
        """The URL and all headers of the request for a page."""
        values = {"restype": "container", "comp": "list"}
        values |= {name: value for name, value in (("prefix", below), ("marker", token)) if value}
        if folders:
            values["delimiter"] = "/"
        signed, headers = await self._authorized(list=True)
        return listing_url(f"{self._endpoint}/{self._container}", values | signed), headers

    async def deletion(self, key: str) -> tuple[str, Mapping[str, str]]:
        """The URL and all headers of the request that deletes one object. See `DeletionRequests`."""
        signed, headers = await self._authorized(delete=True)
        url = f"{self._endpoint}/{self._container}/{quote(key, safe='/~')}"
        return listing_url(url, signed).rstrip("?"), headers

    async def _authorized(self, **permission: bool) -> tuple[dict[str, str], dict[str, str]]:
        """What a request has in its query, and in its headers, for the identity.

        :param permission: what the request does, under Azure's name.
        """
        headers = {"x-ms-version": _VERSION}
        given = {} if self._provider is None else await asyncio.to_thread(self._provider)
        if "token" in given:
            return {}, {**headers, "Authorization": f"Bearer {given['token']}"}
        if "access_key" in given:
            return dict(parse_qsl(self._signature(given["access_key"], permission))), headers
        return dict(given.get("sas_token", ())), headers

    def _signature(self, key: str, permission: dict[str, bool]) -> str:
        """A shared access signature that is good for one kind of request, made with the account's key."""
        # This import is here, because a deployment without Azure does not have the package azure-storage-blob.
        from azure.storage.blob import ContainerSasPermissions, generate_container_sas

        expiry = datetime.now(UTC) + _SIGNED_FOR
        permitted = ContainerSasPermissions(**permission)
        return generate_container_sas(self._account, self._container, key, permission=permitted, expiry=expiry)
