"""What reading a folder of schedules costs: how many files are parsed and how many DAGs are made. No times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from learnosity.schedules import dags, files
from learnosity.schedules.files import Schedule

TEXT = 'name: {name}\nschedule: "0 4 * * 1"\nparams: {{dataset_type: ibk-analysis-by-question, poll_interval: 20}}\n'
MANY = 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(MANY):
        (tmp_path / f"{number}.yaml").write_text(TEXT.format(name=f"of_school_{number}"))
    (tmp_path / "bad.yaml").write_text("name: [")
    return tmp_path


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The schedules of which a DAG is made."""
    names: list[str] = []

    def build(schedule: Schedule) -> DAG:
        names.append(schedule.name)
        return build_dag(schedule)

    build_dag = dags.build_dag
    monkeypatch.setattr(dags, "build_dag", build)
    files._parse.cache_clear()
    yield names
    files._parse.cache_clear()


def parsed() -> int:
    """How many texts have been parsed."""
    return files._parse.cache_info().misses


def in_a_task_of(dag_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Airflow tells a task process which DAG it needs."""
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", dag_id)


def test_a_changed_file_is_the_only_one_that_is_parsed_again(folder: Path, made: list[str]) -> None:
    assert len(dags.scheduled_dags(folder)) == MANY + 1
    assert (parsed(), len(made)) == (MANY + 1, MANY)
    (folder / "7.yaml").write_text(TEXT.format(name="of_school_7") + "description: another one\n")
    assert dags.scheduled_dags(folder)["learnosity_of_school_7"].description == "another one"
    assert parsed() == MANY + 2


def test_a_task_process_parses_the_file_of_its_dag_and_makes_no_other_dag(
    folder: Path, made: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    in_a_task_of("learnosity_of_school_17", monkeypatch)
    assert list(dags.scheduled_dags(folder)) == ["learnosity_of_school_17"]
    assert (parsed(), made) == (1, ["of_school_17"])
    assert not caplog.records  # the log of a task has nothing about other files


def test_a_task_process_does_not_look_for_the_providers_that_know_uris(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(_: str) -> Any:
        raise AssertionError("Airflow looks for its providers")

    text = "name: a\nschedule: {assets: ['s3://lake/roster/']}\nparams: {dataset_type: x}\n"
    (tmp_path / "a.yaml").write_text(text)
    monkeypatch.setattr("airflow.sdk.definitions.asset._get_uri_normalizer", look)
    in_a_task_of("learnosity_a", monkeypatch)
    # Without the id of a task, the file may be read by a command such as `airflow dags test`, which may store the DAG.
    # Then Airflow has to bring the URI of the asset into its usual form, and looks for its providers.
    with pytest.raises(AssertionError):
        dags.scheduled_dags(tmp_path)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "create_dataset")
    assert list(dags.scheduled_dags(tmp_path)) == ["learnosity_a"]


def test_the_dag_of_a_task_is_the_one_that_the_scheduler_knows(
    folder: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Three files contain or spell this name. 0a.yaml is the first that has it, with `_` written as `\x5F`, so its DAG
    # counts. 0b.yaml has a longer name.
    (folder / "0a.yaml").write_text(TEXT.format(name='"of\\x5Fschool_17"') + "description: the first\n")
    (folder / "0b.yaml").write_text(TEXT.format(name="of_school_170"))
    known = dags.scheduled_dags(folder)["learnosity_of_school_17"]
    in_a_task_of("learnosity_of_school_17", monkeypatch)
    assert dags.scheduled_dags(folder)["learnosity_of_school_17"].description == known.description == "the first"


@pytest.mark.parametrize("dag_id", ["learnosity_invalid_bad", "learnosity_that_is_gone", "another_dag"])
def test_any_other_dag_is_looked_for_among_all(
    dag_id: str, folder: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_a_task_of(dag_id, monkeypatch)
    assert len(dags.scheduled_dags(folder)) == MANY + 1


def test_airflow_accepts_the_params_that_it_was_not_asked_about(folder: Path) -> None:
    samples = Path(__file__).resolve().parents[3] / "dags" / "datasets"
    for number, sample in enumerate(samples.glob("*.yaml.example")):
        (folder / f"sample-{number}.yaml").write_text(sample.read_text())
    made = dags.scheduled_dags(folder)
    assert len(made) > MANY + 2
    for dag in made.values():
        dag.params.validate()
    assert made["learnosity_of_school_3"].params["poll_interval"] == 20
