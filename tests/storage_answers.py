"""What the answers of storage servers mean, written down apart from the code that judges them.

Each row is one error code with the HTTP status that goes with it, and what has to come of it: for a store, whose
credentials are ours, and for a signed URL, whose credentials are Learnosity's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Store = Literal["passes", "person", "missing"]
Signed = Literal["passes", "new URL", "person"]


@dataclass(frozen=True, slots=True)
class Case:
    """One answer.

    :param store: `passes`: the next try can succeed; `person`: somebody has to change something; `missing`: no such
        object.
    :param signed: the same; `new URL`: another signed URL can help.
    :param says: words of the error of a store.
    :param overload: whether the server asks for less.
    :param changed: whether it says to a conditional write that somebody has changed the object.
    """

    status: int
    code: str
    store: Store
    signed: Signed
    says: str = ""
    overload: bool = False
    changed: bool = False

    def __str__(self) -> str:
        return f"{self.status} {self.code or 'without a code'}"


def _passes(status: int, *codes: str, overload: bool = False, says: str = "") -> list[Case]:
    return [Case(status, code, "passes", "passes", says, overload) for code in codes]


def _person(status: int, says: str, *codes: str, signed: Signed = "person") -> list[Case]:
    return [Case(status, code, "person", signed, says) for code in codes]


KNOWN: Final = [
    # S3 and what is like it.
    *_passes(400, "RequestTimeout", "RequestTimeoutException", "IncompleteBody", "BadDigest", "InvalidPart"),
    *_passes(400, "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"),
    *_passes(400, "KMS.ThrottlingException", "KMS.KMSInternalException"),
    *_passes(400, "KMS.DependencyTimeoutException"),
    *_passes(500, "KMS.KeyUnavailableException"),
    *_passes(409, "OperationAborted"),
    Case(409, "ConditionalRequestConflict", "passes", "passes", changed=True),
    *_passes(500, "InternalError"),
    Case(404, "NoSuchUpload", "passes", "new URL"),
    *_passes(400, "Throttling", "ThrottlingException", overload=True),
    *_passes(429, "TooManyRequests", overload=True),
    *_passes(503, "ServiceUnavailable", "SlowDown", "RequestLimitExceeded", overload=True),
    *[
        Case(400, code, "passes", "new URL", "run out")
        for code in ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired")
    ],
    *[Case(400, code, "passes", "new URL", "run out") for code in ("RequestExpired", "ExpiredRequest")],
    Case(307, "TemporaryRedirect", "passes", "person"),
    *_person(403, "clock", "RequestTimeTooSkewed", signed="new URL"),
    *_person(403, "access key", "InvalidAccessKeyId", "SignatureDoesNotMatch", signed="new URL"),
    *_person(400, "access key", "InvalidToken"),
    *_person(403, "no permission", "AccessDenied", "AllAccessDisabled", "AccountProblem", signed="new URL"),
    *_person(400, "region_name", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
    *_person(301, "region_name", "PermanentRedirect"),
    *_person(400, "pay", "UserProjectMissing"),
    *_person(400, "quota_project_id", "UserProjectInvalid", "UserProjectInconsistent"),
    *_person(403, "quota_project_id", "UserProjectAccessDenied", "UserProjectAccountProblem", signed="new URL"),
    *_person(403, "a hold", "RetentionPolicyNotMet", "ObjectUnderActiveHold", signed="new URL"),
    *_person(403, "no room", "QuotaExceeded"),
    *_person(507, "no room", "XMinioStorageFull"),
    *_person(400, "no room", "XMinioAdminBucketQuotaExceeded"),
    *_passes(499, "ClientDisconnected"),
    *_passes(400, "ClientDisconnect"),
    *_passes(500, "InternalFailure", "UnknownError"),
    *_passes(
        503,
        "XMinioBackendDown",
        "XMinioBucketMetadataNotInitialized",
        "XMinioIAMNotInitialized",
        "XMinioReadQuorum",
        "XMinioServerNotInitialized",
        "XMinioWriteQuorum",
    ),
    *_passes(429, "ErrRequestBytesExceed", "ErrTooManyRequest", overload=True),
    *_passes(503, "BandwidthLimitExceeded", "RequestThrottled", "SlowDownRead", "SlowDownWrite", overload=True),
    *_person(404, "bucket", "NoSuchBucket", signed="new URL"),
    Case(404, "NoSuchKey", "missing", "new URL"),
    *_person(403, "Restore it", "InvalidObjectState"),
    *_person(400, "as it is", "InvalidRequest", "MissingContentMD5"),
    *_person(400, "KMS", "KMS.DisabledException", "KMS.NotFoundException", "KMS.KMSInvalidStateException"),
    *_person(400, "KMS", "CloudKmsDisabledKey", "CloudKmsEncryptionKeyNotFound", "CloudKmsKeyLocationNotAllowed"),
    *_person(403, "KMS", "KeyVaultEncryptionKeyNotFound", "KeyVaultVaultNotFound"),
    *_person(403, "KMS", "KeyVaultAccessTokenCannotBeAcquired"),
    *_person(400, "KMS", "ServerSideEncryptionConfigurationNotFoundError"),
    *_person(400, "larger", "EntityTooLarge"),
    *_person(405, "does not know this request", "MethodNotAllowed"),
    *_person(501, "does not know this request", "NotImplemented"),
    # Google, in JSON.
    *_passes(500, "backendError", "internalError"),
    *_passes(429, "rateLimitExceeded", "userRateLimitExceeded", overload=True),
    *_person(403, "no room", "quotaExceeded"),
    # Azure.
    *_passes(503, "ServerBusy", overload=True),
    *_passes(500, "OperationTimedOut"),
    *_passes(409, "ContainerBeingDeleted", "AccountBeingCreated"),
    *_passes(409, "PendingCopyOperation"),
    *_passes(400, "InvalidBlockList", "Md5Mismatch", "Crc64Mismatch"),
    *_person(403, "access key", "AuthenticationFailed", signed="new URL"),
    *_person(
        403,
        "no permission",
        "AuthorizationFailure",
        "AuthorizationPermissionMismatch",
        "InsufficientAccountPermissions",
        "AccountIsDisabled",
        signed="new URL",
    ),
    *_person(404, "bucket", "ContainerNotFound", signed="new URL"),
    Case(404, "BlobNotFound", "missing", "new URL"),
    *_person(412, "leased", "LeaseIdMissing", "LeaseIdMismatchWithBlobOperation", "LeaseLost"),
    *_person(409, "Restore it", "BlobArchived"),
    *_person(409, "being restored", "BlobBeingRehydrated"),
    *_person(409, "policy", "BlobImmutableDueToPolicy"),
    *_person(409, "another kind", "InvalidBlobType", "ResourceTypeMismatch"),
    *_person(409, "key of its own", "BlobUsesCustomerSpecifiedEncryption"),
]

# The status decides.
UNKNOWN: Final = [
    case
    for code in ("", "NoSuchThing")
    for case in (
        *[Case(status, code, "person", "person") for status in (400, 405, 409, 411, 412)],
        *[Case(status, code, "person", "new URL", "no permission") for status in (401, 403)],
        Case(407, code, "person", "person", "the proxy wants a login"),
        Case(404, code, "missing", "new URL"),
        Case(501, code, "person", "person", "does not know this request"),
        *[Case(status, code, "passes", "passes") for status in (408, 499, 500, 502, 504, 520)],
        *[Case(status, code, "passes", "passes", overload=True) for status in (429, 503)],
    )
]
