"""Signatures, made by the official SDK and by nothing else (contract section 1.4).

Every call is signed afresh, so that neither a long wait nor a retry can outlive a signature.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from learnosity_sdk._version import __version__ as sdk_version
from learnosity_sdk.request import Init

from learnosity.api.config import Credentials

REPORT_MINUTES = 15


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


def sign_report(
    credentials: Credentials,
    report: Mapping[str, Any],
    *,
    domain: str,
    now: datetime | None = None,
    minutes: int = REPORT_MINUTES,
) -> dict[str, Any]:
    """The signed request that `LearnosityReports.init` takes (contract sections 1.4 and 9).

    :param domain: host name of the page that shows it.
    :param now: moment of signing; default: the clock.
    :param minutes: how long the signature is good; default 15.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    security = {
        "consumer_key": credentials.consumer_key,
        "domain": domain,
        "timestamp": now.strftime("%Y%m%d-%H%M"),
        "expires": (now + timedelta(minutes=minutes)).strftime("%Y%m%d-%H%M"),
    }
    # The SDK adds telemetry to a shallow copy: a deep one keeps the caller's report as it was.
    request = {"reports": [copy.deepcopy(dict(report))]}
    signed = Init("reports", security, credentials.consumer_secret, request).generate(encode=False)
    if not isinstance(signed, dict):
        raise TypeError("the SDK did not return a signed request")
    return signed
