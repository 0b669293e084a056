"""Sends the dataset calls of the Data API over one HTTP session: signed, limited in rate, and with safe retries.

A `get` is retried after transient failures. A `set` is retried only when it certainly had no effect (rate limit, no
network connection). After any other failure of a `set`, the caller must find out whether the `set` had an effect,
before it sends the `set` again (docs/learnosity-api.md, "Start the job"). A redirect is never followed.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from learnosity.api.config import ApiConfig, is_version
from learnosity.api.defaults import CALL_ATTEMPTS
from learnosity.api.dns_lookup import CheckedLookup, CheckingResolver
from learnosity.api.jobs import REFERENCES_PER_CALL, STATUSES, Job, listed, read_jobs, started_job
from learnosity.api.rate_limit import WINDOW_SECONDS, Pacer
from learnosity.api.replies import SMALL_BODY, Reply, is_clock_error, parse_reply
from learnosity.api.reply_bodies import ENCODINGS, MAX_DATA_BYTES, MAX_REPLY_BYTES, reply_body
from learnosity.api.signing import routing_headers, sign_data_request
from learnosity.egress import proxy_failure, proxy_refusal
from learnosity.errors import ApiError, ConnectionConfigError, LearnosityError, TransientApiError
from learnosity.metrics_interface import NULL_METRICS, Metrics
from learnosity.network import backoff, parse_retry_after
from learnosity.results.around import said_by_http

log = logging.getLogger(__name__)

DATASETS = "reports/datasets"
COMMENCE = "jobs/reports/datasets"
JOBS = "jobs"


BeforeSend = Callable[[], Awaitable[None]]
# `meta.timestamp` of a reply should be in Unix seconds. A number of this size or more must be in milliseconds, so it is
# ignored. Otherwise `server_time` would be thousands of years in the future. A list of the jobs since that time would
# be empty, so a job that runs would be missed.
_NO_SECONDS = 10**11
FIRST_WAIT_SECONDS = 1.0
MOST_WAIT_SECONDS = 30.0


class LearnosityClient:
    """The calls that make and retrieve a dataset. Use it as an async context manager.

    :param config: a checked Airflow connection.
    :param attempts: largest number of attempts of one call; default 6, over about 30 s.
    :param pacer: limits the rate of this client's calls; default: a new one.
    :param metrics: gets `api_calls`, `api_retries` and `api_rate_limited`, by endpoint and action; default: none.
    """

    def __init__(
        self,
        config: ApiConfig,
        *,
        attempts: int = CALL_ATTEMPTS,
        pacer: Pacer | None = None,
        metrics: Metrics = NULL_METRICS,
    ) -> None:
        self.config = config
        self._egress = config.egress
        self.metrics = metrics
        self._attempts = attempts
        self._pacer = pacer or Pacer()
        self._session: aiohttp.ClientSession | None = None
        self._has_replied = False
        self._clock_offset: float | None = None
        """Learnosity's clock in Unix seconds, minus the monotonic clock of this process."""

    async def __aenter__(self) -> Self:
        tls = await asyncio.to_thread(self._egress.tls)  # in a thread, because `tls` reads files
        # With a proxy, this process looks up only the host name of the proxy. The proxy may be in a private network, so
        # its address is not checked: `resolver` is None, and aiohttp looks up the name itself.
        proxied = self._egress.proxy_for(self.config.base_url) is not None
        resolver = None if proxied else CheckingResolver(CheckedLookup(self.config.url_policy))
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self.config.timeout, sock_connect=15),
            connector=aiohttp.TCPConnector(ssl=tls, resolver=resolver),
            # aiohttp's option `trust_env` is not set. With it, aiohttp would send the password that the file ~/.netrc
            # may have for the API's host. Cookies in replies are dropped, because the API uses no cookies.
            cookie_jar=aiohttp.DummyCookieJar(),
            # aiohttp does not decompress replies here, because it would decompress a reply of any size. `reply_body`
            # does it, with a size limit.
            headers={"Accept-Encoding": ENCODINGS},
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def initialise(self, request: Mapping[str, Any], *, before_send: BeforeSend | None = None) -> Reply:
        """Initialise a dataset: `set` on /reports/datasets.

        :param before_send: awaited right before each attempt. An error that it raises ends the call.
        """
        return await self._call("set", DATASETS, request, before_send)

    async def commence(self, dataset_type: str, dataset_id: str, *, before_send: BeforeSend | None = None) -> str:
        """Start the job of a dataset after its upload: `set` on /jobs/reports/datasets.

        :param before_send: awaited right before each attempt. An error that it raises ends the call.
        :returns: the job reference.
        """
        request = {"dataset_type": dataset_type, "dataset_id": dataset_id}
        reply = await self._call("set", COMMENCE, request, before_send)
        return started_job(reply, dataset_id)

    async def jobs(
        self, references: Sequence[str] = (), *, since: int | None = None, limit: int = REFERENCES_PER_CALL
    ) -> list[Job]:
        """List jobs in all states: `get` on /jobs.

        :param references: only these jobs; at most 50, because a reply lists at most 50 jobs.
        :param since: Unix seconds; only jobs that were created at this time or later.
        :param limit: largest number of jobs in a reply; default 50, the maximum of the API. If replies have a cursor,
            further pages are read until so many jobs are there, or all `references`.
        :raises UnexpectedReplyError: a record is no job, or records are missing. So a job that is not listed is really
            not listed.
        """
        if len(references) > REFERENCES_PER_CALL:
            raise ValueError(f"at most {REFERENCES_PER_CALL} references a call")
        request: dict[str, Any] = {"status": list(STATUSES), "limit": limit}
        if references:
            request["references"] = list(references)
        if since is not None:
            request["mintime"] = since
        return await read_jobs(partial(self._call, "get", JOBS), request)

    async def job_records(self) -> list[Any]:
        """The jobs of all states, as the API lists them."""
        return listed(await self._call("get", JOBS, {"status": list(STATUSES)}), REFERENCES_PER_CALL)

    async def dataset(self, dataset_type: str, dataset_id: str, extra: Mapping[str, Any] | None = None) -> Reply:
        """Retrieve a finished dataset: `get` on /reports/datasets.

        :param extra: further request fields, such as `group_path` or a page cursor. An `organisation_id` of None stands
            for the primary item bank, also if the connection names another one.
        """
        request = {"dataset_type": dataset_type, "dataset_id": dataset_id, **(extra or {})}
        return await self._call("get", DATASETS, request)

    async def check(self) -> str:
        """Check key, secret, domain and version with one harmless call. Returns the version that the API serves."""
        reply = await self._call("get", JOBS, {"status": list(STATUSES), "limit": 1})
        versions = reply.meta.get("versions")
        served = versions.get("concrete") if isinstance(versions, Mapping) else None
        return served if isinstance(served, str) and is_version(served) else self.config.version

    async def server_time(self) -> float | None:
        """The time of Learnosity's clock now, in Unix seconds; None when its replies contain no time.

        This machine's clock may be wrong. The API filters by its own clock, so a filter by time must use that clock.
        """
        if not self._has_replied:
            await self.check()
        return None if self._clock_offset is None else time.monotonic() + self._clock_offset

    async def _call(
        self, action: str, endpoint: str, request: Mapping[str, Any], before_send: BeforeSend | None = None
    ) -> Reply:
        # The `organisation_id` of the Airflow connection is added only to calls of `DATASETS` (reports/datasets). On
        # other endpoints, this field is a filter or is not documented, so it is not added there.
        if self.config.organisation_id is not None and endpoint == DATASETS:
            request = {"organisation_id": self.config.organisation_id, **request}
        request = {key: value for key, value in request.items() if key != "organisation_id" or value is not None}
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
            wait=backoff(FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS),
            before_sleep=lambda state: self._tell_retry(state, action, endpoint),
            reraise=True,
        )
        try:
            return await retrying(self._once, action, endpoint, request, before_send)
        except ApiError as error:
            error.host = urlsplit(self.config.url(endpoint)).netloc
            raise

    async def _once(
        self, action: str, endpoint: str, request: Mapping[str, Any], before_send: BeforeSend | None
    ) -> Reply:
        if self._session is None:
            raise RuntimeError("LearnosityClient is used outside its context")
        await self._pacer.wait(endpoint, action)
        if before_send is not None:
            await before_send()
        self.metrics.count("api_calls", endpoint=endpoint, action=action)
        url = self.config.url(endpoint)
        proxy = self._egress.proxy_for(url)
        try:
            async with self._session.post(
                url,
                data=sign_data_request(self.config.credentials, request, action),
                headers=routing_headers(self.config.credentials, endpoint, action),
                allow_redirects=False,
                proxy=proxy,
            ) as response:
                status, headers = response.status, response.headers
                is_listing = action == "get" and endpoint == DATASETS
                limit = MAX_DATA_BYTES if is_listing else MAX_REPLY_BYTES
                body = await reply_body(response, f"{action.upper()} {endpoint}", limit)
        except (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError) as error:
            # `from None` hides the aiohttp error. Its text may contain the request, and Airflow would log it.
            raise transport_error(error, f"{action.upper()} {endpoint}", proxy) from None
        if proxy and status == 407:
            raise ConnectionConfigError(f"{action.upper()} {endpoint}: {proxy_refusal(proxy, status)[0]}")
        try:
            retry_after = parse_retry_after(headers.get("Retry-After"))
            read = partial(parse_reply, status, body, retry_after=retry_after, sent=request, names_files=is_listing)
            reply = read() if len(body) <= SMALL_BODY else await asyncio.to_thread(read)
        except TransientApiError as error:
            if _is_rate_limit(error):
                # Learnosity counts calls in windows of `WINDOW_SECONDS`. If the reply has no `Retry-After`, the next
                # attempt comes at least one window later, when a new count has begun.
                error.retry_after = error.retry_after or WINDOW_SECONDS
                self._pacer.refused(endpoint, action)
                self.metrics.count("api_rate_limited", endpoint=endpoint, action=action)
            raise
        if is_listing:
            reply = replace(reply, headers=said_by_http(status, headers.items()))
        self._has_replied = True
        timestamp = reply.meta.get("timestamp")
        if isinstance(timestamp, int | float) and not isinstance(timestamp, bool) and timestamp < _NO_SECONDS:
            self._clock_offset = timestamp - time.monotonic()
        return reply

    def _tell_retry(self, state: RetryCallState, action: str, endpoint: str) -> None:
        self.metrics.count("api_retries", endpoint=endpoint, action=action)
        error = state.outcome.exception() if state.outcome else None
        delay = state.next_action.sleep if state.next_action else 0.0
        log.warning(
            "%s %s, attempt %d: %s Trying again in %.1f s.",
            action.upper(), endpoint, state.attempt_number, error, delay,
        )  # fmt: skip


def transport_error(error: Exception, what: str, proxy: str | None = None) -> LearnosityError:
    """Turn a failure of the network connection into an error of this package. Its message has nothing that was sent.

    :param what: the name of the call, for the message.
    :param proxy: URL of the proxy that is used; None = none.
    :returns: `ConnectionConfigError` when the certificate is not trusted, the proxy does not exist, or the proxy
        refuses with 403 or 407; else `TransientApiError`.
    """
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return ConnectionConfigError(
            f"{what}: the server's TLS certificate could not be verified. Check the host of the connection. If the "
            "server has an authority of its own, name its PEM file in extra `verify`."
        )
    if proxy and isinstance(error, aiohttp.ClientHttpProxyError):
        failure: tuple[str, bool] | None = proxy_refusal(proxy, error.status)
    else:
        failure = proxy_failure(proxy, f"{type(error).__name__} {error}")
    if failure:
        if failure[1]:
            return TransientApiError(f"{what}: {failure[0]}", sent=False)
        return ConnectionConfigError(f"{what}: {failure[0]}")
    never_sent = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    kind = "timed out" if isinstance(error, TimeoutError) else f"failed ({type(error).__name__})"
    return TransientApiError(f"{what} {kind}; the network or the server failed.", sent=not never_sent)


def _is_retryable_get(error: BaseException) -> bool:
    return isinstance(error, TransientApiError)


def _is_retryable_set(error: BaseException) -> bool:
    return isinstance(error, TransientApiError) and error.nothing_done


def _is_rate_limit(error: TransientApiError) -> bool:
    return error.http_status == 429 or error.code == 42000
