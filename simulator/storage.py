"""The URLs and keys of the S3 bucket: signing and checking in the style of S3 signature version 2.

A URL is valid for one method, one content type and one path, until it expires. Everything else is refused, as S3 does
(docs/learnosity-api.md, "Upload URLs and uploads"). The signing key is made at start and never leaves this module.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs, quote, unquote

BUCKET: Final = "learnosity-reportdatasets-sim"
PREFIX: Final = f"/s3/{BUCKET}/"
UPLOAD_CONTENT_TYPE: Final = "application/x-www-form-urlencoded"
_ACCESS_KEY_ID: Final = "SIMULATORACCESSKEY00"


class S3Error(Exception):
    """A refusal in the shape of S3.

    :param code: S3's error code, such as `AccessDenied`.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message

    @property
    def xml(self) -> str:
        """The body that S3 would send."""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{self.code}</Code><Message>{self.message}</Message></Error>"
        )


class UrlSigner:
    """Issues and checks signed URLs.

    :param clock: Unix seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(20)

    def sign(self, base_url: str, method: str, path: str, content_type: str, seconds: float) -> str:
        """A signed URL.

        :param base_url: scheme and authority, without a slash at the end.
        :param path: percent-encoded path, as it will be on the wire.
        :param content_type: the Content-Type the request must carry; empty for none.
        :param seconds: life of the URL; a negative one makes a URL that has expired already.
        """
        expires = int(self._clock() + seconds)
        signature = quote(self._signature(method, path, content_type, str(expires)), safe="")
        query = f"AWSAccessKeyId={_ACCESS_KEY_ID}&Expires={expires}&Signature={signature}"
        return f"{base_url}{path}?{query}"

    def check(self, method: str, path: str, query: str, content_type: str) -> None:
        """Check one request against the signature it carries.

        :param path: the path exactly as received.
        :raises S3Error: no signature, expired, or a signature for something else.
        """
        fields = parse_qs(query)
        expires, signature = fields.get("Expires", [""])[0], fields.get("Signature", [""])[0]
        if not (expires.isascii() and expires.isdigit() and signature):
            raise S3Error(403, "AccessDenied", "Access Denied")
        if self._clock() >= int(expires):
            raise S3Error(403, "AccessDenied", "Request has expired")
        expected = self._signature(method, path, content_type, expires)
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise S3Error(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.",
            )

    def _signature(self, method: str, path: str, content_type: str, expires: str) -> str:
        text = f"{method}\n\n{content_type}\n{expires}\n{path.removeprefix('/s3')}"
        return base64.b64encode(hmac.digest(self._secret, text.encode(), "sha1")).decode()


def upload_path(organisation_id: int, dataset_type: str, dataset_id: str, part: int) -> str:
    """Path of an input file: its organisation, zero-padded to 4, type, dataset and number."""
    return f"{PREFIX}reports/{organisation_id:04d}/{dataset_type}/{dataset_id}/infiles/{part}.ndjson"


def result_path(organisation_id: int, dataset_type: str, dataset_id: str, name: str) -> str:
    """Path of a result file, percent-encoded so that any name is one key."""
    # The dots of `.` and `..` are encoded, too. Otherwise the URL parser of a client would resolve these parts.
    encoded = "/".join(
        part.replace(".", "%2E") if part.strip(".") == "" else quote(part, safe="") for part in name.split("/")
    )
    return f"{PREFIX}reports/{organisation_id:04d}/{dataset_type}/{dataset_id}/outfiles/{encoded}"


def parse_key(path: str) -> tuple[str, str, str]:
    """Split the path of an object.

    :returns: dataset id, `infiles` or `outfiles`, and the rest of the key, decoded.
    :raises S3Error: no such key can exist.
    """
    parts = path.removeprefix(PREFIX).split("/", 5)
    if not path.startswith(PREFIX) or len(parts) != 6 or parts[4] not in ("infiles", "outfiles"):
        raise S3Error(404, "NoSuchKey", "The specified key does not exist.")
    return parts[3], parts[4], unquote(parts[5])
