"""Loads what tasks need into the processes that fork them: the task processes then have it from their start.

A task that imports it by itself takes 0.4 to 0.7 s of processor time for it. The LocalExecutor forks its workers, and
so all tasks, from the scheduler; a Celery worker forks them, too. The triggerer would stop for the imports while waits
go on. Where a task is a new process (Kubernetes), or where the DAG processor and the API server need little of it,
nothing is loaded.

Airflow calls `on_starting` before the executor starts. A Celery worker loads no plugins before it forks, so
`compose/airflow_local_settings.py` calls `load`.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence

from airflow.configuration import conf
from airflow.listeners import hookimpl

log = logging.getLogger(__name__)

WAITS = ("learnosity.triggers", "learnosity.api.client")
# A process imports these modules, and then forks the task processes. A fork does not copy threads, and it shares open
# files and sockets. So these imports must start no thread, and open no file and no socket (tests/unit/test_preload.py).
TASKS = (
    *WAITS,
    "learnosity.dags",
    "learnosity.async_operator",
    "uvloop",
    "learnosity.api.host_exists",
    "learnosity.api.report_definition",
    "learnosity.connections",
    "learnosity.creation.create",
    "learnosity.creation.upload",
    "learnosity.destination",
    "learnosity.inputs.find",
    "learnosity.landing_tasks",
    "learnosity.s3_connection",
    "learnosity.storage.unfinished_uploads",
    "learnosity.storage.write_check",
    "learnosity.task_state",
    "learnosity.written_values",
)
# Modules that tasks need only if they read from S3 or write to S3. Without Airflow's Amazon provider, some of these
# modules cannot be imported, and `load` skips them.
S3 = (
    "airflow.providers.amazon.aws.hooks.base_aws",
    "boto3.s3.inject",
    "learnosity.s3_client",
    "learnosity.storage.boto3_requests",
    "learnosity.storage.boto3_writes",
)


@hookimpl
def on_starting(component: object) -> None:
    """Load what the tasks of a scheduler with the LocalExecutor, or the waits of a triggerer, need.

    :param component: the `Job` of an Airflow process that has just started; each task process has another kind, and
        loads nothing. Airflow has not set yet which job it is, so the command line says it.
    """
    # Each task process calls this, too. For `isinstance`, it would have to import `Job`, and with it Airflow's database
    # models. To save that, the class is compared by its name.
    if type(component).__name__ != "Job":
        return
    command = sys.argv[1:2]
    if command == ["scheduler"] and "LocalExecutor" in conf.get("core", "executor", fallback=""):
        load()
    elif command == ["triggerer"]:
        load(WAITS)


def load(modules: Sequence[str] = (*TASKS, *S3)) -> None:
    """Import the modules. One that cannot be imported is skipped: the task that needs it will say so.

    :param modules: names; default all that the tasks of a dataset need.
    """
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError:
            log.debug("%s is not there to be loaded early.", name)
        # An installed package may raise any error when it is imported. The error must not stop a scheduler or a worker.
        except Exception:
            log.warning("%s could not be loaded early. Tasks that need it will fail.", name, exc_info=True)
