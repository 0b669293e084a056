"""A notifier for failures and missed deadlines: one line in the log, and one to a webhook where a connection is named.

A sample that is of use as it is; chat systems with a webhook take its JSON (`{"text": …}`). It tells ids, never data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.http.hooks.http import HttpAsyncHook, HttpHook
from airflow.sdk.bases.notifier import BaseNotifier

if TYPE_CHECKING:
    from airflow.sdk import Context

TIMEOUT_SECONDS = 30.0


class LearnosityNotifier(BaseNotifier):
    """Tells what happened to a run.

    :param text: what to tell; default: which run failed. Templated.
    :param http_conn_id: HTTP connection of a webhook that takes `{"text": …}`; default: only the log.
    """

    template_fields: Sequence[str] = ("text",)

    def __init__(self, text: str = "", http_conn_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = text
        self.http_conn_id = http_conn_id

    def notify(self, context: Context) -> None:
        """Tell it, from the DAG processor or a worker."""
        text = self.message(context)
        self.log.warning("%s", text)
        if self.http_conn_id:
            hook = HttpHook(method="POST", http_conn_id=self.http_conn_id)
            hook.run(json={"text": text}, extra_options={"timeout": TIMEOUT_SECONDS})

    async def async_notify(self, context: Context) -> None:
        """Tell it, from the triggerer: deadlines come this way."""
        text = self.message(context)
        self.log.warning("%s", text)
        if self.http_conn_id:
            hook = HttpAsyncHook(method="POST", http_conn_id=self.http_conn_id)
            async with hook.session() as session:
                await session.run(json={"text": text})

    def message(self, context: Context) -> str:
        """The text to tell."""
        if self.text:
            return self.text
        run = context.get("dag_run")
        if run is None:
            return "A run of a Learnosity DAG failed."
        return f"Run {run.run_id} of {run.dag_id} failed."
