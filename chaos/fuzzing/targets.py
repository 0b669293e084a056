"""The readers under fuzzing, each as a function of one seed that raises when a promise is broken.

A refusal by one of the package's own errors is a good answer; any other exception, a text that gives a traceback
away, a result that is not what was promised, and a path that leaves its folder are not.
"""

from __future__ import annotations

import asyncio
import io
import json
import posixpath
import random
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, cast

from chaos.fuzzing.mutation import hostile_bytes, hostile_name, hostile_reply
from chaos.fuzzing.readings import check
from chaos.fuzzing.tables import check_table
from learnosity.api.client import LearnosityClient
from learnosity.api.config import ApiConfig, build_config
from learnosity.api.jobs import parse_job
from learnosity.api.replies import Reply, parse_reply
from learnosity.creation.upload import upload_urls
from learnosity.dataset.file_names import check_names, safe_path
from learnosity.dataset.layout import DatasetLayout
from learnosity.errors import InputError, LearnosityError, UnsafeNameError
from learnosity.inputs.records import schema_for
from learnosity.inputs.spool import InputFile, spool_input
from learnosity.inputs.upload_parts import plan_parts
from learnosity.landing.listing import ResultSet

_SCHEMAS = [
    schema_for("activity-summary-by-group", ["school"]),
    schema_for("sessions-summary-by-group", ["school", "class"]),
    schema_for("ibk-analysis-by-question"),
    schema_for("a-type-of-tomorrow"),
]
_GOOD_LINES = [
    b'{"user_id": "u1", "groups": {"school": "s1", "class": "c1"}}\n{"user_id": "u2", "groups": {"school": "s2"}}\n',
    b'{"user_id":"u1","groups":{"school":"s1","class":"c"},"session_id":["a","b"]}\r\n\r\n',
    b'{"session_id": "00000000-0000-4000-8000-000000000001"}\n{"session_id": "00000000-0000-4000-8000-000000000002"}',
    b'\xef\xbb\xbf{"user_id": "\xc3\xa9", "groups": {"school": "\xe6\xa0\xa1"}}\n' * 3,
    b"",
]
_CONFIG = build_config("fuzz", login="k" * 16, password="s" * 40, host="http://127.0.0.1:1")
_LAYOUT = DatasetLayout("activity-summary-by-group", "an-id")


class Broken(AssertionError):
    """A promise that was not kept, with the input that shows it."""


def read_lines(seed: int, loop: asyncio.AbstractEventLoop) -> None:
    """NDJSON reading and splitting: refused with file and line, or spooled as lines that are JSON objects."""
    del loop
    chance = random.Random(seed)
    content = hostile_bytes(chance, _GOOD_LINES)
    size = chance.choice((1, 3, 64, 1 << 16))
    source = InputFile("f.ndjson", lambda: (content[at : at + size] for at in range(0, len(content), size)))
    target = io.BytesIO()
    try:
        summary = spool_input([source], chance.choice(_SCHEMAS), target, max_bytes=1 << 20)
    except InputError as error:
        _is_plain(str(error), content)
        return
    lines = target.getvalue().splitlines()
    if len(lines) < summary.records or not all(isinstance(json.loads(line), dict) for line in lines):
        raise Broken(f"spooled something else than records: {content!r}")
    parts = plan_parts(target, summary.bytes, summary.records, target_part_bytes=chance.choice((1, 50, 10**6)))
    if sum(part.length for part in parts) != summary.bytes or any(part.length < 1 for part in parts):
        raise Broken(f"parts do not make up the whole: {content!r}")


def read_replies(seed: int, loop: asyncio.AbstractEventLoop) -> None:
    """API replies: an error of ours, or something that every reader of replies can go on with."""
    chance = random.Random(seed)
    status, body = hostile_reply(chance)
    try:
        reply = parse_reply(status, body)
    except LearnosityError as error:
        _is_plain(str(error), body)
        return

    def jobs() -> None:
        for record in reply.records():
            parse_job(record).mentions("an-id")

    _refused_or_done(jobs, body)
    for key in ("job_reference", "dataset_id"):
        reply.find(key)
    _refused_or_done(lambda: upload_urls(reply, 1), body)
    answers = [reply, *(_next_reply(chance) for _ in range(2))]
    client = cast(LearnosityClient, _Answers(answers))
    # A random reply may say that the dataset is not ready. Waiting for it would only make the test slow.
    results = ResultSet(client, _LAYOUT.dataset_type, _LAYOUT.dataset_id, ready_seconds=0.0)

    def listed() -> None:
        listing = loop.run_until_complete(results.list())
        for path in listing.names():
            stays_inside(path)
        check_names(listing.names(), local=True)

    _refused_or_done(listed, body)


def read_names(seed: int, loop: asyncio.AbstractEventLoop) -> None:
    """File names: refused, or a path that stays in its folder and is what it seems to be."""
    del loop
    chance = random.Random(seed)
    names = [hostile_name(chance) for _ in range(2)]
    kept = []
    for name in names:
        try:
            kept.append(safe_path(name))
        except UnsafeNameError as error:
            _is_plain(str(error), name.encode(errors="replace"))
            continue
        if kept[-1] != name:
            raise Broken(f"repaired in silence: {name!r}")
        stays_inside(name)
    _refused_or_done(lambda: check_names(kept, local=chance.random() < 0.5), repr(names).encode())


def read_shapes(seed: int, loop: asyncio.AbstractEventLoop) -> None:
    """Replies of any shape that list files, groups or rows: all of it is read, or nothing."""
    del loop
    check(seed)


def read_tables(seed: int, loop: asyncio.AbstractEventLoop) -> None:
    """Tables in any dialect: the same upload as lines of JSON, or a problem with a name."""
    del loop
    check_table(seed)


TARGETS: Mapping[str, Callable[[int, asyncio.AbstractEventLoop], None]] = {
    "NDJSON input": read_lines,
    "tables": read_tables,
    "API replies": read_replies,
    "file names": read_names,
    "reply shapes": read_shapes,
}


class _Answers:
    """A client that answers with given replies, and then says that there is no more."""

    config: ApiConfig = _CONFIG

    def __init__(self, replies: list[Reply]) -> None:
        self._replies = replies

    async def dataset(self, *args: Any) -> Reply:
        del args
        return self._replies.pop(0) if self._replies else Reply({"status": True}, {})


def _next_reply(chance: random.Random) -> Reply:
    try:
        return parse_reply(*hostile_reply(chance))
    except LearnosityError:
        return Reply({"status": True}, [])


def _refused_or_done(call: Callable[[], object], shown: bytes) -> None:
    try:
        call()
    except LearnosityError as error:
        _is_plain(str(error), shown)


def _is_plain(message: str, shown: bytes) -> None:
    if not message or "Traceback" in message or "object at 0x" in message or len(message) > 6000:
        raise Broken(f"an error that helps nobody: {message[:200]!r} for {shown[:500]!r}")
    if "Signature=" in message or "user:pw@" in message:
        raise Broken(f"an error that gives a signature away: {message[:200]!r}")


def stays_inside(path: str) -> None:
    """Raise `Broken` when a path that was let through leaves the data folder, or reads as another."""
    whole = _LAYOUT.data(path)
    folder = f"{_LAYOUT.data_prefix}/"
    hidden = any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in "\u202e\u2066" for char in path)
    if posixpath.normpath(whole) != whole or not whole.startswith(folder) or hidden or "\\" in path:
        raise Broken(f"a path that leaves its folder or hides: {path!r}")
