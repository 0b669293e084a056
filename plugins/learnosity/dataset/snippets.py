"""Code that reads a landed dataset with DuckDB, pandas, Polars or Spark, as it is shown to people who use the data.

It goes the way that every consumer goes: the list of files, which is complete when the manifest is there, then the
files. A test runs what is written here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from learnosity.dataset.exact_paths import IN_DUCKDB, IN_PYTHON, are_like_patterns, for_duckdb, for_spark
from learnosity.storage.uris import S3_SCHEMES, StorageUri

FILE = "file"
QUOTE, BACKTICK = '"', "`"  # marks before and after a name in SQL: `QUOTE` for DuckDB, `BACKTICK` for Spark
GZIP = frozenset({"gzip", "x-gzip"})
_VARIABLES = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_ENDPOINT_URL for a store that is not Amazon's)"


@dataclass(frozen=True, slots=True)
class Snippet:
    """Code for one tool.

    :param code: "" = the tool cannot read the files, and the note says why.
    :param note: what has to be known before it runs; "" = nothing.
    """

    tool: str
    code: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows the code reads.

    :param path: the file of the dataset that has them; of several files, that of the whole dataset.
    :param key: where they stand in such a file, below the keys `above`; "" = the file is a list of rows.
    :param other: another key of the same files, to be named; "" = none.
    :param below: how the paths of the files of all other groups end, in the folder of `path`; "" = there is one file.
    :param level: level of the rows in `path`: 1 for groups, 0 for users. None = a path does not say its level.
    :param encodings: how the files that are read are compressed, as their entries say; None = not compressed.
    :param literal: whether one of the paths that are read is like a pattern (see `exact_paths`).
    """

    path: str
    key: str
    other: str = ""
    below: str = ""
    level: int | None = None
    encodings: frozenset[str | None] = frozenset({None})
    literal: bool = False
    above: tuple[str, ...] = ()

    def reads(self, path: str) -> bool:
        """Whether the code reads a file."""
        is_below = bool(self.below) and path.startswith(self.folder) and path.endswith(self.below)
        return path == self.path or is_below

    @property
    def folder(self) -> str:
        """The folder of `path`, with a slash at its end; "" = there is none."""
        return self.path[: self.path.rfind("/") + 1]

    @property
    def shift(self) -> int:
        """What is added to the number of slashes in a path to get the level of its rows."""
        return (self.level or 0) - self.path.count("/")


def base_of(folder: StorageUri) -> str:
    """The folder of a dataset as these tools write it: without the Airflow connection, a local one as a path."""
    if folder.scheme == FILE:
        return f"/{folder.key.lstrip('/')}"
    return f"{folder.scheme}://{folder.bucket}/{folder.key}"


def json_snippets(folder: StorageUri, rows: Rows) -> tuple[Snippet, ...]:
    """Code that reads rows out of the landed JSON files.

    :param folder: the folder of the dataset.
    """
    base, packed = base_of(folder), rows.encodings & GZIP
    rows = replace(rows, literal=rows.literal or are_like_patterns([base]))
    frames = (
        ("pandas", "import pandas as pd", "pd.DataFrame(rows)"),
        ("Polars", "import polars as pl", "pl.DataFrame(rows, infer_schema_length=None)"),
    )
    if rows.encodings - GZIP - {None}:
        return tuple(map(_cannot, ("DuckDB", *(tool for tool, *_ in frames), "Spark")))
    spark = Snippet("Spark", _spark(_for_spark(base, folder), rows), _access(folder, "hadoop-aws"))
    return (
        # DuckDB takes one compression for all files of a query, so it cannot read gzip files and plain files together.
        _cannot("DuckDB") if packed and None in rows.encodings else _in_duckdb(folder, _duckdb(base, rows)),
        *(Snippet(tool, _frames(base, rows, *code), _access(folder, "s3fs")) for tool, *code in frames),
        # Spark recognises gzip only by a file name that ends with `.gz`. A file that Learnosity served as gzip keeps
        # its name, which is usually one like `group.json`. So Spark cannot read it.
        _cannot("Spark") if packed else spark,
    )


def _cannot(tool: str) -> Snippet:
    return Snippet(
        tool,
        "",
        f"Learnosity served these files compressed, and {tool} does not read them so. The DAG learnosity_to_parquet "
        "writes Parquet files, which it reads.",
    )


def parquet_snippets(files: Sequence[StorageUri]) -> tuple[Snippet, ...]:
    """Code that reads the Parquet files of a dataset."""

    def each(tool: str, line: str, first: str = "") -> str:
        lines = [line.format(name=_name(file), uri=_uri(tool, file)) for file in files]
        sign = "--" if tool == "DuckDB" else "#"
        told = f"{sign} groups: {_FOLDER}" if any(_name(file) == "groups" for file in files) else ""
        return "\n".join([*filter(None, [first, told]), *lines])

    whole = ", glob=False" if are_like_patterns(map(base_of, files)) else ""
    views = each("DuckDB", "CREATE VIEW {name} AS SELECT * FROM read_parquet({uri});")

    def frames(tool: str, first: str, line: str, need: str) -> Snippet:
        return Snippet(tool, each(tool, line, first), _access(files[0], need))

    return (
        _in_duckdb(files[0], f"{views}\nSELECT * FROM {_name(files[0])};"),
        frames("pandas", "import pandas as pd\n", "{name} = pd.read_parquet({uri})", "s3fs and pyarrow"),
        frames("Polars", "import polars as pl\n", f"{{name}} = pl.read_parquet({{uri}}{whole})", ""),
        frames("Spark", f"{_SESSION}\n", "{name} = spark.read.parquet({uri})", "hadoop-aws"),
    )


_FOLDER = "rows of every level; their folder says of which, so add up rows of folders of one depth only"
_SESSION = "from pyspark.sql import SparkSession\n\nspark = SparkSession.builder.getOrCreate()"


def _in_duckdb(place: StorageUri, statements: str) -> Snippet:
    """SQL as it is for local files, and in Python for a store, whose credentials DuckDB alone does not look for."""
    if place.scheme == FILE:
        return Snippet("DuckDB", statements)
    quoted = statements.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    code = f"""import duckdb
import fsspec

duckdb.register_filesystem(fsspec.filesystem({json.dumps(place.scheme)}))
answer = duckdb.sql(\"\"\"
{quoted}
\"\"\")
print(answer)"""
    return Snippet("DuckDB", code, _access(place, "s3fs"))


def _duckdb(base: str, rows: Rows) -> str:
    fields = f" unnest({_column(rows, QUOTE)}, max_depth := 2)" if rows.key else " *"
    wanted, option = f"path = {_sql(rows.path)}", ""
    if rows.below:
        inside = f"starts_with(path, {_sql(rows.folder)}) AND " if rows.folder else ""
        wanted, option = f"{wanted} OR {inside}suffix(path, {_sql(rows.below)})", "filename = true, "
        level = f"len(string_split(_file, '/')){_plus(rows.shift - 1)} AS _level,\n  " if rows.level is not None else ""
        place = "substr(filename, length(getvariable('base') || '/data/') + 1) AS _file"
        fields = f"\n  {place},\n  {level}{fields.lstrip() if rows.key else '* EXCLUDE (filename)'}"
    option += "compression = 'gzip', " if rows.encodings & GZIP else ""
    exact, macro = ("exact", IN_DUCKDB) if rows.literal else ("", "")
    return f"""SET VARIABLE base = {_sql(base)};
{macro}SET VARIABLE files = (
  SELECT list({_call(exact, "getvariable('base') || '/data/' || path")})
  FROM read_json({_call(exact, "getvariable('base') || '/files.ndjson'")}, format = 'newline_delimited')
  WHERE {wanted}
);
{_comment("--", rows)}CREATE VIEW rows AS
SELECT{fields}
FROM read_json(getvariable('files'), {option}union_by_name = true, sample_size = -1, maximum_object_size = 33554432);
SELECT * FROM rows;"""


def _frames(base: str, rows: Rows, imported: str, made: str) -> str:
    found = 'json.loads(read(f"data/{path}"))'
    for key, empty in (*((each, "{}") for each in rows.above), *([(rows.key, "[]")] if rows.key else [])):
        found = f"({found}.get({json.dumps(key)}) or {empty})"
    level = f'"_level": path.count("/"){_plus(rows.shift)}, ' if rows.level is not None else ""
    row = f'{{"_file": path, {level}**row}}' if rows.below else "row"
    imports, content = "import json", "return file.read()"
    if rows.encodings & GZIP:
        # Some stores unpack gzip files while they send them. So the generated code looks at the first two bytes of each
        # file, and unpacks it only if they are those of gzip.
        imports = "import gzip\nimport json"
        content = """content = file.read()
    if content[:2] == b"\\x1f\\x8b":  # served as gzip
        return gzip.decompress(content)
    return content"""
    return f"""{imports}

import fsspec
{imported}

base = {json.dumps(base)}


def read(path):
    with fsspec.open(f"{{base}}/{{path}}") as file:
        {content}


paths = [json.loads(line)["path"] for line in read("files.ndjson").splitlines()]
{_comment("#", rows)}rows = [
    {row}
    for path in paths
    if {_wanted(rows)}
    for row in {found}
]
frame = {made}
print(frame)"""


def _spark(base: str, rows: Rows) -> str:
    picked = [f"inline({_column(rows, BACKTICK)})" if rows.key else "*"]
    first = ""
    if rows.below:
        # Spark gives the path of a file percent-encoded. The pattern finds the dataset id in it, which is never changed
        # by encoding: it has only letters, digits, dots, dashes and underscores. `url_decode` then decodes the rest of
        # the path, and would read `+` as a blank, so `+` is replaced before.
        place = f"regexp_extract(_metadata.file_path, '/{base.rpartition('/')[2]}/data/(.*)$', 1)"
        place = f"url_decode(replace({place}, '+', '%2B')) AS _file"
        first = f'.selectExpr({json.dumps(place)}, "*")'
        level = [f"size(split(_file, '/')){_plus(rows.shift - 1)} AS _level"] if rows.level is not None else []
        picked = ["_file", *level, *picked] if rows.key else [*level, "*"]
    then = f".selectExpr({', '.join(map(json.dumps, picked))})" if picked != ["*"] else ""
    exact, imported, made = ("exact", "import re\n\n", IN_PYTHON) if rows.literal else ("", "", "")
    return f"""{imported}{_SESSION}
{made}base = {json.dumps(base)}
files = spark.read.json({_call(exact, 'f"{base}/files.ndjson"')})
paths = [row.path for row in files.select("path").collect()]
{_comment("#", rows)}wanted = [{_call(exact, 'f"{base}/data/{path}"')} for path in paths if {_wanted(rows)}]
frame = spark.read.option("multiLine", True).json(wanted){first}{then}
frame.show()"""


def _call(function: str, argument: str) -> str:
    return f"{function}({argument})" if function else argument


def _wanted(rows: Rows) -> str:
    """Which files are read, in Python."""
    own = f"path == {json.dumps(rows.path)}"
    if not rows.below:
        return own
    inside = f"path.startswith({json.dumps(rows.folder)}) and " if rows.folder else ""
    return f"{own} or ({inside}path.endswith({json.dumps(rows.below)}))"


def _plus(number: int) -> str:
    return f" {'+' if number > 0 else '-'} {abs(number)}" if number else ""


def _comment(sign: str, rows: Rows) -> str:
    lines = []
    if rows.key and rows.other:
        lines.append(f"rows of {rows.key!r}; {rows.other!r} stands in the same files")
    if rows.level is not None:
        lines.append(f"_level: {rows.level} = the rows of {rows.path}; each folder below it is one level more")
    if rows.below:
        lines.append("add up rows of one level only: a group also counts the users of the groups below it")
    return "".join(f"{sign} {line}\n" for line in lines)


def _access(folder: StorageUri, package: str) -> str:
    if folder.scheme == FILE:
        return ""
    if folder.scheme in S3_SCHEMES:
        needed = f"{package}, and " if package else ""
        return f"Needs {needed}credentials for the bucket: a role, or {_VARIABLES} in the environment."
    return "Needs the tool's package for this store, and credentials for it."


def _for_spark(base: str, folder: StorageUri) -> str:
    return f"s3a://{base.removeprefix(f'{folder.scheme}://')}" if folder.scheme in S3_SCHEMES else base


def _name(file: StorageUri) -> str:
    return file.key.rpartition("/")[2].removesuffix(".parquet")


def _uri(tool: str, file: StorageUri) -> str:
    base = base_of(file)
    if tool == "DuckDB":
        return _sql(for_duckdb(base))
    if tool == "Spark":
        base = for_spark(_for_spark(base, file))
    return json.dumps(base)


def _sql(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _column(rows: Rows, mark: str) -> str:
    return ".".join(f"{mark}{key.replace(mark, mark * 2)}{mark}" for key in (*rows.above, rows.key))
