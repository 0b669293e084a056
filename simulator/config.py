"""Every switch of the simulator, with the default that is most likely true of the real API.

What is not known of the API is a switch here, so that a client can be tried against each plausible answer. The numbers
are those of docs/learnosity-api.md, "What is not known":

====  ==========================================================================================
U     field(s)
====  ==========================================================================================
U1    `strict_records`
U2    `results_shape`, `page_size`, `inline_content`, `list_bytes`, `list_content_type`, `not_ready_calls`,
      `content_encoding`
U3    `set_reply_shape`, `input_files_shape`
U4    `require_dataset_id`
U5    `duplicate_code`
U6    `commence_reply_shape`
U7    `jobs_status_default`
U8    `job_error_shape`, `job_results_key`, `job_names_dataset`
U9    `job_type`
U10   `timestamp_past_seconds`, `timestamp_future_seconds`, `clock_offset_seconds`
U11   `unknown_dataset_code`
U12   `recommence`
U13   `missing_files`
U14   `max_upload_bytes`
U15   `malformed_input`
U16   `dt_completed_pending`
U17   `retention_seconds`
U18   `accept_legacy_signatures`
U19   `rate_window`
U20   `retry_after_header`
U21   `result_url_seconds`
U22   `error_http`
U23   `summary_without_files`
U24   `percentile_method`, `stddev_method`
U25   none: one simulator is one region
U26   none: a report of another type than its dataset is refused
====  ==========================================================================================
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

DEMO_CONSUMER_KEY: Final = "AAAABBBBCCCCDDDD"
DEMO_CONSUMER_SECRET: Final = "0123456789abcdef0123456789abcdef01234567"

ResultsShape = Literal[
    "files", "urls", "paged", "inline", "groups", "groups_in_lists", "deep", "self_link", "empty", "s3", "rows"
]


class SimulatorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one simulator behaves. Frozen: `with_changes` makes the next one.

    :param consumers: consumer key (16 characters) -> secret. Default: one fictitious pair.
    :param allowed_domains: domains a consumer may sign for; `*` allows any.
    :param organisation_id: the consumer's primary item bank; used where a request names none.
    :param linked_organisations: other item banks the consumer may name (any other: 40003).
    :param seed: every score is computed from it: the same seed and input give the same bytes.
    :param job_seconds: seconds from the start of a job to `completed`; it is `queued` for the first quarter.
    :param analysis_users: users of the synthetic item bank when an analysis has no input files.
    :param minimum_version: `YYYY.N`; an older `vYYYY.N.LTS` in the URL gets 43000. None: any version.
    :param withdrawn: endpoint paths (`jobs`, `reports/datasets`, ...) that answer 42001.
    :param plain_http: `serve` as usual, answer 301 (`redirect`), or 403 (`forbid`).
    :param quota_get: calls of one `get` endpoint per window and consumer.
    :param quota_set: calls of one `set` or `update` endpoint per window and consumer.
    :param rate_window_seconds: length of the window in which calls are counted.
    :param clock_offset_seconds: how far the API's clock is ahead of this machine's; negative: behind. The API dates
        replies and jobs by its clock, compares `mintime` and `maxtime` with it, and checks signatures by it. Signed
        URLs are checked by the clock of the bucket, which is this machine's.
    :param upload_url_seconds: life of a signed upload URL; default 60 minutes.
    :param result_url_seconds: life of a signed result URL; default 60 minutes.
    :param results_shape: how a finished dataset is listed: objects with name and URL (`files`), bare URLs (`urls`),
        pages of objects (`paged`), content in the reply (`inline`), one group per call (`groups`), the same with
        each group as the only entry of a list (`groups_in_lists`), objects four levels down (`deep`), objects beside
        a signed link to the listing itself (`self_link`), a list without files (`empty`), objects with `s3:`
        addresses (`s3`), the rows of an analysis, each with a link to its item (`rows`).
    :param not_ready_calls: this many retrievals of each completed dataset say first that it is still `running`.
    :param content_encoding: how the files of datasets are packed in the bucket. The bucket serves them packed, with
        this `Content-Encoding`; size, tag and ranges are those of the packed bytes. Default: not packed.
    :param honour_if_range: whether a range is served only of the version that `If-Range` names, as RFC 9110 wants it.
        SeaweedFS serves the range in any case: false.
    :param large_file_bytes: size of one more file in every dataset, `exports/rows.csv`, before it is packed; 0: no
        such file.
    :param control_token: what `/_control` asks for as a bearer token; "" = only this machine may use it.
    :param hostile_names: raw names added to the listing of every dataset, each a small text file.
    :param strict_request: unknown keys in a SET request are refused (20004) instead of ignored.
    :param public_url: base of issued URLs, where clients do not reach the simulator at the address that it binds.
    """

    control_token: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    public_url: str | None = None
    consumers: dict[str, str] = msgspec.field(default_factory=lambda: {DEMO_CONSUMER_KEY: DEMO_CONSUMER_SECRET})
    allowed_domains: tuple[str, ...] = ("localhost", "127.0.0.1")
    organisation_id: int = 1
    linked_organisations: tuple[int, ...] = ()
    seed: int = 1
    job_seconds: float = 2.0
    analysis_users: int = 2000
    minimum_version: str | None = None
    withdrawn: tuple[str, ...] = ()
    plain_http: Literal["serve", "redirect", "forbid"] = "serve"
    strict_request: bool = False

    quota_get: int = 1000
    quota_set: int = 50
    rate_window_seconds: float = 5.0
    rate_window: Literal["sliding", "fixed"] = "sliding"
    retry_after_header: bool = False

    accept_legacy_signatures: bool = True
    timestamp_past_seconds: float = 168 * 3600.0
    timestamp_future_seconds: float = 15 * 60.0
    clock_offset_seconds: float = 0.0

    require_dataset_id: bool = False
    duplicate_code: Literal[20011, 30000] = 20011
    unknown_dataset_code: Literal[20004, 20012, 50000] = 20004
    error_http: Literal["table", "200"] = "table"
    set_reply_shape: Literal["object", "array"] = "object"
    input_files_shape: Literal["strings", "objects"] = "strings"
    commence_reply_shape: Literal["object", "array"] = "object"
    summary_without_files: bool = False
    missing_files: Literal["refuse", "halt"] = "refuse"
    recommence: Literal["conflict", "second_job"] = "conflict"

    upload_url_seconds: float = 3600.0
    max_upload_bytes: int | None = None
    strict_records: bool = False
    malformed_input: Literal["halt", "skip"] = "halt"

    jobs_status_default: Literal["all", "completed"] = "all"
    job_type: str = "reportdataset"
    job_error_shape: Literal["string", "object"] = "string"
    job_results_key: bool = True
    job_names_dataset: bool = False
    dt_completed_pending: Literal["null", "absent"] = "null"
    retention_seconds: float | None = None

    results_shape: ResultsShape = "files"
    not_ready_calls: int = 0
    page_size: int = 500
    inline_content: Literal["text", "json"] = "text"
    list_bytes: bool = True
    list_content_type: bool = True
    result_url_seconds: float = 3600.0
    content_encoding: Literal["gzip", "deflate"] | None = None
    honour_if_range: bool = True
    hostile_names: tuple[str, ...] = ()
    large_file_bytes: int = 0

    percentile_method: Literal["type7", "type6"] = "type7"
    stddev_method: Literal["population", "sample"] = "population"

    def with_changes(self, changes: dict[str, Any]) -> SimulatorConfig:
        """The same configuration with some fields changed.

        :param changes: field -> value as JSON holds it.
        :raises msgspec.ValidationError: an unknown field or a value of the wrong type.
        """
        return msgspec.convert({**msgspec.to_builtins(self), **changes}, SimulatorConfig)

    def __repr__(self) -> str:
        # The secrets of consumers and the control token are left out, because a repr may get into a log.
        shown = {n: getattr(self, n) for n in self.__struct_fields__ if n not in ("consumers", "control_token")}
        changed = {n: v for n, v in shown.items() if v != getattr(DEFAULTS, n)}
        return f"SimulatorConfig(consumers={sorted(self.consumers)}, {changed})"


DEFAULTS: Final = SimulatorConfig()
