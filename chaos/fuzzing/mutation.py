"""Hostile bytes and values from a seed: grown from good ones by small damage, because pure noise gets nowhere.

Hypothesis does not replace it: in one run it made 230 such inputs per second, and this module made 15,800.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

_TOKENS = (
    b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"\r\n", b"\n\n", b"\x1f\x8b", b"\x1f\x8b\x08\x00",
    b"NaN", b"Infinity", b"-0", b"1e999", b"9" * 400, b"{", b"}", b"[", b"]", b'"', b"\\", b"\\ud800", b"\\u0000",
    b"[" * 3000, b'{"a":' * 1500, b'"user_id":', b'"user_id":null,', b'{"user_id":"u"}', b"true", b",", b":", b"../",
    "\u2028\u202e".encode(), b" " * 70,
)  # fmt: skip
_WORDS = (
    "meta", "status", "code", "message", "data", "job_reference", "dataset_id", "input_files", "files", "url", "href",
    "name", "path", "bytes", "size", "content_type", "group_path", "groups", "group_name", "reference", "error", "next",
    "request_uuid", "",
)  # fmt: skip
_TEXTS = (
    "", "a", "completed", "halted", "data.json", "../x.json", "/etc/passwd", "C:\\x", "x\x00y", "\u202egnp.json",
    "a" * 5000, "http://[", "http://[::1", "https://h:99999999/x", "https://h/x.json?Signature=s", "http://127.0.0.1/x",
    "https://169.254.169.254/latest", "https://user:pw@h/x.json", "https://\ud800/x", "https://h/%00%2e%2e%2fx",
    "https://h/" + "y" * 900, "20011", "1e400", "\ud800", "é" * 300, "groups", "https://h/a-dataset/../../x",
)  # fmt: skip
_SCALARS = (None, True, False, 0, -1, 2**63, 2**200, 1.5, -0.0, 1e300)
_SEGMENTS = (
    "a", "data", "..", ".", "", " ", "con", "x.json", "%2e%2e", "é", "e\u0301", "\u202e", "\x00", "\x1f", "\n", "\\",
    ":", "~", "#1", "a#1", "-rf", "\ud800", "z" * 260, "manifest.json", "_landing",
    "\uff0e\uff0e", "\u2024\u2024", "\ufeff",
)  # fmt: skip


def hostile_bytes(chance: random.Random, good: Sequence[bytes]) -> bytes:
    """A good sample with a few injuries, now and then packed, and then injured again."""
    content = bytearray(chance.choice(good))
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        chance.choice(_INJURIES)(chance, content)
    if chance.random() < 0.08:
        content = bytearray(gzip.compress(bytes(content), 1))
        for _ in range(chance.choice((0, 0, 1, 2))):
            chance.choice(_INJURIES)(chance, content)
    return bytes(content)


def hostile_json(chance: random.Random, depth: int = 0) -> Any:
    """Any JSON value; keys and texts lean to those that mean something."""
    kind = chance.random()
    if depth > 5 or kind < 0.35:
        return chance.choice(_SCALARS) if chance.random() < 0.35 else chance.choice(_TEXTS)
    if kind < 0.55:
        return [hostile_json(chance, depth + 1) for _ in range(chance.choice((0, 1, 1, 2, 3)))]
    count = chance.choice((0, 1, 2, 3, 5))
    return {chance.choice(_WORDS + _TEXTS[:8]): hostile_json(chance, depth + 1) for _ in range(count)}


def hostile_reply(chance: random.Random) -> tuple[int, bytes]:
    """An HTTP status and a body: an envelope as it should be, with anything inside; or damaged; or anything."""
    status = chance.choice((200, 200, 200, 200, 301, 400, 403, 404, 409, 410, 429, 500, 502, 0, 999))
    meta: Any = {"status": True, "records": 1}
    if chance.random() < 0.25:
        meta = {
            "status": chance.choice((False, "true", 1, None)),
            "code": chance.choice((20011, "41003", None, 1e9, [])),
        }
    if chance.random() < 0.15:
        meta |= {"next": hostile_json(chance, 4), "message": hostile_json(chance, 4)}
    document: Any = {"meta": meta, "data": hostile_json(chance)}
    if chance.random() < 0.1:
        document = hostile_json(chance)
    # `json.dumps` writes a lone surrogate as an escape, such as `\ud800`. This is legal JSON text, so a server may send
    # it.
    body = bytearray(json.dumps(document).encode())
    if chance.random() < 0.3:
        chance.choice(_INJURIES)(chance, body)
    return status, bytes(body)


def hostile_name(chance: random.Random) -> str:
    """A path of a few segments, good and bad ones, joined as paths are."""
    parts = [chance.choice(_SEGMENTS) for _ in range(chance.choice((1, 1, 2, 3, 6)))]
    name = chance.choice(("/", "/", "/", "\\", "//")).join(parts)
    if chance.random() < 0.3:
        at = chance.randint(0, len(name))
        name = name[:at] + chr(chance.choice((chance.randrange(0x20, 0x7F), chance.randrange(0x110000)))) + name[at:]
    return name


def _flip(chance: random.Random, content: bytearray) -> None:
    if content:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def _insert(chance: random.Random, content: bytearray) -> None:
    at = chance.randint(0, len(content))
    content[at:at] = chance.choice(_TOKENS)


def _remove(chance: random.Random, content: bytearray) -> None:
    start = chance.randint(0, len(content))
    del content[start : start + chance.choice((1, 1, 2, 8, 64))]


def _cut(chance: random.Random, content: bytearray) -> None:
    del content[chance.randint(0, len(content)) :]


def _repeat(chance: random.Random, content: bytearray) -> None:
    start = chance.randint(0, len(content))
    content += content[start : start + chance.choice((1, 10, 100))] * chance.choice((1, 2, 20))


_INJURIES: tuple[Callable[[random.Random, bytearray], None], ...] = (_flip, _insert, _insert, _remove, _cut, _repeat)
