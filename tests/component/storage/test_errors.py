"""What an object store answers, as an error of each operation: the right kind, one clear text, no endless retries."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from obstore.store import AzureStore, GCSStore, S3Store

from devstack.certificate import make_certificate
from devstack.ports import LOOPBACK
from learnosity.errors import LearnosityError, StorageError, TransientStorageError
from learnosity.storage.errors import storage_error
from learnosity.storage.multipart import MIN_PART_BYTES
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.store import ObjectInfo
from learnosity.store_options import RETRY
from tests.component.api.hand_made import Exchange, HandMade, hand_made, reply, xml
from tests.storage_answers import KNOWN, UNKNOWN, Case

KEY, SECRET = "AKIAKEYOFSOMEBODY000", "secret-of-the-key"
URI = "s3://bucket/prefix"
BOUND_SECONDS = 60.0
# As many retries as the product has, without its waits.
IMPATIENT: Any = {
    **RETRY,
    "backoff": {"base": 2.0, "init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(milliseconds=2)},
}
MAX_REQUESTS = 1 + RETRY["max_retries"]

Operation = Callable[[ObstoreStore], Awaitable[object]]


async def _stream(size: int) -> AsyncIterator[bytes]:
    for start in range(0, size, MIN_PART_BYTES):
        yield bytes(min(MIN_PART_BYTES, size - start))


async def _list(store: ObstoreStore) -> None:
    async for _ in store.list("folder"):
        pass


OPERATIONS: dict[str, Operation] = {
    "put": lambda store: store.put("file.json", b"content", "application/json", "gzip"),
    "put_stream": lambda store: store.put_stream("file.json", _stream(10), 10),
    "put_stream in parts": lambda store: store.put_stream("file.json", _stream(2 * MIN_PART_BYTES), 2 * MIN_PART_BYTES),
    "replace": lambda store: store.replace("file.json", b"content", None),
    "get": lambda store: store.get("file.json"),
    "read": lambda store: asyncio.to_thread(lambda: list(store.read("file.json"))),
    "head": lambda store: store.head("file.json"),
    "list": _list,
    "delete one": lambda store: store.delete(["file.json"]),
    "delete many": lambda store: store.delete(["a.json", "b.json"]),
}


def s3(url: str, **options: Any) -> ObstoreStore:
    """A store at a server."""
    settings: dict[str, Any] = {"client_options": {"allow_http": True}, "retry_config": IMPATIENT} | options
    store = S3Store(
        "bucket", prefix="prefix", endpoint=url, region="us-east-1", access_key_id=KEY, secret_access_key=SECRET,
        **settings,
    )  # fmt: skip
    return ObstoreStore(store, URI)


def answering(case: Case, body: bytes | None = None) -> Callable[[Exchange], Awaitable[None]]:
    """Gives the same answer to everything."""
    content = (
        body if body is not None else xml(case.code, "See https://help.example/?token=hidden") if case.code else b""
    )

    async def behaviour(asked: Exchange) -> None:
        await asked.take()
        whole = reply(case.status, content, {"Content-Type": "application/xml"})
        await asked.give(whole[: len(whole) - len(content)] if asked.method == "HEAD" else whole)

    return behaviour


async def outcome(operation: Operation, store: ObstoreStore) -> object:
    """What comes of it: a value or an error, in bounded time."""
    async with asyncio.timeout(BOUND_SECONDS):
        try:
            return await operation(store)
        except LearnosityError as error:
            return error


def check_text(error: LearnosityError) -> None:
    """It is one line for people, and tells nothing that is secret or for machines."""
    text = str(error)
    assert text.startswith("Could not ")
    assert URI in text
    assert not re.search(r"[<>\n]|hidden|of-somebody|X-Amz|Signature=", text.replace("SignatureDoesNotMatch", "")), text
    assert KEY not in text
    assert SECRET not in text


def says_changed(case: Case, *, creates: bool) -> bool:
    """Whether a store answers a conditional write so when the object has been changed: nothing was written."""
    if case.status == 404:
        return not creates and case.code not in ("NoSuchBucket", "ContainerNotFound", "NoSuchUpload")
    # With an unknown code, the status decides alone, and 409 and 412 mean that the object has been changed.
    return case.status in (409, 412) and (case.changed or case in UNKNOWN)


CASES = [pytest.param(name, case, id=f"{name}-{case}") for name in OPERATIONS for case in KNOWN + UNKNOWN]


@pytest.mark.parametrize(("name", "case"), CASES)
@pytest.mark.promise("advice")
@pytest.mark.promise("no secret")
async def test_every_answer_to_every_operation_is_the_right_error(name: str, case: Case) -> None:
    async with hand_made(answering(case)) as served:
        found = await outcome(OPERATIONS[name], s3(served.url))
    # In two cases, the error code is not known. The reply to a HEAD has no body, so its status alone decides, and 400
    # and 409 are transient. And obstore does not say which code a redirect (307) has, so it is never transient here.
    transient = (case.store == "passes" and case.status != 307) or (name == "head" and case.status in (400, 409))
    transient = transient or (name == "head" and case.status >= 500 and case.status != 501)
    if case.status == 404:
        _check_missing(name, case, found)
    elif name == "replace" and says_changed(case, creates=True):
        assert found is False
    else:
        assert type(found) is (TransientStorageError if transient else StorageError), found
        check_text(found)
        if case.status in (301, 307):
            assert "region_name" in str(found)
        elif name != "head":
            assert case.says in str(found)
            assert case.code in str(found)
    # A conditional write that the server does not know is followed by a plain one.
    attempts = 2 if name == "replace" and case.status == 501 else 1
    assert 1 <= len(served.asked) <= attempts * MAX_REQUESTS
    if case.status < 429 and case.status not in (404, 408):
        assert len(served.asked) <= len({asked.target for asked in served.asked}), "nothing is sent again"


# What a store answers to a conditional write, and to nothing else.
CONDITIONS = [
    Case(412, "PreconditionFailed", "passes", "passes", changed=True),
    Case(412, "ConditionNotMet", "passes", "passes", changed=True),
    Case(412, "TargetConditionNotMet", "passes", "passes", changed=True),
    Case(409, "BlobAlreadyExists", "passes", "passes", changed=True),
    Case(409, "FileAlreadyExists", "passes", "passes", changed=True),
    Case(409, "ConcurrentModification", "passes", "passes", changed=True),  # the code of Ceph
]
SEEN = ObjectInfo("file.json", 1, '"e"', 1.0, "1")


@pytest.mark.parametrize(
    "case", [*CONDITIONS, *(case for case in KNOWN + UNKNOWN if case.status in (404, 409, 412))], ids=str
)
@pytest.mark.parametrize("seen", [None, SEEN], ids=["new", "seen"])
@pytest.mark.parametrize("cloud", ["s3", "gcs", "azure"])
async def test_a_conditional_write_is_lost_to_another_only_where_the_store_says_so(
    cloud: str, seen: ObjectInfo | None, case: Case
) -> None:
    clouds: dict[str, Callable[[HandMade], ObstoreStore]] = {"s3": lambda at: s3(at.url), "gcs": gcs, "azure": azure}
    async with hand_made(answering(case)) as served:
        found = await outcome(lambda store: store.replace("file.json", b"content", seen), clouds[cloud](served))
    if says_changed(case, creates=seen is None):
        assert found is False
    else:
        assert type(found) is (TransientStorageError if case.store == "passes" else StorageError)
        check_text(found)
        assert case.status == 404 or case.says in str(found)


def _check_missing(name: str, case: Case, found: object) -> None:
    """What is not there is no error where that was the question; a bucket that is not there is one."""
    if case.code in ("NoSuchBucket", "ContainerNotFound") and name != "head":
        assert type(found) is StorageError
        assert "bucket or folder does not exist" in str(found)
    elif case.code == "NoSuchUpload" and name != "head":
        assert type(found) is TransientStorageError
    elif name in ("get", "head", "delete one", "delete many"):
        assert found is None
    else:
        assert type(found) is StorageError
    if isinstance(found, LearnosityError):
        assert URI in str(found)


@pytest.mark.parametrize("case", [case for case in KNOWN if case.status == 400], ids=str)
async def test_no_400_is_sent_again_with_the_retries_of_the_product(case: Case) -> None:
    async with hand_made(answering(case)) as served:
        await outcome(OPERATIONS["put"], s3(served.url, retry_config=RETRY))
    assert len(served.asked) == 1


async def test_a_store_that_is_busy_is_asked_again_some_times_and_not_for_minutes() -> None:
    async with hand_made(answering(Case(503, "SlowDown", "passes", "passes"))) as served:
        found = await outcome(OPERATIONS["put"], s3(served.url, retry_config=RETRY))
    assert isinstance(found, TransientStorageError)
    assert len(served.asked) == MAX_REQUESTS


class Parts:
    """An S3 server that takes an object in parts, except for one request.

    :param refused: which one: `part`, `complete` or `abort`.
    :param answer: what it answers to that.
    """

    def __init__(self, refused: str, answer: bytes) -> None:
        self.refused = refused
        self.answer = answer
        self.steps: list[str] = []
        self.given_up = asyncio.Event()

    async def serve(self, asked: Exchange) -> None:
        await asked.take()
        query = asked.target.partition("?")[2]
        step = {"POST": "complete", "PUT": "part", "DELETE": "abort"}[asked.method]
        if asked.method == "POST" and query.startswith("uploads"):
            step = "begin"
        self.steps.append(step)
        if step == self.refused:
            await asked.give(self.answer)
        elif step == "begin":
            await asked.give(
                reply(200, b"<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>")
            )
        elif step == "part":
            await asked.give(reply(200, headers={"ETag": '"part"'}))
        elif step == "complete":
            done = b"<CompleteMultipartUploadResult><ETag>whole</ETag></CompleteMultipartUploadResult>"
            await asked.give(reply(200, done))
        else:
            await asked.give(reply(204))
            self.given_up.set()


@pytest.mark.parametrize(
    ("refused", "answer", "kind", "says"),
    [
        ("part", reply(400, xml("RequestTimeout")), TransientStorageError, "RequestTimeout"),
        ("part", reply(400, xml("ExpiredToken")), TransientStorageError, "run out"),
        ("part", reply(403, xml("QuotaExceeded")), StorageError, "no room"),
        ("part", reply(404, xml("NoSuchUpload")), TransientStorageError, "another run has landed"),
        ("complete", reply(400, xml("KMS.DisabledException")), StorageError, "KMS"),
        ("complete", reply(404, xml("NoSuchUpload")), TransientStorageError, "another run has landed"),
        ("complete", reply(200, xml("InternalError")), TransientStorageError, "InternalError"),
        ("complete", reply(200, xml("SlowDown")), TransientStorageError, "SlowDown"),
    ],
)
async def test_a_write_in_parts_that_is_refused_midway_is_the_right_error(
    refused: str, answer: bytes, kind: type[LearnosityError], says: str
) -> None:
    parts = Parts(refused, answer)
    async with hand_made(parts.serve) as served:
        found = await outcome(OPERATIONS["put_stream in parts"], s3(served.url))
    assert type(found) is kind, found
    check_text(found)
    assert says in str(found)
    assert parts.steps[0] == "begin"


async def test_a_write_in_parts_that_broke_is_given_up_at_the_store() -> None:
    parts = Parts("part", reply(400, xml("RequestTimeout")))
    async with hand_made(parts.serve) as served:
        await outcome(OPERATIONS["put_stream in parts"], s3(served.url))
        await asyncio.wait_for(parts.given_up.wait(), BOUND_SECONDS)


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("AccessDenied", StorageError, "no permission"),
        ("InternalError", TransientStorageError, "InternalError"),
        ("SlowDown", TransientStorageError, "asks for less"),
    ],
)
async def test_one_object_of_many_that_cannot_be_deleted_is_an_error(
    code: str, kind: type[LearnosityError], says: str
) -> None:
    body = (
        "<DeleteResult><Deleted><Key>prefix/a.json</Key></Deleted>"
        f"<Error><Key>prefix/b.json</Key><Code>{code}</Code><Message>It is so.</Message></Error></DeleteResult>"
    ).encode()
    async with hand_made(answering(Case(200, code, "passes", "passes"), body)) as served:
        found = await outcome(OPERATIONS["delete many"], s3(served.url))
    assert type(found) is kind, found
    check_text(found)
    assert says in str(found)


@pytest.mark.parametrize("body", [xml("NotImplemented"), b""], ids=["with a code", "without a code"])
@pytest.mark.parametrize(
    "expected", [None, ObjectInfo("file.json", 1, '"old"', None), ObjectInfo("file.json", 1, None, None)], ids=repr
)
async def test_a_store_without_conditional_writes_is_written_to_all_the_same(
    body: bytes, expected: ObjectInfo | None, caplog: pytest.LogCaptureFixture
) -> None:
    written: list[bytes] = []

    async def without_conditions(asked: Exchange) -> None:
        content = await asked.take()
        if asked.headers.keys() & {"if-match", "if-none-match"}:
            await asked.give(reply(501, body, {"Content-Type": "application/xml"}))
        else:
            written.append(content)
            await asked.give(reply(200, headers={"ETag": '"new"'}))

    async with hand_made(without_conditions) as served:
        assert await s3(served.url).replace("file.json", b"content", expected)
    assert written == [b"content"]
    assert "has no conditional writes" in caplog.text


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_page_of_a_proxy_is_judged_by_its_status(name: str) -> None:
    page = b"<html><body>Bad gateway of somebody</body></html>"
    async with hand_made(answering(Case(502, "", "passes", "passes"), page)) as served:
        found = await outcome(OPERATIONS[name], s3(served.url))
    assert type(found) is TransientStorageError
    check_text(found)


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """A server certificate that nobody trusts."""
    files = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context


@pytest.mark.parametrize("name", OPERATIONS)
async def test_an_unknown_authority_is_for_a_person_to_mend(name: str, tls: ssl.SSLContext) -> None:
    async with hand_made(answering(Case(200, "", "passes", "passes")), tls=tls) as served:
        found = await outcome(OPERATIONS[name], s3(served.url))
        assert not served.asked
    assert type(found) is StorageError
    check_text(found)
    assert "`verify`" in str(found)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_host_that_does_not_exist_is_for_a_person_to_mend(name: str) -> None:
    # Some machines need long to find out that a host does not exist. So the time limit to connect is long.
    options: Any = {"allow_http": True, "connect_timeout": timedelta(seconds=BOUND_SECONDS)}
    found = await outcome(OPERATIONS[name], s3("http://no-such-host.invalid", client_options=options))
    assert isinstance(found, StorageError | TransientStorageError)
    check_text(found)
    # A machine without any name server cannot tell a host that does not exist from one that cannot be looked up.
    assert "no such host" in str(found) or "could not be looked up" in str(found)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_port_on_which_nothing_listens_passes(name: str, closed_port: int) -> None:
    found = await outcome(OPERATIONS[name], s3(f"http://{LOOPBACK}:{closed_port}"))
    assert type(found) is TransientStorageError
    check_text(found)
    assert "no server listens" in str(found)


def _tunnel(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()


NO_REPLIES = {
    "a proxy that wants a login": ("proxy", _tunnel("407 Proxy Authentication Required"), "wants a login", False),
    "a proxy that refuses": ("proxy", _tunnel("403 Forbidden"), "the proxy does not connect", True),
    "a proxy that cannot reach it": ("proxy", _tunnel("502 Bad Gateway"), "the proxy does not connect", True),
    "plain HTTP where TLS is asked for": ("https", _tunnel("400 Bad Request"), "speaks no TLS there.*http://", False),
    "a TLS version that it does not speak": ("https", b"\x15\x03\x01\x00\x02\x02\x46", "speaks no TLS there", False),
    "TLS where plain HTTP is asked for": ("http", b"\x15\x03\x01\x00\x02\x02\x32", "no plain HTTP.*https://", False),
    "a redirect of a write": ("http", _tunnel("302 Found\r\nLocation: /login"), "another address.*endpoint", False),
    "a redirect for now": ("http", _tunnel("307 Temporary Redirect\r\nLocation: /x"), "another address for now", True),
}


@pytest.mark.parametrize(("how", "said", "says", "transient"), NO_REPLIES.values(), ids=NO_REPLIES)
@pytest.mark.promise("advice")
async def test_what_is_no_reply_of_a_store_says_what_to_change(
    how: str, said: bytes, says: str, transient: bool
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, LOOPBACK)
    async with server:
        address = f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
        if how == "proxy":
            store = s3("https://s3.example", client_options={"proxy_url": f"http://{address}"})
        else:
            store = s3(f"{how}://{address}")
        found = await outcome(OPERATIONS["put"], store)
    assert type(found) is (TransientStorageError if transient else StorageError), found
    check_text(found)
    assert re.search(says, str(found)), found


@pytest.mark.parametrize(
    ("why", "says"), [("Expired", "not valid today.*renewed"), ("NotValidYet", "not valid today"), ("Other", "trusted")]
)
def test_a_certificate_that_has_run_out_is_not_called_unknown(why: str, says: str) -> None:
    error = OSError(f"Generic S3 error\n\n  error: InvalidCertificate(\n      {why},\n  )")
    assert re.search(says, str(storage_error("write", URI, error)))


@pytest.mark.parametrize("endpoint", ["minio.example:9000", "minio.example", "127.0.0.1:9000"])
async def test_an_endpoint_without_a_scheme_is_for_a_person_to_mend(endpoint: str) -> None:
    found = await outcome(OPERATIONS["put"], s3(endpoint))
    assert type(found) is StorageError
    assert "http://" in str(found)


async def test_a_store_that_never_answers_is_given_up() -> None:
    async def never(asked: Exchange) -> None:
        await asyncio.Event().wait()

    options: Any = {"allow_http": True, "timeout": timedelta(seconds=0.4)}
    async with hand_made(never) as served:
        for operation in OPERATIONS.values():
            found = await outcome(operation, s3(served.url, client_options=options, retry_config={"max_retries": 1}))
            assert type(found) is TransientStorageError
            check_text(found)


GCS_KEY = '{"gcs_base_url": "%s", "disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": ""}'


def gcs(served: HandMade) -> ObstoreStore:
    """A bucket at Google."""
    options: Any = {"client_options": {"allow_http": True}, "retry_config": IMPATIENT}
    key = GCS_KEY.replace("%s", served.url)
    return ObstoreStore(GCSStore("bucket", prefix="prefix", service_account_key=key, **options), URI)


def azure(served: HandMade) -> ObstoreStore:
    """A container at Azure."""
    options: Any = {"client_options": {"allow_http": True}, "retry_config": IMPATIENT}
    store = AzureStore(
        "bucket", prefix="prefix", account_name="account", account_key="a2V5", endpoint=served.url, **options
    )
    return ObstoreStore(store, URI)


@pytest.mark.parametrize("store", [gcs, azure])
@pytest.mark.parametrize("name", ["put", "get", "list"])
@pytest.mark.parametrize(
    "case",
    [
        case
        for case in KNOWN
        if case.code
        in (
            "ExpiredToken",
            "AccessDenied",
            "UserProjectMissing",
            "RequestTimeout",
            "InternalError",
            "ServerBusy",
            "AuthenticationFailed",
            "AuthorizationPermissionMismatch",
            "AccountIsDisabled",
            "ContainerNotFound",
            "NoSuchBucket",
        )
    ],
    ids=str,
)
async def test_google_and_azure_are_judged_by_the_same_table(
    store: Callable[[HandMade], ObstoreStore], name: str, case: Case
) -> None:
    async with hand_made(answering(case)) as served:
        found = await outcome(OPERATIONS[name], store(served))
    assert type(found) is (TransientStorageError if case.store == "passes" else StorageError), found
    check_text(found)
    assert case.says in str(found)
