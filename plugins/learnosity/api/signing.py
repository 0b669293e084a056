"""Signs calls and reports. Only the official SDK makes signatures (docs/learnosity-api.md, "Transport and signing").

Every attempt is signed with the current time, so that no signature expires during a wait or before a retry.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from learnosity_sdk._version import __version__ as sdk_version
from learnosity_sdk.request import Init

from learnosity.api.config import Credentials

# Minutes for which the signature of a report is valid: long enough to open the report, but a stolen signature soon
# expires.
REPORT_MINUTES = 15


def sign_data_request(
    credentials: Credentials, request: Mapping[str, Any], action: str, *, timestamp: str | None = None
) -> dict[str, str]:
    """The form fields `security`, `request` and `action` of one call of the Data API.

    :param request: the request object; it is not changed.
    :param action: `get` or `set`.
    :param timestamp: `YYYYMMDD-HHMM` in UTC; default: now.
    """
    security = {"consumer_key": credentials.consumer_key, "domain": credentials.domain}
    if timestamp is not None:
        security["timestamp"] = timestamp
    # If the request has a `meta`, the SDK adds data about itself to this `meta`. So the SDK gets a deep copy of the
    # request, and the caller's request does not change.
    form = Init("data", security, credentials.consumer_secret, copy.deepcopy(dict(request)), action).generate()
    if not isinstance(form, dict):
        raise TypeError("the SDK did not return form fields")
    return {str(key): str(value) for key, value in form.items()}


def routing_headers(credentials: Credentials, endpoint: str, action: str) -> dict[str, str]:
    """The headers that the official SDK sends with the form."""
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
    """The signed request for `LearnosityReports.init` in the browser. It does not contain the secret.

    :param domain: host name of the page that shows the report.
    :param now: time of signing; default: the current time.
    :param minutes: how long the signature is valid; default 15.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    security = {
        "consumer_key": credentials.consumer_key,
        "domain": domain,
        "timestamp": now.strftime("%Y%m%d-%H%M"),
        "expires": (now + timedelta(minutes=minutes)).strftime("%Y%m%d-%H%M"),
    }
    # A deep copy: the SDK copies only the outer object, so it could change what is inside the caller's report.
    request = {"reports": [copy.deepcopy(dict(report))]}
    signed = Init("reports", security, credentials.consumer_secret, request).generate(encode=False)
    if not isinstance(signed, dict):
        raise TypeError("the SDK did not return a signed request")
    return signed
