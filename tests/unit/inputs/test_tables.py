"""Tables become the same records as lines of JSON: CSV, TSV and Parquet, and what is said where they cannot."""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
import pickle
import sys
import tarfile
import tracemalloc
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations, product
from pathlib import Path
from typing import Any

import duckdb
import pytest

from learnosity.errors import InputError, RequestError
from learnosity.inputs.records import RecordSchema, schema_for
from learnosity.inputs.spool import InputFile, spool_input

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUMMARY, SESSIONS, ANALYSIS = "activity-summary-by-group", "sessions-summary-by-group", "ibk-analysis-by-question"
LEVELS = ("district", "school")
SCHEMA = schema_for(SUMMARY, LEVELS)
HEADER = b"user_id,district,school\n"
SOUND = HEADER + b"u1,d1,s1\n"
UUIDS = [f"{n}1111111-1111-4111-8111-111111111111" for n in range(60)]


def source(content: bytes, name: str = "users.csv", chunk: int = 1 << 16) -> InputFile:
    return InputFile(name, lambda: (content[at : at + chunk] for at in range(0, len(content), chunk)))


def spooled(*files: InputFile | bytes, schema: RecordSchema = SCHEMA, max_bytes: int = 1 << 30) -> list[Any]:
    target = io.BytesIO()
    sources = [file if isinstance(file, InputFile) else source(file) for file in files]
    summary = spool_input(sources, schema, target, max_bytes=max_bytes)
    lines = target.getvalue().splitlines()
    assert summary.records == len(lines)
    return [json.loads(line) for line in lines]


def refusal(*files: InputFile | bytes, schema: RecordSchema = SCHEMA, max_bytes: int = 1 << 30) -> InputError:
    with pytest.raises(InputError) as caught:
        spooled(*files, schema=schema, max_bytes=max_bytes)
    return caught.value


def problems(*files: InputFile | bytes, schema: RecordSchema = SCHEMA) -> list[str]:
    return [str(problem) for problem in refusal(*files, schema=schema).problems]


def user(name: str, district: str = "d1", school: str = "s1", **more: Any) -> dict[str, Any]:
    return {"user_id": name, "groups": {"district": district, "school": school}, **more}


class _Uuid(str):
    """A UUID that a format can write without hyphens (`bare`), in upper case (`upper`), or both (`BARE`)."""

    def __format__(self, form: str) -> str:
        return {
            "": str(self),
            "bare": self.replace("-", ""),
            "upper": self.upper(),
            "BARE": self.replace("-", "").upper(),
        }[form]


LETTERED = [_Uuid(f"{n}a1b2c3d-aaaa-4bbb-8ccc-ddddeeeeffff") for n in range(2)]


def parquet(select: str, path: Path, name: str = "users.parquet") -> InputFile:
    with duckdb.connect() as database:
        database.execute(f"COPY ({select}) TO '{path / name}' (FORMAT parquet)")
    content = (path / name).read_bytes()
    return source(content, name)


class TestSamples:
    """What warehouses and systems of schools write."""

    @pytest.mark.parametrize("header", [b"user_id,district,school,note\x1f", b'"x\x01y";"User_ID";District;school'])
    def test_a_control_character_in_the_name_of_another_column(self, header: bytes) -> None:
        row = b"u1,d1,s1,x\n" if header.startswith(b"user") else b"x;u1;d1;s1\n"
        assert spooled(header + b"\n" + row) == [user("u1")]

    def test_quotes_and_commas_in_cells(self) -> None:
        content = b'school,user_id,district\nWest,0007,D 1\n"Old, Mill",0009,"D ""2"""\n'
        assert spooled(content) == [user("0007", "D 1", "West"), user("0009", 'D "2"', "Old, Mill")]

    def test_semicolons_a_mark_crlf_and_columns_of_other_names(self) -> None:
        columns = {"user_id": "Nummer", "groups.district": "Kreis", "groups.school": "Schule"}
        content = "\ufeffNummer;Kreis;Schule\r\n1e5;Süd;„Am Wall“\r\n007;Süd;West \r\n".encode()
        schema = schema_for(SUMMARY, LEVELS, input_columns=columns)
        assert spooled(content, schema=schema) == [user("1e5", "Süd", "„Am Wall“"), user("007", "Süd", "West ")]

    def test_windows_1252_with_a_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        content = "user_id,district,school\nu1,Münster,École\n".encode("cp1252")
        assert spooled(content, content.replace(b"u1", b"u2"))[0] == user("u1", "Münster", "École")
        warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert len(warnings) == 1
        assert "Windows-1252" in warnings[0]

    def test_a_row_for_each_session_of_a_user(self) -> None:
        content = f"user_id,district,session_id\nu1,d1,{UUIDS[0]}\nu2,d1,{UUIDS[1]}\nu1,d1,{UUIDS[2]}\n".encode()
        schema = schema_for(SESSIONS, ["district"])
        assert spooled(content, schema=schema) == [
            {"user_id": "u1", "groups": {"district": "d1"}, "session_id": [UUIDS[0], UUIDS[2]]},
            {"user_id": "u2", "groups": {"district": "d1"}, "session_id": [UUIDS[1]]},
        ]

    def test_a_row_for_each_session_to_analyse_without_the_users(self) -> None:
        content = f"user_id,session_id\nu1,{UUIDS[0]}\nu1,{UUIDS[2]}\n".encode()
        sessions = [{"session_id": UUIDS[0]}, {"session_id": UUIDS[2]}]
        assert spooled(content, schema=schema_for(ANALYSIS)) == sessions
        asked = schema_for(ANALYSIS, input_columns={"user_id": "user_id"})
        assert spooled(content, schema=asked) == [each | {"user_id": "u1"} for each in sessions]

    def test_every_column_of_a_type_that_is_not_known(self) -> None:
        content = b"id,district,groups.school,note\n07,d1,s1,\n"
        schema = schema_for("next-years-type", ["district"], input_columns={"user": "id"})
        assert spooled(content, schema=schema) == [
            {"user": "07", "groups": {"district": "d1", "school": "s1"}, "note": ""}
        ]

    def test_ragged_rows_are_named(self) -> None:
        assert problems(HEADER + b"u1,d1,s1\nu2,d1\nu3,d1,s1,extra\n") == [
            "users.csv:3: the row has 2 cells, and the header has 3",
            "users.csv:4: the row has 4 cells, and the header has 3",
        ]

    def test_names_of_a_warehouse_that_writes_upper_case(self) -> None:
        assert spooled(SOUND.replace(HEADER, HEADER.upper())) == [user("u1")]


class TestText:
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_line_ends_encodings_and_delimiters(self, end: str, encoding: str, delimiter: str) -> None:
        rows = [("school", "user_id", "district"), ("Süd", "0", "d"), ("a\nb", "1e5", 'x"y')]
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
        expected = [user("0", "d", "Süd"), user("1e5", 'x"y', "a\nb")]
        for name in ("users.csv", "data_0_0_0", "users.tsv.gz"):
            assert spooled(source(text.getvalue().encode(encoding), name, chunk=7)) == expected

    @pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
    def test_packed_files_and_several_members(self, pack: Any) -> None:
        packed = pack(SOUND) + pack(b"u2,d1,s1\n")
        assert spooled(source(packed, "users.csv.zst", chunk=5)) == [user("u1"), user("u2")]

    @pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
    @pytest.mark.parametrize("rows", [1, 50_000])
    def test_half_a_packed_file_is_one_error(self, pack: Any, rows: int) -> None:
        content = HEADER + b"".join(b"u%d,d1,s1\n" % number for number in range(rows))
        packed = pack(content)
        found = problems(source(packed[: len(packed) * 2 // 3], "users.csv.gz"))
        assert len(found) == 1
        assert "ends too early" in found[0]

    def test_zeros_are_unpacked_in_bounded_memory_from_zstd(self) -> None:
        assert "10,000,000 bytes" in str(
            refusal(zstd.compress(HEADER + b"u,d,%s\n" % (b"x" * 99_000) * 500), max_bytes=10_000_000)
        )

    def test_joined_files_with_a_mark_and_a_header_each(self) -> None:
        more = b"\xef\xbb\xbf" + HEADER + b"u2,d1,s1\n"
        assert spooled(b"\xef\xbb\xbf" + SOUND + more) == [user("u1"), user("u2")]
        assert spooled(b"\xef\xbb\xbf" + SOUND + b"\xef\xbb\xbfu2,d1,s1\n") == [user("u1"), user("u2")]
        assert problems(SOUND + HEADER)[0].startswith("users.csv:3: the header is here again")

    def test_joined_lines_of_json_with_a_mark_each(self) -> None:
        line = b'\xef\xbb\xbf{"user_id":"%s","groups":{"district":"d1","school":"s1"}}\n'
        assert spooled(source(line % b"u1" + line % b"u2", "users.ndjson")) == [user("u1"), user("u2")]

    @pytest.mark.parametrize("again", list(permutations(("user_id", "District", "school "))), ids=",".join)
    @pytest.mark.parametrize("case", [str, str.upper, str.title], ids=["as it is", "upper", "title"])
    @pytest.mark.parametrize("columns", [(), ("note",)], ids=["needed columns", "and another"])
    def test_a_header_that_is_there_again_is_no_user(
        self, again: tuple[str, ...], case: Callable[[str], str], columns: tuple[str, ...]
    ) -> None:
        """In any case and order, also with another column that is not needed."""
        end = "".join(f",{name}" for name in columns)
        first = f"user_id,District,school {end}\nu1,d1,s1{end}\n"
        more = f"{case(','.join(again))}{end}\nu2,d1,s1{end}\n"
        assert problems((first + more).encode()) == [
            "users.csv:3: the header is here again: join files without their headers"
        ]
        marked = f"\ufeff{first}\ufeff{more}".encode()
        if again == ("user_id", "District", "school "):
            assert spooled(marked) == [user("u1"), user("u2")]
        else:
            assert "the header is here again" in problems(marked)[0]

    @pytest.mark.parametrize("place", range(4))
    def test_a_header_with_another_column_that_is_not_needed_is_there_again(self, place: int) -> None:
        def line(note: str, *cells: str) -> str:
            return ",".join([*cells[:place], note, *cells[place:]]) + "\n"

        header, again = line("note", "user_id", "district", "school"), line("remark", "USER_ID", "DISTRICT", "SCHOOL")
        content = header + line("n", "u1", "d1", "s1") + again + line("n", "u2", "d1", "s1")
        assert problems(content.encode())[0].startswith("users.csv:3: the header is here again")

    def test_names_of_columns_in_some_cells_are_names_of_users_and_groups(self) -> None:
        rows = [("user_id", "d1", "s1"), ("u1", "district", "school"), ("school", "DISTRICT", "s1")]
        content = HEADER + "".join(f"{','.join(row)}\n" for row in rows).encode()
        assert spooled(content) == [user(*row) for row in rows]

    @pytest.mark.parametrize(
        ("content", "row"),
        [
            pytest.param("u1,d1,s1\n{}u2,d1,\r\n", 3, id="a cell that is a carriage return, or CRLF after LF"),
            pytest.param("u1,d1,s1\n{}u2,d1,s\r\nu3,d1,s\n", 3, id="at the end of a cell"),
            pytest.param("u1,d1,s1\n{}u2,d1,s\r", 3, id="at the end of the file"),
            pytest.param("u1,d1,s1\r\n{}u2,d1,s\r\r\n", 3, id="in a file with CRLF"),
            pytest.param("u1,d1,s1\r\n{}u2,d1,s\r", 3, id="at the end of a file with CRLF"),
            pytest.param("u1,d1,s1\r{}u2,d1,s\n\r", 3, id="a line feed in a file with CR"),
        ],
    )
    @pytest.mark.parametrize("quoted", ["", '"q\r\nx",d1,s1'], ids=["", "behind a quoted one"])
    def test_what_may_be_a_line_end_or_the_end_of_a_cell_is_one_error(
        self, content: str, row: int, quoted: str
    ) -> None:
        end = content.partition("u1,d1,s1")[2].partition("{")[0]
        text = f"user_id,district,school{end}" + content.format(quoted + end if quoted else "")
        assert problems(text.encode()) == [
            f"users.csv:{row + bool(quoted)}: the line end of this row is not that of the first one: write one kind, "
            "and cells that hold one in quotes"
        ]

    def test_quoted_line_ends_of_any_kind_are_text(self) -> None:
        for end in ("\n", "\r\n", "\r"):
            cells = ["\r", "\n", "\r\n", "a\r", "\ra", "\n\r", "\r\r\n"]
            rows = "".join(f'"u{number}","{cell}","{cell}"{end}' for number, cell in enumerate(cells))
            found = spooled(f"user_id,district,school{end}{rows}".encode())
            assert found == [user(f"u{number}", cell, cell) for number, cell in enumerate(cells)]

    def test_a_line_feed_alone_is_no_harm_in_a_file_with_crlf(self) -> None:
        header = HEADER.replace(b"\n", b"\r\n")
        assert spooled(header + b"u1,d1,s1\nu2,d1,s1\r\n") == [user("u1"), user("u2")]

    def test_text_of_two_encodings_is_damaged(self) -> None:
        content = HEADER + "u1,ü,s1\n".encode() + "u2,ü,s1\n".encode("cp1252")
        assert problems(content) == ["users.csv:3: not valid UTF-8 from here on, although the text before is"]

    @pytest.mark.parametrize("note", ["note\x1b", "\x02note"])
    def test_the_name_of_a_column_that_is_not_read_may_hold_a_control_character(self, note: str) -> None:
        assert spooled(f"{note},user_id,district,school\nn,u1,d1,s1\n".encode()) == [user("u1")]

    @pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    @pytest.mark.parametrize("name", ["東京都", "Школа имени Ломоносова", "Σχολείο", "بيروت"])
    def test_below_a_header_of_latin_letters_any_script_may_follow(self, name: str, end: str, codec: str) -> None:
        for before in ("", end):  # also below an empty line
            lines = ["user_id\tdistrict\tschool", *(f"u{number}\t{name}\t{name}" for number in range(40)), ""]
            content = (before + end.join(lines)).encode(codec)  # no byte order mark, as bcp of SQL Server writes it
            assert spooled(source(content, "users.txt", chunk=7))[-1] == user("u39", name, name)

    def test_a_letter_is_not_cut_between_pieces(self) -> None:
        rows = [f"u{number},{'é' * 9},s" for number in range(20_000)]
        for codec in ("utf-8", "cp1252", "utf-16"):
            records = spooled("\n".join(["user_id,district,school", *rows]).encode(codec))
            assert {record["groups"]["district"] for record in records} == {"é" * 9}

    def test_quoted_line_ends_across_pieces(self) -> None:
        cell = "a\nb\n" * 500
        rows = "".join(f'u{number},"{cell}",s\n' for number in range(1000))
        records = spooled(HEADER + rows.encode())
        assert len(records) == 1000
        assert {record["groups"]["district"] for record in records} == {cell}

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            pytest.param(HEADER + b"a\0b,d,s\n", "users.csv:2: the row holds a NUL byte", id="NUL"),
            pytest.param(HEADER + b"a,d," + b"x" * 5_000_000, "users.csv:2: the row is longer than", id="long row"),
            pytest.param(HEADER + b'a,d,"' + b"x\n" * 2_500_000, "users.csv:2: a cell is longer than", id="long cell"),
            pytest.param(HEADER + b'a,d,s\nb,"d,s\nc,d,s\n', "users.csv:3: a quote in this row is ", id="open quote"),
            pytest.param(HEADER + b'a,"d"x,s\n', "users.csv:2: there is text behind the closing quote", id="bad quote"),
            pytest.param(b"u0,d,s\nu1,d,s\n", 'users.csv:1: it has no column "user_id", "district"', id="no header"),
            pytest.param(b"user_id,district\nu1,d\n", 'users.csv:1: it has no column "school"', id="missing"),
            pytest.param(
                b"user_id,district,school,user_id\n", 'users.csv:1: it has the column "user_id" 2', id="twice"
            ),
            pytest.param(HEADER + b",d,s\n", 'users.csv:2: column "user_id": the cell is empty', id="empty cell"),
            pytest.param(
                HEADER + b"u1,,s\n",
                'users.csv:2: column "school" has a group, and column "district", the',
                id="no parent",
            ),
            pytest.param(HEADER + b"u" * 51 + b",d,s\n", 'users.csv:2: column "user_id": the cell has', id="long id"),
            pytest.param(SOUND + b"u1,d1,s1\n", "users.csv:3: its user_id is in an earlier row too", id="repeated"),
            pytest.param(b"PK\x03\x04..xl/worksheets", "users.csv: the file is an Excel", id="xlsx"),
            pytest.param(b"PK\x03\x04users.csv", "users.csv: the file is a zip archive", id="zip"),
            pytest.param(b"BZh91AY&SY..", "users.csv: the file is a bzip2 file", id="bz2"),
            pytest.param(gzip.compress(b"PK\x03\x04users.csv"), "users.csv: the file is a zip archive", id="zip in gz"),
            pytest.param("\ufeffa".encode("utf-32"), "users.csv:1: the file is UTF-32", id="UTF-32"),
            pytest.param(b"\x1f\x9d\x90" + b"\xfe" * 99, "users.csv: the file is packed with compress", id="Z"),
            pytest.param(b"]\0\0\x80\0" + b"\xff" * 99, "users.csv: the file is an lzma file", id="lzma"),
            pytest.param(b"\x89LZO\0\r\n\x1a\n", "users.csv: the file is an lzop file", id="lzo"),
            pytest.param(b"$FL2@(#) IBM SPSS", "users.csv: the file is of SPSS, Stata or SAS", id="SPSS"),
            pytest.param(b"<stata_dta><header>", "users.csv: the file is of SPSS, Stata or SAS", id="Stata"),
            pytest.param(b"\0\1\0\0Standard ACE DB\0", "users.csv: the file is a database of Access", id="Access"),
            pytest.param(b"\x89HDF\r\n\x1a\n\0\0", "users.csv: the file is an HDF5 file", id="HDF5"),
            pytest.param(b"-----BEGIN PGP MESSAGE-----\n\nhQEMA\n", "users.csv: the file is encrypted", id="PGP"),
            pytest.param(
                b"PK\x03\x04..[Content_Types].xml..word/", "users.csv: the file is a document of Word", id="docx"
            ),
            pytest.param(b"\x00\x00\x10\xfe\xe3" * 99, "users.csv: the file is binary, or a text with", id="binary"),
            pytest.param(SOUND.replace(b",", b"\x01"), "users.csv: the file is binary, or a text with", id="Hive"),
        ],
    )
    def test_one_clear_error(self, content: bytes, expected: str) -> None:
        found = problems(content)
        assert len(found) == 1
        assert found[0].startswith(expected)

    @pytest.mark.parametrize("blank", [b"\n", b" \r\n", b"\t \n"], ids=repr)
    @pytest.mark.parametrize("size", [1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 7, 1_000_000])
    def test_blank_lines_before_the_header_hide_no_format(self, blank: bytes, size: int) -> None:
        lines = size // len(blank) + 1
        if blank == b"\n":
            assert spooled(source(blank * lines + SOUND)) == [user("u1")]
            assert problems(source(blank * lines + HEADER + b"u1\n"))[0].startswith(
                f"users.csv:{lines + 2}: the row has"
            )
        line = b'{"user_id":"u1","groups":{"district":"d1","school":"s1"}}\n'
        assert spooled(source(blank * lines + line, "users")) == [user("u1")]
        assert problems(source(blank * lines + b"{\n", "users"))[0].startswith(f"users:{lines + 1}: not valid JSON")

    @pytest.mark.parametrize("size", [200 * 1024, 256 * 1024 - 5, 256 * 1024, 1_000_000])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16"])
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
    @pytest.mark.parametrize("first", ["", "sep=,"])
    def test_blank_lines_before_the_header_are_counted_and_no_text(
        self, first: str, end: str, encoding: str, size: int
    ) -> None:
        """The header may begin in one piece and end in the next one, and so may the rows."""
        blank = size // (2 if encoding != "utf-8" else 1) // len(end)
        text = first + end * blank + (SOUND + b"u2\n").decode().replace("\n", end)
        row = blank + 3
        found = problems(source(text.encode(encoding)))
        assert found == [f"users.csv:{row}: the row has 1 cell, and the header has 3"]

    @pytest.mark.promise("bounded memory")
    @pytest.mark.parametrize("first", ["", "sep=,\n"])
    def test_very_many_blank_lines_take_no_memory(self, first: str) -> None:
        pieces = 64
        content = [
            first.encode("utf-16"),
            *["\n".encode("utf-16-le") * (1 << 17)] * pieces,
            SOUND.decode().encode("utf-16-le"),
        ]
        tracemalloc.start()
        try:
            found = spooled(InputFile("users.csv", lambda: iter(content)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert found == [user("u1")]
        assert peak < 4_000_000

    @pytest.mark.parametrize("size", [1, 256 * 1024 - 3, 256 * 1024, 300_000, 1_000_000])
    @pytest.mark.parametrize("name", ["users.csv", "users"])
    def test_blank_lines_behind_a_mark_hide_no_format(self, name: str, size: int) -> None:
        start = b"\xef\xbb\xbf" + b"\n" * size
        line = b'{"user_id":"u1","groups":{"district":"d1","school":"s1"}}\n'
        assert spooled(source(start + SOUND, name)) == [user("u1")]
        assert spooled(source(start + line, "users")) == [user("u1")]
        assert problems(source(start + b"[" + line, name))[0].startswith(name)

    MARKS = (
        "PARENT_ORG", "PAR1", "PARE", "FEA1", "FEATURE", "ARROW1", "ARROW1_ID", "ORC", "ORCHARD", "BZh9", "Rar!", "7z",
        "Obj", "PK", "SQLite format 3", "%PDF", "html", "<h", "GIF8", "ustar", "zip",
    )  # fmt: skip

    @pytest.mark.parametrize("mark", MARKS)
    @pytest.mark.parametrize("packed", [bytes, gzip.compress], ids=["plain", "gzip"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    def test_words_like_the_mark_of_a_format_are_words(self, mark: str, packed: Any, encoding: str) -> None:
        for name in ("users.csv", "users"):
            content = f"{mark},user_id,district,school\nx,u1,d1,s1\n{mark},u2,d1,s1\n".encode(encoding)
            assert spooled(source(packed(content), name)) == [user("u1"), user("u2")]
        for place in range(250, 264):
            before = "user_id,district,school\nu1,d1,s1\nu2,d1,"
            text = f"{before}{'x' * (place - len(before))}{mark} Lane\nu3,d1,s1\n"
            assert text.index(mark) == place
            assert len(spooled(source(text.encode(encoding)))) == 3

    def test_the_mark_of_a_tar_archive_is_known_where_it_is_one(self) -> None:
        for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            content = io.BytesIO()
            with tarfile.open(fileobj=content, mode="w", format=form) as archive:
                info = tarfile.TarInfo("users.csv")
                info.size = len(SOUND)
                archive.addfile(info, io.BytesIO(SOUND))
            assert "a tar archive" in problems(source(content.getvalue()))[0]

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"PARE\x1a\0\0\0" + b"\xfe" * 99 + b"PARE", "an encrypted footer"),
            (b"PARE" + b"\xfe" * 40 + b"\0PARE", "an encrypted footer"),
            (b"ARROW1\0\0\xff\xff\xff\xff", "an Arrow file"),
            (b"FEA1" + b"ab" * 9 + b"\0\0", "an Arrow file"),
            (b"PAR1\x15\x04" + b"\xfe" * 99 + b"PAR1", "cannot be read as Parquet"),
            (b"PAR1" + b"\xfe" * 40 + b"\0PAR1", "cannot be read as Parquet"),
        ],
    )
    def test_marks_before_bytes_that_are_no_text_are_marks(self, content: bytes, says: str) -> None:
        for each in (content, gzip.compress(content)):
            assert says in problems(source(each))[0]

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"ORC\n\x07\x12\x05\b\xd0\x0fP\0", "the file is an ORC file"),
            (b"ORC\x08\x03\x10", "the file is an ORC file"),
            (b"ORC(\xb5/\xfdabc\n" + b"ab" * 9 + b"\0", "the file is an ORC file"),
            (b"X\n\0\0\0\x03\0\x04\x03\x02", "the file is of R (.rds"),
            (b"X\n\0\0\0\x02\0\x03\x02\0", "the file is of R (.rds"),
            (b"RDX3\nX\n\0\0\0\x03", "the file is of R (.rds"),
            (b"RDX2\nX\n\0\0\0\x02", "the file is of R (.rds"),
            (b"RDA2\nA\n2\n197888\n", "the file is of R (.rds"),
            *((pickle.dumps([["u1", "d1"]], each), "the file is of Python (pickle") for each in (2, 3, 4, 5)),
            (b"\x93NUMPY\1\0v\0{'descr': '<i8'", "the file is of Python (pickle, NumPy"),
            (b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + b" " * 78 + b"\0" * 8 + b"\0\1IM", "the file is of MATLAB"),
            (b"MATLAB 7.3 MAT-file, Platform: PCWIN64" + b" " * 78 + b"\0" * 8 + b"\0\2IM", "the file is of MATLAB"),
            (b"\x1c2\xd9\n\xbc\xd4\xb0qDUCK@" + b"\0" * 15, "the file is a database of DuckDB"),
            (b"\x03~\x01\x0f\x02\0\0\0a\0\x1f\0" + b"\0" * 20 + b"USER_ID\0\0\0\0C", "the file is a dBase table"),
            (b"\x30\x1a\x0a\x0a\x02\0\0\0a\0\x1f\0" + b"\0" * 20, "the file is a dBase table"),
            (b"SEQ\x06\x19org.apache.hadoop.io.Text", "the file is a sequence file"),
            (b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!000000", "the file is of SPSS, Stata or SAS"),
            (b"\x02!L\x18\x10\0\0\0", "the file is an lz4 file"),
            (b'\x04"M\x18d@\xa7', "the file is an lz4 file"),
            (b"abc\n\0\0\0\1\n\0\2\n" * 99, "binary"),
            (b"\xfe\xee\xdd\n" + b"\xfe" * 200 + b"\n\0\1\n\x02\n", "binary"),
        ],
        ids=lambda each: repr(each)[:24],
    )
    def test_what_other_tools_write_is_one_error_whatever_its_name(self, content: bytes, says: str) -> None:
        for name in ("users", "users.dat", "users.csv", "users.ndjson"):
            for each in (content, gzip.compress(content)):
                found = problems(source(each, name))
                if says == "binary":
                    assert name == "users.ndjson" or len(found) == 1
                else:
                    assert len(found) == 1
                    assert found[0].startswith(f"{name}: {says}")

    @pytest.mark.parametrize(
        "content",
        [
            b"X\n1\n",
            b"RDX2\nu1\n",
            b"RDX3,a\nX,b\n",
            b"A\n262657\n",
            b"SEQ\n1\n",
            b"01\n\n5\n",
            b"0x\n\t5\n",
            b"ORC\n1\n",
            b"MATLAB 5.0 MAT-file\n1\n",
            b"12345678DUCKS\n1\n",
            b"\xe2\x82\xac\n1\n",
            b"\x80\n1\n",
        ],
    )
    def test_tables_that_begin_as_files_of_other_tools_do_are_tables(self, content: bytes) -> None:
        assert len(spooled(source(content, "users.csv"), schema=schema_for("next-years-type"))) == 1

    @pytest.mark.parametrize("content", [b"", b"\n\r\n", b"\xef\xbb\xbf", HEADER, gzip.compress(b"")])
    def test_nothing_in_all_files_is_an_error_and_in_some_it_is_none(self, content: bytes) -> None:
        assert "no user at all" in str(refusal(content))
        assert spooled(content, SOUND, content) == [user("u1")]

    @pytest.mark.parametrize(
        ("cell", "what"),
        [
            (b"\\N", "the cell is null (\\N): write null as an empty cell"),
            (b"a\\\\b", "may be an escape"),
            (b"a\\", "may be an escape"),
            (b"'West'", "may be quoted by '"),
        ],
    )
    def test_a_cell_of_another_dialect_is_not_taken_for_a_name(self, cell: bytes, what: str) -> None:
        found = problems(HEADER + b"u1,d1," + cell + b"\n")
        assert len(found) == 1
        assert found[0].startswith('users.csv:2: column "school": ')
        assert what in found[0]

    def test_apostrophes_are_no_quotes(self) -> None:
        names = ["O'Brien", "'s-Hertogenbosch", "Hawai'"]
        rows = "".join(f"u{number},d1,{name}\n" for number, name in enumerate(names))
        assert [record["groups"]["school"] for record in spooled(HEADER + rows.encode())] == names
        quoted = b'"user_id","district","school"\n"u1","d1","\'West\'"\n'
        assert spooled(quoted) == [user("u1", school="'West'")]
        single = b"'user_id','district','school'\n'u1','d1','O''Brien'\n"
        assert spooled(single) == [user("u1", school="O'Brien")]

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("blank", ["{0}{0}", " {0} {0}", '""{0}""{0}""', "   ", "{0}{0}{0}{0}"])
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_rows_of_empty_cells_alone_are_blank_as_spreadsheets_write_them(
        self, blank: str, end: str, delimiter: str
    ) -> None:
        row = blank.format(delimiter)
        lines = [delimiter.join(("user_id", *LEVELS)), row, delimiter.join(("u1", "d1", "s1")), row, row]
        assert spooled(end.join(lines).encode()) == [user("u1")]

    @pytest.mark.parametrize("content", ['session_id\n""\n', "session_id\n \n"])
    def test_an_empty_cell_of_the_only_column_is_no_blank_row(self, content: str) -> None:
        assert problems(content.encode(), schema=schema_for(ANALYSIS))[0].startswith('users.csv:2: column "session_id"')

    def test_a_row_of_empty_cells_is_a_record_where_every_column_is_one(self) -> None:
        found = spooled(b"id,note\n1,x\n,\n", schema=schema_for("next-years-type"))
        assert found == [{"id": "1", "note": "x"}, {"id": "", "note": ""}]

    def test_a_row_of_dashes_is_a_record_where_every_column_is_one(self) -> None:
        found = spooled(b"id,note\n--,--\n1,--\n", schema=schema_for("next-years-type"))
        assert found == [{"id": "--", "note": "--"}, {"id": "1", "note": "--"}]

    def test_a_line_of_dashes_below_the_header_is_no_user(self) -> None:
        """As sqlcmd writes it, which may leave one dash for a short column."""
        for ruler in (b"-------,--------,------\n", b"--,-,-\n", b" -- ,  -,-\n"):
            assert problems(HEADER + ruler + b"u1,d1,s1\n") == [
                "users.csv:2: the row has dashes alone, as sqlcmd writes them: leave it out"
            ]
        assert spooled(HEADER + b"a--b,--,-\n-,-,-\n")[0] == user("a--b", "--", "-")
        markdown = b"|user_id|district|school|\n|---|:---|---:|\n|u1|d1|s1|\n"
        assert problems(source(markdown, "users.md"))[0].startswith("users.md:2: the row has dashes alone")
        single = f"session_id\n----\n{UUIDS[0]}\n".encode()
        assert problems(single, schema=schema_for(ANALYSIS))[0].startswith("users.csv:2: the row has dashes alone")

    @pytest.mark.parametrize("footer", ["(1 row)", "(2 rows)", "(2 rows affected)", " (2 rows)"])
    def test_the_number_of_rows_below_them_is_no_session(self, footer: str) -> None:
        content = f"session_id\n{UUIDS[0]}\n{UUIDS[1]}\n\n{footer}\n".encode()
        assert problems(content, schema=schema_for(ANALYSIS)) == [
            'users.csv:5: column "session_id": the cell is the number of rows, as psql and sqlcmd write it at the end: '
            "leave it out"
        ]
        assert spooled(HEADER + b"u1,third row,(2 rows) left\n") == [user("u1", "third row", "(2 rows) left")]

    def test_the_number_of_rows_may_be_text(self) -> None:
        quoted = HEADER.replace(b",", b'","').replace(b"user_id", b'"user_id').replace(b"school", b'school"')
        assert spooled(quoted + b'"u1","(2 rows)","s1"\n') == [user("u1", "(2 rows)", "s1")]
        found = spooled(b"id,note\n1,(3 rows)\n2,x\n", schema=schema_for("next-years-type"))
        assert found == [{"id": "1", "note": "(3 rows)"}, {"id": "2", "note": "x"}]

    def test_rows_are_counted_with_the_blank_ones_and_quoted_line_ends(self) -> None:
        content = b"\n" + HEADER + b'u1,"d\n1",s\n\n\n,d,s\n'
        assert problems(content) == ['users.csv:6: column "user_id": the cell is empty']

    def test_no_message_quotes_a_cell(self) -> None:
        content = b"SECRET,PUPIL\n" + HEADER + b"SECRET,,s\n,PUPIL,s\nSECRET\nSECRET\0,d,s\n"
        for each in (content, HEADER + content, HEADER + b'u1,"SECRET"PUPIL,s\n', HEADER + b'u1,"SECRET'):
            assert "SECRET" not in str(refusal(each))
            assert "PUPIL" not in str(refusal(each))

    def test_formats_are_not_mixed(self) -> None:
        line = source(b'{"user_id":"u2","groups":{"district":"d","school":"s"}}\n', "more.ndjson")
        tabs = source(SOUND.replace(b",", b"\t"), "more.tsv")
        for other, kind in ((line, "NDJSON"), (tabs, "TSV")):
            error = str(refusal(SOUND, other))
            assert "users.csv is CSV" in error
            assert f"{other.name} is {kind}" in error


class TestOtherWriters:
    """Excel, and programs that put no quotes around cells."""

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("place", range(4))
    @pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL], ids=["minimal", "all"])
    def test_a_line_end_in_a_name_of_the_header_is_no_end_of_the_row(
        self, delimiter: str, place: int, quoting: Any
    ) -> None:
        """Excel writes a line feed there for Alt+Enter, and CRLF behind each row."""
        for end, inner in product(("\n", "\r\n", "\r"), repeat=2):
            rows = [["user_id", "district", "school"], ["u1", "d1", "s1"], ["u2", "d2", f"x{delimiter}{inner}y"]]
            for row, more in zip(rows, [f'First{inner}"name"{delimiter} or', "n", "n"], strict=True):
                row.insert(place, more)
            text = io.StringIO(newline="")
            csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
            for encoding in ("utf-8-sig", "utf-16"):
                found = spooled(source(text.getvalue().encode(encoding), chunk=7))
                assert found == [user("u1"), user("u2", "d2", f"x{delimiter}{inner}y")], (end, inner, encoding)

    def test_a_quote_in_a_name_of_the_header_that_is_not_at_its_begin_opens_nothing(self) -> None:
        assert spooled(b'user_id,district,school,5" x\nu1,d1,s1,"a\r\nb"\n') == [user("u1")]

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("place", range(4))
    @pytest.mark.parametrize("name", ["a{}'b", "a{}'b'", "'{}'", "{}'", "a\n{}'b", 'a"{}\'"', "a{}'\nb{}'c"], ids=repr)
    @pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL], ids=["minimal", "all"])
    def test_an_apostrophe_behind_a_delimiter_in_a_name_in_double_quotes_is_text(
        self, name: str, place: int, delimiter: str, quoting: Any
    ) -> None:
        rows = [["user_id", "district", "school"], ["u1", "d1", "s1"], ["u2", "d2", f"x{delimiter}y"]]
        for row, more in zip(rows, [name.replace("{}", delimiter), "n", "n"], strict=True):
            row.insert(place, more)
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=delimiter, lineterminator="\r\n", quoting=quoting).writerows(rows)
        assert spooled(text.getvalue().encode()) == [user("u1"), user("u2", "d2", f"x{delimiter}y")]

    @pytest.mark.parametrize("name", ['"n"', '"n', 'n"', "'a,\"b'", "'a,\"b\",c'", "'a\nb'", "'a''b'", "it's"])
    @pytest.mark.parametrize("place", range(4))
    def test_other_names_leave_an_apostrophe_the_quote_that_it_is(self, name: str, place: int) -> None:
        header, row = ["user_id", "'district'", "'school'"], ["u1", "'d1'", "'x,y'"]
        header.insert(place, name)
        row.insert(place, "n")
        assert spooled(f"{','.join(header)}\n{','.join(row)}\n".encode()) == [user("u1", "d1", "x,y")]

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("line", ["sep={}", '"sep={}"', "SEP={}", "\ufeffsep={}", "sep={0}{0}{0}", "\nsep={}",
                                      "sep={}\n", "sep={}\n\n", "\nsep={}\n"])  # fmt: skip
    def test_a_first_line_that_names_the_delimiter_is_passed_over(self, delimiter: str, end: str, line: str) -> None:
        other = ";" if delimiter == "," else ","
        header = delimiter.join(["user_id", "district", "school", other.join("abcdefg")])
        rows = [line.format(delimiter), header, delimiter.join(["u1", "d1", "s1", ""]), "u2"]
        text = "".join(f"{row}\n" for row in rows).replace("\n", end)
        for name in ("users.csv", "users"):
            row = 4 + line.count("\n")
            assert problems(source(text.encode(), name)) == [f"{name}:{row}: the row has 1 cell, and the header has 4"]

    def test_a_first_line_that_names_another_delimiter_is_named(self) -> None:
        (told,) = problems(b"sep=#\nuser_id#district#school\nu1#d1#s1\n")
        assert told.startswith("users.csv:1: this line names a delimiter that is not read: take comma, semicolon,")

    @pytest.mark.parametrize("place", range(3))
    @pytest.mark.parametrize("cell", [' "x"', '   "x"', ' "x', '="007"', '"=""007"""'])
    def test_quotes_that_quote_nothing_are_refused(self, place: int, cell: str) -> None:
        cells = ["u1", "d1", "s1"]
        cells[place] = cell
        (told,) = problems(HEADER + ",".join(cells).encode() + b"\n")
        assert told.startswith(f'users.csv:2: column "{HEADER.decode().split(",")[place].strip()}": ')
        assert "formula of Excel" in told if "=" in cell else "a quote stands behind a blank" in told

    def test_a_header_with_blanks_before_its_quotes_is_named(self) -> None:
        (told,) = problems(b'"user_id", "district", "school"\n"u1", "d1", "s1"\n')
        assert told.startswith("users.csv:1: in the header, a quote stands behind a blank")

    @pytest.mark.parametrize("spaced", [names for names in product((False, True), repeat=4) if any(names)])
    @pytest.mark.parametrize("absent", [None, 0, 1, 2])
    @pytest.mark.parametrize("any_object", [False, True])
    def test_blanks_before_quotes_are_named_only_where_a_column_is_missing_for_them(
        self, spaced: tuple[bool, ...], absent: int | None, any_object: bool
    ) -> None:
        names = ["user_id", "district", "school", "name"]
        if absent is not None:
            names[absent] = "other"
        header = ",".join(f' "{name}"' if odd else name for name, odd in zip(names, spaced, strict=True))
        content = f"{header}\nu1,d1,s1,n\n".encode()
        schema = schema_for(SUMMARY, LEVELS, any_object=any_object)
        hidden = [place for place in range(3) if spaced[place] and place != absent]
        gone = [place for place in range(3) if spaced[place] or place == absent]
        if not gone or (any_object and len(gone) < 3):
            assert len(spooled(content, schema=schema)) == 1
            return
        (told,) = problems(content, schema=schema)
        assert ("in the header, a quote stands behind a blank" in told) == bool(hidden)
        assert ("it has no column" in told or "it has none of the columns" in told) == (not hidden)

    def test_other_quotes_behind_blanks_are_text(self) -> None:
        content = HEADER + b'u1,d 5" x,"He said ""s"" = ""t"""\n'
        assert spooled(content) == [user("u1", 'd 5" x', 'He said "s" = "t"')]
        assert spooled(HEADER.replace(b"school", b'"school"') + b'u1,d1," ""s"""\n') == [user("u1", school=' "s"')]

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("place", range(4))
    @pytest.mark.parametrize("swallowed", [1, 2, 5])
    def test_rows_between_two_quotes_of_a_writer_that_quotes_nothing_are_not_lost(
        self, delimiter: str, place: int, swallowed: int
    ) -> None:
        rows = [[f"u{number}", "d1", "s1", "note"] for number in range(8)]
        rows[1][place] = '"' + rows[1][place]
        rows[1 + swallowed][place] += '"'
        lines = [delimiter.join(row) for row in (["user_id", "district", "school", "x"], *rows)]
        for end, blank in product(("\n", "\r\n", "\r"), (0, 1)):
            (told,) = problems("".join(line + end * (1 + blank) for line in lines).encode())
            assert told.startswith(f"users.csv:{3 + 2 * blank}: a cell of several lines looks like rows between two")

    @pytest.mark.parametrize(
        "names", [("user_id", "x", "district"), ("district", "x", "user_id"), ("x", "district", "user_id")]
    )
    @pytest.mark.parametrize(
        "ids", [("u1", "u2", "u3"), ("alice", "bob2", "u3"), ("a.b@x.org", "bob@x.org", "c_1@x.org.")]
    )
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_the_place_of_the_id_and_the_line_end_hide_no_swallowed_row(
        self, names: tuple[str, ...], ids: tuple[str, ...], end: str
    ) -> None:
        rows = [{"user_id": each, "district": "d1", "x": "note"} for each in ids]
        rows[0]["x"], rows[1]["x"] = '"ann', 'bob"'
        lines = [",".join(names), *(",".join(row[name] for name in names) for row in rows)]
        (told,) = problems("".join(line + end for line in lines).encode(), schema=schema_for(SUMMARY, ["district"]))
        assert told.startswith("users.csv:2: a cell of several lines looks like rows between two")

    @pytest.mark.parametrize(
        "cell",
        ["12 Main St\nSpringfield, IL", "12 Main St\nSpringfield, IL, USA, Earth", "a\nb", "a,b,c\nd", "a\nb,c",
         "a\n,b", "\n\n\n", "a, b\nc, d\n", "x\n1, 2, 3\n4, 5, 6", "a\nb,c,d,e,f"],
    )  # fmt: skip
    @pytest.mark.parametrize("place", range(4))
    @pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL], ids=["minimal", "all"])
    def test_text_of_several_lines_is_one_cell(self, cell: str, place: int, quoting: Any) -> None:
        rows = [["user_id", "district", "school"], ["u1", "d1", "s1"], ["u2", "d1", "s1"]]
        for row, more in zip(rows, ["note", cell, "n"], strict=True):
            row.insert(place, more)
        text = io.StringIO(newline="")
        csv.writer(text, quoting=quoting).writerows(rows)
        assert spooled(text.getvalue().encode()) == [user("u1"), user("u2")]

    def test_a_cell_that_looks_like_rows_is_one_where_the_writer_quotes(self) -> None:
        content = b'user_id,district,school\nu1,d1,"s1\nu2,d1,s2"\n'
        whole = [user("u1", school="s1\nu2,d1,s2")]
        assert "put the names in the header in double quotes" in problems(content)[0]
        assert spooled(content.replace(b"user_id", b'"user_id"')) == whole
        later = [user(f"v{number}") for number in range(40_000)]
        rows = "".join(f"{row['user_id']},d1,s1\n" for row in later).encode()
        for quoted, name in ((b'"a,b"', "a,b"), (b'"a ""b"""', 'a "b"'), (b'"a,""b"', 'a,"b')):
            last = b"u9,d1," + quoted + b"\n"
            for chunk in (content + last, HEADER + last + content.removeprefix(HEADER), content + rows + last):
                found = spooled(source(chunk, chunk=100_000))
                assert sorted(found, key=str) == sorted(
                    [*whole, user("u9", school=name), *(later if rows in chunk else [])], key=str
                )
        for text in (b'""', b'5" x', b'"a"', b"a"):
            assert len(problems(content + b"u9,d1," + text + b"\n")) == 1

    @pytest.mark.parametrize(
        "rows",
        [
            'user_id,address|u1,"12 Main St\nSpringfield,IL"',
            'user_id,district|u1,"North\nSchool,IL"',
            'user_id,district|u1,"d1\nu2,d2"',
            'user_id,subjects,district|u1,"Math,Science\nArt,PE",d1',
            'user_id,years,district|1001,"2023,A\n2024,B",d1|1002,x,d1',
            'user_id,subjects,district|u1,"Math1,Bio2\nArt3,PE4",d1|u2,x,d1',
            'user_id,district,note|u1,d1,"moved\nfrom A,B,C"',
            'user_id,district,note|u1,d1,"moved\nfrom A,d1,C"',
            'user_id,district,note|u1,d1,"a\n\nb,c,d"',
            'user_id,district,contacts,x|u1,d1,"Ann,555-1\nBob,555-2,m",a',
            'user_id,contacts,district|ann@x.org,"mom@x.org,Ann\ndad@x.org,Bob",d1|bob@x.org,x,d1',
        ],
    )
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_text_that_has_the_form_of_rows_is_sent_with_a_warning(
        self, rows: str, delimiter: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        content = rows.replace("|", "\n").replace(",", delimiter) + "\n"
        levels = ("district",) if "district" in content else ()
        for any_object in (False, True):
            caplog.clear()
            schema = schema_for(SUMMARY, levels, any_object=any_object)
            assert len(spooled(content.encode(), schema=schema)) == rows.count("|")
            (told,) = [one.getMessage() for one in caplog.records if "swallowed_rows" in one.name]
            assert told.splitlines()[1:] == ["  users.csv:2: a cell of several lines may be rows"]
            caplog.clear()
            quoted = content.replace("user_id", '"user_id"')
            assert len(spooled(quoted.encode(), schema=schema)) == rows.count("|")
            assert not [one for one in caplog.records if "swallowed_rows" in one.name]

    @pytest.mark.parametrize("session", [UUIDS[1], UUIDS[1].replace("-", "")])
    def test_sessions_between_two_quotes_are_not_lost(self, session: str) -> None:
        schema = schema_for(ANALYSIS)
        content = 'session_id,a,b\n{},x,"y\n{},x,z"\n'
        (told,) = problems(content.format(session, session.replace("2", "3")).encode(), schema=schema)
        assert told.startswith("users.csv:2: a cell of several lines looks like rows between two")
        assert len(spooled(content.format("s1", "s2").encode(), schema=schema)) == 1

    def test_the_doubtful_cells_of_several_files_are_counted(self, caplog: pytest.LogCaptureFixture) -> None:
        schema = schema_for(SUMMARY, ["district"])
        files = [
            source(
                b"user_id,x,district\n" + b"".join(b'u%d,"a,b\nc,d",d1\n' % (100 * number + row) for row in range(8)),
                f"{number}.csv",
            )
            for number in range(2)
        ]
        assert len(spooled(*files, schema=schema)) == 16
        (told,) = [one.getMessage() for one in caplog.records if "swallowed_rows" in one.name]
        assert told.startswith("16 cell(s) of several lines have the form of rows") and "The first 10:" in told
        assert told.splitlines()[1:] == [
            f"  {number}.csv:{row}: a cell of several lines may be rows"
            for number, row in [*((0, row) for row in range(2, 10)), (1, 2), (1, 3)]
        ]

    def test_a_cell_of_several_lines_does_not_slow_down_the_rows_beside_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looked: list[Any] = []
        monkeypatch.setattr("learnosity.inputs.table.is_header", lambda row, *_: looked.append(row))
        monkeypatch.setattr("learnosity.inputs.table.oddity", lambda cell, *_: looked.append(cell))
        rows = b"".join(b"u%d,d1,s1\n" % row for row in range(1_000))
        assert len(spooled(HEADER + b'u,d1,"s1\nx"\n' + rows)) == 1_001
        assert looked == []

    def test_very_many_swallowed_rows_end_the_reading(self) -> None:
        rows = "".join(f'u{row},d1,"s1\nu{row + 1},d1,s1"\n' for row in range(100_000, 104_000, 2))
        error = refusal(HEADER + rows.encode())
        assert error.at_least and error.count == 1_000


class TestColumns:
    @pytest.mark.parametrize(
        ("columns", "expected"),
        [
            ({"user": "x"}, "'user' is no key of a record; did you mean 'user_id'?"),
            ({"district": "x"}, "did you mean 'groups.district'?"),
            ({"user_id": 7}, "'user_id' has to be the name of a column"),
            ({"session_id": "x"}, "'session_id' is no key of a record"),
        ],
    )
    def test_a_key_that_a_record_does_not_have_is_refused(self, columns: Mapping[str, object], expected: str) -> None:
        with pytest.raises(RequestError, match=r"The keys are user_id, groups\.district, groups\.school") as caught:
            schema_for(SUMMARY, LEVELS, input_columns=columns)
        assert expected in str(caught.value)

    @pytest.mark.parametrize("any_object", [True, False])
    def test_where_no_key_is_known_none_is_listed(self, any_object: bool) -> None:
        with pytest.raises(RequestError) as caught:
            schema_for("other-type", (), input_columns={"x": 5}, any_object=any_object)
        assert str(caught.value) == (
            "input_columns cannot be used: 'x' has to be the name of a column, as a text. Write it as in "
            '{"user_id": "student_no"}.'
        )

    @pytest.mark.parametrize("form", ["csv", "parquet"])
    @pytest.mark.parametrize(
        ("folder", "columns", "told"),
        [
            (
                "district=d1/school=s1",
                {},
                'it has no column "district", "school" among its 1: name them in input_columns; or write "district", '
                '"school" into the files as a column: only the name of a folder has it (district=…), and that is not '
                "read",
            ),
            ("DISTRICT=d1/school=s1", {}, '; or write "district", "school" into the files as a column'),
            ("lea=d1/school=s1", {"groups.district": "lea"}, '; or write "lea", "school" into the files as a column'),
            ("school=s1", {}, 'among its 1: name them in input_columns; or write "school" into the files as a column'),
            ("year=2026", {}, 'it has no column "district", "school" among its 1: name them in input_columns'),
        ],
    )
    @pytest.mark.parametrize("above", ["", "district=a/school=a/lea=a/"])
    def test_a_column_in_the_name_of_a_folder_alone_is_named(
        self, form: str, folder: str, columns: dict[str, str], told: str, above: str, tmp_path: Path
    ) -> None:
        content = b"user_id\nu1\n" if form == "csv" else b"".join(parquet("SELECT 'u1' user_id", tmp_path).open())
        schema = schema_for(SUMMARY, LEVELS, input_columns=columns)
        file = InputFile(f"s3://lake/{above}{folder}/part-0", lambda: iter([content]), path=f"{folder}/part-0")
        (problem,) = problems(file, schema=schema)
        assert told in problem
        assert ("or write" in problem) == (folder != "year=2026")
        plain = 'it has no column "' if not columns else 'it has no column "lea", which holds groups.district, "'
        for inside in ("", "part-0"):
            (problem,) = problems(InputFile(file.name, file.open, path=inside), schema=schema)
            assert plain in problem and problem.endswith(": name them in input_columns"), "folders above the input"

    def test_a_column_that_is_not_there_is_named_with_its_key(self) -> None:
        schema = schema_for(SUMMARY, LEVELS, input_columns={"user_id": "Nummer"})
        assert problems(SOUND, schema=schema)[0].startswith(
            'users.csv:1: it has no column "Nummer", which holds user_id among its 3'
        )

    @pytest.mark.parametrize(
        ("header", "given", "advice"),
        [
            ("Nummer,Kreis,Schule", {}, "name the columns in the first row, or say in input_columns which"),
            ("Nummer,Kreis,Schule", {"user_id": "Number"}, "name them in input_columns"),
            ("user_id,Kreis,Schule", {}, "name them in input_columns"),
            ("user_id,district,Schule", {}, 'no column "school" among its 3: name them in input_columns'),
            ("user_id^district^school", {}, "that is read between them (comma, semicolon, tab, bar)"),
            ("Nummer^Kreis^Schule", {"user_id": "Nummer"}, "that is read between them (comma, semicolon, tab, bar)"),
        ],
    )
    def test_what_to_do_where_no_column_has_its_name(self, header: str, given: dict[str, str], advice: str) -> None:
        (problem,) = problems(f"{header}\n1,2,3\n".encode(), schema=schema_for(SUMMARY, LEVELS, input_columns=given))
        assert advice in problem

    def test_a_parquet_file_has_no_first_row_to_name_columns_in(self, tmp_path: Path) -> None:
        (problem,) = problems(parquet("SELECT 'u' AS student, 'd' AS lea", tmp_path))
        assert problem.endswith("among its 2: say in input_columns which of its columns hold what")

    @pytest.mark.parametrize("form", ["csv", "parquet"])
    def test_the_unicode_form_of_a_name_does_not_count(self, form: str, tmp_path: Path) -> None:
        """Names that a person types and names that macOS writes look the same."""
        composed, decomposed = unicodedata.normalize("NFC", "Schüler"), unicodedata.normalize("NFD", "Schüler")
        for given, name in ((composed, decomposed), (decomposed, composed)):
            schema = schema_for(SUMMARY, LEVELS, input_columns={"user_id": given.lower()})
            table = parquet(f"SELECT 'u' AS \"{name}\", 'd' AS district, 's' AS school", tmp_path)
            content = source(f"{name},district,school\nu,d,s\n".encode())
            assert spooled(table if form == "parquet" else content, schema=schema) == [user("u", "d", "s")]

    def test_columns_are_for_tables(self) -> None:
        schema = schema_for(SUMMARY, LEVELS, input_columns={"user_id": "Nummer"})
        assert "leave it empty for NDJSON" in str(refusal(source(b"{}\n", "users.ndjson"), schema=schema))


class TestSessions:
    schema = schema_for(SESSIONS, ["district"])

    def rows(self, *rows: Sequence[str]) -> bytes:
        text = io.StringIO()
        csv.writer(text).writerows([("user_id", "district", "session_id"), *rows])
        return text.getvalue().encode()

    @pytest.mark.parametrize(
        "cell", ['["{0}","{1}"]', "{0} {1}", "{0}; {1}", "{0},{1}", "{{{0},{1}}}", "['{0}', '{1}']"]
    )
    def test_a_row_for_each_user(self, cell: str) -> None:
        records = spooled(self.rows(("u1", "d1", cell.format(*UUIDS))), schema=self.schema)
        assert records[0]["session_id"] == UUIDS[:2]

    def test_one_session_in_an_array_of_a_database_is_that_session(self) -> None:
        assert spooled(self.rows(("u1", "d1", f"{{{UUIDS[0]}}}")), schema=self.schema)[0]["session_id"] == UUIDS[:1]
        for other in ("{a,b}", "[x", "(y)", f"{UUIDS[0]} "):
            assert spooled(self.rows(("u1", "d1", other)), schema=self.schema)[0]["session_id"] == [other]

    NO_LIST = (
        "{{}}", "{{ }}", "()", "[ ]", "[]", "{{NULL}}", "{{NULL,NULL}}", "[None]", "[null]", '[""]', "{{,}}",
        "{{NULL,{0}}}", "{{{0},NULL}}", "{0},{1},N/A", "N/A {0}", "[{0}, {1}, null]", "[{0}, None]", '["{0}", null]',
        "{0}/{1}", "{0}+{1}", "{0}{1}", "{0}&{1}&{2}",
        "{0},x", "{0} {1} x", "{0}\n{1}x", '["{0},{1}"]', '["{{{0}}}"]', "[" * 100_000, "{{{0},x}}",
    )  # fmt: skip

    @pytest.mark.parametrize("cell", NO_LIST, ids=lambda cell: cell[:20])
    def test_a_list_of_which_something_is_no_session_is_named_by_its_row(self, cell: str) -> None:
        good = ("u2", "d1", UUIDS[3])
        content = self.rows(good, ("u1", "d1", cell.format(*UUIDS)), ("u3", "d1", UUIDS[4]))
        (problem,) = problems(content, schema=self.schema)[:1]
        assert problem.startswith("users.csv:3: a session id in it is empty, or no id")
        assert UUIDS[0] not in problem

    @pytest.mark.parametrize(
        "cell",
        ["{0}", "x", "null", "N/A", "a b", "a,b", "{{a,b}}", "[x", "(y)", "{0} ", " {0}", "urn:uuid:{0}", "s-{0}"],
    )
    def test_what_holds_no_list_of_uuids_is_one_session(self, cell: str) -> None:
        one = cell.format(*UUIDS)
        assert spooled(self.rows(("u1", "d1", one)), schema=self.schema)[0]["session_id"] == [one]

    @pytest.mark.parametrize(
        "cell",
        [
            "{0},",
            ";{0}",
            '"{0}"',
            "{{{0}}}",
            "{{{0},}}",
            "[{0}]",
            "({0})",
            "{0}|",
            "{0}, ",
            '["{0}"]',
            "['{0}']",
        ],
        ids=lambda cell: cell,
    )
    def test_one_session_in_a_list_is_that_session(self, cell: str) -> None:
        one = cell.format(*UUIDS)
        assert spooled(self.rows(("u1", "d1", one)), schema=self.schema)[0]["session_id"] == [UUIDS[0]]
        text = io.StringIO()
        csv.writer(text).writerows([["session_id"], [UUIDS[1]], [one], [UUIDS[2]]])
        sent = spooled(text.getvalue().encode(), schema=schema_for(ANALYSIS))
        assert sent == [{"session_id": UUIDS[place]} for place in (1, 0, 2)]

    FORMS = ("{0}", "{0:bare}", "{0:upper}", "{0:BARE}")

    @pytest.mark.parametrize("between", [",", ", ", ";", "|", " ", "\n", "\t", "','", '","', "},{"], ids=repr)
    @pytest.mark.parametrize("around", ["{}", "{{{}}}", "[{}]", "({})", "{},", " {} "])
    def test_uuids_of_every_form_are_the_sessions_of_a_list(self, around: str, between: str) -> None:
        pairs = [[one.format(LETTERED[0]), two.format(LETTERED[1])] for one, two in product(self.FORMS, repeat=2)]
        rows = [(f"u{number}", "d1", around.format(between.join(pair))) for number, pair in enumerate(pairs)]
        assert [record["session_id"] for record in spooled(self.rows(*rows), schema=self.schema)] == pairs

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("around", ["{}", "{{{}}}", "[{}]", "({})", '"{}"', "{},", ";{}", "{}|", '["{}"]'])
    def test_one_uuid_of_every_form_is_that_session(self, around: str, form: str) -> None:
        one = form.format(LETTERED[0])
        cell = around.format(one)
        assert spooled(self.rows(("u1", "d1", cell)), schema=self.schema)[0]["session_id"] == [one]
        text = io.StringIO()
        csv.writer(text).writerows([["session_id"], [UUIDS[3]], [cell], [UUIDS[4]]])
        assert spooled(text.getvalue().encode(), schema=schema_for(ANALYSIS))[1] == {"session_id": one}

    @pytest.mark.parametrize("cell", [
        "{0:bare}{1:bare}", "{0:bare}0", "x{0:bare}", "{0:bare}{1}", "{0:bare}-00f067aa0ba902b7", "s-{0:bare}",
        "{0:bare}0,{1:bare}0", "{0:bare}x {1:bare}x", "{{{0:bare}0,x}}",
    ])  # fmt: skip
    def test_digits_that_are_more_or_less_than_a_uuid_are_a_part_of_an_id(self, cell: str) -> None:
        """As of a digest, or of a trace."""
        one = cell.format(*LETTERED)
        assert spooled(self.rows(("u1", "d1", one)), schema=self.schema)[0]["session_id"] == [one]

    @pytest.mark.parametrize("cell", [
        "{{NULL,{0:bare}}}", "{0:bare},{1:bare},N/A", "[{0:bare}, null]", '["{0:bare}", null]', "{0:bare}/{1:bare}",
        "{0:bare}/{1}", "{0},{1:bare},x", "{0:bare}&{1:bare}", '["{0:bare},{1:bare}"]', '["{{{0:bare}}}"]',
    ])  # fmt: skip
    def test_a_list_of_uuids_of_which_something_is_none_is_named_whatever_their_form(self, cell: str) -> None:
        content = self.rows(("u2", "d1", UUIDS[3]), ("u1", "d1", cell.format(*LETTERED)))
        (problem,) = problems(content, schema=self.schema)
        assert problem.startswith("users.csv:3: a session id in it is empty, or no id")

    @pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
    @pytest.mark.parametrize("first", FORMS)
    @pytest.mark.parametrize("others", [0, 3])
    def test_a_uuid_in_upper_and_in_lower_case_is_one_session(
        self, others: int, first: str, form: str, tmp_path: Path
    ) -> None:
        """Other ids are compared to the letter, beside UUIDs, too."""
        more = [
            "S-1", "s-1", "A" * 36, "a" * 36, f"{LETTERED[1]}x", f"{LETTERED[1]:upper}X", f"é{LETTERED[1]}"[:36],
            f"É{LETTERED[1]}"[:36], "A" * 33, "a" * 33, str(LETTERED[1]),
        ][:others or None]  # fmt: skip
        one = first.format(LETTERED[0])
        other = one.lower() if one != one.lower() else one.upper()
        schema = schema_for(ANALYSIS)
        for ids, place in (([one, *more, other], len(more) + 1), ([*more, one, *UUIDS[:4], other], len(more) + 5)):
            made = self.analysed(form, ids, tmp_path)
            (problem,) = problems(made, schema=schema)
            assert problem == f"{made.name}:{place + (form == 'csv') + 1}: its session_id is in an earlier " + (
                "line too" if form == "ndjson" else "row too"
            )
            assert [each["session_id"] for each in spooled(self.analysed(form, ids[:-1], tmp_path), schema=schema)] == (
                ids[:-1]
            )

    def analysed(self, form: str, ids: Sequence[str], path: Path) -> InputFile:
        if form == "parquet":
            rows = ", ".join(f"('{each}')" for each in ids)
            return parquet(f"SELECT * FROM (VALUES {rows}) t(session_id)", path)
        lines = ["session_id", *ids] if form == "csv" else [json.dumps({"session_id": each}) for each in ids]
        return source("".join(f"{line}\n" for line in lines).encode(), f"users.{form}")

    @pytest.mark.parametrize("form", FORMS[1:])
    def test_a_uuid_of_a_user_in_upper_and_in_lower_case_is_one_session(self, form: str) -> None:
        one = form.format(LETTERED[0])
        other = one.lower() if one != one.lower() else one.upper()
        content = self.rows(("u1", "d1", one), ("u2", "d1", other), ("u1", "d1", UUIDS[0]), ("u1", "d1", other))
        found = problems(content, schema=self.schema)
        assert found == ["users.csv:5: this session of this user is in an earlier row too"]
        found = problems(self.rows(("u1", "d1", f"{one},{other}")), schema=self.schema)
        assert found == ["users.csv:2: a session is twice in this row"]
        for each in ("S-1", f"{one}X"):
            ids = [each, each.lower()]
            content = self.rows(*(("u1", "d1", session) for session in ids))
            assert spooled(content, schema=self.schema)[0]["session_id"] == ids

    def test_a_user_id_is_compared_to_the_letter_also_where_it_is_a_uuid(self) -> None:
        content = f"user_id,district,session_id\n{LETTERED[0]},d1,s\n{LETTERED[0]:upper},d1,s\n"
        assert len(spooled(content.encode(), schema=self.schema)) == 2

    def test_one_session_in_two_spellings_is_there_twice(self) -> None:
        content = f"session_id\n{UUIDS[0]}\n{{{UUIDS[0]}}}\n".encode()
        (problem,) = problems(content, schema=schema_for(ANALYSIS))
        assert problem.startswith("users.csv:3: ")

    @pytest.mark.parametrize(
        "cell",
        [*NO_LIST, "{0},{1}", "{0},{0}", '["a","b"]', "{0} {1}", "{{{0},{1}}}", "['{0}', '{1}']", "{{{0}}} x"],
        ids=lambda cell: cell[:20],
    )
    def test_the_analysis_types_take_one_session_in_a_cell(self, cell: str) -> None:
        text = io.StringIO()
        csv.writer(text).writerows([["session_id"], [UUIDS[3]], [cell.format(*UUIDS)], [UUIDS[4]]])
        (problem,) = problems(text.getvalue().encode(), schema=schema_for(ANALYSIS))
        assert problem.startswith('users.csv:3: column "session_id": the cell is a list: write a row for each session')

    @pytest.mark.parametrize("cell", ["x", "null", "a b", "{{a,b}}", "[x", "{0} ", "urn:uuid:{0}", "s-{0}"])
    def test_the_analysis_types_take_what_is_no_list_as_it_is(self, cell: str) -> None:
        text = io.StringIO()
        csv.writer(text).writerows([["session_id"], [cell.format(*UUIDS)]])
        one = [{"session_id": cell.format(*UUIDS)}]
        assert spooled(text.getvalue().encode(), schema=schema_for(ANALYSIS)) == one

    def test_rows_of_a_user_come_from_all_files_in_their_order(self) -> None:
        files = [self.rows(*((f"u{user}", "d", f"{part}-{user}") for user in range(3))) for part in range(50)]
        records = spooled(*files, schema=self.schema)
        assert [record["user_id"] for record in records] == ["u0", "u1", "u2"]
        assert records[1]["session_id"] == [f"{part}-1" for part in range(50)]

    def test_what_does_not_fit_together_is_named(self) -> None:
        content = self.rows(("u1", "d1", "a"), ("u2", "d1", "c"), ("u1", "", "a"), ("u2", "d1", "c"))
        assert problems(content, schema=self.schema) == [
            "users.csv:5: this session of this user is in an earlier row too",
        ]

    @pytest.mark.parametrize("cell", ["{0},{0}", '["{0}","{0}"]', '["a","a"]', "{{{0},{1},{0}}}"])
    def test_a_session_that_is_twice_in_a_cell_is_named_as_such(self, cell: str) -> None:
        content = self.rows(("u1", "d1", UUIDS[5]), ("u1", "d1", cell.format(*UUIDS)), ("u1", "d1", UUIDS[6]))
        assert problems(content, schema=self.schema) == ["users.csv:3: a session is twice in this row"]

    def test_a_user_has_at_most_fifty_sessions(self) -> None:
        rows = [("u1", "d1", uuid) for uuid in UUIDS[:51]]
        assert len(spooled(self.rows(*rows[:50]), schema=self.schema)[0]["session_id"]) == 50
        found = problems(self.rows(*rows), schema=self.schema)
        assert found == ["users.csv:52: it is one session too many: a user has at most 50"]

    def test_an_empty_session_in_a_list_is_named(self) -> None:
        for cell in ('["a",""]', f'["{UUIDS[0]}",""]'):
            assert problems(self.rows(("u1", "d1", cell)), schema=self.schema)[0].startswith("users.csv:2: a session")

    def test_a_missing_column_of_sessions_is_named_as_in_the_docs(self) -> None:
        assert 'no column "district", "session_id" among' in problems(b"user_id\nu1\n", schema=self.schema)[0]

    def test_two_columns_of_sessions_are_refused(self) -> None:
        content = b"user_id,district,session_id,sessions\nu1,d1,a,b\n"
        assert 'more than one of the columns "session_id" or' in problems(content, schema=self.schema)[0]

    def test_more_users_than_a_dataset_takes(self) -> None:
        content = b"user_id,district,session_id\n" + b"".join(b"u%d,d,s\n" % number for number in range(200_001))
        assert "more than 200,000 users" in str(refusal(content, schema=self.schema))


class TestParquet:
    def test_whole_numbers_dates_and_uuids_become_text(self, tmp_path: Path) -> None:
        file = parquet(f"SELECT 7::BIGINT user_id, DATE '2026-01-05' district, '{UUIDS[0]}'::UUID school", tmp_path)
        assert spooled(file) == [user("7", "2026-01-05", UUIDS[0])]
        huge = parquet(
            "SELECT 123456789012345678901::DECIMAL(38, 0) user_id, 0::UTINYINT district, 's' school", tmp_path
        )
        assert spooled(huge) == [user("123456789012345678901", "0", "s")]

    def test_text_stays_as_it_is(self, tmp_path: Path) -> None:
        file = parquet("SELECT '007' user_id, '1e5' district, E'a\\nö' school, 'x' AS pupil", tmp_path)
        assert spooled(file) == [user("007", "1e5", "a\nö")]

    @pytest.mark.parametrize("kind", ["DOUBLE", "FLOAT", "DECIMAL(9,2)", "BOOLEAN", "TIMESTAMP"])
    def test_other_types_are_refused_by_name(self, tmp_path: Path, kind: str) -> None:
        value = "DATE '2026-01-05'" if kind == "TIMESTAMP" else "1"
        file = parquet(f"SELECT ({value})::{kind} user_id, 'd' district, 's' school", tmp_path)
        found = problems(file)
        assert found[0].startswith(f'users.parquet: column "user_id" is of type {kind.partition("(")[0]}')
        assert len(found) == 1

    @pytest.mark.parametrize("value", ["{'a': 1}", "['a']", "MAP {'a': 1}"])
    def test_nested_columns_are_refused_by_name(self, tmp_path: Path, value: str) -> None:
        file = parquet(f"SELECT 'u' user_id, {value} district, 's' school", tmp_path)
        assert problems(file)[0].startswith('users.parquet: column "district" is nested')

    def test_groups_may_be_nested_as_in_the_records(self, tmp_path: Path) -> None:
        select = (
            "SELECT [1, 2] other, {'school': 's1', 'district': 'd1'} AS groups, 'u1' user_id, ['a', 'b'] session_id"
        )
        assert spooled(parquet(select, tmp_path)) == [user("u1")]
        sessions = schema_for(SESSIONS, LEVELS)
        assert spooled(parquet(select, tmp_path), schema=sessions) == [user("u1", session_id=["a", "b"])]

    def test_a_null_is_named_by_row_and_column(self, tmp_path: Path) -> None:
        file = parquet("SELECT CASE n WHEN 1 THEN NULL ELSE 'u' || n END user_id, 'd' district, 's' school "
                       "FROM range(3) t(n)", tmp_path)  # fmt: skip
        assert problems(file) == ['users.parquet:2: column "user_id": the cell is null']

    def test_a_column_of_nulls_alone_is_a_level_in_which_nobody_of_the_file_has_a_group(self, tmp_path: Path) -> None:
        """As a part file that some writers make: they do not know the type of such a column."""
        files = [
            parquet("SELECT 'u1' user_id, 'd1' district, NULL school", tmp_path, "a.parquet"),
            parquet("SELECT 'u2' user_id, 'd1' district, 's1' school", tmp_path, "b.parquet"),
        ]
        assert spooled(*files) == [{"user_id": "u1", "groups": {"district": "d1"}}, user("u2")]

    def test_names_that_differ_in_case_alone_are_refused(self, tmp_path: Path) -> None:
        file = parquet("SELECT 'u' user_id, 'd' district, 's' school, 'x' other", tmp_path)
        content = b"".join(file.open()).replace(b"other", b"SCHOO").replace(b"SCHOO", b"SCHO_")
        assert spooled(source(content, "users.parquet")) == [user("u", "d", "s")]

    def test_several_files_in_their_order_and_rows_by_file(self, tmp_path: Path) -> None:
        files = [
            parquet(f"SELECT '{part}-' || n user_id, 'd' district, 's' school FROM range({part}) t(n)", tmp_path, name)
            for part, name in enumerate(("a.parquet", "b.parquet", "c.parquet"))
        ]
        other = parquet("SELECT 's' school, 9 user_id, 'd' district, 1 more", tmp_path, "d.parquet")
        assert [record["user_id"] for record in spooled(*files, other)] == ["1-0", "2-0", "2-1", "9"]
        bad = parquet("SELECT NULL::VARCHAR user_id, 'd' district, 's' school", tmp_path, "e.parquet")
        assert problems(*files, bad, other) == ['e.parquet:1: column "user_id": the cell is null']

    def test_a_damaged_file_among_others_is_named(self, tmp_path: Path) -> None:
        good = parquet("SELECT 'u' || n user_id, 'd' district, 's' school FROM range(9) t(n)", tmp_path, "good.parquet")
        whole = b"".join(good.open())
        for content in (whole[:-30], whole[:4] + b"\xff" * 60 + whole[64:]):
            found = problems(good, source(content, "bad.parquet"))
            assert len(found) == 1
            assert found[0].startswith("bad.parquet: the file cannot be read as Parquet")
        assert "although its name says so" in problems(source(SOUND, "users.parquet"))[0]

    def test_a_cell_of_200_mb_is_refused_in_limited_memory(self, tmp_path: Path) -> None:
        file = parquet("SELECT 'u' user_id, 'd' district, repeat('x', 200_000_000) school", tmp_path)
        assert problems(file)[0].startswith("users.parquet: a cell or a row group is too large")

    def test_rows_that_unpack_without_end_stop_at_the_limit(self, tmp_path: Path) -> None:
        file = parquet("SELECT uuid() session_id FROM range(200_000)", tmp_path)
        size = sum(map(len, file.open()))
        assert "bytes once unpacked" in str(refusal(file, schema=schema_for(ANALYSIS), max_bytes=size + 1_000_000))

    def test_packed_parquet_is_read_too(self, tmp_path: Path) -> None:
        content = b"".join(parquet("SELECT 'u1' user_id, 'd1' district, 's1' school", tmp_path).open())
        assert spooled(source(gzip.compress(content), "users.parquet.gz")) == [user("u1")]


class TestAnyObject:
    schema = schema_for(SUMMARY, LEVELS, any_object=True)

    def test_a_line_has_to_be_an_object_and_no_more(self) -> None:
        content = b'{"anything":1}\n{"anything":1}\n{"user_id":7}\n'
        assert len(spooled(source(content, "users.ndjson"), schema=self.schema)) == 3
        assert problems(source(b"[]\n", "users.ndjson"), schema=self.schema)[0].startswith("users.ndjson:1: not a")

    def test_a_row_makes_what_it_has(self) -> None:
        columns = {"pupil": "id", "groups.district": "lea"}
        schema = schema_for(SUMMARY, LEVELS, input_columns=columns, any_object=True)
        content = b"id,lea,school,name\n" + b"7" * 60 + b",,s1,SECRET\n"
        assert spooled(content, schema=schema) == [{"groups": {"district": "", "school": "s1"}, "pupil": "7" * 60}]

    def test_sessions_are_gathered_by_user_and_groups_whatever_the_user_id_is(self) -> None:
        schema = schema_for(SESSIONS, ["district"], any_object=True)
        records = spooled(b"user_id,district,session_id\n,d1,a\n,d2,b\nu2,d1,c\n,d1,d\n", schema=schema)
        assert [(record["user_id"], record["groups"]["district"], record["session_id"]) for record in records] == [
            ("", "d1", ["a", "d"]), ("", "d2", ["b"]), ("u2", "d1", ["c"]),
        ]  # fmt: skip

    def test_sessions_are_gathered_without_a_limit(self) -> None:
        schema = schema_for(SESSIONS, ["district"], any_object=True)
        rows = "".join(f"u1,d1,{uuid}\n" for uuid in [*UUIDS, UUIDS[0]])
        record = spooled(f"user_id,district,session_id\n{rows}".encode(), schema=schema)[0]
        assert record["session_id"] == [*UUIDS, UUIDS[0]]


@pytest.mark.parametrize("dataset_type", [SUMMARY, SESSIONS, ANALYSIS])
@pytest.mark.parametrize("columns", [None, {"remark": "note"}], ids=["plain", "one more column"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_table_without_any_known_column_is_refused_by_name(
    dataset_type: str, columns: dict[str, str] | None, form: str, tmp_path: Path
) -> None:
    schema = schema_for(dataset_type, ["school"], input_columns=columns, any_object=True)
    file = source(b"foo,bar\n1,2\n") if form == "csv" else parquet("SELECT 1 AS foo, 2 AS bar", tmp_path)
    (told,) = problems(file, schema=schema)
    assert "column" in told
    assert "input_columns" in told


def test_one_more_column_leaves_the_sessions_of_a_user_together() -> None:
    content = b"user_id,school,session_id,note\nu1,s,a,x\nu1,s,b,x\n"
    plain = spooled(content, schema=schema_for(SESSIONS, ["school"], any_object=True))
    more = spooled(content, schema=schema_for(SESSIONS, ["school"], input_columns={"remark": "note"}, any_object=True))
    assert [record["session_id"] for record in plain] == [["a", "b"]]
    assert more == [{**plain[0], "remark": "x"}]


class TestEveryColumn:
    """Of a type that is not known, no column is left out, and no group is sent as something else."""

    @pytest.mark.parametrize("form", ["csv", "parquet"])
    @pytest.mark.parametrize("given", [{"x": "a", "y": "a"}, {"x": "a", "y": "A"}, {"x": " A ", "y": "a", "z": "b"}])
    def test_two_keys_for_one_column_are_refused(self, given: dict[str, str], form: str, tmp_path: Path) -> None:
        schema = schema_for("next-years-type", input_columns=given)
        file = source(b"a,b\n1,2\n") if form == "csv" else parquet("SELECT 1 AS a, 2 AS b", tmp_path)
        (told,) = problems(file, schema=schema)
        assert "input_columns names the column" in told
        assert "for x and for y" in told

    @pytest.mark.parametrize("name", ["district", "DISTRICT", "District ", "groups.district", "GROUPS.DISTRICT"])
    @pytest.mark.parametrize("form", ["csv", "parquet"])
    def test_a_level_is_known_without_regard_to_case(self, name: str, form: str, tmp_path: Path) -> None:
        select = f"SELECT '07' id, 'd1' AS \"{name}\""
        file = source(f"id,{name}\n07,d1\n".encode()) if form == "csv" else parquet(select, tmp_path)
        found = spooled(file, schema=schema_for("next-years-type", ["district"]))
        assert found == [{"id": "07", "groups": {"district": "d1"}}]

    def test_a_level_to_the_letter_comes_first(self) -> None:
        found = spooled(b"id,DISTRICT,district\n07,x,d1\n", schema=schema_for("next-years-type", ["district"]))
        assert found == [{"id": "07", "DISTRICT": "x", "groups": {"district": "d1"}}]

    @pytest.mark.parametrize("header", ["District,DISTRICT", "district,groups.district", "district,district"])
    def test_two_columns_of_a_level_are_refused(self, header: str) -> None:
        schema = schema_for("next-years-type", ["district"])
        (told,) = problems(f"{header}\na,b\n".encode(), schema=schema)
        assert "2 times" in told or "two columns have the same name" in told

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("names", [("a", "a"), ("a", ""), ("a", 'b\\"')], ids=["twice", "no name", "no key"])
    def test_a_header_that_cannot_be_used_is_not_taken_for_one_column(
        self, names: tuple[str, str], delimiter: str
    ) -> None:
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter).writerows([names, ("1", "2")])
        assert problems(text.getvalue().encode(), schema=schema_for("next-years-type"))

    def test_one_column_may_have_a_delimiter_in_its_name_where_input_columns_names_it(self) -> None:
        content = b'"a,b"\n1\n'
        assert "name the column in input_columns" in problems(content, schema=schema_for("next-years-type"))[0]
        schema = schema_for("next-years-type", input_columns={"a,b": "a,b"})
        assert spooled(content, schema=schema) == [{"a,b": "1"}]

    @pytest.mark.parametrize("form", ["csv", "parquet"])
    @pytest.mark.parametrize(
        ("schema", "told"),
        [
            (schema_for("next-years-type"), "columns: 3 not named in the request"),
            (schema_for("next-years-type", ["born"]), 'columns: groups.born = "Born", 2 not named in the request'),
            (
                schema_for("next-years-type", ["born"], input_columns={"x": "anna smith", "y": "anna@example.org"}),
                'columns: x = "Anna Smith", groups.born = "Born", y = "anna@example.org"',
            ),
        ],
        ids=["none", "a level", "all"],
    )
    def test_the_log_names_only_columns_that_the_request_names(
        self, schema: RecordSchema, told: str, form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        select = "SELECT 'Ben Jones' AS \"Anna Smith\", '2010' AS \"Born\", 'ben@example.org' AS \"anna@example.org\""
        content = b"Anna Smith,Born,anna@example.org\nBen Jones,2010,ben@example.org\n"
        with caplog.at_level(logging.DEBUG):
            spooled(source(content) if form == "csv" else parquet(select, tmp_path), schema=schema)
        assert told in caplog.text
        if "Anna" not in told:
            assert "anna" not in caplog.text.lower()

    def test_a_refusal_names_only_columns_that_the_request_names(self) -> None:
        content = b"Anna Smith,2011\nBen Jones,\\N\n\\N,2010\n"
        told = problems(content, schema=schema_for("next-years-type", input_columns={"born": "2011"}))
        assert len(told) == 2
        assert 'column "2011": the cell is null' in told[0]
        assert "column 1: the cell is null" in told[1]
