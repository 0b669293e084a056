"""What an error of a storage server or of its client means, by error code, HTTP status or cause: may it pass?

The status alone is not enough: S3 replies 400 to a request that timed out, and also to one that can never succeed. So
the error code in the body of the reply decides. When the code is missing or not in the table, the status decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


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
# Words which say that a right on a file is missing. They are searched only in errors of file systems, because in a
# connection error, the same words may mean that a firewall blocks the connection.
_DENIED_BY_SYSTEM = re.compile(
    r"os error (1|13|30)\b|permission denied|operation not permitted|read-only file system", re.IGNORECASE
)
_NO_RIGHTS = Meaning(Verdict.DENIED, "no permission", "Give the user of Airflow's workers the rights on this folder.")
EXPIRED = Meaning(Verdict.EXPIRED, "the credentials have run out", "The next try asks the connection for new ones.")
_PASSES = Meaning(Verdict.PASSES)
OVERLOADED = Meaning(Verdict.OVERLOADED, "the store asks for less")
_KEY = _refused("the access key or its secret is wrong", _CHECK)
BUCKET = _refused("the bucket or folder does not exist", "Correct the URI, or make it.")
CLOCK = _refused("the clocks of this machine and of the store differ", "Correct this machine's clock.")
KMS = _refused("the encryption key (KMS) cannot be used", "Check its state, and the rights to it.")
QUOTA = _refused("the store has no room left for this account", "Raise its quota or make room.")
REGION = _refused("the bucket lies in another region", "Set `region_name` of the connection.")
REQUEST = _refused(
    "the store does not take the request as it is",
    "A bucket with Object Lock wants a checksum: set extra `service_config.s3.extra_args.ChecksumAlgorithm` of the "
    "connection to SHA256. Default encryption may want other headers (docs/stores.md).",
)
_UNKNOWN_REQUEST = _refused(
    "the store does not know this request", "Check that the endpoint of the connection is a store of this kind."
)
_PROXY_LOGIN = _refused(
    "the proxy wants a login", "Put it into the proxy's URL: http://user:password@proxy.example:3128."
)
ELSEWHERE = _refused(
    "the server sends requests to another address",
    "Check the endpoint and `region_name` of the connection, and whether a proxy asks for a login in between.",
)
MOVING = Meaning(Verdict.PASSES, "the store sends requests to another address for now", ELSEWHERE.advice)
# `CUT`: a reply breaks off, or is an error with status 200. `NO_STORE`: it is from no object store, as a login page is.
CUT = Meaning(Verdict.PASSES, "the reply is not whole")
NO_STORE = _refused(
    "the reply is not that of such a store",
    "Check that the endpoint of the connection is a store of this kind, and that no login page replies instead.",
)
ARCHIVED = _refused("the object is in an archive", "Restore it there first, then run the task again.")
_LEASED = _refused("the blob or container is leased to somebody else", "Have the lease ended.")
_KIND = _refused("the object is of another kind, such as a page blob or a folder", "Remove it, or correct the URI.")
_PAYER = _refused("the requester has to pay", "Name the project or the payer in the connection.")
_NO_PAYER = _refused(
    "the project that is to pay cannot be used",
    "Check `quota_project_id` and `gcs.requester-pays` of the connection, and the rights on that project.",
)
_KEPT = _refused(
    "a policy or a hold does not allow this change",
    "Landing replaces and deletes its own objects: name a bucket that lets it.",
)
SIGNATURE_TIME = _refused(
    "the shared access signature is not valid at this time",
    "Give the connection a new `sas_token`, or correct this machine's clock.",
)
_NO_REASON = _refused(
    "the request is refused", "Look the code up, and check that the endpoint of the connection is a store of this kind."
)

# Error codes of AWS's key service (KMS). After one of these, the same request may succeed later.
_KMS_PASSES = ("ThrottlingException", "KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException")
_UNKNOWN = "UnknownError"  # says nothing about the error; an HTTP status of 300 or more decides instead of this code
_BY_CODE = {
    # Codes that S3 or GCS sends in XML, and a few of other servers, such as MinIO's `XMinioStorageFull`. A new code of
    # S3 or GCS goes here. The groups are only for readers: `judge` finds a code wherever it stands in this table.
    **dict.fromkeys(("RequestTimeout", "RequestTimeoutException", "InternalError", "IncompleteBody"), _PASSES),
    # The bytes were damaged on the way, the parts of an upload are gone, or another request changed the object at the
    # same moment. The next attempt sends the whole object again.
    **dict.fromkeys(("BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"), _PASSES),
    **dict.fromkeys(("NoSuchUpload", "InvalidPart", "OperationAborted", "ConditionalRequestConflict"), _PASSES),
    **dict.fromkeys(("ServiceUnavailable", "SlowDown", "Throttling", "ThrottlingException"), OVERLOADED),
    **dict.fromkeys(("RequestLimitExceeded", "TooManyRequests"), OVERLOADED),
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"), EXPIRED),
    **dict.fromkeys(("RequestExpired", "ExpiredRequest"), EXPIRED),
    "RequestTimeTooSkewed": CLOCK,
    **dict.fromkeys(("InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"), _KEY),
    "AuthorizationHeaderMalformed": REGION,
    "PermanentRedirect": REGION,
    "TemporaryRedirect": MOVING,
    "IllegalLocationConstraintException": REGION,
    **dict.fromkeys(("AccessDenied", "AllAccessDisabled", "AccountProblem"), _DENIED),
    "UserProjectMissing": _PAYER,
    **{f"UserProject{why}": _NO_PAYER for why in ("AccessDenied", "AccountProblem", "Inconsistent", "Invalid")},
    **dict.fromkeys(("RetentionPolicyNotMet", "ObjectUnderActiveHold"), _KEPT),
    "QuotaExceeded": QUOTA,
    "XMinioStorageFull": QUOTA,
    "NoSuchBucket": BUCKET,
    "NoSuchKey": Meaning(Verdict.MISSING),
    "InvalidObjectState": ARCHIVED,
    "InvalidRequest": REQUEST,
    "MissingContentMD5": REQUEST,
    "ServerSideEncryptionConfigurationNotFoundError": KMS,
    "EntityTooLarge": _refused("the object is larger than the store takes", ""),
    **dict.fromkeys(("MethodNotAllowed", "NotImplemented"), _UNKNOWN_REQUEST),
    # Codes of other servers with S3's interface, such as MinIO and Ceph; a new one goes here. Without them, only the
    # HTTP status would count. That is not enough in a bulk delete: the reply has one status and a code for each object.
    **dict.fromkeys(("ClientDisconnect", "ClientDisconnected", "InternalFailure", _UNKNOWN), _PASSES),
    **dict.fromkeys(("XMinioBackendDown", "XMinioReadQuorum", "XMinioWriteQuorum"), _PASSES),
    **{f"XMinio{what}NotInitialized": _PASSES for what in ("Server", "IAM", "BucketMetadata")},
    **dict.fromkeys(("SlowDownRead", "SlowDownWrite", "BandwidthLimitExceeded", "RequestThrottled"), OVERLOADED),
    **dict.fromkeys(("ErrTooManyRequest", "ErrRequestBytesExceed"), OVERLOADED),
    "XMinioAdminBucketQuotaExceeded": QUOTA,
    # Codes in the JSON replies of GCS.
    "backendError": _PASSES,
    "internalError": _PASSES,
    **dict.fromkeys(("rateLimitExceeded", "userRateLimitExceeded"), OVERLOADED),
    "quotaExceeded": QUOTA,
    # Codes of Azure.
    "ServerBusy": OVERLOADED,
    "OperationTimedOut": _PASSES,
    **dict.fromkeys(("Md5Mismatch", "Crc64Mismatch"), _PASSES),
    "AuthenticationFailed": _KEY,
    **dict.fromkeys(("AuthorizationFailure", "AuthorizationPermissionMismatch"), _DENIED),
    **dict.fromkeys(("InsufficientAccountPermissions", "AccountIsDisabled"), _DENIED),
    "ContainerNotFound": BUCKET,
    **dict.fromkeys(("AccountBeingCreated", "ContainerBeingDeleted", "PendingCopyOperation"), _PASSES),
    # Another write of this object has ended first, so Azure has dropped the parts of ours. The next try sends them all.
    "InvalidBlockList": _PASSES,
    "BlobNotFound": Meaning(Verdict.MISSING),
    "BlobArchived": ARCHIVED,
    "BlobBeingRehydrated": _refused("the object is being restored from an archive", "Wait until it is restored."),
    "LeaseIdMissing": _LEASED,
    "LeaseIdMismatchWithBlobOperation": _LEASED,
    "LeaseLost": _LEASED,
    "BlobImmutableDueToPolicy": _KEPT,
    "InvalidBlobType": _KIND,
    "ResourceTypeMismatch": _KIND,
    "BlobUsesCustomerSpecifiedEncryption": _refused("the object is encrypted with a key of its own", "Remove it."),
}

# An error code that begins with one of these is about the key that encrypts an object (S3, GCS, Azure).
_OF_KEYS = ("KMS.", "CloudKms", "KeyVault")

# Failures without an error code: a regular expression for the text of the client's error, and what this text means.
_CAUSES = (  # the first three are obstore's texts about a reply with status 2xx
    (r"unexpected `Event::Eof`|not found before end of input|not closed:", CUT),
    (r"response: missing field", Meaning(Verdict.PASSES, "the reply is an error, or of no store", NO_STORE.advice)),
    (r"Got invalid [\w ]+ response|Header missing from|Unable to extract metadata|Invalid last modified", NO_STORE),
    # If the bucket lies in another region, S3 sends a redirect without an address. obstore then says one of these.
    (r"redirect without LOCATION|301 Moved", REGION),
    # obstore would follow a redirect to another host, and send a part of the credentials there. So (if the store needs
    # no proxy) `egress` leads requests to other hosts to 127.0.0.1:0. This address in an error means such a redirect.
    (r"\b127\.0\.0\.1:0\b", ELSEWHERE),
    (
        r"InvalidCertificate\(\s*(Expired|NotValidYet)|certificate has expired|certificate is not yet valid",
        _refused(
            "the server's TLS certificate is not valid today",
            "Have it renewed, or correct the clock of this machine.",
        ),
    ),
    (
        r"UnknownIssuer|InvalidCertificate|invalid peer cert|certificate verify failed|self.signed|NotValidForName",
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
        # obstore fails with one of these texts if the endpoint is not a URL.
        r"relative URL without a base|RelativeUrlWithoutBase|builder error|invalid uri|rust future panicked",
        _refused("the endpoint of the connection is not a URL", "It begins with https:// or http://."),
    ),
    (
        r"ProxyAuthRequired|proxy authentication required|proxy authorization required|connection failed: 407",
        _PROXY_LOGIN,
    ),
    (
        r"TunnelUnsuccessful|unsuccessful tunnel|tunnel connection failed|tunnel error",
        Meaning(Verdict.PASSES, "the proxy does not connect to the server", "Check that it lets the host pass."),
    ),
    (
        r"InvalidContentType|AlertReceived\(\s*(ProtocolVersion|HandshakeFailure)|wrong.version.number",
        _refused("the server speaks no TLS there", "Begin the endpoint with http://, or correct its port."),
    ),
    (
        r"Parse\(\s*Version",
        _refused("the server speaks no plain HTTP there", "Begin the endpoint with https://, or correct its port."),
    ),
    (
        r"invalid utf-8 sequence",
        Meaning(
            Verdict.PASSES,
            "the reply is an error whose text is not UTF-8, so its status is not known",
            "No store replies so. Check whether a proxy or a firewall replies in its place.",
        ),
    ),
    # The next three are errors of the operating system about a file or folder, of `file://` or of an fsspec driver.
    (
        r"os error 36\b|file name too long",
        _refused("a name is longer than the file system takes", "It takes 253 bytes for a name, in most cases."),
    ),
    (
        r"os error 2[01]\b|not a directory|is a directory",
        _refused("there is a file in the place of a folder, or the reverse", "Remove it, or correct the URI."),
    ),
    (r"os error 40\b|too many levels of symbolic links", _refused("links lead in a circle", "Correct the folder.")),
    (
        r"connection refused",
        Meaning(Verdict.PASSES, "no server listens there", "Check the endpoint of the connection, and that it runs."),
    ),
)


def judge(status: int, code: str = "") -> Meaning:
    """What a reply means.

    :param status: HTTP status.
    :param code: error code in the body (see `code_of`); "" = none.
    """
    if code.startswith(_OF_KEYS):
        return _PASSES if code.removeprefix("KMS.") in _KMS_PASSES else KMS
    if code in _BY_CODE and (code != _UNKNOWN or status < 300):
        return _BY_CODE[code]
    if status in (429, 503):
        return OVERLOADED
    if status == 501:
        return _UNKNOWN_REQUEST
    if status in (408, 425, 499) or status >= 500:  # servers and proxies send 499 if they think the client has gone
        return _PASSES
    if status == 407:
        return _PROXY_LOGIN
    if 300 <= status < 400:
        return MOVING if status == 307 else ELSEWHERE
    if status in (401, 403):
        return _DENIED
    if status in (404, 410):
        return Meaning(Verdict.MISSING)
    return _NO_REASON


def cause_in_file_system(error: BaseException, words: str) -> Meaning:
    """What an error of a file system means.

    :param words: what the operating system said, without the name of the file.
    """
    return _NO_RIGHTS if _DENIED_BY_SYSTEM.search(words) else cause_of(error, words)


def cause_of(error: BaseException, text: str) -> Meaning:
    """What an error without an error code and without an HTTP status means.

    :param text: the text of the error and of the error that caused it.
    """
    for pattern, meaning in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return meaning
    if isinstance(error, PermissionError):
        return _DENIED
    return _PASSES if isinstance(error, OSError) or "Generic" in text else Meaning(Verdict.REFUSED)
