"""A body takes bounded memory whatever it is, and one that may be read arrives unchanged."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.api import reply_bodies
from learnosity.api.reply_bodies import MIB, BodyError, check_containers, read_body


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
    check_containers(b"[" + b"{}," * 998 + b"{}]")
    check_containers(b"[" + b"0," * 5000 + b"0]")
    for opening in (b"{}", b"[]"):
        with pytest.raises(BodyError, match="objects and lists"):
            check_containers(b"[" + opening * 1000 + b"]")
