"""What a person can do about an error of a task.

The config of a run cannot be changed, so no advice says so: a run with another config is a new run.
"""

from __future__ import annotations

import re

from airflow.sdk.exceptions import AirflowSensorTimeout

from learnosity.errors import (
    AuthenticationError,
    ConnectionConfigError,
    InputError,
    LearnosityError,
    MissingExtraError,
    RequestError,
    StorageError,
    TransientError,
    UnsafeNameError,
)

NEW_RUN = "Trigger a new run with another run config: the config of this run cannot be changed."
_OR_NEW_RUN = f"Or {NEW_RUN[:1].lower()}{NEW_RUN[1:]}"
_GO_ON = (
    "Clear the first task that was skipped, with its downstream tasks: it goes on where it ended. If the time is too "
    "short, raise dagrun_timeout of the DAG first."
)
# If a run takes longer than `dagrun_timeout`, Airflow skips its tasks that have not ended. Then often no task has
# failed, and there is no error to give advice on. Airflow tells `run_note_listener` this cause, so the note that it
# writes on the run has `TIMED_OUT`. The run's page in the tab Learnosity does not know the cause, and shows
# `NO_TASK_FAILED`.
TIMED_OUT = f"The run took longer than its dagrun_timeout, so what had not ended was skipped. {_GO_ON}"
NO_TASK_FAILED = (
    "No task of this run has failed: the run took longer than its dagrun_timeout, or a user has marked it as failed. "
    f"What had not ended was skipped. {_GO_ON}"
)
_BY_TYPE: tuple[tuple[type[BaseException], str], ...] = (
    (InputError, f"Correct the input files, then clear {{task}} with its downstream tasks. {_OR_NEW_RUN}"),
    (AuthenticationError, "Correct the Learnosity connection, then clear {task} with its downstream tasks."),
    (ConnectionConfigError, "Correct the connection, then clear {task} with its downstream tasks."),
    (MissingExtraError, "Install the package on all workers, then clear {task} with its downstream tasks."),
    (
        StorageError,
        f"Correct the bucket or its connection, then clear {{task}} with its downstream tasks. {_OR_NEW_RUN}",
    ),
    (
        UnsafeNameError,
        "Result files are named like the groups or the questions of the dataset, and clearing the task does not change "
        "a name. Correct these names in the input or the item bank, and trigger a new run.",
    ),
    (RequestError, NEW_RUN),
    (TransientError, "This may pass. If all tries are used up, clear {task}: it goes on where it ended."),
)
# If a message of this package contains one of these texts, in upper or lower case, it already says what to do. So no
# advice is added to it. "clear" counts only as an instruction: at the beginning of a sentence, or after "then". In any
# other place it may be no instruction, as in "sent in the clear".
_SAID = re.compile(r"(?:^|[.:;?!]\s|\bthen )clear\s|\btrigger a new run\b|\bcorrect the schedule file\b", re.IGNORECASE)
# Names in quotes, and URIs. They are taken out of a message before `_SAID` is searched in it, because a name is no
# instruction: a file may be called `1. Clear answers.csv`.
_NAMES = re.compile(r"(?<!\w)(['\"`]).*?\1(?!\w)|\b[a-z][a-z0-9+.-]*://\S*\w", re.IGNORECASE)
# Errors whose messages this package wrote. `AirflowSensorTimeout` is a class of Airflow, but the sensor of this package
# gives it a message of its own. `_SAID` is searched only in these messages. If the message of any other error contains
# `clear`, it does so by chance, and tells nobody what to do.
_OURS = (LearnosityError, AirflowSensorTimeout)
_OTHER = "When the cause is gone, clear {task} with its downstream tasks: it goes on where it ended."


def what_to_do(error: BaseException, task_id: str) -> str:
    """The advice for an error of a task; "" if its own message says what to do.

    :param task_id: the task that failed.
    """
    if isinstance(error, _OURS) and _SAID.search(_NAMES.sub("_", str(error))):
        return ""
    return next((text for kind, text in _BY_TYPE if isinstance(error, kind)), _OTHER).format(task=task_id)
