"""One listing, in whatever shape the API hands a finished dataset out."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from learnosity.dataset.file_names import check_names
from learnosity.errors import PermanentApiError, UnsafeNameError, UrlExpiredError
from learnosity.landing.listing import Listing, ResultSet
from learnosity.redaction import redact

from .conftest import SUMMARY, Bench, Start


async def listed(bench: Bench, dataset_id: str) -> Listing:
    return await ResultSet(bench.client, SUMMARY.dataset_type, dataset_id).list()


async def contents(bench: Bench, listing: Listing) -> dict[str, bytes]:
    """All files by path, fetched the way their kind asks for."""
    fetched = await asyncio.gather(*(bench.content(url) for url in listing.urls.values()))
    return dict(zip(listing.urls, fetched, strict=True)) | listing.inline


@pytest.mark.parametrize(
    "switches",
    [
        {"results_shape": "urls"},
        {"results_shape": "paged", "page_size": 3},
        {"results_shape": "paged", "page_size": 1000},
        {"results_shape": "inline", "inline_content": "text"},
        {"list_bytes": False},
        {"list_content_type": False},
    ],
    ids=str,
)
async def test_every_shape_gives_the_same_files_with_the_same_content(start: Start, switches: dict[str, Any]) -> None:
    bench = await start(results_shape="files")
    dataset_id = (await bench.finished()).dataset_id
    reference = await listed(bench, dataset_id)
    expected = await contents(bench, reference)
    assert len(expected) > 10
    assert all(path.endswith((".json", ".csv")) for path in expected)
    assert all(reference.files[path].bytes == len(body) for path, body in expected.items())

    bench.sim.configure(**switches)
    listing = await listed(bench, dataset_id)
    found = await contents(bench, listing)
    if switches.get("results_shape") == "urls":
        # Without names, a file is called what its address has after the dataset's id.
        found = {path.removeprefix("outfiles/"): body for path, body in found.items()}
    assert found == expected
    assert len(listing) == len(expected)
    check_names(listing.names(), local=True)


async def test_inline_json_is_landed_as_the_json_it_is(start: Start) -> None:
    bench = await start(results_shape="files")
    dataset_id = (await bench.finished()).dataset_id
    expected = await contents(bench, await listed(bench, dataset_id))
    bench.sim.configure(results_shape="inline", inline_content="json")
    found = await contents(bench, await listed(bench, dataset_id))
    assert found.keys() == expected.keys()
    for path, body in expected.items():
        if path.endswith(".json"):
            assert json.loads(found[path]) == json.loads(body)
        else:
            assert found[path] == body


async def test_a_dataset_that_is_given_group_by_group_is_walked_to_its_leaves(start: Start) -> None:
    bench = await start(results_shape="groups")
    dataset_id = (await bench.finished()).dataset_id
    results = ResultSet(bench.client, SUMMARY.dataset_type, dataset_id)
    listing = await results.list()
    assert set(listing.files) == {
        "groups/group.json",
        *(f"groups/{path}/group.json" for path in ("s0", "s0/c0", "s0/c2", "s1", "s1/c1", "s1/c3")),
    }
    for file in listing.files.values():
        body = await results.group_content(file.group_path)
        assert json.loads(body)["group_path"] == list(file.group_path)
        assert file.bytes == len(body)


@pytest.mark.parametrize(
    "hostile",
    ["../../etc/passwd", "/etc/passwd", "a//b.txt", "a/./b.txt", "C:\\x.txt", "x\u0000.txt", "\u202etxt.exe", ""],
)
@pytest.mark.parametrize("shape", ["files", "paged"])
async def test_a_hostile_name_refuses_the_whole_listing(start: Start, hostile: str, shape: str) -> None:
    bench = await start(results_shape=shape, page_size=2, hostile_names=[hostile])
    dataset_id = (await bench.finished()).dataset_id
    with pytest.raises(UnsafeNameError, match="Nothing was written"):
        await listed(bench, dataset_id)
    assert not bench.sim.stats.file_gets


@pytest.mark.parametrize("hostile", [["caf\u00e9.txt", "cafe\u0301.txt"], ["both", "both/x.txt"]], ids=ascii)
async def test_names_that_clash_are_all_in_the_listing_so_that_they_can_be_refused(
    start: Start, hostile: list[str]
) -> None:
    bench = await start(hostile_names=hostile)
    listing = await listed(bench, (await bench.finished()).dataset_id)
    with pytest.raises(UnsafeNameError, match="cannot be landed side by side"):
        check_names(listing.names())


async def test_an_expired_url_is_known_as_such_and_a_new_listing_gives_good_ones(start: Start) -> None:
    bench = await start()
    dataset_id = (await bench.finished()).dataset_id
    bench.fault("get reports/datasets", "expired_url", times=1)
    stale = await listed(bench, dataset_id)
    path, url = next(iter(stale.urls.items()))
    with pytest.raises(UrlExpiredError) as caught:
        await bench.content(url)
    query = url.partition("?")[2]
    assert query
    assert query not in str(caught.value)
    assert redact(url) in str(caught.value)
    assert await bench.content((await listed(bench, dataset_id)).urls[path])


@pytest.mark.parametrize("error_http", ["table", "200"])
async def test_a_dataset_that_is_not_finished_cannot_be_listed(start: Start, error_http: str) -> None:
    bench = await start(job_seconds=60.0, error_http=error_http)
    created = await bench.create()
    with pytest.raises(PermanentApiError) as caught:
        await listed(bench, created.dataset_id)
    assert caught.value.code == 20004


@pytest.mark.parametrize("address", ["https://169.254.169.254", "http://bucket.example", "https://[::ffff:a9fe:a9fe]"])
async def test_an_address_that_may_not_be_followed_refuses_the_listing(start: Start, address: str) -> None:
    bench = await start()
    listing = {"meta": {"status": True}, "data": {"files": [{"name": "x", "url": f"{address}/x?Signature=abc"}]}}
    bench.fault("get reports/datasets", "status", status=200, body=json.dumps(listing))
    with pytest.raises(PermanentApiError, match="Refused to follow the URL") as caught:
        await listed(bench, "a951cc14-0316-4c12-bb13-1f386338a094")
    assert "abc" not in str(caught.value)


async def test_the_listing_shows_no_signed_url_in_its_repr(start: Start) -> None:
    bench = await start()
    listing = await listed(bench, (await bench.finished()).dataset_id)
    assert all("?" in url for url in listing.urls.values())
    assert "http" not in repr(listing)
