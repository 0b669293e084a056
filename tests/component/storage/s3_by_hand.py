"""A server that answers like S3 and keeps each request, so that a test sees what a client sent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from tests.component.api.hand_made import CONTINUE, Behaviour, Exchange, HandMade, reply, xml

XML = {"Content-Type": "application/xml"}
# Headers that differ between two requests for the same thing, or between two HTTP clients.
PASSING = frozenset(
    {
        "accept", "accept-encoding", "amz-sdk-invocation-id", "amz-sdk-request", "connection", "content-length",
        "content-type", "date", "expect", "user-agent", "x-amz-content-sha256", "x-amz-date", "host",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sent:
    """What of a request is the same each time.

    :param signer: access key, region and service of the signature; "" = it is not signed.
    """

    method: str
    host: str
    target: str
    signer: str
    headers: tuple[tuple[str, str], ...]


def sent(exchange: Exchange) -> Sent:
    """One request in a form that can be compared."""
    authorization = exchange.headers.get("authorization", "")
    scope = re.search(r"Credential=([^/]+)/\d{8}/([^,]+)/aws4_request", authorization)
    headers = tuple(
        sorted(
            (name, value) for name, value in exchange.headers.items() if name not in PASSING and name != "authorization"
        )
    )
    path, _, query = exchange.target.partition("?")
    target = f"{path}?{'&'.join(sorted(part.rstrip('=') for part in query.split('&')))}".rstrip("?")
    return Sent(
        exchange.method, exchange.headers["host"], target, "/".join(scope.groups()) if scope else authorization, headers
    )


def kind(exchange: Exchange) -> str:
    """Which call of S3's API a request is."""
    query = parse_qs(urlsplit(exchange.target).query, keep_blank_values=True)
    match exchange.method:
        case "POST" if "uploads" in query:
            return "CreateMultipartUpload"
        case "POST" if "uploadId" in query:
            return "CompleteMultipartUpload"
        case "POST" if "delete" in query:
            return "DeleteObjects"
        case "PUT" if "partNumber" in query:
            return "UploadPart"
        case "PUT":
            return "PutObject"
        case "DELETE" if "uploadId" in query:
            return "AbortMultipartUpload"
        case "DELETE":
            return "DeleteObject"
        case "GET" if "uploads" in query:
            return "ListMultipartUploads"
        case "GET" if "list-type" in query:
            return "ListObjectsV2"
        case "GET":
            return "GetObject"
    return "HeadObject"


def s3_by_hand(
    refused: Sequence[str] = (), status: int = 501, code: str = "NotImplemented", *, remembers: bool = False
) -> Behaviour:
    """The behaviour of such a server.

    :param refused: calls that get `status` and `code`.
    :param remembers: whether it lists and gives back what was written to `bucket`.
    """
    kept: dict[str, bytes] = {}

    async def behaviour(asked: Exchange) -> None:
        if asked.headers.get("expect", "").lower() == "100-continue":
            await asked.give(CONTINUE)
        await asked.take()
        call, key = kind(asked), urlsplit(asked.target).path.removeprefix("/bucket/")
        if call in ("PutObject", "CompleteMultipartUpload") and call not in refused:
            kept[key] = asked.taken
        if call in refused:
            await asked.give(reply(status, xml(code), XML))
        elif remembers and call == "ListObjectsV2":
            await asked.give(reply(200, _listing(kept, asked.target), XML))
        elif call == "CreateMultipartUpload":
            body = b"<InitiateMultipartUploadResult><UploadId>upload</UploadId></InitiateMultipartUploadResult>"
            await asked.give(reply(200, body, XML))
        elif call == "CompleteMultipartUpload":
            body = b"<CompleteMultipartUploadResult><ETag>&quot;e-1&quot;</ETag></CompleteMultipartUploadResult>"
            await asked.give(reply(200, body, XML))
        elif call == "DeleteObjects":
            keys = re.findall(r"<Key>.*?</Key>", asked.taken.decode())
            gone = "".join(f"<Deleted>{each}</Deleted>" for each in keys)
            await asked.give(reply(200, f"<DeleteResult>{gone}</DeleteResult>".encode(), XML))
        elif call == "ListObjectsV2":
            await asked.give(reply(200, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>", XML))
        elif call == "ListMultipartUploads":
            await asked.give(reply(200, b"<ListMultipartUploadsResult></ListMultipartUploadsResult>", XML))
        elif asked.method == "DELETE":
            await asked.give(reply(204))
        else:
            given = {"ETag": '"e"', "Last-Modified": "Sat, 28 Nov 2026 12:00:00 GMT"}
            found = kept.get(key, b"") if remembers else b"content"
            await asked.give(reply(200, b"" if asked.method in ("PUT", "HEAD") else found, given))

    return behaviour


def _listing(kept: dict[str, bytes], target: str) -> bytes:
    prefix = parse_qs(urlsplit(target).query).get("prefix", [""])[0]
    contents = "".join(
        f"<Contents><Key>{key}</Key><Size>{len(body)}</Size><LastModified>2026-11-28T12:00:00.000Z</LastModified>"
        "<ETag>e</ETag></Contents>"
        for key, body in kept.items()
        if key.startswith(prefix)
    )
    return f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>".encode()


def calls(served: HandMade) -> list[str]:
    """The calls that a server got, in order."""
    return [kind(exchange) for exchange in served.asked]
