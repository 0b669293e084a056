"""From files of any shape to one clean spool, and from the spool to parts."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tracemalloc
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnosity.errors import InputError
from learnosity.inputs.lines import MAX_LINE_BYTES
from learnosity.inputs.problems import MAX_PROBLEMS
from learnosity.inputs.records import MAX_USERS, RecordError, RecordSchema, schema_for
from learnosity.inputs.spool import InputFile, InputSummary, spool_input
from learnosity.inputs.upload_parts import MAX_PARTS, plan_parts

GROUPED = schema_for("activity-summary-by-group", ["school"])
ANALYSIS = schema_for("ibk-analysis-by-question")
ANYTHING = schema_for("next-years-type")


def user(name: str) -> bytes:
    return json.dumps({"user_id": name, "groups": {"school": "s1"}}).encode()


def users(count: int, start: int = 0) -> list[bytes]:
    return [user(f"u{number}") for number in range(start, start + count)]


def lines_of(*lines: bytes) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def source(content: bytes, name: str = "users.ndjson", chunk: int = 1 << 16) -> InputFile:
    return InputFile(name, lambda: (content[at : at + chunk] for at in range(0, len(content), chunk)))


def spool(
    *files: InputFile | bytes, schema: RecordSchema = GROUPED, max_bytes: int = 1 << 30
) -> tuple[InputSummary, bytes]:
    target = io.BytesIO()
    sources = [file if isinstance(file, InputFile) else source(file) for file in files]
    summary = spool_input(sources, schema, target, max_bytes=max_bytes)
    return summary, target.getvalue()


def refusal(*files: InputFile | bytes, schema: RecordSchema = GROUPED, max_bytes: int = 1 << 30) -> InputError:
    with pytest.raises(InputError) as caught:
        spool(*files, schema=schema, max_bytes=max_bytes)
    return caught.value


def is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def where(error: InputError) -> list[tuple[str, int]]:
    return [(problem.file, problem.line) for problem in error.problems]


class TestCleanInput:
    def test_passes_lines_on_byte_for_byte_in_order(self) -> None:
        odd = b'{ "groups":{"school":"\\u0073\xc3\xa9"} ,"x":1.50,"user_id":"b" }'
        summary, clean = spool(lines_of(user("a"), odd), lines_of(user("c")))
        assert clean == lines_of(user("a"), odd, user("c"))
        levels = summary.levels
        assert summary == InputSummary(3, len(clean), 2, hashlib.sha256(clean).hexdigest(), 3, levels)

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(user("a") + b"\n" + user("b"), id="no newline at the end"),
            pytest.param(user("a") + b"\r\n" + user("b") + b"\r\n", id="CRLF"),
            pytest.param(b"\xef\xbb\xbf" + lines_of(user("a"), user("b")), id="byte order mark"),
            pytest.param(b"\n \n" + user("a") + b"\n\t\r\n\n" + user("b") + b"\n\n", id="blank lines"),
            pytest.param(b"  " + user("a") + b"\t\n\t" + user("b") + b"  \n", id="blanks around"),
            pytest.param(gzip.compress(lines_of(user("a"), user("b"))), id="gzip"),
            pytest.param(gzip.compress(b"\xef\xbb\xbf" + lines_of(user("a"), user("b"))), id="gzip with mark"),
            pytest.param(gzip.compress(user("a")[:9]) + gzip.compress(user("a")[9:] + b"\n" + user("b")), id="members"),
            pytest.param(gzip.compress(lines_of(user("a"), user("b"))) + b"\0" * 70_000, id="padded gzip"),
        ],
    )
    @pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
    def test_accepts_the_shapes_that_tools_write(self, content: bytes, chunk: int) -> None:
        assert spool(source(content, chunk=chunk))[1] == lines_of(user("a"), user("b"))

    def test_begins_every_file_on_a_new_line(self) -> None:
        assert spool(user("a"), b"", b"\xef\xbb\xbf" + user("b"))[1] == lines_of(user("a"), user("b"))

    def test_takes_a_line_as_long_as_allowed(self) -> None:
        long = b'{"x":"' + b"x" * (MAX_LINE_BYTES - 8) + b'"}'
        assert len(long) == MAX_LINE_BYTES
        assert spool(lines_of(b"{}", long, b"{}"), schema=ANYTHING)[1] == lines_of(b"{}", long, b"{}")

    def test_takes_as_many_users_as_allowed_from_any_number_of_files(self) -> None:
        files = [lines_of(*users(400, number * 400)) for number in range(500)]
        summary, _ = spool(*files)
        assert (summary.records, summary.files) == (MAX_USERS, 500)

    def test_tells_how_far_it_is(self) -> None:
        told: list[tuple[int, int]] = []
        content = lines_of(*users(20_000))
        target = io.BytesIO()
        spool_input([source(content)], GROUPED, target, progress=lambda *so_far: told.append(so_far))
        assert told == sorted(told)
        assert len(told) > 1
        assert told[-1] == (20_000, len(content))

    def test_counts_a_repeated_record_of_a_type_without_identity(self) -> None:
        assert spool(b"{}\n{}\n", schema=ANYTHING)[0].records == 2


class TestProblems:
    def test_names_file_and_line_of_each_and_what_to_do(self) -> None:
        error = refusal(
            source(lines_of(user("a"), b"", b"{", user("b")), "one.ndjson"),
            source(lines_of(b'{"user_id": "c"}', user("d")), "two.ndjson"),
        )
        assert where(error) == [("one.ndjson", 3), ("two.ndjson", 1)]
        assert error.count == 2
        assert not error.at_least
        headline, *rest = str(error).splitlines()
        assert "2 problems" in headline
        assert "run again" in headline
        assert rest[0].strip().startswith("one.ndjson:3: not valid JSON")
        assert rest[1].strip().startswith("two.ndjson:1: not a user record")

    def test_keeps_the_first_ten_and_counts_the_others(self) -> None:
        error = refusal(lines_of(*[b"{}"] * 25, *users(5)))
        assert [line for _, line in where(error)] == list(range(1, 11))
        assert error.count == 25
        assert "25 problems" in str(error)

    def test_stops_after_a_thousand(self) -> None:
        def endless() -> Iterator[bytes]:
            while True:
                yield b"nonsense\n" * 1000

        error = refusal(InputFile("endless", endless))
        assert (error.count, error.at_least) == (MAX_PROBLEMS, True)
        assert "at least 1,000" in str(error)

    def test_closes_a_file_that_it_does_not_read_to_the_end(self) -> None:
        closed: list[bool] = []

        def endless() -> Iterator[bytes]:
            try:
                while True:
                    yield b"nonsense\n" * 1000
            finally:
                closed.append(True)

        refusal(InputFile("endless", endless))
        assert closed == [True]

    def test_names_the_second_line_of_a_user_that_appears_twice(self) -> None:
        error = refusal(source(lines_of(*users(9)), "one"), source(lines_of(user("new"), user("u4")), "two"))
        assert where(error) == [("two", 2)]
        assert "user_id" in str(error)

    def test_names_a_user_that_appears_twice_in_a_block(self) -> None:
        assert where(refusal(lines_of(user("a"), user("b"), user("a"), user("a")))) == [
            ("users.ndjson", 3),
            ("users.ndjson", 4),
        ]

    def test_names_a_session_that_appears_twice(self) -> None:
        error = refusal(b'{"session_id":"s1"}\n{"session_id":"s1","user_id":"u"}', schema=ANALYSIS)
        assert where(error) == [("users.ndjson", 2)]

    @pytest.mark.parametrize(
        ("lines", "bad"),
        [
            pytest.param(b'{"a":1} {"a":2}\n{"a":\n3}', [1, 2, 3], id="two records in a line, one in two lines"),
            pytest.param(b'{"a":1},{"a":2}\n{"a":1\n"b":2}', [1, 2, 3], id="the same with commas"),
            pytest.param(b'{}],[{}\n{"a":[[1\n2]]}', [1, 2, 3], id="the same with brackets"),
            pytest.param(b'{}\n{"a":"x\ny"}\n{}', [2, 3], id="a line end in a string"),
        ],
    )
    def test_holds_every_line_to_be_one_record(self, lines: bytes, bad: list[int]) -> None:
        assert [line for _, line in where(refusal(lines, schema=ANYTHING))] == bad

    @pytest.mark.parametrize("end", [b"\n{}", b""], ids=["inside", "at the end"])
    @pytest.mark.parametrize("excess", [1, 5 * MAX_LINE_BYTES])
    def test_refuses_a_line_that_is_too_long_and_reads_on(self, end: bytes, excess: int) -> None:
        long = b'{"x":"' + b"x" * (MAX_LINE_BYTES - 8 + excess) + b'"}'
        error = refusal(b"{}\n" + long + end + (b"\nbad" if end else b""), schema=ANYTHING)
        assert where(error) == [("users.ndjson", 2), *([("users.ndjson", 4)] if end else [])]
        assert "1,048,576" in str(error)

    def test_refuses_nesting_without_end_in_one_line_only(self) -> None:
        error = refusal(lines_of(b"{}", b'{"a":' + b"[" * 100_000, b"{}"), schema=ANYTHING)
        assert where(error) == [("users.ndjson", 2)]

    def test_refuses_bad_utf8_in_one_line_only(self) -> None:
        error = refusal(lines_of(b"{}", b'{"a":"\xe9"}', '{"a":"é"}'.encode()), schema=ANYTHING)
        assert where(error) == [("users.ndjson", 2)]

    @pytest.mark.parametrize("name", ["users.ndjson", "users.jsonl.gz", "part-0"])
    @pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    def test_a_file_in_utf16_is_named_once_and_as_what_it_is(self, name: str, codec: str, mark: str) -> None:
        content = "".join(f'{mark}{{"user_id":"u{number}","x":{{}}}}\n' for number in range(20)).encode(codec)
        error = refusal(source(content, name))
        assert where(error) == [(name, 0)]
        assert "NDJSON in UTF-16, and JSON is UTF-8: save it as UTF-8" in str(error)

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"\n\r\n  \n", id="blank"),
            pytest.param(b"\xef\xbb\xbf", id="only a mark"),
            pytest.param(gzip.compress(b""), id="empty gzip"),
        ],
    )
    def test_refuses_input_without_a_record(self, content: bytes) -> None:
        assert "no user at all" in str(refusal(content))
        assert "input_uri" in str(refusal())

    def test_never_quotes_the_content(self) -> None:
        error = refusal(lines_of(b"SECRET", user("SECRET") * 2, b'{"user_id":["SECRET"],"SECRET":1}', b"\xffSECRET"))
        assert error.count == 4
        assert "SECRET" not in str(error)


class TestLimits:
    def test_refuses_more_users_than_a_dataset_takes(self) -> None:
        error = refusal(lines_of(*users(MAX_USERS + 1)))
        assert "200,000 users" in str(error)
        assert "Split" in str(error)

    def test_has_no_limit_for_sessions_to_analyse(self) -> None:
        content = b"".join(b'{"session_id":"%d"}\n' % number for number in range(MAX_USERS + 100_000))
        assert spool(content, schema=ANALYSIS)[0].records == MAX_USERS + 100_000
        assert where(refusal(content, b'{"session_id":"7"}', schema=ANALYSIS)) == [("users.ndjson", 1)]

    def test_refuses_more_bytes_than_the_limit_and_still_names_earlier_problems(self) -> None:
        error = refusal(
            lines_of(*[b"{}"] * 400_000, b"bad"), source(b"x" * 2_000_000), schema=ANYTHING, max_bytes=1_300_000
        )
        assert "1,300,000 bytes" in str(error)
        assert where(error) == [("users.ndjson", 400_001)]


class TestGzip:
    packed = gzip.compress(lines_of(*users(50_000)))

    @pytest.mark.parametrize("kept", [2, 9, 15, 0.5, -9, -1])
    def test_refuses_a_file_that_ends_too_early(self, kept: float) -> None:
        size = int(len(self.packed) * kept) if isinstance(kept, float) else kept
        error = refusal(source(self.packed[:size], "users.gz"))
        assert error.problems[-1].file == "users.gz"
        assert "ends too early" in error.problems[-1].what

    def test_says_at_which_line_a_file_ends(self) -> None:
        cut = lines_of(*users(10)) + user("half")[:-5]
        member = gzip.compress(cut)
        assert where(refusal(member[:-8])) == [("users.ndjson", 11)]

    @pytest.mark.parametrize("at", [3, 400, -6])
    def test_refuses_damaged_data(self, at: int) -> None:
        damaged = bytearray(self.packed)
        damaged[at] ^= 0xFF
        assert refusal(bytes(damaged)).count >= 1

    def test_refuses_garbage_after_the_data(self) -> None:
        assert "damaged" in str(refusal(self.packed + b"garbage"))

    @pytest.mark.parametrize("filling", [b"\n", b" ", b"x", b"{}\n"])
    def test_stops_at_the_limit_of_bytes_when_it_unpacks_a_bomb(self, filling: bytes) -> None:
        bomb = gzip.compress(filling * (20_000_000 // len(filling)), 9)
        assert len(bomb) < 60_000
        error = refusal(bomb, schema=ANYTHING, max_bytes=10_000_000)
        assert "10,000,000 bytes" in str(error)

    @pytest.mark.promise("bounded memory")
    def test_unpacks_in_bounded_memory(self) -> None:
        bomb = gzip.compress(b"x" * 64_000_000)
        tracemalloc.start()
        try:
            assert refusal(bomb).count == 1
            assert tracemalloc.get_traced_memory()[1] < 8_000_000
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("blocks", [1, 2, 40])
    def test_takes_all_of_what_is_packed_very_tightly(self, blocks: int) -> None:
        count = blocks * 256 * 1024 // 4
        assert spool(gzip.compress(b"{} \n" * count, 9), schema=ANYTHING)[0].records == count


LINE = st.one_of(
    st.builds(user, st.text(max_size=3)),
    st.sampled_from([b"", b" ", b"{}", b"{", b'"\xff"', b"\r", b'{"user_id":"a","groups":{"school":1}}', b"{} {}"]),
    st.binary(max_size=12),
)
CONTENT = st.one_of(
    st.lists(LINE, max_size=12).map(b"\n".join),
    st.lists(LINE, max_size=6).map(b"\r\n".join).map(lambda text: b"\xef\xbb\xbf" + text),
    st.lists(LINE, max_size=12).map(b"\n".join).map(gzip.compress),
    st.tuples(st.lists(LINE, max_size=12), st.integers(0, 40)).map(lambda t: gzip.compress(b"\n".join(t[0]))[: -t[1]]),
    st.tuples(st.binary(max_size=30), st.binary(max_size=30)).map(lambda t: gzip.compress(t[0]) + t[1]),
    st.binary(max_size=80),
    st.binary(max_size=80).map(lambda data: b"\x1f\x8b" + data),
)
SCHEMA = st.sampled_from([GROUPED, ANALYSIS, ANYTHING])


def outcome(files: Sequence[InputFile], schema: RecordSchema) -> object:
    try:
        return spool(*files, schema=schema)
    except InputError as error:
        return str(error), error.count, where(error)


@given(CONTENT, SCHEMA, st.lists(st.integers(0, 90), max_size=8))
@settings(max_examples=200)
def test_no_bytes_raise_anything_else_and_chunks_make_no_difference(
    content: bytes, schema: RecordSchema, cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    chunks = [content[start:end] for start, end in pairwise(edges)]
    whole = outcome([InputFile("f", lambda: iter([content]))], schema)
    assert outcome([InputFile("f", lambda: iter(chunks))], schema) == whole
    assert outcome([source(content, "f", chunk=1)], schema) == whole


@pytest.mark.parametrize("chunk", [1000, 65_536, 262_143, 262_144, 262_145, 1 << 30])
@pytest.mark.parametrize("damage", [0, 300_000, 600_001])
def test_chunks_make_no_difference_to_large_files(chunk: int, damage: int) -> None:
    plain = bytearray(lines_of(*users(20_000)))
    if damage:
        plain[damage] = 0
    packed = bytearray(gzip.compress(lines_of(*users(20_000))))
    if damage:
        packed[len(packed) // 2] ^= 0xFF
    for content in (bytes(plain), bytes(packed)):
        assert outcome([source(content, chunk=chunk)], GROUPED) == outcome([source(content)], GROUPED)


@given(st.lists(LINE.filter(lambda line: b"\n" not in line), min_size=1, max_size=30), SCHEMA)
@settings(max_examples=200)
def test_a_line_is_bad_among_others_exactly_when_it_is_bad_alone(lines: list[bytes], schema: RecordSchema) -> None:
    # If the first line is no object, the file may be taken for another format, such as CSV. So an object comes first.
    if not is_object(lines[0]):
        lines = [b"{}", *lines]
    known: set[str] = set()
    bad: list[int] = []
    good: list[bytes] = []
    for number, raw in enumerate(lines, 1):
        if not (line := raw.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r")):
            continue
        try:
            identity = schema.identities([line])
        except RecordError:
            bad.append(number)
            continue
        if known.issuperset(identity) and identity:
            bad.append(number)
            continue
        known.update(identity)
        good.append(line)
    content = b"\n".join(lines)
    if bad:
        error = refusal(content, schema=schema)
        assert error.count == len(bad)
        assert [line for _, line in where(error)] == bad[:10]
    elif good:
        summary, clean = spool(content, schema=schema)
        assert clean == lines_of(*good)
        assert summary.records == len(good)
    else:
        assert refusal(content, schema=schema).count == 0


class TestParts:
    @given(st.lists(st.integers(0, 60), min_size=1, max_size=60), st.integers(1, 200), st.integers(1, 100))
    @settings(max_examples=200)
    def test_together_are_the_spool_and_each_is_whole_lines(self, sizes: list[int], target: int, most: int) -> None:
        data = lines_of(*(b"x" * size for size in sizes))
        parts = plan_parts(io.BytesIO(data), len(data), len(sizes), target_part_bytes=target, max_parts=most)
        pieces = [data[part.offset : part.offset + part.length] for part in parts]
        assert b"".join(pieces) == data
        assert all(piece.endswith(b"\n") for piece in pieces)
        assert [part.index for part in parts] == list(range(len(parts)))
        assert 1 <= len(parts) <= min(most, len(sizes))
        fair = len(data) / min(most, len(sizes), -(-len(data) // target))
        assert max(part.length for part in parts) <= fair + max(sizes) + 1

    def test_are_as_many_as_the_target_size_asks_for(self) -> None:
        data = b"x" * 99 + b"\n"
        whole = data * 1000
        assert len(plan_parts(io.BytesIO(whole), len(whole), 1000)) == 1
        parts = plan_parts(io.BytesIO(whole), len(whole), 1000, target_part_bytes=10_000)
        assert [part.length for part in parts] == [10_000] * 10

    def test_are_never_more_than_a_hundred(self) -> None:
        whole = b"{}\n" * 5000
        assert len(plan_parts(io.BytesIO(whole), len(whole), 5000, target_part_bytes=1)) == MAX_PARTS

    def test_are_cut_from_a_path_as_well(self, tmp_path: Path) -> None:
        path = tmp_path / "spool"
        path.write_bytes(b"{}\n" * 10)
        assert len(plan_parts(path, 30, 10, target_part_bytes=15)) == 2
        assert plan_parts(path, 30, 10, target_part_bytes=15) == plan_parts(str(path), 30, 10, target_part_bytes=15)

    def test_can_be_cut_as_soon_as_the_input_is_spooled(self, tmp_path: Path) -> None:
        path = tmp_path / "spool"
        with path.open("wb") as target:
            summary = spool_input([source(b"{}\n" * 10)], ANYTHING, target)
            assert len(plan_parts(path, summary.bytes, summary.records)) == 1

    def test_of_nothing_are_none(self) -> None:
        assert plan_parts(io.BytesIO(), 0, 0) == []

    def test_are_refused_when_the_spool_has_changed(self) -> None:
        with pytest.raises(InputError, match="29 bytes instead of 30"):
            plan_parts(io.BytesIO(b"{}\n" * 9 + b"{}"), 30, 10)


class TestDocuments:
    """JSON that is not one object on each line is one error with the way out, and a broken line is named as such."""

    @pytest.mark.parametrize("name", ["users.json", "users.ndjson", "users", "users.jsonl.gz"])
    @pytest.mark.parametrize("count", [1, 3, 20_000])
    @pytest.mark.parametrize(
        ("before", "between", "after", "indent", "told"),
        [
            ("[", ",", "]", None, "a JSON array"),
            ("[", ",\n", "]\n", None, "a JSON array"),
            ("[\n", ",\n", "\n]\n", None, "a JSON array"),
            ("[\r\n  ", "\r\n, ", "\r\n]", None, "a JSON array"),
            ("[", "\n,", "]", None, "a JSON array"),
            ("[\n", ",\n", "\n]", 2, "a JSON array"),
            ("\ufeff\n [ ", ",", "]", 4, "a JSON array"),
            ("", "\n", "\n", 2, "over several lines"),
            ("", "", "", 1, "over several lines"),
            ('{\n"data": [', ",", "]}", None, "over several lines"),
            ('{"data": [\n', ",\n", "\n]}", None, "over several lines"),
            ('{"meta": {},\n"data": [', ",", "]}", None, "over several lines"),
        ],
    )
    def test_an_array_or_a_document_is_one_error(
        self, name: str, count: int, before: str, between: str, after: str, indent: int | None, told: str
    ) -> None:
        objects = [json.dumps(json.loads(line), indent=indent) for line in users(count)]
        content = f"{before}{between.join(objects)}{after}".encode()
        (problem,) = refusal(source(gzip.compress(content) if name.endswith("gz") else content, name)).problems
        assert problem.line == 0
        assert told in problem.what
        assert "jq -c" in problem.what

    @pytest.mark.parametrize("cut", [1, 8, 10, 14, 25, -1])
    @pytest.mark.parametrize("at", [0, 1])
    def test_a_line_that_is_cut_off_is_named_by_its_line(self, cut: int, at: int) -> None:
        lines = [b'{"user_id": "u1", "n": [1, {"a": 1}], "groups": {"school": "s1"}}', *users(2, 2)]
        lines[at] = lines[at][:cut]
        if lines[at][-1:] in b"[{":
            lines[at] += b'"'
        assert where(refusal(lines_of(*lines))) == [("users.ndjson", at + 1)]

    @pytest.mark.parametrize("line", [b"[]", b"[1]", b"7", b"null", b'"x"', b'["a", {}]'])
    def test_a_value_that_is_no_object_is_named_by_its_line(self, line: bytes) -> None:
        assert where(refusal(lines_of(line, user("u1")))) == [("users.ndjson", 1)]
        assert where(refusal(lines_of(line))) == [("users.ndjson", 1)]

    def test_a_long_line_that_begins_with_a_comma_at_the_end_of_what_is_looked_at_is_a_line(self) -> None:
        for size in range(262_100, 262_160):
            long = b'{"user_id":"u1","groups":{"school":"s1"},"x":"%s","y":1}' % (b"x" * size)
            assert spool(lines_of(long, user("u2")))[0].records == 2
