"""Checks who is calling: security objects and their signatures (docs/learnosity-api.md, "Transport and signing").

The signature is verified over the request string exactly as received. Nothing here keeps or shows a secret,
and signatures are compared in constant time.
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
import re
import time
from typing import Any, Final

import msgspec

from .config import SimulatorConfig
from .errors import ApiError

_TIMESTAMP: Final = re.compile(r"^\d{8}-\d{4}$")
_SIGNATURE_LENGTHS: Final = (64, 68)


class Security(msgspec.Struct, frozen=True):
    """The security object of a call; unknown keys are ignored."""

    consumer_key: str
    domain: str
    timestamp: str
    signature: str
    expires: str | None = None
    user_id: str | None = None

    def __repr__(self) -> str:
        return f"Security(consumer_key={self.consumer_key!r}, domain={self.domain!r})"


def sign(secret: str, security: dict[str, str] | Security, request: str | None, action: str | None) -> str:
    """The current ("02") signature.

    :param security: the security object; its own signature, if any, is ignored.
    :param request: the request string as it is sent, or None when there is none.
    :param action: `get`, `set`, ...; None for services without an action, such as `reports`.
    """
    return "$02$" + hmac.digest(secret.encode(), _joined(security, [request, action]), "sha256").hex()


def sign_legacy(secret: str, security: dict[str, str] | Security, request: str | None, action: str | None) -> str:
    """The legacy ("01") signature: plain SHA-256 with the secret among the hashed parts."""
    return hashlib.sha256(_joined(security, [secret, request, action])).hexdigest()


def authenticate(
    raw_security: str | None,
    request: str | None,
    action: str | None,
    config: SimulatorConfig,
    now: float | None = None,
) -> Security:
    """Check a whole security object and its signature.

    :param raw_security: JSON text of the security object as it was received.
    :param request: the raw request string, exactly as received.
    :param action: the action, or None for a service that has none (`reports`).
    :param now: Unix seconds; default: the clock.
    :raises ApiError: 41000 to 41007, in the order in which the checks are made here.
    """
    now = time.time() if now is None else now
    security = _decode(raw_security)
    secret = _check_shape(security, config)
    _check_times(security, config, now)
    if not _signed_by(secret, security, request, action, config):
        raise ApiError(41003)
    return security


def _decode(raw: str | None) -> Security:
    if not raw:
        raise ApiError(41000)
    try:
        return msgspec.json.decode(raw, type=Security)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise ApiError(41000, "security is not a JSON object with all its keys") from error


def _check_shape(security: Security, config: SimulatorConfig) -> str:
    if len(security.consumer_key) != 16:
        raise ApiError(41001, "consumer_key")
    if len(security.timestamp) != 13:
        raise ApiError(41001, "timestamp")
    if len(security.signature) not in _SIGNATURE_LENGTHS:
        raise ApiError(41001, "signature")
    if security.user_id is not None and len(security.user_id) > 50:
        raise ApiError(41001, "user_id")
    secret = config.consumers.get(security.consumer_key)
    if secret is None:
        raise ApiError(41002)
    if "*" not in config.allowed_domains and security.domain not in config.allowed_domains:
        raise ApiError(41005, security.domain)
    return secret


def _check_times(security: Security, config: SimulatorConfig, now: float) -> None:
    if security.expires is not None:
        expires = _unix(security.expires)
        if expires is None:
            raise ApiError(41006)
        if now > expires:
            raise ApiError(41007)
    signed_at = _unix(security.timestamp)
    # The timestamp has no seconds, so it may be up to 59 s earlier than the moment of signing. So 60 s more are
    # allowed.
    if signed_at is None or not (
        now - config.timestamp_past_seconds - 60 <= signed_at <= now + config.timestamp_future_seconds
    ):
        raise ApiError(41004)


def _signed_by(
    secret: str, security: Security, request: str | None, action: str | None, config: SimulatorConfig
) -> bool:
    # Learnosity's documentation says that the legacy signature of a `get` may be made without the action. It does not
    # say this of the current signature. The simulator is not strict here, and accepts both without the action.
    actions = [action, None] if action == "get" else [action]
    accepted = [sign(secret, security, request, each) for each in actions]
    if config.accept_legacy_signatures:
        accepted += [sign_legacy(secret, security, request, each) for each in actions]
    given = security.signature.encode()
    return any(hmac.compare_digest(given, each.encode()) for each in accepted)


def _joined(security: dict[str, str] | Security, tail: list[str | None]) -> bytes:
    known: dict[str, Any] = msgspec.to_builtins(security)
    head = [known.get(key) for key in ("consumer_key", "domain", "timestamp", "expires", "user_id")]
    return "_".join([part for part in [*head, *tail] if part is not None]).encode()


def _unix(text: str) -> int | None:
    if not _TIMESTAMP.match(text):
        return None
    try:
        return calendar.timegm(time.strptime(text, "%Y%m%d-%H%M"))
    except ValueError:
        return None
