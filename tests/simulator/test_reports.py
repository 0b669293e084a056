"""The stand-in for the browser Reports API: it serves a script, and groups only to a request that is well signed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from learnosity_sdk.request import Init

from simulator import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET

if TYPE_CHECKING:
    from tests.simulator.conftest import Client


def signed(named: dict[str, str], secret: str = DEMO_CONSUMER_SECRET, **report: Any) -> dict[str, Any]:
    """An initialisation as a page holds it, made by the official SDK."""
    definition = {"id": "report", "type": named["dataset_type"], "dataset_id": named["dataset_id"], **report}
    security = {"consumer_key": DEMO_CONSUMER_KEY, "domain": "localhost"}
    made = Init("reports", security, secret, {"reports": [definition]}).generate(encode=False)
    assert isinstance(made, dict)
    return made


async def asked(client: Client, init: dict[str, Any], path: list[str], report: str = "report") -> tuple[int, Any]:
    """What the script asks for; status and body."""
    body = {
        "security": json.dumps(init["security"]),
        "request": json.dumps(init["request"], separators=(",", ":"), ensure_ascii=False),
        "report": report,
        "path": path,
    }
    async with client.http.post(f"{client.sim.url}/reports/data", data=json.dumps(body)) as reply:
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
        return reply.status, await reply.json()


async def test_the_script_is_served_under_any_version(client: Client) -> None:
    async with client.http.get(f"{client.sim.url}/reports/?v2026.2.LTS") as reply:
        assert reply.content_type == "text/javascript"
        assert "LearnosityReports" in await reply.text()


async def test_a_signed_request_gets_the_groups_of_its_dataset(client: Client) -> None:
    named = await client.finished()
    status, root = await asked(client, signed(named), [])
    assert status == 200
    assert {row["group_name"] for row in root["groups"]} == {"s0", "s1"}
    _, school = await asked(client, signed(named), [root["groups"][0]["group_name"]])
    assert school["group_path"] == [root["groups"][0]["group_name"]]


async def test_a_wrong_secret_is_refused(client: Client) -> None:
    named = await client.finished()
    status, error = await asked(client, signed(named, secret="0" * 40), [])
    assert (status >= 400, error["code"]) == (True, 41003)


async def test_a_request_that_was_changed_after_signing_is_refused(client: Client) -> None:
    named, other = await client.finished(), await client.finished()
    init = signed(named)
    init["request"]["reports"][0]["dataset_id"] = other["dataset_id"]
    _, error = await asked(client, init, [])
    assert error["code"] == 41003


async def test_the_type_of_report_and_dataset_must_agree(client: Client) -> None:
    named = await client.finished()
    _, error = await asked(client, signed(named, type="sessions-summary-by-group"), [])
    assert error["code"] == 20004


async def test_unknown_groups_reports_and_datasets_are_refused(client: Client) -> None:
    named = await client.finished()
    assert (await asked(client, signed(named), ["nowhere"]))[1]["code"] == 20004
    assert (await asked(client, signed(named), [], report="another"))[1]["code"] == 20004
    assert (await asked(client, signed(named, dataset_id="none"), []))[1]["code"] == 20004


async def test_what_is_no_initialisation_is_refused(client: Client) -> None:
    async with client.http.post(f"{client.sim.url}/reports/data", data=b"[]") as reply:
        assert (reply.status, (await reply.json())["code"]) == (400, 20009)
