"""What the connection asks for on every object that is written to S3: encryption, tags, storage class and the like.

The names are those of `S3Hook(extra_args=…)`. obstore can send most of them. For the others, and where the environment
would change what obstore sends, boto3 writes the objects.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from learnosity.errors import ConnectionConfigError

log = logging.getLogger(__name__)

# The place in a connection's extra where a user sets how objects are written, such as encryption and tags. Error
# messages name this place.
PLACE = "service_config.s3.extra_args"
_CHECKSUMS = ("SHA256", "CRC64NVME")  # checksum algorithms of obstore; with any other, boto3 writes the objects
_ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")
_CONFIG = {"ServerSideEncryption": "server_side_encryption", "SSEKMSKeyId": "sse_kms_key_id"}
_ATTRIBUTES = {
    "CacheControl": "Cache-Control",
    "ContentDisposition": "Content-Disposition",
    "ContentLanguage": "Content-Language",
    "StorageClass": "Storage-Class",
}
# If metadata has one of these names, obstore would send it as the HTTP header of that name and not as metadata. So
# boto3 writes objects with such metadata. Case and dashes do not count: `Cache-Control` is the name `cachecontrol`.
_HEADERS = frozenset(
    {"cachecontrol", "contentdisposition", "contentencoding", "contentlanguage", "contenttype", "storageclass"}
)
_NATIVE = frozenset(
    {*_CONFIG, *_ATTRIBUTES, "BucketKeyEnabled", "ChecksumAlgorithm", "Metadata", "RequestPayer", "Tagging"}
)
_BY_BOTO3 = frozenset(
    {
        "ACL", "ExpectedBucketOwner", "Expires", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP",
        "ObjectLockLegalHoldStatus", "ObjectLockMode", "ObjectLockRetainUntilDate", "SSEKMSEncryptionContext",
        "WebsiteRedirectLocation",
    }
)  # fmt: skip
_TIMES = ("Expires", "ObjectLockRetainUntilDate")  # these may also be numbers: seconds since 1970
# `_set_arguments` refuses a value that is not a text, but not for these names. Each of them is checked in its own way:
# `BucketKeyEnabled`, for example, has to be true or false.
_CHECKED_LATER = ("BucketKeyEnabled", "Metadata", "RequestPayer")
_REFUSED = {
    "ContentType": "each file has its own",
    "ContentEncoding": "each file has its own",
    "SSECustomerAlgorithm": "objects with a customer's key cannot be read by others; use ServerSideEncryption",
    "SSECustomerKey": "objects with a customer's key cannot be read by others; use ServerSideEncryption",
    "SSECustomerKeyMD5": "objects with a customer's key cannot be read by others; use ServerSideEncryption",
}
# Settings of obstore if boto3 writes the objects. Then obstore only reads, so these values have no effect on objects.
# But without them, obstore would take the settings from environment variables, and fail if it does not know a value.
_UNUSED = {
    "checksum_algorithm": "SHA256",
    "server_side_encryption": "AES256",
    "sse_bucket_key_enabled": "false",
    "sse_kms_key_id": "",
}


@dataclass(frozen=True, slots=True)
class S3Writes:
    """How objects are written to S3.

    :param extra_args: as the connection has them.
    :param config: settings of obstore's store.
    :param attributes: obstore's attributes of each object.
    :param tags: tags of each object.
    :param by_boto3: whether obstore cannot send this, so that boto3 writes.
    """

    extra_args: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    by_boto3: bool = False

    @property
    def has_checksum(self) -> bool:
        """Whether a checksum goes with each object. It is known only when the whole body has been read."""
        return "ChecksumAlgorithm" in self.extra_args

    @property
    def reads(self) -> dict[str, str]:
        """The headers of a request that writes nothing."""
        return {"x-amz-request-payer": "requester"} if "RequestPayer" in self.extra_args else {}

    def headers(self, client: Any) -> dict[str, str]:
        """The HTTP headers of a single PUT. boto3's model of S3 has the header's name of each argument."""
        members = client.meta.service_model.operation_model("PutObject").input_shape.members
        found: dict[str, str] = {}
        for name, value in self.extra_args.items():
            if name == "Metadata":
                found |= {f"{members[name].serialization['name']}{key}": str(text) for key, text in value.items()}
            else:
                found[members[name].serialization["name"]] = (
                    str(value).lower() if value in (True, False) else str(value)
                )
        return found


def s3_writes(extra_args: Any, environment: Mapping[str, str], named: str) -> S3Writes:
    """How objects are written with the `extra_args` of a connection.

    :param environment: the variables of this process.
    :param named: the connection, for messages.
    :raises ConnectionConfigError: a name or a value is not one that S3 takes.
    """
    if not isinstance(extra_args, Mapping):
        raise ConnectionConfigError(f"`{PLACE}` of {named} is not a JSON object.")
    extra_args = _set_arguments(extra_args, named)
    config = {ours: str(extra_args[name]) for name, ours in _CONFIG.items() if name in extra_args}
    if "BucketKeyEnabled" in extra_args:
        config["sse_bucket_key_enabled"] = "true" if _flag(extra_args["BucketKeyEnabled"], named) else "false"
    if "RequestPayer" in extra_args:
        if extra_args["RequestPayer"] != "requester":
            raise ConnectionConfigError(f'`{PLACE}.RequestPayer` of {named} can only be "requester".')
        config["request_payer"] = "true"
    checksum = str(extra_args.get("ChecksumAlgorithm", "")).upper()
    if checksum in _CHECKSUMS:
        config["checksum_algorithm"] = checksum
    attributes = {ours: str(extra_args[name]) for name, ours in _ATTRIBUTES.items() if name in extra_args}
    metadata = _metadata(extra_args.get("Metadata", {}), named)
    if odd := sorted(name for name, value in metadata.items() if not f"{name}{value}".isascii()):
        raise ConnectionConfigError(f"`{PLACE}.Metadata` of {named} is not ASCII at {odd[0]!a}, and S3 takes no other.")
    if "Metadata" in extra_args:
        extra_args["Metadata"] = metadata
    attributes |= metadata
    pairs = parse_qsl(str(extra_args.get("Tagging", "")), keep_blank_values=True)
    is_header = any(name.lower().replace("-", "") in _HEADERS for name in metadata)
    by_boto3 = is_header or bool(_BY_BOTO3 & extra_args.keys()) or (checksum != "" and checksum not in _CHECKSUMS)
    if not str(extra_args.get("ServerSideEncryption", "")).startswith("aws:kms"):
        # obstore sends `SSEKMSKeyId` and `BucketKeyEnabled` only if `ServerSideEncryption` begins with `aws:kms`.
        # Here, it does not. If one of the two is set, boto3 writes the objects, because boto3 sends every argument.
        by_boto3 = by_boto3 or bool({"SSEKMSKeyId", "BucketKeyEnabled"} & extra_args.keys())
    decisive = _decided_by_environment(config, environment)
    if decisive:
        log.warning(
            "The environment has %s. obstore would obey it, and %s does not set it. So boto3 writes to S3, which is "
            "slower. Remove the variables, or set `%s`.",
            ", ".join(sorted(decisive)),
            named,
            PLACE,
        )
    if by_boto3 or decisive:
        kept = {name: value for name, value in config.items() if name == "request_payer"}
        return S3Writes(extra_args, {**_UNUSED, **kept}, by_boto3=True)
    if config.get("server_side_encryption", "AES256") not in _ENCRYPTIONS:
        # This is checked here, because obstore's error message would list obstore's values, and not those of `S3Hook`.
        raise _no_encryption(named)
    return S3Writes(extra_args, config, attributes, dict(pairs))


def _decided_by_environment(config: Mapping[str, str], environment: Mapping[str, str]) -> set[str]:
    """Environment variables that would change what obstore writes, and that no argument can switch off.

    boto3 knows none of them. obstore compares their names without regard to case.
    """
    decisive = {"aws_checksum_algorithm", "aws_server_side_encryption"} - {f"aws_{name}" for name in config}
    if "server_side_encryption" in config:
        decisive |= {"aws_sse_kms_key_id", "aws_sse_bucket_key_enabled"} - {f"aws_{name}" for name in config}
    return {name for name in environment if name.startswith("AWS_") and name.lower() in decisive}


def _check_name(name: str, named: str) -> None:
    if name in _REFUSED:
        raise ConnectionConfigError(f"`{PLACE}.{name}` of {named} cannot be used: {_REFUSED[name]}.")
    known = sorted(_NATIVE | _BY_BOTO3)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"Did you mean {near[0]}?" if near else f"Known are: {', '.join(known)}."
        raise ConnectionConfigError(f"`{PLACE}` of {named} has an unknown name {name!r}. {hint}")


def _set_arguments(extra_args: Mapping[str, Any], named: str) -> dict[str, Any]:
    """The arguments that are set. Null = not set, but not for the encryption, so that none is left out by mistake."""
    found: dict[str, Any] = {}
    for name, value in extra_args.items():
        _check_name(str(name), named)
        if name == "ServerSideEncryption" and not isinstance(value, str):
            raise _no_encryption(named)
        if value is None:
            continue
        is_time = name in _TIMES and isinstance(value, int | float) and not isinstance(value, bool)
        if not isinstance(value, str) and not is_time and name not in _CHECKED_LATER:
            raise ConnectionConfigError(f"`{PLACE}.{name}` of {named} is not a text.")
        found[name] = value
    return found


def _no_encryption(named: str) -> ConnectionConfigError:
    return ConnectionConfigError(f"`{PLACE}.ServerSideEncryption` of {named} is none of {', '.join(_ENCRYPTIONS)}.")


def _flag(value: Any, named: str) -> bool:
    if not isinstance(value, bool):
        raise ConnectionConfigError(f"`{PLACE}.BucketKeyEnabled` of {named} is neither true nor false.")
    return value


def _metadata(value: Any, named: str) -> dict[str, str]:
    """The metadata of each object, as text. A value that is null is not set."""
    if not isinstance(value, Mapping):
        raise ConnectionConfigError(f"`{PLACE}.Metadata` of {named} is not a JSON object.")
    if odd := [str(name) for name, each in value.items() if isinstance(each, Mapping | list)]:
        raise ConnectionConfigError(f"`{PLACE}.Metadata` of {named} has no text at {odd[0]!a}.")
    return {str(name): str(each) for name, each in value.items() if each is not None}
