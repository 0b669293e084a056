"""The file of rules: what it says, what is wrong with it, and that the DAG is off without it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import CronTriggerTimetable

from learnosity.retention.decide import Found, Latest, by_id, by_rule
from learnosity.retention.rules import (
    RetentionRules,
    Rule,
    parse_rules,
    read_rules,
    rules_for_one_place,
    rules_held_back,
)
from learnosity.retention_dag import retention_dags
from learnosity.schedules.files import read_folder

EXAMPLE = Path(__file__).resolve().parents[3] / "dags" / "datasets" / "retention.yaml.example"


def test_the_sample_is_a_dry_run_with_the_rules_that_it_shows() -> None:
    found = parse_rules("retention.yaml", EXAMPLE.read_text())
    assert found == RetentionRules(
        [
            Rule("activity-summary-by-group", None, 3, 30, 7.0),
            Rule("ibk-analysis-by-question", "s3://aws_landing@learnosity/item-bank", 10, None, 7.0),
        ],
        "30 2 * * *",
        "Australia/Sydney",
        True,
    )


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "the file is empty"),
        ("rules: []", 1, "should be non-empty"),
        ("rules:\n  - dataset_type: a", 2, "neither keep_newest nor keep_days"),
        ("rules:\n  - {dataset_type: a, keep_newest: 0}", 2, "0 is less than the minimum of 1"),
        ("rules:\n  - {dataset_type: a, keep_newest: '3'}", 2, "'3' is not of type 'integer'"),
        ("rules:\n  - {dataset_type: a, keep_days: 0}", 2, "less than or equal to the minimum of 0"),
        ("rules:\n  - {dataset_type: ../b, keep_days: 1}", 2, "cannot be part of a path"),
        ("rules:\n  - {dataset_type: a, keep_days: 1, destination_uri: bucket}", 2, "is not an object-storage URI"),
        ("rules:\n  - {dataset_type: a, keep_days: 1}\n  - {dataset_type: a, keep_newest: 1}", 3, "as rule 1"),
        ("abandoned_days: 1\nrules:\n  - {dataset_type: a, keep_days: 1}", 1, "1 is less than the minimum of 2"),
        ("dryrun: false\nrules:\n  - {dataset_type: a, keep_days: 1}", 1, "is not known here"),
        ("dry_run: maybe\nrules:\n  - {dataset_type: a, keep_days: 1}", 1, "'maybe' is not of type 'boolean'"),
        ("schedule: nightly\nrules:\n  - {dataset_type: a, keep_days: 1}", 1, "nightly"),
        ("timezone: Mars\nrules:\n  - {dataset_type: a, keep_days: 1}", 1, "is not a time zone"),
        ("rules: [", 2, "This is not YAML"),
    ],
)
def test_what_cannot_be_used_is_named_by_line_and_nothing_of_it_is_used(text: str, line: int, what: str) -> None:
    found = parse_rules("retention.yaml", text)
    assert not isinstance(found, RetentionRules)
    assert any(problem.line == line and what in str(problem) for problem in found), [str(each) for each in found]


def test_a_whole_number_may_be_written_as_a_decimal() -> None:
    found = parse_rules("retention.yaml", "rules:\n  - {dataset_type: a, keep_newest: 3.0}")
    assert isinstance(found, RetentionRules)
    assert isinstance(found.rules[0].keep_newest, int)


def test_null_means_the_default_as_in_schedule_files() -> None:
    plain = parse_rules("retention.yaml", "rules:\n  - {dataset_type: a, keep_days: 3}")
    nulls = "schedule:\ntimezone: null\ndry_run: ~\nabandoned_days:\nrules:\n  - dataset_type: a\n    keep_days: 3\n"
    found = parse_rules("retention.yaml", nulls + "    keep_newest:\n    destination_uri: null\n")
    assert isinstance(found, RetentionRules)
    assert found == plain


@pytest.mark.parametrize("text", ["rules:", "rules: [null]", "rules:\n  - dataset_type:\n    keep_days: 1", "unknown:"])
def test_null_is_no_rule(text: str) -> None:
    assert not isinstance(parse_rules("retention.yaml", text), RetentionRules)


def test_a_rule_of_nulls_keeps_nothing_and_is_refused() -> None:
    found = parse_rules("retention.yaml", "rules:\n  - dataset_type: a\n    keep_days:\n    keep_newest:\n")
    assert not isinstance(found, RetentionRules)
    assert "says neither keep_newest nor keep_days" in str(found[0])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("s3://c1@b/x", "s3://c2@b/x", True),
        ("s3://c1@b/x", "s3a://b//x/", True),
        ("s3://b", "s3://c@b/", True),
        ("gs://b/x", "gcs://c@b/./x", True),
        ("abfs://c@b/x", "wasbs://b/x", True),
        ("abfs://b@one.dfs.core.windows.net/x", "abfss://b@one.blob.core.windows.net/x/", True),
        ("abfs://b@one.dfs.core.windows.net/x", "abfs://c@b/x", True),
        ("abfs://b@one.dfs.core.windows.net/x", "abfs://b@two.dfs.core.windows.net/x", False),
        ("s3://b/x", "s3://b/y", False),
        ("s3://b/x", "s3://b/x/y", False),
        ("s3://b/x", "gs://b/x", False),
        ("s3://b/x", "s3://c/x", False),
    ],
)
def test_two_rules_for_one_place_are_found_however_it_is_written(one: str, other: str, same: bool) -> None:
    rules = [Rule("a", one, keep_newest=30), Rule("a", other, keep_newest=1)]
    assert bool(rules_for_one_place(rules, {one: one, other: other})) is same
    assert not rules_for_one_place(rules, {one: one}), "the other one names no place"


@pytest.mark.parametrize(
    ("one", "other", "unknown", "held"),
    [
        (None, "s3://b/x", [None], True),
        (None, "file:///", [None], True),
        (None, "s3://b/x", [], False),
        ("s3://b/x", "s3://b/y", [], False),
        ("file:///not/there", "file:///usr", [], False),
        ("file:///not/there", "s3://b/y", [], False),
        ("file:///usr", "file:///etc", [], False),
    ],
)
@pytest.mark.parametrize("type_of_other", ["a", "b"])
@pytest.mark.parametrize("swapped", [True, False])
def test_rules_that_may_be_for_one_place_are_held_back(
    one: str | None, other: str | None, unknown: list[str | None], held: bool, type_of_other: str, swapped: bool
) -> None:
    rules = [Rule("a", one, keep_newest=30), Rule(type_of_other, other, keep_newest=1)]
    rules = rules[::-1] if swapped else rules
    places: dict[str | None, str] = {uri: uri for uri in (one, other) if uri is not None}
    found = rules_held_back(rules, places, unknown)
    assert set(found) == ({1, 2} if held and type_of_other == "a" else set())


# Two paths below a folder. True: they may be one place, so the rules for both are held back.
LOCAL = [
    ("a", "never", False),
    ("never", "never-too", False),
    ("a", "no/such/folder", False),
    ("a", "good/never", False),  # `good` is a link to a folder that exists
    ("a", "good/b", False),
    ("a", "file/never", False),
    ("a", "broken", True),
    ("a", "broken/b", True),
    ("a", "good/broken/b", True),
    ("never", "broken/b", True),
    ("a", "chain", True),
    ("a", "circle", True),
]


@pytest.mark.parametrize(("one", "other", "held"), LOCAL)
@pytest.mark.parametrize("swapped", [True, False])
def test_a_folder_without_a_landing_holds_no_rule_back_unless_a_link_leads_nowhere(
    one: str, other: str, held: bool, swapped: bool, tmp_path: Path
) -> None:
    for name in ("a", "target/b"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file").write_text("")
    links = {"good": "target", "broken": "gone", "target/broken": "gone", "chain": "broken", "circle": "circle"}
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    uris = [f"file://{tmp_path}/{name}" for name in ((other, one) if swapped else (one, other))]
    rules = [Rule("a", uri, keep_newest=1) for uri in uris]
    places: dict[str | None, str] = {uri: uri for uri in uris}
    assert rules_for_one_place(rules, places) == []
    assert set(rules_held_back(rules, places, [])) == ({1, 2} if held else set())


def test_a_folder_that_cannot_be_seen_holds_the_other_rule_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(path: Any, *, strict: Any = False) -> str:
        if strict and str(path).endswith("unseen"):
            raise PermissionError(errno.EACCES, "no")
        return str(path)

    monkeypatch.setattr(os.path, "realpath", fails)
    uris = [f"file://{tmp_path}/{name}" for name in ("a", "unseen")]
    found = rules_held_back([Rule("a", uri, keep_newest=1) for uri in uris], {uri: uri for uri in uris}, [])
    assert set(found) == {1, 2}


def test_without_a_file_the_dag_has_no_schedule_and_a_dry_run_as_default(tmp_path: Path) -> None:
    dags = retention_dags(tmp_path)
    assert list(dags) == ["learnosity_retention"]
    dag = dags["learnosity_retention"]
    assert not dag.schedule
    assert {name: dag.params[name] for name in dag.params} == {
        "dataset_ids": [],
        "dry_run": True,
        "destination_uri": None,
    }


def test_with_the_sample_it_has_the_schedule_of_the_file_and_the_file_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "retention.yaml").write_text(EXAMPLE.read_text())
    dag = retention_dags(tmp_path)["learnosity_retention"]
    assert dag.schedule == CronTriggerTimetable("30 2 * * *", timezone="Australia/Sydney")
    reading = read_folder(tmp_path)
    assert (list(reading.schedules), dict(reading.problems)) == ([], {})


ERRORS = [errno.EACCES, errno.EIO, errno.ENOTDIR, errno.ELOOP, errno.ESTALE, errno.ETIMEDOUT, errno.ENAMETOOLONG]


@pytest.mark.parametrize("number", [errno.ENOENT, *ERRORS])
@pytest.mark.parametrize("name", ["retention.yaml", "retention.yml"])
def test_a_folder_that_cannot_be_read_is_a_problem_and_not_a_folder_without_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, name: str
) -> None:
    real = os.lstat

    def fails(path: Any, **given: Any) -> Any:
        if Path(path) == tmp_path / name:
            raise OSError(number, os.strerror(number))
        return real(path, **given)

    monkeypatch.setattr(os, "lstat", fails)
    found = read_rules(tmp_path)
    if number == errno.ENOENT:
        assert found is None
        return
    assert isinstance(found, list)
    assert (found[0].file, os.strerror(number) in str(found[0])) == (name, True)
    assert sorted(retention_dags(tmp_path)) == ["learnosity_invalid_retention", "learnosity_retention"]


def test_a_folder_that_is_not_there_has_no_rules_and_a_file_in_its_place_is_a_problem(tmp_path: Path) -> None:
    assert read_rules(tmp_path / "nothing") is None
    (tmp_path / "file").touch()
    assert isinstance(read_rules(tmp_path / "file"), list)


@pytest.mark.parametrize("kind", ["bad", "two", "folder", "dangling"])
def test_a_file_that_cannot_be_used_is_a_dag_that_says_so_and_removal_by_ids_stays(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "retention.yaml"
    if kind == "bad":
        file.write_text("rules: 3")
    elif kind == "two":
        file.write_text(EXAMPLE.read_text())
        (tmp_path / "retention.yml").write_text(EXAMPLE.read_text())
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(tmp_path / "nothing")
    assert read_rules(tmp_path)
    dags = retention_dags(tmp_path)
    assert sorted(dags) == ["learnosity_invalid_retention", "learnosity_retention"]
    assert not dags["learnosity_retention"].schedule
    assert dags["learnosity_retention"].params["dry_run"] is True


LOWER = "a951cc14-0316-4c12-bb13-1f386338a094"


@pytest.mark.parametrize("folder", [LOWER, LOWER.upper()])
@pytest.mark.parametrize("named", [LOWER, LOWER.upper()])
def test_what_latest_names_stays_in_whatever_case_its_id_is_written(folder: str, named: str) -> None:
    datasets = [
        Found(folder, is_published=True, published=1.0, files=1),
        Found(LOWER.replace("a951", "b951"), is_published=True, published=2.0, files=1),
    ]
    rule, now = Rule("users", keep_days=1), 1e9
    verdicts = {each.found.dataset_id: each for each in by_rule(datasets, Latest(named), rule, now)}
    assert verdicts[folder].why == "kept: latest.json names it"
    assert verdicts[datasets[1].dataset_id].goes, "latest.json names a dataset, so the newest is not kept in its place"
    assert not by_id(datasets[0], Latest(named), now).goes
    assert by_id(datasets[1], Latest(named), now).goes
    assert by_id(datasets[0], Latest(None), now).goes
