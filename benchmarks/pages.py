"""An API whose dataset is listed in pages, made as they are asked for: `python -m benchmarks.pages PORT FILES URL`.

Every file is the one at URL. It counts its calls: `GET /count`.
"""

from __future__ import annotations

import sys

import msgspec
from aiohttp import web

from benchmarks.source import SAME_BYTES, SIGNATURE
from devstack.ports import LOOPBACK

PAGE_FILES = 1000


def main() -> None:
    """Serve until it is stopped."""
    port, files, url = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    calls = 0

    async def listing(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        form = await request.post()
        begin = int(msgspec.json.decode(str(form["request"])).get("next") or 0)
        end = min(begin + PAGE_FILES, files)
        entries = [
            {"name": name, "url": f"{url}/{name}{SIGNATURE}", "bytes": SAME_BYTES}
            for name in (f"users/{number // 10_000:02d}/user-{number:07d}.json" for number in range(begin, end))
        ]
        meta: dict[str, object] = {"status": True, "timestamp": 1767225600, "records": len(entries)}
        meta |= {"next": str(end)} if end < files else {}
        return web.Response(
            body=msgspec.json.encode({"meta": meta, "data": {"files": entries}}), content_type="application/json"
        )

    async def count(request: web.Request) -> web.Response:
        del request
        return web.json_response(calls)

    app = web.Application()
    app.add_routes([web.post("/{version}/reports/datasets", listing), web.get("/count", count)])
    web.run_app(app, host=LOOPBACK, port=port, print=lambda text: None, access_log=None)


if __name__ == "__main__":
    main()
