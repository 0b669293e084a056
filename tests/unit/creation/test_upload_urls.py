"""Each part of the input has an object of its own: what URLs have to tell apart, and what they may share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import pytest

from learnosity.api.replies import Reply
from learnosity.creation.upload import upload_urls
from learnosity.errors import UnexpectedReplyError

S3 = "https://bucket.s3.amazonaws.com/infiles/{}.ndjson?AWSAccessKeyId=AKIA&Signature={}&Expires={}"
APART = [
    pytest.param([S3.format(part, "abc", 1) for part in range(2)], id="S3"),
    pytest.param(
        [f"https://bucket.example/0.ndjson?X-Amz-Signature=a&partNumber={part}&uploadId=u" for part in (1, 2)],
        id="parts of one upload to S3",
    ),
    pytest.param([f"https://up.example/put?part={part}&token=t" for part in range(2)], id="number in the query"),
    pytest.param([f"https://up.example/put?token={part * 20}" for part in "ab"], id="a token that says which part"),
    pytest.param([f"https://{host}.example/0?Signature=a" for host in "ab"], id="two hosts"),
    pytest.param([f"https://up.example:{port}/0" for port in (443, 8443)], id="two ports"),
    pytest.param([f"https://[{part}" for part in "ab"], id="no URLs, which are refused later"),
    pytest.param(["https://up.example/a", "https://up.example/A"], id="case of the path"),
    *(
        pytest.param([f"https://up.example/0?X-Amz-Signature=a&{name}={part}" for part in range(2)], id=name)
        for name in ("x-amz-meta-part", "x-goog-meta-part", "X-Amz-Copy-Source", "x-goog-generation", "x-amz-tagging")
    ),
    *(
        pytest.param(
            [f"https://up.example/put?{name}={part}&signature=x" for part in range(2)], id=f"{name} without sig"
        )
        for name in ("se", "sr", "sp", "sv", "st", "spr", "sip", "ske", "skt", "sks", "skv", "skoid", "sktid")
    ),
]
TOGETHER = [
    pytest.param([S3.format(0, "abc", 1), S3.format(0, "abc", 1)], id="the same text"),
    pytest.param([S3.format(0, "abc", 1), S3.format(0, "def", 2)], id="two signatures of S3"),
    pytest.param(
        [f"https://bucket.example/0?X-Amz-Date={n}&X-Amz-Signature={n}&x-amz-security-token={n}" for n in range(2)],
        id="two signatures of S3, version 4",
    ),
    pytest.param(
        [f"https://storage.googleapis.com/b/0?X-Goog-Signature={n}&X-Goog-Date={n}" for n in range(2)], id="Google"
    ),
    pytest.param(
        [f"https://a.blob.core.windows.net/c/0?sv=2024&sr=b&se={n}&sp=w&sig={n}&skoid={n}" for n in range(2)],
        id="Azure",
    ),
    *(
        pytest.param([f"https://up.example/0?X-{cloud}-{name}={n}" for n in range(2)], id=f"{cloud}-{name}")
        for cloud in ("Amz", "Goog")
        for name in (
            "Algorithm",
            "Credential",
            "Date",
            "Expires",
            "SignedHeaders",
            "Signature",
            "Security-Token",
            "Content-SHA256",
        )
    ),
    *(
        pytest.param([f"https://a.example/0?{name}={n}&sig=x" for n in range(2)], id=f"{name} beside sig")
        for name in ("se", "sr", "sp", "sv", "st", "spr", "sip", "ske", "skt", "sks", "skv", "skoid", "sktid")
    ),
    pytest.param(["https://up.example/a%2Db?part=1", "https://UP.example:443/a-b?part=1#x"], id="another spelling"),
    pytest.param(["https://up.example/a?x=1&part=1", "https://up.example/a?part=1&x=1"], id="order of parameters"),
]


def reply(urls: Sequence[str], objects: bool) -> Reply:
    return Reply({}, {"input_files": [{"url": url} for url in urls] if objects else list(urls)})


@pytest.mark.parametrize("objects", [False, True], ids=["texts", "objects"])
@pytest.mark.parametrize("urls", APART)
def test_urls_of_two_objects_are_taken_as_they_are(urls: list[str], objects: bool) -> None:
    for order in permutations(urls):
        assert upload_urls(reply(order, objects), len(urls)) == list(order)


@pytest.mark.parametrize("objects", [False, True], ids=["texts", "objects"])
@pytest.mark.parametrize("urls", TOGETHER)
def test_urls_of_one_object_are_refused_without_being_named(urls: list[str], objects: bool) -> None:
    more = "https://up.example/of-its-own"
    for order in permutations([*urls, more]):
        with pytest.raises(UnexpectedReplyError, match=r"3 upload URLs that lead to 2 object\(s\)") as caught:
            upload_urls(reply(order, objects), 3)
        assert "example" not in str(caught.value)
