"""Landing over TLS from sources far away, whose every byte a relay delays (`benchmarks/relay.py`), against rclone.

The store stays near. It speaks TLS where large files land, as S3 does and as in the row `large`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from benchmarks import rows
from benchmarks.relay import distant
from benchmarks.rows import MB, Row, faster, interleaved, land, more
from benchmarks.source import Files
from benchmarks.stack import Stack
from benchmarks.worker import Outcome
from devstack.ports import LOOPBACK

ROUND_TRIPS = (0.020, 0.080, 0.200)
SMALL, LARGE = 3_000, 8
TRANSFERS = (128, 256, 512)
LARGE_TRANSFERS = (4, 8)


def distant_sources(stack: Stack) -> list[Row]:
    """3,000 x 20 KB and 8 x 128 MB from 20, 80 and 200 ms away, against rclone at its best `--transfers`."""
    measured: list[Row] = []
    direct = stack.source.tls_url
    try:
        for seconds in ROUND_TRIPS:
            with distant(int(direct.rpartition(":")[2]), seconds) as relayed:
                stack.source.tls_url = f"https://{LOOPBACK}:{relayed}"
                measured += from_afar(stack, f"{seconds * 1000:.0f} ms away")
    finally:
        stack.source.tls_url = direct
    return measured


def from_afar(stack: Stack, how: str) -> list[Row]:
    """The two rows of one distance.

    :param how: what is special about the source, for the names of the rows.
    """
    name = how.replace(" ", "-").replace("%", "").replace(".", "-").replace(",", "")
    small, large = Files(f"small-{name}", SMALL, 20_000, tls=True), Files(f"large-{name}", LARGE, 128 * MB, tls=True)
    stack.source.serve(small)
    stack.source.serve(large)
    stack.fresh_bucket()

    def small_peer(transfers: int) -> Outcome:
        return stack.rclone(small, stack.prefix(), transfers)

    def large_peer(transfers: int) -> Outcome:
        return stack.rclone(large, stack.fresh_bucket(tls=True), transfers)

    best = _best(small_peer, TRANSFERS)
    ours, peer = interleaved(rows.RUNS, lambda: land(stack, small), partial(small_peer, best))
    rate, theirs = (SMALL / median(each.total for each in side) for side in (ours, peer))
    best_large = _best(large_peer, LARGE_TRANSFERS)
    ours, peer = interleaved(
        rows.RUNS, lambda: land(stack, large, stack.fresh_bucket(tls=True)), partial(large_peer, best_large)
    )
    took, took_theirs = (median(each.total for each in side) for side in (ours, peer))
    stack.source.forget(small)
    stack.source.forget(large)
    return [
        more(f"{SMALL:,} x 20 KB over TLS, {how}", rate, theirs, f"rclone --transfers {best}", 2.0),
        faster(f"{LARGE} x 128 MB over TLS, {how}", took, took_theirs, f"rclone --transfers {best_large}", 1.0),
    ]


def _best(peer: Callable[[int], Outcome], transfers: Sequence[int]) -> int:
    """The number of files at once with which the peer is fastest."""
    return min(transfers, key=lambda number: peer(number).total)
