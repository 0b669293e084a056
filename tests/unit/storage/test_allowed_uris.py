"""Which places runs may use: what is listed, or the default destination's bucket, and nothing that looks like it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.errors import RequestError, StorageError
from learnosity.storage.allowed_uris import AllowedUris
from learnosity.storage.uris import parse_uri

DEFAULT = "s3://landing@learnosity/datasets"
LISTED = AllowedUris.of(
    json.dumps(
        [
            "s3://landing@learnosity/",
            "gs://google@results/team",
            "file:///data/rosters",
            "abfss://lake@account.dfs.core.windows.net/",
        ]
    ),
    DEFAULT,
)
UNLISTED = AllowedUris.of(None, DEFAULT)


def allows(check: object, uri: str) -> bool:
    try:
        check(uri)  # type: ignore[operator]
    except (RequestError, StorageError):
        return False
    return True


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        ("s3://landing@learnosity", True),
        ("s3://landing@learnosity/any/where", True),
        ("s3a://landing@learnosity/x", True),
        ("gs://google@results/team", True),
        ("gs://google@results/team/x.csv", True),
        ("gcs://google@results//team/x.csv", True),
        ("gs://google@results/team2/x.csv", False),
        ("gs://google@results/team/../other", False),
        ("gs://google@results", False),
        ("gs://other@results/team", False),
        ("gs://results/team", False),
        ("s3://landing@other/x", False),
        ("s3://learnosity/x", False),
        ("gs://landing@learnosity/x", False),
        ("az://landing@learnosity/x", False),
        ("abfss://lake@account.dfs.core.windows.net/x", True),
        ("wasbs://lake@account.blob.core.windows.net/x", True),
        ("abfss://lake@other.dfs.core.windows.net/x", False),
        ("abfss://lake@account.dfs.core.chinacloudapi.cn/x", False),
        ("abfss://lake/x", False),
        ("file:///data/rosters/a.csv", True),
        ("file:///data/rosters2/a.csv", False),
        ("file:///data/rosters/../../etc/passwd", False),
        ("file:///opt/airflow/dags", False),
        ("http://landing@learnosity/x", False),
        ("no uri", False),
        ("gs://google@results/te//am/x", False),
        ("gs://google@results/team?x", False),
        ("gs://google@results/team#x", False),
        ("gs://google@results/team%2Fx", False),
        ("gs://google@results/TEAM/x", False),
        ("gs://GOOGLE@results/team/x", False),
        ("gs://google@Results/team/x", False),
        ("gs://google@results./team/x", False),
        ("gs://google@results:443/team/x", False),
        ("gs://google:secret@results/team/x", False),
        ("gs://other@google@results/team/x", False),
        ("gs://google@results@other/team/x", False),
        ("gs://google%40results@other/team/x", False),
        ("gs://go\u043egle@results/team/x", False),
        ("gs://google@results/team\u200b/x", False),
        ("gs:///google@results/team/x", False),
        ("gs://google@results/[t]eam/x", False),
        ("gs://google@results/**", False),
        ("simplecache::gs://google@results/team/x", False),
        ("GS://google@results/team/x", True),
        ("file://localhost/data/rosters/a.csv", False),
        ("file:/data/rosters/a.csv", False),
        ("file://other@/data/rosters/a.csv", False),
        ("file:///data/rosters/\0/a.csv", False),
        ("file:///data/rosters/\ud800/a.csv", False),
        ("file:///data//rosters/a.csv", True),
        ("LOCAL:///data/rosters/a.csv", True),
    ],
)
def test_with_a_list_reading_and_writing_go_by_it(uri: str, allowed: bool) -> None:
    assert allows(LISTED.check_write, uri) is allowed
    assert allows(LISTED.check_read, uri) is allowed


@pytest.mark.parametrize(
    ("uri", "write", "read"),
    [
        ("s3://landing@learnosity/elsewhere", True, True),
        ("s3://landing@other/x", False, True),
        ("s3://other@learnosity/x", False, True),
        ("gs://google@any/x", False, True),
        ("abfs://azure@any/x", False, True),
        ("abfss://container@account.dfs.core.windows.net/x", False, False),
        ("s3://learnosity/x", False, False),
        ("file:///data/x", False, False),
        ("ftp://server@host/x", False, False),
        ("http://internal_api@host/x", False, False),
    ],
)
def test_without_a_list_runs_write_to_the_bucket_of_the_default(uri: str, write: bool, read: bool) -> None:
    assert allows(UNLISTED.check_write, uri) is write
    assert allows(UNLISTED.check_read, uri) is read


@pytest.mark.parametrize("default", ["file:///data/sets", "s3://learnosity/sets"])
def test_a_default_without_a_connection_allows_itself_and_what_is_below_it(default: str) -> None:
    allowed = AllowedUris.of(None, default)
    for check in (allowed.check_write, allowed.check_read):
        assert allows(check, default)
        assert allows(check, f"{default}/x")
        assert not allows(check, f"{default}2/x")
        assert not allows(check, default.replace("sets", "other"))


def test_without_a_list_and_a_default_nothing_may_be_written() -> None:
    with pytest.raises(RequestError, match="learnosity_destination_uri is not set"):
        AllowedUris.of(None, None).check_write(DEFAULT)


def test_an_empty_list_allows_nothing() -> None:
    nothing = AllowedUris.of("[]", DEFAULT)
    assert not allows(nothing.check_write, DEFAULT)
    assert not allows(nothing.check_read, DEFAULT)


def test_a_link_out_of_a_listed_folder_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "rosters").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "rosters" / "link").symlink_to(tmp_path / "secret")
    allowed = AllowedUris.of(json.dumps([(tmp_path / "rosters").as_uri()]), None)
    assert allows(allowed.check_read, f"file://{tmp_path}/rosters/a.csv")
    assert not allows(allowed.check_read, f"file://{tmp_path}/rosters/link/a.csv")


@pytest.mark.parametrize("base", ["gs://google@results/team", "file:///data/rosters", "s3://landing@learnosity"])
@pytest.mark.parametrize(
    "dots",
    [
        "..",
        ".",
        "%2e%2e",
        "%2E.",
        "%252e%252e",
        "..%2f..",
        "%2e%2e%5cx",
        "a\\..\\..",
        "\uff0e\uff0e",
        "\u2025",
        ".. ",
        " .",
        "...",
    ],
)
def test_no_spelling_of_dots_gets_through(base: str, dots: str) -> None:
    for uri in (f"{base}/{dots}/other", f"{base}/a/{dots}/{dots}/other", f"{base}/{dots}"):
        for allowed in (LISTED, UNLISTED, AllowedUris.of(None, base)):
            assert not allows(allowed.check_write, uri), uri
            assert not allows(allowed.check_read, uri), uri


@pytest.mark.parametrize("name", ["a.csv", "..a", "a..b", ".hidden", "50 %", "%20", "a%2eb", "2026.1", "Größe", "…x"])
def test_a_name_with_dots_and_percent_signs_is_none_of_them(name: str) -> None:
    assert allows(LISTED.check_write, f"gs://google@results/team/{name}")
    assert allows(LISTED.check_read, f"file:///data/rosters/{name}")


def test_a_link_among_the_files_of_a_listed_folder_leads_nowhere(tmp_path: Path) -> None:
    """Whoever fills the folder, by SFTP for example, must not choose what a run reads on the worker."""
    for folder in ("rosters/district", "secret"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.csv").write_text("user_id\n")
    uri = f"file://{tmp_path}/rosters"
    (tmp_path / "rosters" / "inside.csv").symlink_to(tmp_path / "rosters" / "district" / "a.csv")
    for allowed in (AllowedUris.of(json.dumps([uri]), DEFAULT), AllowedUris.of(None, uri)):
        allowed.check_found(uri, [f"{uri}/district/a.csv", f"{uri}/inside.csv", f"{uri}/50 %.csv"])
        for name, target in (("link.csv", "secret/a.csv"), ("folder", "secret"), ("nothing", "not/there")):
            link = tmp_path / "rosters" / name
            link.unlink(missing_ok=True)
            link.symlink_to(tmp_path / target)
            found = f"{uri}/folder/a.csv" if name == "folder" else f"{uri}/{name}"
            with pytest.raises(RequestError, match="learnosity_allowed_uris"):
                allowed.check_found(uri, [f"{uri}/district/a.csv", found])
    UNLISTED.check_found("s3://any@bucket/x", ["s3://any@bucket/x/a.csv"])


BRACKETS = "s3://c@b/team [EU]/"


@pytest.mark.parametrize(
    ("prefix", "uri", "read", "refused"),
    [
        # `team [EU]` has two readings: a glob, which finds folders such as `team E`, or the name of the listed folder.
        # So the URI is taken, and each file that is found is checked.
        (BRACKETS, "s3://c@b/team [EU]/users.csv", ["team [EU]/users.csv"], ["team E/users.csv", "team U/users.csv"]),
        (BRACKETS, "s3://c@b/team [EU]/*.csv", [], ["team E/users.csv"]),
        (BRACKETS, "s3://c@b/team [[]EU]/users.csv", ["team [EU]/users.csv"], ["team E/users.csv"]),
        (BRACKETS, "s3://c@b/team [[]EU]/*", ["team [EU]/users.csv", "team [EU]/a/b"], ["team [EU] 2/a"]),
        (BRACKETS, "s3://c@b/team [[]EU]/**/*.csv", ["team [EU]/a/b.csv"], ["team E/a.csv", ""]),
        (BRACKETS, "s3://c@b/team [[]EU[]]/*", ["team [EU]/users.csv"], ["team E/a.csv"]),
        ("s3://c@b/what*/", "s3://c@b/what*/users.csv", ["what*/users.csv"], ["whatever/users.csv"]),
        ("s3://c@b/what*/", "s3://c@b/what[*]/users.csv", ["what*/users.csv"], ["whatever/users.csv"]),
        ("s3://c@b/why?/", "s3a://c@b/why?/users.csv", ["why?/users.csv"], ["whys/users.csv"]),
        ("s3://c@b/team", "s3://c@b/team/*/[a-z]?.csv", ["team/x/ab.csv"], ["teams/x/ab.csv"]),
        ("gs://c@b/a[1]/", "gcs://c@b/a[1]/x", ["a[1]/x"], ["a1/x"]),
        ("abfs://b@acc.dfs.core.windows.net/a[1]/", "abfss://b@acc.blob.core.windows.net/a[1]/x", ["a[1]/x"], ["a1/x"]),
        ("sftp://c@b/a[1]/", "sftp://c@b/a[1]/x", ["a[1]/x"], ["a1/x"]),
    ],
)
def test_a_glob_is_allowed_only_for_what_it_finds_below_the_listed_prefix(
    prefix: str, uri: str, read: list[str], refused: list[str]
) -> None:
    allowed = AllowedUris.of(json.dumps([prefix]), DEFAULT)
    allowed.check_read(uri)
    root = parse_uri(uri).root
    allowed.check_found(uri, [f"{root}/{key}" for key in read])
    for key in refused:
        with pytest.raises(RequestError, match="runs may not read from"):
            allowed.check_found(uri, [*(f"{root}/{key}" for key in read), f"{root}/{key}"])


@pytest.mark.parametrize(
    "uri",
    [
        "s3://c@b/team [EU]",
        "s3://c@b/team [!E]/x",
        "s3://c@b/team [[]EU/x",
        "s3://c@b/te*m [[]EU]/x",
        "s3://c@b/*/team [[]EU]/x",
        "s3://c@b/",
        "s3://c@b/**",
        "s3://other@b/team [[]EU]/x",
    ],
)
def test_a_glob_that_begins_elsewhere_is_refused_before_anything_is_listed(uri: str) -> None:
    allowed = AllowedUris.of('["s3://c@b/team [EU]/2026/"]', DEFAULT)
    assert not allows(allowed.check_read, uri)


@pytest.mark.parametrize("uri", ["file:///*/x.csv", "file:///**", "file:///[a-z]*/", "file:///?/x"])
def test_a_local_glob_that_begins_at_the_root_is_not_below_the_folder_of_the_worker(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = f"file://{tmp_path}"
    for allowed in (AllowedUris.of(json.dumps([here]), DEFAULT), AllowedUris.of(None, here)):
        with pytest.raises(RequestError, match="runs may not read from file:///"):
            allowed.check_read(uri)


@pytest.mark.parametrize(
    ("prefix", "found", "says"),
    [
        ("s3://c@b/team*/", "team 1/a.csv", True),
        ("s3://c@b/team?/", "team1/a.csv", True),
        (BRACKETS, "team E/a.csv", True),
        ("s3://c@b/team/", "other/a.csv", False),
    ],
)
def test_a_refusal_says_that_a_prefix_with_wildcards_has_none(prefix: str, found: str, says: bool) -> None:
    allowed = AllowedUris.of(json.dumps(["gs://c@b/", prefix]), DEFAULT)
    with pytest.raises(RequestError) as caught:
        allowed.check_found(prefix, [f"s3://b/{found}"])
    assert ("characters of a name, and no wildcards" in str(caught.value)) is says


def test_a_local_glob_with_brackets_is_read_as_plain_text(tmp_path: Path) -> None:
    for folder in ("team [EU]", "team E"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.csv").write_text("x")
    allowed = AllowedUris.of(json.dumps([f"file://{tmp_path}/team [EU]"]), DEFAULT)
    allowed.check_read(f"file://{tmp_path}/team [[]EU]/*.csv")
    allowed.check_found(f"file://{tmp_path}/team [[]EU]/*.csv", [f"file://{tmp_path}/team [EU]/a.csv"])
    with pytest.raises(RequestError):
        allowed.check_found(f"file://{tmp_path}/team [EU]/*.csv", [f"file://{tmp_path}/team E/a.csv"])


@pytest.mark.parametrize(
    "text", ["", "{}", "s3://a@b/", '"s3://a@b/"', "[1]", '["no uri"]', '["s3://a@b/../c"]', "[", "null"]
)
def test_a_list_that_cannot_be_read_allows_nothing(text: str) -> None:
    with pytest.raises(RequestError):
        AllowedUris.of(text, DEFAULT)


def test_the_message_names_what_is_allowed_and_who_can_change_it() -> None:
    with pytest.raises(RequestError) as caught:
        LISTED.check_write("s3://theirs@bucket/minors")
    for part in ("destination_uri", "s3://theirs@bucket/minors", "s3://landing@learnosity", "learnosity_allowed_uris"):
        assert part in str(caught.value)


@given(
    connection=st.sampled_from(["landing", "other", ""]),
    bucket=st.sampled_from(["learnosity", "other"]),
    key=st.text(alphabet="ab/.", max_size=12),
)
def test_whatever_the_key_only_the_bucket_of_the_default_is_written_to(connection: str, bucket: str, key: str) -> None:
    uri = f"s3://{connection}{'@' if connection else ''}{bucket}/{key}"
    dotted = any(segment and not segment.strip(".") for segment in key.split("/"))
    assert allows(UNLISTED.check_write, uri) is (connection == "landing" and bucket == "learnosity" and not dotted)


@pytest.mark.parametrize("through", ["link", "real"])
@pytest.mark.parametrize("to", ["link", "real"])
@pytest.mark.parametrize("below", ["", "/sub/folder"])
def test_a_default_destination_through_a_link_is_allowed_by_either_name(
    through: str, to: str, below: str, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "other").mkdir()
    allowed = AllowedUris.of(None, f"file://{tmp_path}/{through}")
    allowed.check_write(f"file://{tmp_path}/{to}{below}")
    allowed.check_read(f"file://{tmp_path}/{to}{below}")
    assert not allows(allowed.check_write, f"file://{tmp_path}/other")
    assert not allows(allowed.check_read, f"file://{tmp_path}/other")


@pytest.mark.parametrize("default", [None, "", " ", " \t\n"])
def test_a_default_of_blanks_is_none(default: str | None) -> None:
    allowed = AllowedUris.of(None, default)
    allowed.check_read("s3://aws@bucket/in")
    with pytest.raises(RequestError, match="learnosity_destination_uri is not set"):
        allowed.check_write("s3://aws@bucket/out")
    assert AllowedUris.of(None, f" {DEFAULT} ").default == AllowedUris.of(None, DEFAULT).default
