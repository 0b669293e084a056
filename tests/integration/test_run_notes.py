"""The note on a run that has published, as the list of runs shows it."""

from __future__ import annotations

from airflow_client.client import DagRunApi, DAGRunPatchBody

from devstack.samples import DAG_ID
from tests.integration.scenarios import Runs, published


def test_a_run_says_what_it_published(runs: Runs) -> None:
    result = published(runs, "item-bank")
    note = runs.finish("item-bank").note
    assert note is not None
    assert note.startswith(f"dataset {result['dataset_id']} · published {result['file_count']:,} files, ")
    assert note.endswith(f" · {result['manifest_uri'].removesuffix('/manifest.json')}")


def test_a_note_of_a_user_is_left_alone(runs: Runs) -> None:
    published(runs, "folder-csv")
    assert runs.finish("folder-csv").note == "for the board meeting"
    note = DAGRunPatchBody(note="seen by the board")
    DagRunApi(runs.api.client).patch_dag_run(DAG_ID, runs.started["folder-csv"], note)
    runs.api.clear(DAG_ID, runs.started["folder-csv"], ["land.publish"])
    published(runs, "folder-csv")
    assert runs.finish("folder-csv").note == "seen by the board"


def test_a_note_of_ours_is_written_again_when_the_run_publishes_again(runs: Runs) -> None:
    published(runs, "item-bank-files")
    before = runs.finish("item-bank-files").note
    runs.api.clear(DAG_ID, runs.started["item-bank-files"], ["land.list_files"])
    published(runs, "item-bank-files")
    assert runs.finish("item-bank-files").note == before
