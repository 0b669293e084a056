"""Faults on demand: rules that say which call goes wrong, how, and how often.

`FaultBook.draw` decides, and `delivery` acts. Decisions are seeded, so that a run can be repeated. A rule
matches a target: `"<action> <endpoint>"` of the Data API (`"set reports/datasets"`, `"get jobs"`), `"put"` for an
upload, `"file"` for a download, `"job"` for the job itself.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal

import msgspec

FaultKind = Literal[
    "latency",
    "status",
    "rate_limited",
    "reset",
    "lost_reply",
    "truncate",
    "slow_body",
    "expired_url",
    "non_json",
    "wrong_length",
    "corrupt",
    "lie",
    "replaced",
    "no_continue",
    "stalled_body",
    "job_halt",
    "job_hang",
    "job_vanish",
]
Lie = Literal[
    "range_start",
    "range_end",
    "range_total",
    "range_unknown",
    "no_range",
    "multipart",
    "whole",
    "part",
    "no_content",
    "longer",
    "endless",
    "no_length",
    "other_tag",
    "weak_tag",
    "no_tag",
]
JOB_KINDS: Final = frozenset({"job_halt", "job_hang", "job_vanish"})


class FaultRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule. Without `nth`, `every` or `probability` it fires on each call that it matches.

    :param match: glob over targets; a job fault matches `job`.
    :param name: glob over the name of what is addressed: `<dataset_id>/<part>` of a `put`, the file name of a `file`.
    :param kind: what goes wrong:
        `latency` waits `seconds` and goes on; `status` answers `status` with `body`, or with the API's envelope
        and `code` (XML on uploads and downloads); `rate_limited` is a 429, with `Retry-After: retry_after` if set;
        `reset` cuts the connection before anything is done; `lost_reply` does the work and then cuts it;
        `truncate` sends `fraction` of the body with the full Content-Length and closes; `slow_body` sends
        `bytes_per_second`; `expired_url` refuses the URL of a `put` or `file` as expired, and makes an API call
        issue URLs that have expired already; `non_json` answers 200 with a page of HTML; `wrong_length` sends
        a body that lacks its last byte, with a Content-Length that fits it; `corrupt` changes a byte; `lie` makes the
        reply to a `file` another one than was asked for, as `lie` says; `replaced` puts a new version of a `file` in
        its place, for good, and serves it; `no_continue` never sends the `100 Continue` that a `put` waits for;
        `stalled_body` takes `fraction` of the body of a `put` and nothing more, and cuts the connection `seconds`
        later; `job_halt` ends the job as `halted` with `message`; `job_hang` never ends it; `job_vanish` removes it.
    :param lie: a reply to a range request begins one byte later and says so (`range_start`), ends one byte earlier
        and says so (`range_end`), names another total (`range_total`), `*` (`range_unknown`) or no range at all
        (`no_range`), is `multipart/byteranges` (`multipart`), or is the whole file (`whole`). A reply to any request is
        the second half of the file as a 206 (`part`), 204 without a body (`no_content`), has eight bytes more and a
        Content-Length that fits (`longer`), has no end (`endless`), has no Content-Length (`no_length`), or has the tag
        of another version (`other_tag`), a weak one (`weak_tag`) or none (`no_tag`).
    :param s3_code: error code in the XML of a `status` on uploads and downloads, such as `RequestTimeout`.
    :param nth: only this call, counted from 1 over the calls that match.
    :param every: each call whose number is a multiple of this.
    :param probability: 0 to 1, drawn from the seed of the simulator.
    :param times: stop after this many faults; None means never.
    """

    match: str
    kind: FaultKind
    name: str = "*"
    nth: int | None = None
    every: int | None = None
    probability: float | None = None
    times: int | None = None
    seconds: float = 1.0
    status: int = 500
    code: int = 10000
    s3_code: str | None = None
    message: str = "An error on demand"
    body: str | None = None
    retry_after: int | None = None
    fraction: float = 0.5
    bytes_per_second: int = 65_536
    lie: Lie | None = None

    def __post_init__(self) -> None:
        if self.kind in JOB_KINDS and self.match != "job":
            raise ValueError(f"{self.kind} is a fault of a job: set match to 'job'")
        if self.bytes_per_second < 10 or not 0 <= self.fraction < 1:
            raise ValueError("bytes_per_second must be at least 10 and fraction at least 0 and below 1")
        if self.every is not None and self.every < 1:
            raise ValueError("every must be at least 1")
        if (self.kind == "lie") != (self.lie is not None):
            raise ValueError("the kind 'lie' needs a lie, and no other kind has one")


@dataclass(slots=True)
class _Live:
    rule: FaultRule
    random: random.Random
    matched: int = 0
    fired: int = 0


@dataclass(slots=True)
class FaultBook:
    """The rules in force and how often each matched and fired.

    :param seed: makes the draws of `probability` repeatable.
    """

    seed: int = 1
    _rules: list[_Live] = field(default_factory=list)

    def add(self, *rules: FaultRule) -> None:
        """Put more rules in force, after the present ones."""
        for rule in rules:
            self._rules.append(_Live(rule, random.Random(f"{self.seed}/{len(self._rules)}")))

    def clear(self) -> None:
        """Remove all rules."""
        self._rules.clear()

    def rules(self) -> list[FaultRule]:
        """The rules in force, in order."""
        return [live.rule for live in self._rules]

    def draw(self, target: str, name: str = "") -> list[FaultRule]:
        """The rules that fire on one call, in order; counts the call for every rule that matches it."""
        return [live.rule for live in self._rules if self._fires(live, target, name)]

    @staticmethod
    def _fires(live: _Live, target: str, name: str) -> bool:
        rule = live.rule
        if not (fnmatchcase(target, rule.match) and fnmatchcase(name, rule.name)):
            return False
        live.matched += 1
        if rule.nth is not None and live.matched != rule.nth:
            return False
        if rule.every is not None and live.matched % rule.every:
            return False
        if rule.probability is not None and live.random.random() >= rule.probability:
            return False
        if rule.times is not None and live.fired >= rule.times:
            return False
        live.fired += 1
        return True
