"""Compressed files are read in every form that their encoding allows, however they come in pieces."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence

import pytest

from learnosity.dataset.bounded_reads import _COUNTED_AT_ONCE, UnpackedSize, read_begin, unpacked
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import FileEntry, Manifest, RunInfo, encode_files, sha256_hex
from learnosity.dataset.published import verify
from tests.memory_store import MemoryStore

PLAIN = [b"", b"x", b'[{"user_id":"u1"}]' * 40]


def raw(plain: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(plain) + packer.flush()


FORMS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "several members": ("gzip", lambda plain: gzip.compress(plain[:9]) + gzip.compress(plain[9:])),
    "zero bytes behind": ("x-gzip", lambda plain: gzip.compress(plain) + b"\0" * 99),
    "zero bytes between": ("gzip", lambda plain: gzip.compress(plain[:9]) + b"\0" * 9 + gzip.compress(plain[9:])),
    "deflate": ("deflate", zlib.compress),
    "deflate without header": ("deflate", raw),
    "gzip, called deflate": ("deflate", gzip.compress),
}


class InPieces(MemoryStore):
    """Gives the content in pieces of one length, some of them empty."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def read(self, path: str) -> Iterator[bytes]:
        whole = self.objects[path].content
        for at in range(0, len(whole), self.length):
            yield b""
            yield whole[at : at + self.length]


@pytest.mark.parametrize("plain", PLAIN, ids=len)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("length", [1, 2, 3, 10, 10_000])
async def test_every_form_is_read(form: str, plain: bytes, length: int) -> None:
    encoding, packed = FORMS[form][0], FORMS[form][1](plain)
    store = InPieces(length)
    store.place("a", packed)
    found = await read_begin(store, "a", size=len(packed), encoding=encoding, keep=10_000)
    assert found is not None
    assert (found.content, found.cut) == (plain, False)
    assert unpacked(packed, encoding, 10_000) == plain


@pytest.mark.parametrize("length", [1, 7, 10_000])
async def test_an_empty_piece_is_not_the_end_of_the_list_of_files(length: int) -> None:
    store, layout = InPieces(length), DatasetLayout("sessions", "33285a4b-0e6e-47e4-bade-78999ada14db")
    entries = [FileEntry(f"{name}.json", 1, sha256_hex(b"x"), "application/json") for name in "abc"]
    listing = b"".join(encode_files(entries))
    run = RunInfo("dag", "run", None)
    manifest = Manifest(
        layout.dataset_id, layout.dataset_type, "job", {}, 3, 3, sha256_hex(listing), "2026-11-24T03:00:00+00:00", run
    )
    store.place(layout.files, listing)
    for entry in entries:
        store.place(layout.data(entry.path))
    await verify(store, layout, manifest)


def damaged(packed: bytes) -> Sequence[bytes]:
    return [packed[:1], packed[: len(packed) // 2], packed[:-1], b"\0\0" + packed, packed + b"\0x"]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_damaged_is_not_read(form: str) -> None:
    encoding, pack = FORMS[form]
    for each in damaged(pack(PLAIN[2])):
        if not (form == "zero bytes behind" and each.startswith(pack(PLAIN[2])[:-99]) and not each.endswith(b"x")):
            assert unpacked(each, encoding, 10_000) is None


def counted(packed: bytes, encoding: str, piece: int, most: int) -> UnpackedSize:
    found = UnpackedSize(encoding, most)
    for start in range(0, len(packed), piece):
        found.feed(memoryview(packed)[start : start + piece])
    return found


# `UnpackedSize` counts pieces of `_COUNTED_AT_ONCE` bytes. So most of these sizes are just below or above one or two
# pieces, where a wrong count is most likely.
SIZES = [
    1,
    9,
    *(_COUNTED_AT_ONCE * times + more for times in (1, 2) for more in (-2, -1, 0, 1, 2, 3, 4, 257, 258, 259)),
]


@pytest.mark.parametrize("piece", [1000, 1 << 20])
@pytest.mark.parametrize("unit", [b"\0", b"abcdefgh", bytes(range(256)) * 3])
@pytest.mark.parametrize("form", FORMS)
def test_every_whole_stream_is_counted(form: str, unit: bytes, piece: int) -> None:
    encoding, pack = FORMS[form]
    for size in SIZES:
        packed = pack((unit * (size // len(unit) + 1))[:size])
        assert counted(packed, encoding, piece, size).may_be(size), size
        assert not counted(packed, encoding, piece, size + 1).may_be(size + 1), size
        assert not counted(packed.rstrip(b"\0")[:-1], encoding, piece, size).may_be(size), size


@pytest.mark.parametrize("piece", [1000, 1 << 20])
def test_the_size_of_very_many_members_is_not_known_and_they_are_not_called_damaged(piece: int) -> None:
    member = gzip.compress(b"x" * 100)
    for members in (1000, 1001, 1500):
        found = counted(member * members, "gzip", piece, 1_000_000)
        assert found.may_be(100 * members)
        assert found.may_be(7) == (members > 1000)


@pytest.mark.parametrize("piece", [1000, 1 << 20])
@pytest.mark.parametrize("most", [1, 9, _COUNTED_AT_ONCE, 3 * _COUNTED_AT_ONCE])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.promise("bounded memory")
def test_no_more_is_decompressed_than_shows_that_there_is_more(form: str, most: int, piece: int) -> None:
    encoding, pack = FORMS[form]
    found = counted(pack(bytes(most + 1)), encoding, piece, most)
    assert found.full
    assert not found.may_be(most)
    found = counted(pack(bytes(3_000_000)), encoding, piece, most)
    assert most < found.size <= most + _COUNTED_AT_ONCE + 1
    assert not found.may_be(most)
    assert not found.may_be(found.size)
