"""The files of a finished dataset: their names, bytes and hashes, and single groups for inline replies.

Files are rendered once, when the job runs, into one spool file on disk. So listings have exact sizes, a download is
one read, and no file stays in memory. The same seed and input give the same bytes.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from .config import SimulatorConfig
from .items import analyse
from .records import read_sessions, read_users
from .rollup import Group, Rollup
from .validation import DatasetSpec

JSON_TYPE = "application/json"
CSV_TYPE = "text/csv"
_ROW_BYTES = 139  # length of a CSV row: nine digits, a comma, 128 hexadecimal digits, a line end


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One file of a dataset as the bucket holds it.

    :param size: bytes, packed if it is packed.
    :param encoding: its `Content-Encoding`; None: not packed.
    :param offset: its place in the spool.
    """

    name: str
    content_type: str
    size: int
    sha256: str
    md5: str
    offset: int
    encoding: str | None = None


class ResultSet:
    """All files of one dataset. Close it to free the spool.

    :param encoding: how each file is packed; None: not at all.
    """

    def __init__(self, spool: Path, rollup: Rollup | None, encoding: str | None = None) -> None:
        self._spool = spool.open("w+b")
        self._rollup = rollup
        self._encoding = encoding
        self.files: dict[str, ResultFile] = {}

    def add(self, name: str, content_type: str, body: bytes) -> None:
        """Write one more file, or a new version of one that is there."""
        body = _packed(body, self._encoding)
        self.files[name] = ResultFile(
            name,
            content_type,
            len(body),
            hashlib.sha256(body).hexdigest(),
            hashlib.md5(body, usedforsecurity=False).hexdigest(),
            self._spool.tell(),
            self._encoding,
        )
        self._spool.write(body)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """Bytes of a file as served, from `start` up to `stop`, which is not included (default: its end)."""
        self._spool.flush()
        file = self.files[name]
        stop = file.size if stop is None else stop
        return os.pread(self._spool.fileno(), stop - start, file.offset + start)

    def content(self, name: str) -> bytes:
        """A whole file, not packed."""
        return _unpacked(self.read(name), self.files[name].encoding)

    def replace(self, name: str) -> None:
        """Write a new version of a file: its letters in the other case, which has the same length unless packed."""
        self.add(name, self.files[name].content_type, self.content(name).swapcase())

    def group_view(self, path: Sequence[str]) -> dict[str, Any] | None:
        """One group as its JSON file holds it; None when there is no such group or the type has none."""
        if self._rollup is None or (chain := self._rollup.find(path)) is None:
            return None
        return view(self._rollup, path, chain)

    def close(self) -> None:
        """Close the spool file."""
        self._spool.close()


def view(rollup: Rollup, path: Sequence[str], chain: Sequence[Group]) -> dict[str, Any]:
    """One group: its own row, and the rows of its ancestors, its child groups and its users."""
    group = chain[-1]
    return {
        "group_path": list(path),
        "group": group.row,
        "ancestors": [ancestor.row for ancestor in chain[:-1]],
        "groups": rollup.child_rows(group),
        "users": rollup.user_rows(group),
    }


def build(
    spec: DatasetSpec,
    config: SimulatorConfig,
    inputs: Sequence[Path],
    spool: Path,
    check: Callable[[], None],
) -> ResultSet:
    """Compute a dataset and render its files. Slow: run it in a thread.

    :param inputs: the uploaded files in order.
    :param spool: where the rendered bytes go.
    :param check: called from time to time; raises to stop the computation.
    :raises InputError: an input file is not valid.
    """
    strict, skip = config.strict_records, config.malformed_input == "skip"
    if spec.summary:
        rollup = Rollup(spec, config, read_users(inputs, spec, strict=strict, skip_malformed=skip), check)
        results = ResultSet(spool, rollup, config.content_encoding)
        rendered = _group_files(rollup, [], [rollup.root])
    else:
        sessions = read_sessions(inputs, strict=strict, skip_malformed=skip) if inputs else None
        rows = analyse(spec, config, sessions, check)
        results = ResultSet(spool, None, config.content_encoding)
        rendered = _item_files(rows, spec)
    with ExitStack() as on_failure:
        on_failure.callback(results.close)
        for name, content_type, body in rendered:
            check()
            results.add(name, content_type, body)
        if config.large_file_bytes:
            results.add("exports/rows.csv", CSV_TYPE, _rows(spec.dataset_id, config.large_file_bytes))
        for name in config.hostile_names:
            results.add(name, "text/plain", b"a file whose name means no good\n")
        on_failure.pop_all()
    return results


def safe_segment(name: str) -> str:
    """A group name as one path segment: everything but letters, digits and `_.-~ ` is percent-encoded."""
    encoded = quote(name, safe=" ")
    return encoded.replace(".", "%2E") if not encoded.strip(".") else encoded


def _group_files(rollup: Rollup, path: list[str], chain: list[Group]) -> Iterator[tuple[str, str, bytes]]:
    content = view(rollup, path, chain)
    folder = "/".join(["groups", *[safe_segment(name) for name in path]])
    yield f"{folder}/group.json", JSON_TYPE, msgspec.json.encode(content) + b"\n"
    rows = content["groups"] or content["users"] or [content["group"]]
    yield f"{folder}/group.csv", CSV_TYPE, _csv(rows, list(rows[0]))
    for name in sorted(chain[-1].children):
        yield from _group_files(rollup, [*path, name], [*chain, chain[-1].children[name]])


def _item_files(rows: list[dict[str, Any]], spec: DatasetSpec) -> Iterator[tuple[str, str, bytes]]:
    yield "items.json", JSON_TYPE, msgspec.json.encode(rows) + b"\n"
    columns = list(rows[0]) if rows else list(spec.fields)
    yield "items.csv", CSV_TYPE, _csv(rows, columns)
    for row in rows:
        yield (
            f"items/{safe_segment(row['item_reference'])}.json",
            JSON_TYPE,
            msgspec.json.encode(row) + b"\n",
        )


def _csv(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([["" if row[c] is None else row[c] for c in columns] for row in rows])
    return text.getvalue().encode()


def _rows(seed: str, size: int) -> bytes:
    """A table of exactly `size` bytes in which no part repeats."""
    return b"".join(
        b"%09d,%s\n" % (number, hashlib.blake2b(f"{seed}/{number}".encode()).hexdigest().encode())
        for number in range(size // _ROW_BYTES + 1)
    )[:size]


def _packed(body: bytes, encoding: str | None) -> bytes:
    if encoding == "gzip":
        return gzip.compress(body, compresslevel=1, mtime=0)
    return zlib.compress(body, level=1) if encoding == "deflate" else body


def _unpacked(body: bytes, encoding: str | None) -> bytes:
    return body if encoding is None else zlib.decompress(body, wbits=zlib.MAX_WBITS | 32)
