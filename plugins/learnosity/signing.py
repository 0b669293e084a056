"""Signatures, made by the official SDK and by nothing else (contract section 1.4).

Every call is signed afresh, so that neither a long wait nor a retry can outlive a signature.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from learnosity_sdk._version import __version__ as sdk_version
from learnosity_sdk.request import Init

from learnosity.config import Credentials


def sign_data_request(
    credentials: Credentials, request: Mapping[str, Any], action: str, *, timestamp: str | None = None
) -> dict[str, str]:
    """Form fields `security`, `request` and `action` of one Data API call.

    :param request: the request object; it is not changed.
    :param action: `get` or `set`.
    :param timestamp: `YYYYMMDD-HHMM` in UTC; default: now.
    """
    security = {"consumer_key": credentials.consumer_key, "domain": credentials.domain}
    if timestamp is not None:
        security["timestamp"] = timestamp
    # The SDK adds telemetry to a shallow copy: a deep one keeps the caller's request as it was.
    form = Init("data", security, credentials.consumer_secret, copy.deepcopy(dict(request)), action).generate()
    if not isinstance(form, dict):
        raise TypeError("the SDK did not return form fields")
    return {str(key): str(value) for key, value in form.items()}


def routing_headers(credentials: Credentials, endpoint: str, action: str) -> dict[str, str]:
    """Headers that the official SDK sends beside the form (contract section 1.1)."""
    return {
        "X-Learnosity-Consumer": credentials.consumer_key,
        "X-Learnosity-Action": f"{action}_/{endpoint}",
        "X-Learnosity-SDK": f"Python:{sdk_version.lstrip('v')}",
    }
