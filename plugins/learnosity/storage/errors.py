"""What the reply of a storage server means: one table for downloads, uploads and stores, on S3, GCS and Azure.

The status alone is not enough: S3 replies 400 to a request that timed out, and also to one that can never succeed. So
the error code in the body of the reply decides. When the code is missing or not in the table, the status decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from learnosity.errors import ConnectionConfigError, LearnosityError, StorageError, TransientStorageError
from learnosity.redaction import redact_text

# Bytes of a reply that are read. The error code is near the beginning, so a longer reply is not read to its end.
MAX_ANSWER_BYTES = 4096

# In XML, in JSON, and in obstore's words for one object of many that could not be deleted.
_CODE = re.compile(
    r"<Code>\s*([A-Za-z0-9_.-]{1,80})\s*</Code>|\"(?:code|reason)\"\s*:\s*\"([A-Za-z0-9_.-]{1,80})\""
    r"|\(code: ([A-Za-z0-9_.-]{1,80})\)"
)
_MESSAGE = re.compile(r"<Message>\s*([^<]{1,500})</Message>|\"message\"\s*:\s*\"([^\"]{1,500})\"")
_STATUS = re.compile(r"\b([1-5]\d\d) [A-Z][A-Za-z-]+")


# How a library quotes an error of ours that one of our functions has raised inside it.
_OURS = re.compile(r"\b(TransientStorageError|ConnectionConfigError|StorageError): ([^\n]*)")


class Verdict(StrEnum):
    """What a reply means for the next request."""

    PASSES = "the same request may succeed later"
    OVERLOADED = "the server asks for less"
    EXPIRED = "the signature or the credentials have run out"
    DENIED = "the credentials are good, and may not do this"
    MISSING = "what was asked for is not there"
    REFUSED = "the same request can never succeed"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reply means.

    :param what: what is wrong, in a few words; "" = the reply's own words say it.
    :param advice: what to do, as a sentence; "" = there is no advice for this reply.
    """

    verdict: Verdict
    what: str = ""
    advice: str = ""

    @property
    def transient(self) -> bool:
        """Whether trying again can help."""
        return self.verdict in (Verdict.PASSES, Verdict.OVERLOADED, Verdict.EXPIRED)


def _refused(what: str, advice: str) -> Meaning:
    return Meaning(Verdict.REFUSED, what, advice)


_CHECK = "Check the connection named in the URI and its rights on this prefix."
_DENIED = Meaning(Verdict.DENIED, "no permission", _CHECK)
_EXPIRED = Meaning(Verdict.EXPIRED, "the credentials have run out", "The next try asks the connection for new ones.")
_PASSES = Meaning(Verdict.PASSES)
_OVERLOADED = Meaning(Verdict.OVERLOADED, "the store asks for less")
_KEY = _refused("the access key or its secret is wrong", _CHECK)
_BUCKET = _refused("the bucket or folder does not exist", "Correct the URI, or make it.")
_CLOCK = _refused("the clocks of this machine and of the store differ", "Correct this machine's clock.")
_KMS = _refused("the encryption key (KMS) cannot be used", "Check its state, and the rights to it.")
_QUOTA = _refused("the store has no room left for this account", "Raise its quota or make room.")
_REGION = _refused("the bucket lies in another region", "Set `region_name` of the connection.")
_REQUEST = _refused(
    "the store does not take the request as it is",
    "A bucket with Object Lock wants a checksum: set extra `service_config.s3.extra_args.ChecksumAlgorithm` of the "
    "connection to SHA256. Default encryption may want other headers (docs/stores.md).",
)
_UNKNOWN_REQUEST = _refused(
    "the store does not know this request", "Check that the endpoint of the connection is a store of this kind."
)
_PAYER = _refused("the requester has to pay", "Name the project or the payer in the connection.")

_BY_CODE = {
    # S3 and compatible servers. GCS has the same codes in its XML replies.
    "RequestTimeout": _PASSES,
    "RequestTimeoutException": _PASSES,
    "InternalError": _PASSES,
    "IncompleteBody": _PASSES,
    "BadDigest": _PASSES,
    "OperationAborted": _PASSES,
    "ConditionalRequestConflict": _PASSES,
    "NoSuchUpload": _PASSES,
    "ServiceUnavailable": _OVERLOADED,
    "SlowDown": _OVERLOADED,
    "Throttling": _OVERLOADED,
    "ThrottlingException": _OVERLOADED,
    "RequestLimitExceeded": _OVERLOADED,
    "TooManyRequests": _OVERLOADED,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "RequestTimeTooSkewed": _CLOCK,
    "InvalidAccessKeyId": _KEY,
    "InvalidToken": _KEY,
    "SignatureDoesNotMatch": _KEY,
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _PASSES,
    "IllegalLocationConstraintException": _REGION,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AccountProblem": _DENIED,
    "UserProjectMissing": _PAYER,
    "QuotaExceeded": _QUOTA,
    "XMinioStorageFull": _QUOTA,
    "NoSuchBucket": _BUCKET,
    "NoSuchKey": Meaning(Verdict.MISSING),
    "InvalidRequest": _REQUEST,
    "MissingContentMD5": _REQUEST,
    "ServerSideEncryptionConfigurationNotFoundError": _KMS,
    "EntityTooLarge": _refused("the object is larger than the store takes", ""),
    "MethodNotAllowed": _UNKNOWN_REQUEST,
    "NotImplemented": _UNKNOWN_REQUEST,
    # JSON replies of GCS.
    "backendError": _PASSES,
    "internalError": _PASSES,
    "rateLimitExceeded": _OVERLOADED,
    "userRateLimitExceeded": _OVERLOADED,
    "quotaExceeded": _QUOTA,
    # Azure.
    "ServerBusy": _OVERLOADED,
    "OperationTimedOut": _PASSES,
    "AuthenticationFailed": _KEY,
    "AuthorizationFailure": _DENIED,
    "AuthorizationPermissionMismatch": _DENIED,
    "InsufficientAccountPermissions": _DENIED,
    "AccountIsDisabled": _DENIED,
    "ContainerNotFound": _BUCKET,
    "ContainerBeingDeleted": _PASSES,
    "BlobNotFound": Meaning(Verdict.MISSING),
    "LeaseIdMissing": _refused("the blob or container is leased to somebody else", ""),
    "BlobImmutableDueToPolicy": _refused("an immutability policy does not allow this change", ""),
}


# What no other URL can change.
_OF_THE_STORE = (_OVERLOADED, _QUOTA, _KMS, _REQUEST)


# Why there is no reply at all. The clients report this only in the text of their errors.
_CAUSES = (
    (r"redirect without LOCATION|301 Moved", _REGION),
    (
        r"UnknownIssuer|invalid peer cert|certificate verify failed|self.signed|NotValidForName",
        _refused(
            "the server's TLS certificate is not trusted",
            "Name its authority's PEM file in the extra `verify` of the connection.",
        ),
    ),
    (r"temporary failure in name resolution", Meaning(Verdict.PASSES, "the host's name could not be looked up")),
    (
        r"dns error|failed to lookup address|name or service not known|nodename nor servname",
        _refused("there is no such host", "Check the endpoint of the connection, and the bucket's name."),
    ),
    (
        # obstore panics over an endpoint that it cannot read.
        r"relative URL without a base|RelativeUrlWithoutBase|builder error|invalid uri|rust future panicked",
        _refused("the endpoint of the connection is not a URL", "It begins with https:// or http://."),
    ),
    (
        r"connection refused",
        Meaning(Verdict.PASSES, "no server listens there", "Check the endpoint of the connection, and that it runs."),
    ),
)


def storage_error(verb: str, where: str, error: BaseException) -> LearnosityError:
    """An error of a store's client as an error of this package.

    :param verb: what was to be done, such as "write".
    :param where: the object's URI.
    """
    text = str(error)
    if ours := _OURS.search(text):
        # Credentials are fetched by code of this package, which the client calls.
        kind = {"TransientStorageError": TransientStorageError, "ConnectionConfigError": ConnectionConfigError}
        return kind.get(ours[1], StorageError)(f"Could not {verb} {where}: {ours[2][:500]}")
    code, status = code_of(text), status_of(text)
    if code or status:
        message = _MESSAGE.search(text)
        return refusal(verb, where, status, code, (message[1] or message[2]) if message else "")
    return _error(verb, where, cause_of(error, text), first_line(error).rstrip("."))


def refusal(verb: str, where: str, status: int, code: str, message: str) -> LearnosityError:
    """A reply that refuses as an error of this package.

    :param verb: what was to be done, such as "write".
    :param where: the object's URI.
    :param status: HTTP status; 0 = unknown.
    :param code: error code in the body of the reply; "" = none.
    :param message: the store's own words; "" = none.
    """
    said = ", ".join(filter(None, [f"HTTP {status}" if status else "", code, redact_text(message)[:200].rstrip(".")]))
    if verb == "look at" and status in (400, 409) and not code:
        # The reply to a HEAD has no body, and so no code. Both statuses have codes that pass.
        unclear = TransientStorageError(f"Could not {verb} {where}: {said}.")
        unclear.wrong_region = status == 400
        return unclear
    return _error(verb, where, judge(status, code), said)


def _error(verb: str, where: str, meaning: Meaning, said: str) -> LearnosityError:
    what = f"{meaning.what}. {meaning.advice} ({said})".replace("  ", " ") if meaning.what else f"{said}."
    error = (TransientStorageError if meaning.transient else StorageError)(f"Could not {verb} {where}: {what}")
    error.wrong_region = meaning is _REGION
    return error


def cause_of(error: BaseException, text: str) -> Meaning:
    """Why there is no reply at all.

    :param text: the words of the error and of what caused it.
    """
    for pattern, meaning in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return meaning
    if isinstance(error, PermissionError):
        return _DENIED
    return _PASSES if isinstance(error, OSError) or "Generic" in text else Meaning(Verdict.REFUSED)


def first_line(error: BaseException) -> str:
    """First line of an error's text, without the query of any URL in it, at most 300 characters."""
    return redact_text(str(error).strip().partition("\n")[0])[:300] or type(error).__name__


def judge(status: int, code: str = "") -> Meaning:
    """What a reply means.

    :param status: HTTP status.
    :param code: error code in the body (see `code_of`); "" = none.
    """
    if code.startswith("KMS."):
        return _PASSES if code in ("KMS.ThrottlingException", "KMS.KMSInternalException") else _KMS
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status in (429, 503):
        return _OVERLOADED
    if status == 501:
        return _UNKNOWN_REQUEST
    if status in (408, 425) or status >= 500:
        return _PASSES
    if status in (401, 403):
        return _DENIED
    if status in (404, 410):
        return Meaning(Verdict.MISSING)
    return Meaning(Verdict.REFUSED)


def url_is_refused(status: int, code: str = "") -> bool:
    """Whether a signed URL was refused: another one, signed later, can succeed."""
    meaning = judge(status, code)
    if meaning in _OF_THE_STORE:
        return False
    return meaning.verdict in (Verdict.EXPIRED, Verdict.DENIED, Verdict.MISSING) or status in (401, 403, 404, 410)


def code_of(answer: str) -> str:
    """The error code in the XML or JSON of a reply; "" = none."""
    found = _CODE.search(answer[:MAX_ANSWER_BYTES])
    return (found[1] or found[2] or found[3]) if found else ""


def status_of(text: str) -> int:
    """The HTTP status in the text of an error, such as 403 for "403 Forbidden"; 0 = none."""
    found = _STATUS.search(text)
    return int(found[1]) if found else 0
