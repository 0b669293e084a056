"""The Data API's dataset calls over one HTTP session: signed, paced, timed out, retried where that is safe.

A GET is retried through transient failures. A SET is retried only when it is certain that the server did
nothing (rate limit, no connection); every other failure of a SET is handed to the caller, who must look
before sending again (contract section 6). A redirect is never followed.
"""

from __future__ import annotations

import logging
import random
import ssl
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from learnosity.api.config import ApiConfig
from learnosity.api.jobs import REFERENCES_PER_CALL, STATUSES, Job, parse_job
from learnosity.api.pacing import WINDOW_SECONDS, Pacer
from learnosity.api.replies import Reply, is_clock_error, parse_reply, require_text
from learnosity.api.signing import routing_headers, sign_data_request
from learnosity.errors import (
    ApiError,
    ConnectionConfigError,
    LearnosityError,
    TransientApiError,
)
from learnosity.telemetry import NO_METER, Meter

log = logging.getLogger(__name__)

DATASETS = "reports/datasets"
COMMENCE = "jobs/reports/datasets"
JOBS = "jobs"

CALL_ATTEMPTS = 6
MAX_BACKOFF_SECONDS = 30.0
MAX_RETRY_AFTER_SECONDS = 120.0


class LearnosityClient:
    """Calls of the dataset workflow. Use it as an async context manager; one session serves all calls.

    :param config: a checked connection.
    :param attempts: how often one call is tried in all; default 6, about 30 s of backoff.
    :param pacer: shared where several clients use one key in a process; default: one of its own.
    :param meter: is told of `api_calls`, `api_retries` and `api_rate_limited`, by endpoint and action.
    """

    def __init__(
        self,
        config: ApiConfig,
        *,
        attempts: int = CALL_ATTEMPTS,
        pacer: Pacer | None = None,
        meter: Meter = NO_METER,
    ) -> None:
        self.config = config
        self.meter = meter
        self._attempts = attempts
        self._pacer = pacer or Pacer()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self.config.timeout, sock_connect=15),
            connector=aiohttp.TCPConnector(ssl=self.config.verify),
            trust_env=self.config.trust_env,
            # The API has no cookies; one that appears must not travel on.
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def initialise(self, request: Mapping[str, Any]) -> Reply:
        """SET reports/datasets (contract section 4)."""
        return await self._call("set", DATASETS, request)

    async def commence(self, dataset_type: str, dataset_id: str) -> str:
        """SET jobs/reports/datasets: start the job over the uploaded files (contract section 6).

        :returns: the job reference.
        """
        request = {"dataset_type": dataset_type, "dataset_id": dataset_id}
        reply = await self._call("set", COMMENCE, request)
        return require_text(reply, "job_reference", "the call that starts the job")

    async def jobs(
        self, references: Sequence[str] = (), *, since: int | None = None, limit: int = REFERENCES_PER_CALL
    ) -> list[Job]:
        """GET jobs, in all states (contract section 7).

        :param references: at most 50, because at most 50 records come back.
        :param since: Unix seconds; only jobs created then or later.
        """
        if len(references) > REFERENCES_PER_CALL:
            raise ValueError(f"at most {REFERENCES_PER_CALL} references a call")
        request: dict[str, Any] = {"status": list(STATUSES), "limit": limit}
        if references:
            request["references"] = list(references)
        if since is not None:
            request["mintime"] = since
        reply = await self._call("get", JOBS, request)
        return [job for job in map(parse_job, reply.records()) if job is not None]

    async def dataset(self, dataset_type: str, dataset_id: str, extra: Mapping[str, Any] | None = None) -> Reply:
        """GET reports/datasets: what a finished dataset consists of (contract section 8).

        :param extra: further request fields, such as `group_path` or a page cursor.
        """
        request = {"dataset_type": dataset_type, "dataset_id": dataset_id, **(extra or {})}
        return await self._call("get", DATASETS, request)

    async def check(self) -> str:
        """Make one harmless call that proves key, secret, domain and version; returns the version served."""
        reply = await self._call("get", JOBS, {"status": list(STATUSES), "limit": 1})
        versions = reply.meta.get("versions")
        served = versions.get("concrete") if isinstance(versions, Mapping) else None
        return str(served or self.config.version)

    async def _call(self, action: str, endpoint: str, request: Mapping[str, Any]) -> Reply:
        # On the other endpoints it is a filter or not documented (contract section 1.8).
        if self.config.organisation_id is not None and endpoint == DATASETS:
            request = {"organisation_id": self.config.organisation_id, **request}
        retryable = _is_retryable_get if action == "get" else _is_retryable_set
        clock_errors = 0

        def decide(error: BaseException) -> bool:
            nonlocal clock_errors
            if isinstance(error, ApiError) and is_clock_error(error):
                clock_errors += 1
                return clock_errors == 1
            return retryable(error)

        retrying = AsyncRetrying(
            retry=retry_if_exception(decide),
            stop=stop_after_attempt(self._attempts),
            wait=_backoff,
            before_sleep=lambda state: self._tell_retry(state, action, endpoint),
            reraise=True,
        )
        return await retrying(self._once, action, endpoint, request)

    async def _once(self, action: str, endpoint: str, request: Mapping[str, Any]) -> Reply:
        if self._session is None:
            raise RuntimeError("LearnosityClient is used outside its context")
        await self._pacer.wait(endpoint, action)
        self.meter.count("api_calls", endpoint=endpoint, action=action)
        try:
            async with self._session.post(
                self.config.url(endpoint),
                data=sign_data_request(self.config.credentials, request, action),
                headers=routing_headers(self.config.credentials, endpoint, action),
                allow_redirects=False,
                proxy=self.config.proxy,
            ) as response:
                body = await response.read()
                status, headers = response.status, response.headers
        except (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError) as error:
            # `from None`: the message of an aiohttp error may quote what was sent.
            raise transport_error(error, f"{action.upper()} {endpoint}") from None
        try:
            return parse_reply(status, body, retry_after=parse_retry_after(headers.get("Retry-After")))
        except TransientApiError as error:
            if _is_rate_limit(error):
                self._pacer.refused(endpoint, action)
                self.meter.count("api_rate_limited", endpoint=endpoint, action=action)
            raise

    def _tell_retry(self, state: RetryCallState, action: str, endpoint: str) -> None:
        self.meter.count("api_retries", endpoint=endpoint, action=action)
        error = state.outcome.exception() if state.outcome else None
        delay = state.next_action.sleep if state.next_action else 0.0
        log.warning(
            "%s %s, attempt %d: %s Trying again in %.1f s.",
            action.upper(), endpoint, state.attempt_number, error, delay,
        )  # fmt: skip


def transport_error(error: Exception, what: str) -> LearnosityError:
    """A connection failure as an error of this package, without anything that was sent.

    :param what: the call, for the message.
    """
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return ConnectionConfigError(
            f"{what}: the server's TLS certificate could not be verified. Check the host of the connection, or "
            "this machine's certificate store."
        )
    never_sent = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    kind = "timed out" if isinstance(error, TimeoutError) else f"failed ({type(error).__name__})"
    return TransientApiError(f"{what} {kind}; the network or the server did not hold.", sent=not never_sent)


def parse_retry_after(value: str | None) -> float | None:
    """Seconds of a `Retry-After` header; dates and rubbish count as absent. Bounded to two minutes."""
    try:
        seconds = float(value) if value is not None else None
    except ValueError:
        return None
    if seconds is None or not 0 <= seconds < float("inf"):
        return None
    return min(seconds, MAX_RETRY_AFTER_SECONDS)


def _is_retryable_get(error: BaseException) -> bool:
    return isinstance(error, TransientApiError)


def _is_retryable_set(error: BaseException) -> bool:
    return isinstance(error, TransientApiError) and error.nothing_done


def _is_rate_limit(error: TransientApiError) -> bool:
    return error.http_status == 429 or error.code == 42000


def _backoff(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    jitter = random.uniform(0.5, 1.0)  # spreads retries, guards nothing
    backoff: float = min(MAX_BACKOFF_SECONDS, 2.0 ** (state.attempt_number - 1)) * jitter
    if isinstance(error, TransientApiError):
        if error.retry_after is not None:
            return error.retry_after + jitter
        if _is_rate_limit(error):
            # Let the 5-second window pass (contract section 3).
            return WINDOW_SECONDS + backoff
    return backoff
