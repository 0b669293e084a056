"""A body takes bounded memory whatever it is, and one that may be read arrives unchanged."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.api import reply_bodies
from learnosity.api.reply_bodies import MIB, BodyError, check_values, read_body


def raw_deflate(content: bytes) -> bytes:
    """`deflate` as some servers send it: without the header of zlib."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def members(content: bytes) -> bytes:
    """A gzip file of two members."""
    half = len(content) // 2
    return gzip.compress(content[:half]) + gzip.compress(content[half:])


PACKED: dict[str, tuple[str | None, Callable[[bytes], bytes]]] = {
    "plain": (None, bytes),
    "identity": ("identity", bytes),
    "gzip": ("gzip", gzip.compress),
    "gzip in capitals": ("GZIP", gzip.compress),
    "gzip of two members": ("gzip", members),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate without its header": ("deflate", raw_deflate),
}
BOMB_BYTES = 64 * MIB
PACKINGS = pytest.mark.parametrize(("encoding", "pack"), PACKED.values(), ids=PACKED)


async def read(content: bytes, encoding: str | None, limit: int, size: int = 1000) -> bytes:
    """The body, sent in pieces of `size` bytes."""

    async def pieces() -> AsyncIterator[bytes]:
        for begin in range(0, len(content), size):
            yield content[begin : begin + size]

    return await read_body(pieces(), {"Content-Encoding": encoding} if encoding else {}, limit)


@PACKINGS
@given(content=st.binary(max_size=2000), cuts=st.integers(1, 40), times=st.integers(1, 300))
async def test_any_body_arrives_unchanged(
    encoding: str | None, pack: Callable[[bytes], bytes], content: bytes, cuts: int, times: int
) -> None:
    content *= times
    packed = pack(content)
    assert await read(packed, encoding, 2 * len(content) + 1000, len(packed) // cuts + 1) == content


@PACKINGS
async def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not(
    encoding: str | None, pack: Callable[[bytes], bytes]
) -> None:
    content = b"[" + b"0," * (MIB // 2)
    assert await read(pack(content), encoding, len(content), 9973) == content
    with pytest.raises(BodyError, match="larger than 1 MiB") as caught:
        await read(pack(content), encoding, len(content) - 1, 9973)
    assert not caught.value.broken


@pytest.mark.parametrize("size", [100, 100_000], ids=["small pieces", "at once"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.promise("bounded memory")
async def test_a_bomb_takes_no_more_memory_than_the_limit(encoding: str, size: int) -> None:
    bomb = (gzip.compress if encoding == "gzip" else zlib.compress)(bytes(BOMB_BYTES))
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(BodyError, match="larger than 1 MiB"):
            await read(bomb, encoding, MIB, size)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * MIB


async def test_what_arrives_is_limited_too_although_it_becomes_no_text() -> None:
    nothing = gzip.compress(b"")
    with pytest.raises(BodyError, match="goes on after its end"):
        await read(nothing * 1000, "gzip", MIB)
    endless = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\0\0\0\xff\xff" * MIB  # empty blocks without an end
    with pytest.raises(BodyError, match="larger than 1 MiB"):
        await read(endless, "gzip", MIB)


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip,br", "unknown"])
async def test_what_was_not_asked_for_is_refused(encoding: str) -> None:
    with pytest.raises(BodyError, match="not asked for") as caught:
        await read(gzip.compress(gzip.compress(b"{}")), encoding, MIB)
    assert not caught.value.broken


@pytest.mark.parametrize("packed", [gzip.compress(b"{}" * 5000)[:-9], b"no gzip at all", gzip.compress(b"{}")[:12]])
async def test_a_damaged_body_may_be_whole_next_time(packed: bytes) -> None:
    with pytest.raises(BodyError) as caught:
        await read(packed, "gzip", MIB)
    assert caught.value.broken


def test_json_of_countless_containers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_bodies, "MAX_CONTAINERS", 1000)
    check_values(b"[" + b"{}," * 998 + b"{}]")
    check_values(b"[" + b"0," * 5000 + b"0]")
    for opening in (b"{}", b"[]"):
        with pytest.raises(BodyError, match="objects and lists"):
            check_values(b"[" + opening * 1000 + b"]")


@pytest.mark.parametrize(
    "value", [b"0", b"1.5", b'"a"', b'""', b"null", b'"\\\\"', b'"\\""', b'{"a":1}', b"[1]", b'"\\u0041,"']
)
@pytest.mark.parametrize("number", [999, 1000])
def test_json_of_countless_values_is_refused(value: bytes, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_bodies, "MAX_VALUES", 1000)
    body = b"[" + b", ".join([value] * number) + b"]"
    check_values(body)
    with pytest.raises(BodyError, match="more than 1,000 values"):
        check_values(b"[" + body + b"," + body + b"]")


@given(
    document=st.recursive(
        st.one_of(st.none(), st.integers(), st.text('a,"{[]}\\:\n', max_size=60)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=5), st.dictionaries(st.text(',"\\', max_size=5), inner, max_size=5)
        ),
        max_leaves=30,
    ),
    size=st.integers(1, 40),
    spaced=st.booleans(),
)
def test_what_is_inside_of_texts_counts_for_nothing(document: Any, size: int, spaced: bool) -> None:
    def values(value: Any) -> int:
        each = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return max(len(each) - 1, 0) + sum(map(values, each))

    def containers(value: Any) -> int:
        each = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return isinstance(value, dict | list) + sum(map(containers, each))

    body = json.dumps(document, separators=None if spaced else (",", ":")).encode()
    for limit, count in (("MAX_VALUES", values(document) + 1), ("MAX_CONTAINERS", containers(document))):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reply_bodies, "_PIECE_BYTES", size)
            patch.setattr(reply_bodies, limit, count)
            check_values(body)
            if count > 1:
                patch.setattr(reply_bodies, limit, count - 1)
                with pytest.raises(BodyError):
                    check_values(body)


def test_a_large_file_in_one_text_is_read() -> None:
    check_values(json.dumps({"content": "{1,2}[3,4]\n" * 5_000_000}).encode())
