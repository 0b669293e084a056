"""An API whose dataset is listed in pages, made as they are asked for.

`python -m benchmarks.pages PORT FILES URL NAMES` serves it until it is stopped. Every file is the one at URL. NAMES is
how the files are called: `users`, or `groups` for those of a report by district, school and class. Calls are counted:
`GET /count`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from aiohttp import web

from benchmarks.source import SAME_BYTES, SIGNATURE, Source
from devstack import http
from devstack.environment import inherited_environment
from devstack.ports import LOOPBACK, free_ports
from devstack.processes import ManagedProcess

PAGE_FILES = 1000
SCHOOLS = 100  # number of schools in a district
CLASSES = 500  # number of classes in a school
SCHOOL_FILES = 1 + 2 * CLASSES


def user_file(number: int) -> str:
    """The name of a file of one user."""
    return f"users/{number // 10_000:02d}/user-{number:07d}.json"


def group_file(number: int) -> str:
    """The name of a file of one group: each group before the groups in it, and two files for each class."""
    if number == 0:
        return "groups/group.json"
    district, rest = divmod(number - 1, 1 + SCHOOLS * SCHOOL_FILES)
    folder = f"groups/district_{district}"
    if rest == 0:
        return f"{folder}/group.json"
    school, rest = divmod(rest - 1, SCHOOL_FILES)
    folder = f"{folder}/school_{school}"
    if rest == 0:
        return f"{folder}/group.json"
    form, is_table = divmod(rest - 1, 2)
    return f"{folder}/class_{form}/group.{'csv' if is_table else 'json'}"


NAMES = {"users": user_file, "groups": group_file}
READY_SECONDS = 20.0


@contextmanager
def paged_api(source: Source, files: int, names: str) -> Iterator[str]:
    """Start such an API in a process of its own. Yields its URL.

    :param source: what serves the files
    :param names: a key of `NAMES`
    """
    (port,) = free_ports(1)
    url = f"http://{LOOPBACK}:{port}"
    process = ManagedProcess.start(
        "pages",
        [sys.executable, "-m", "benchmarks.pages", str(port), str(files), f"{source.url}/same", names],
        log=source.root / "pages.log",
        env=inherited_environment(),
        cwd=Path(__file__).parents[1],
    )
    try:
        process.wait_until_ready(lambda: http.answers_ok(f"{url}/count"), timeout=READY_SECONDS)
        yield url
    finally:
        process.stop()


def calls_of(api: str) -> int:
    """How many listings such an API has answered."""
    return int(http.call("GET", f"{api}/count").body)


def main() -> None:
    """Serve until it is stopped."""
    port, files, url, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], NAMES[sys.argv[4]]
    calls = 0

    async def listing(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        form = await request.post()
        begin = int(msgspec.json.decode(str(form["request"])).get("next") or 0)
        end = min(begin + PAGE_FILES, files)
        entries = [
            {"name": each, "url": f"{url}/{each}{SIGNATURE}", "bytes": SAME_BYTES}
            for each in map(name, range(begin, end))
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
