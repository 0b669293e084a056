"""The dataset pages: who may see them, what they read, and that nothing in the data can act on the page."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import msgspec
import obstore
import pytest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api import security
from airflow.models.dag import DagModel
from airflow.sdk import Connection
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from obstore.store import LocalStore

from learnosity import connections
from learnosity.api.config import ApiConfig, Credentials
from learnosity.dataset.completeness import Returned
from learnosity.dataset.input_info import InputInfo, LevelInfo
from learnosity.dataset.layout import DatasetLayout
from learnosity.dataset.manifest import FileEntry, Manifest, RunInfo, encode_files, encode_manifest, sha256_hex
from learnosity.errors import IncompleteDatasetError
from learnosity.hooks import LearnosityHook
from learnosity.storage.obstore_store import ObstoreStore
from learnosity.storage.uris import parse_uri
from learnosity.web import audit, compare_page, known_dags, list_page, list_rows, routes, runs
from learnosity.web import rights as rights_of_pages
from learnosity.web.app import app
from learnosity.web.list_rows import Found, Listed
from learnosity.web.open_dataset import RUN
from learnosity.web.run_datasets import Publication, RunDataset, Step
from learnosity.web.run_progress import Landed, Progress, Trouble

DATASET_ID = "33285a4b-0e6e-47e4-bade-78999ada14db"
GROUP_TYPE = "activity-summary-by-group"
OTHER_ID = "5d0c9e5c-6f3b-4b1e-9c58-0a3f3c1de002"
SECRET = "a-consumer-secret-that-nobody-may-see"
get_real_config = LearnosityHook.get_config
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
FIELDS = ["population", "p25_percent", "median_percent", "p75_percent"]


def row(name: str, median: float = 50.0) -> dict[str, Any]:
    return {
        "group_name": name,
        "population": 40,
        "p25_percent": median - 10,
        "median_percent": median,
        "p75_percent": median + 10,
    }


def group(path: Sequence[str], children: Sequence[str] = (), users: Sequence[str] = ()) -> bytes:
    return msgspec.json.encode(
        {
            "group_path": path,
            "group": row(path[-1] if path else "all"),
            "ancestors": [],
            "groups": [row(name, 30.0 + 10 * place) for place, name in enumerate(children)],
            "users": [{"user_id": user, "score": 7} for user in users],
        }
    )


GROUPS: dict[str, bytes] = {
    "groups/group.json": group([], ["north", "south"]),
    "groups/group.csv": b"group_name,population\nnorth,40\nsouth,40\n",
    "groups/north/group.json": group(["north"], ["school 1"]),
    "groups/north/school%201/group.json": group(["north", "school 1"], users=["u1", "u2"]),
    "groups/south/group.json": group(["south"], users=["u3"]),
}
ITEMS: dict[str, bytes] = {
    "items.json": msgspec.json.encode(
        [
            {"item_reference": "good-item", "p_value": 0.6, "discrimination_index": 0.45},
            {"item_reference": "weak-item", "p_value": 0.9, "discrimination_index": 0.05},
        ]
    )
}


@dataclass
class Site:
    """The pages of one published dataset, and the user who looks at them."""

    client: TestClient
    folder: Path
    run: runs.Run
    rights: dict[str, set[str]]
    lacking: set[str]
    lacking_of: dict[str, set[str]]
    noted: list[Any] = field(default_factory=list)
    """Rows of the audit log."""

    def publish(
        self,
        files: Mapping[str, bytes],
        dataset_type: str = "activity-summary-by-group",
        *,
        stored: bool = True,
        content_encoding: str | None = None,
        dataset_id: str = DATASET_ID,
        task_id: str = "land.publish",
        map_index: int = -1,
        landed_by: RunInfo | None = None,
        **more: Any,
    ) -> None:
        layout = DatasetLayout(dataset_type, dataset_id)
        base = self.folder / layout.prefix
        if stored:
            store = LocalStore(self.folder)
            for path, content in files.items():
                obstore.put(store, layout.data(path), content)
        listing = b"".join(
            encode_files(
                FileEntry(
                    path,
                    len(content),
                    hashlib.sha256(content).hexdigest(),
                    "application/json",
                    content_encoding=content_encoding,
                )
                for path, content in sorted(files.items())
            )
        )
        base.mkdir(parents=True, exist_ok=True)
        (base / "files.ndjson").write_bytes(listing)
        request = {
            "dataset_id": dataset_id,
            "dataset_type": dataset_type,
            "options": {"fields": FIELDS, "user_fields": ["score"]},
            "groups": [{"key": "region", "label": "Region"}, {"key": "school", "label": "School"}],
        }
        manifest = Manifest(
            dataset_id,
            dataset_type,
            "job-1",
            request,
            len(files),
            sum(map(len, files.values())),
            sha256_hex(listing),
            "2026-11-24T03:00:00+00:00",
            landed_by or RunInfo("learnosity_dataset", "manual__1", None),
            **more,
        )
        (base / "manifest.json").write_bytes(encode_manifest(manifest))
        uri = self.folder.as_uri()
        publication = Publication(layout, f"{uri}/{layout.manifest}", uri, "learnosity_default")
        steps = (Step(task_id, "success", None, None),)
        made = RunDataset(task_id, map_index, dataset_type, dataset_id, publication, "", steps)
        others = tuple(each for each in self.run.datasets if each.label != made.label)
        self.run = replace(self.run, datasets=(*others, made))

    def move_publication(self, uri: str) -> None:
        """What the run says about the place of its dataset, as a user could edit it."""
        (made,) = self.run.datasets
        assert made.publication is not None
        layout = made.publication.layout
        manifest_uri = f"{parse_uri(uri).text}/{layout.manifest}"
        moved = replace(made.publication, destination_uri=uri, manifest_uri=manifest_uri)
        self.run = replace(self.run, datasets=(replace(made, publication=moved),))

    def get(self, path: str = "", **query: Any) -> Any:
        return self.client.get(f"/run/learnosity_dataset/manual__1{path}", params=query)


class Account(str):
    """A user, by name."""

    def get_name(self) -> str:
        return str(self)


class Manager:
    """An auth manager that knows users by their token.

    :param lacking: rights that nobody has; "DAG" = the right to read a DAG itself.
    """

    def __init__(self, rights: dict[str, set[str]], lacking: set[str]) -> None:
        self.rights = rights
        self.lacking = lacking
        self.lacking_of: dict[str, set[str]] = {}
        self.batches = 0
        self.singles = 0

    async def get_user_from_token(self, token: str) -> Account:
        return Account(token)

    def is_authorized_dag(self, *, method: str, user: str, details: Any, access_entity: Any = None) -> bool:
        entity = access_entity.value if access_entity else "DAG"
        lacking = self.lacking | self.lacking_of.get(details.id, set())
        return method == "GET" and entity not in lacking and details.id in self.rights.get(user, set())

    def batch_is_authorized_dag(self, requests: Sequence[Any], *, user: str) -> bool:
        self.batches += 1
        return all(self.is_authorized_dag(**each, user=user) for each in requests)

    def get_authorized_dag_ids(self, *, user: str, method: str, session: Any) -> set[str]:
        lacking = self.lacking_of
        return {each for each in self.rights.get(user, ()) if "DAG" not in self.lacking | lacking.get(each, set())}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    rights = {"teacher": {"learnosity_dataset"}, "stranger": set[str]()}
    lacking = set[str]()
    manager = Manager(rights, lacking)
    run = runs.Run("learnosity_dataset", "manual__1", "success", {}, None, None, ())
    with TestClient(app, cookies={"_token": "teacher"}, raise_server_exceptions=True) as client:
        made = Site(client, tmp_path, run, rights, lacking, manager.lacking_of)

        @contextmanager
        def no_session() -> Iterator[None]:
            yield None

        def load_run(session: None, dag_id: str, run_id: str) -> runs.Run | None:
            return made.run if (dag_id, run_id) == (made.run.dag_id, made.run.run_id) else None

        monkeypatch.setattr(security, "get_auth_manager", lambda: manager)
        monkeypatch.setattr("airflow.api_fastapi.core_api.security.DagModel.get_team_name", lambda dag_id: None)
        monkeypatch.setattr(rights_of_pages, "get_auth_manager", lambda: manager)
        monkeypatch.setattr(DagModel, "get_dag_id_to_team_name_mapping", lambda dag_ids, session: {})
        monkeypatch.setattr(known_dags, "learnosity_dags", lambda session, dag_ids: set(dag_ids))

        @contextmanager
        def noting_session() -> Iterator[Any]:
            yield SimpleNamespace(add=made.noted.append)

        monkeypatch.setattr(routes, "create_session", no_session)
        monkeypatch.setattr(list_page, "create_session", no_session)
        monkeypatch.setattr(compare_page, "create_session", no_session)
        monkeypatch.setattr(compare_page, "past_datasets", lambda *_: [])
        monkeypatch.setattr(audit, "create_session", noting_session)
        monkeypatch.setattr(runs, "load_run", load_run)
        config = ApiConfig(Credentials("consumerkey00001", SECRET), reports_url="https://reports.example.com")
        monkeypatch.setattr("learnosity.web.app.LearnosityHook.get_config", lambda self: config)
        yield made


class TestTheQuestionsOfTheList:
    """The auth manager may be a server elsewhere, so the list asks it few questions."""

    @pytest.fixture
    def manager(self, monkeypatch: pytest.MonkeyPatch) -> Manager:
        made = Manager({"teacher": {f"dag-{number}" for number in range(500)}}, set())

        def single(**question: Any) -> bool:
            made.singles += 1
            return Manager.is_authorized_dag(made, **question)

        def batch(requests: Sequence[Any], *, user: str) -> bool:
            made.batches += 1
            return all(Manager.is_authorized_dag(made, **each, user=user) for each in requests)

        made.is_authorized_dag = single  # type: ignore[method-assign]
        made.batch_is_authorized_dag = batch  # type: ignore[method-assign]
        monkeypatch.setattr(rights_of_pages, "get_auth_manager", lambda: made)
        monkeypatch.setattr(DagModel, "get_dag_id_to_team_name_mapping", lambda dag_ids, session: {})
        monkeypatch.setattr(known_dags, "learnosity_dags", lambda session, dag_ids: set(dag_ids))
        return made

    @staticmethod
    def readable(user: str) -> set[str]:
        return rights_of_pages.readable_dags(None, Account(user))  # type: ignore[arg-type]

    def test_one_question_is_enough_for_a_user_who_may_read_all(self, manager: Manager) -> None:
        assert len(self.readable("teacher")) == 500
        assert (manager.batches, manager.singles) == (1, 0)

    def test_a_user_without_any_dag_costs_none(self, manager: Manager) -> None:
        assert self.readable("stranger") == set()
        assert (manager.batches, manager.singles) == (0, 0)

    @pytest.mark.parametrize("entity", ["DAG", "RUN", "XCOM"])
    def test_one_right_that_is_lacking_hides_its_dag_alone(self, manager: Manager, entity: str) -> None:
        manager.lacking_of["dag-7"] = {entity}
        assert self.readable("teacher") == manager.rights["teacher"] - {"dag-7"}

    @pytest.mark.parametrize("entity", ["DAG", "RUN", "XCOM"])
    def test_a_right_that_is_lacking_everywhere_hides_all(self, manager: Manager, entity: str) -> None:
        manager.lacking.add(entity)
        assert self.readable("teacher") == set()


class Markup(HTMLParser):
    """What a browser would make of a page: scripts without nonce, inline handlers, elements by name."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.dangers: list[str] = []
        self.names: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        given = dict(attrs)
        if tag in ("script", "style") and "nonce" not in given:
            self.dangers.append(f"<{tag}> without nonce")
        self.dangers += [f"{tag} {name}" for name in given if name.startswith("on") or name == "style"]
        target = given.get("href") or given.get("src") or ""
        if re.match(r"\s*(javascript|data:text)", target, re.IGNORECASE):
            self.dangers.append(f"{tag} to {target[:20]}")


# All routes but those of the list. For a user who may not read a DAG, the list only leaves its datasets out. Each other
# route has to answer 403.
LISTS = {"/", "/datasets.csv"}
DATA_ROUTES = sorted({route.path for route in app.routes if isinstance(route, APIRoute)} - LISTS)
ROUTES = [
    "",
    "/files",
    "/view/groups/group.json",
    "/file/groups/group.json",
    "/manifest.json",
    "/report",
    "/report/frame",
    "/compare",
    "/find",
    "/csv",
    "/csv/groups/group.json",
    "/files.csv",
    "/zip",
    "/use",
]


class TestWhoMaySee:
    @pytest.mark.parametrize("route", ROUTES)
    def test_a_user_who_may_read_the_dag_sees_it(self, site: Site, route: str) -> None:
        site.publish(GROUPS)
        assert site.get(route).status_code == 200

    @pytest.mark.parametrize("route", ROUTES)
    def test_a_user_without_the_right_gets_403_and_no_data(self, site: Site, route: str) -> None:
        site.publish(GROUPS)
        site.client.cookies.set("_token", "stranger")
        reply = site.get(route)
        assert reply.status_code == 403
        assert DATASET_ID not in reply.text
        assert "north" not in reply.text

    @pytest.mark.parametrize("route", ROUTES)
    def test_nobody_sees_it_without_logging_in(self, site: Site, route: str) -> None:
        site.publish(GROUPS)
        site.client.cookies.clear()
        assert site.get(route).status_code == 401

    @pytest.mark.parametrize("prefix", ["", "/airflow"])
    @pytest.mark.parametrize(
        "below",
        [
            "/files",
            "/files?q=a%20b&page=2",
            "?group=North%20%26%20South&group=A%2FB",
            "/view/-?file=a%2525b.json&sort=x",
            "/view/a%20b%25c.json",
        ],
    )
    def test_the_login_leads_back_to_the_page(self, site: Site, prefix: str, below: str) -> None:
        mounted = FastAPI(root_path=prefix)
        mounted.mount("/learnosity", app)
        page = f"{prefix}/learnosity/run/learnosity_dataset/manual__2026-11-28T03:00:00+00:00{below}"
        reply = TestClient(mounted).get(page)
        assert reply.status_code == 401
        assert f'href="{prefix}/api/v2/auth/login?next={quote(page, safe="")}"' in reply.text

    @pytest.mark.parametrize("prefix", ["", "/airflow"])
    def test_the_page_leads_to_the_run_in_airflow(self, site: Site, prefix: str) -> None:
        site.publish(GROUPS)
        mounted = FastAPI(root_path=prefix)
        mounted.mount("/learnosity", app)
        client = TestClient(mounted, cookies={"_token": "teacher"})
        reply = client.get(f"{prefix}/learnosity/run/learnosity_dataset/manual__1")
        assert f'href="{prefix}/dags/learnosity_dataset/runs/manual__1"' in reply.text

    @pytest.mark.parametrize("entity", ["DAG", *(each.value for each in (DagAccessEntity.RUN, DagAccessEntity.XCOM))])
    @pytest.mark.parametrize("path", DATA_ROUTES)
    def test_every_route_needs_the_right_to_the_dag_its_runs_and_its_xcoms(
        self, site: Site, path: str, entity: str
    ) -> None:
        site.publish(GROUPS)
        address = path.replace("{path:path}", "{path}").format(
            dag_id="learnosity_dataset", run_id="manual__1", dataset_id=DATASET_ID, path="groups/group.json"
        )
        assert site.client.get(address).status_code == 200
        site.lacking.add(entity)
        reply = site.client.get(address)
        assert reply.status_code == 403
        assert DATASET_ID not in reply.text
        assert "north" not in reply.text

    def test_whatever_is_no_route_of_fastapi_holds_no_data(self) -> None:
        assert [vars(each)["path"] for each in app.routes if not isinstance(each, APIRoute)] == ["/static"]

    @pytest.mark.parametrize("entity", ["RUN", "XCOM"])
    def test_the_list_has_only_what_the_user_may_read_in_full(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, entity: str
    ) -> None:
        asked: list[set[str]] = []

        def found(session: Any, dag_ids: set[str], **_: Any) -> Found:
            asked.append(dag_ids)
            return Found([], False)

        monkeypatch.setattr(list_rows, "listed", found)
        site.lacking.add(entity)
        assert site.client.get("/").status_code == 200
        assert asked == [set()]

    def test_the_list_needs_a_login(self, site: Site) -> None:
        site.client.cookies.clear()
        assert site.client.get("/").status_code == 401

    def test_the_list_holds_only_dags_that_the_user_may_read(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        row = Listed("learnosity_dataset", "manual__1", "published", datetime.now(UTC), GROUP_TYPE, DATASET_ID)
        asked: list[set[str]] = []

        def found(session: Any, dag_ids: set[str], **_: Any) -> Found:
            asked.append(dag_ids)
            return Found([row] if row.dag_id in dag_ids else [], False)

        monkeypatch.setattr(list_rows, "listed", found)
        assert DATASET_ID in site.client.get("/").text
        site.client.cookies.set("_token", "stranger")
        assert DATASET_ID not in site.client.get("/").text
        assert asked == [{"learnosity_dataset"}, set()]

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_nothing_can_be_written(self, site: Site, method: str) -> None:
        site.publish(GROUPS)
        before = {path: path.read_bytes() for path in site.folder.rglob("*") if path.is_file()}
        assert (
            site.client.request(method, "/run/learnosity_dataset/manual__1/file/groups/group.json").status_code == 405
        )
        assert {path: path.read_bytes() for path in site.folder.rglob("*") if path.is_file()} == before


class TestWhatIsRead:
    @pytest.mark.parametrize(
        "path",
        [
            "..%2fmanifest.json",
            "..%2f..%2fsecret.txt",
            "groups/../../files.ndjson",
            "%2e%2e/%2e%2e/secret.txt",
            "/etc/passwd",
            "%2Fetc%2Fpasswd",
            "groups/unlisted.json",
            "groups\\group.json",
            "groups/group.json%00",
        ],
    )
    @pytest.mark.parametrize("route", ["view", "file"])
    def test_only_listed_files_are_read(self, site: Site, route: str, path: str) -> None:
        site.publish(GROUPS)
        (site.folder / "secret.txt").write_text("hands off")
        layout = DatasetLayout("activity-summary-by-group", DATASET_ID)
        (site.folder / layout.data("groups/unlisted.json")).write_text("hands off")
        reply = site.get(f"/{route}/{path}")
        assert reply.status_code == 404
        assert "hands off" not in reply.text

    def test_a_file_is_downloaded_as_it_landed(self, site: Site) -> None:
        site.publish(GROUPS)
        reply = site.get("/file/groups/north/group.json")
        assert reply.content == GROUPS["groups/north/group.json"]
        assert reply.headers["content-disposition"].startswith("attachment")
        assert "sandbox" in reply.headers["content-security-policy"]

    @pytest.mark.parametrize("encoding", ["gzip", "gzip,aws-chunked", "utf-8, GZIP"])
    def test_a_compressed_file_is_unpacked_by_whoever_downloads_it(self, site: Site, encoding: str) -> None:
        content = GROUPS["groups/north/group.json"]
        site.publish({"groups/north/group.json": gzip.compress(content)}, content_encoding=encoding)
        reply = site.get("/file/groups/north/group.json")
        assert reply.headers["content-encoding"] == "gzip"
        assert reply.content == content

    @pytest.mark.parametrize("size", [1, 1024, 5 * 1024 * 1024])
    @pytest.mark.parametrize("route", ["/file/a.json", "/zip"])
    def test_a_file_that_was_changed_at_the_same_size_is_never_sent_whole(
        self, site: Site, route: str, size: int
    ) -> None:
        site.publish({"a.json": bytes(size)})
        whole = site.get(route).content
        place = site.folder / DatasetLayout(GROUP_TYPE, DATASET_ID).data("a.json")
        place.write_bytes(bytes(size - 1) + b"1")
        try:
            reply = site.get(route)
        except RuntimeError as error:  # the reply had begun: a server closes the connection then
            assert isinstance(error.__cause__, IncompleteDatasetError)
            return
        assert reply.status_code == 409
        assert len(reply.content) != len(whole)

    @pytest.mark.parametrize("route", ["/file/a.json", "/zip"])
    def test_a_download_reads_in_threads_of_its_own(
        self, site: Site, route: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        site.publish({"a.json": bytes(3 * 1024 * 1024)})
        seen, read = set[str](), ObstoreStore.read

        def noted(store: ObstoreStore, path: str) -> Iterator[bytes]:
            for chunk in read(store, path):
                seen.add(threading.current_thread().name.rpartition("_")[0])
                yield chunk

        monkeypatch.setattr(ObstoreStore, "read", noted)
        assert site.get(route).status_code == 200
        assert seen == {"learnosity-read"}

    def test_a_manifest_elsewhere_than_at_the_destination_is_refused(self, site: Site, tmp_path: Path) -> None:
        site.publish(GROUPS)
        (made,) = site.run.datasets
        assert made.publication is not None
        elsewhere = replace(made.publication, manifest_uri="file:///elsewhere/manifest.json")
        site.run = replace(site.run, datasets=(replace(made, publication=elsewhere),))
        assert site.get().status_code == 409

    def test_a_reply_does_not_depend_on_which_connections_exist(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        site.publish(GROUPS)
        (made,) = site.run.datasets
        assert made.publication is not None
        known = Connection(conn_id="known", conn_type="aws", login="a", password="b")
        monkeypatch.setattr(connections, "find_connection", {"known": known}.get)
        replies = set()
        for name in ("known", "unknown"):
            destination = f"s3://{name}@bucket/p"
            edited = replace(made.publication, manifest_uri="s3://elsewhere/x", destination_uri=destination)
            site.run = replace(site.run, datasets=(replace(made, publication=edited),))
            reply = site.get()
            replies.add((reply.status_code, re.sub(r'nonce="[^"]*"', "", reply.text)))
        ((status, text),) = replies
        assert status == 409
        assert "does not lie at the destination s3://bucket/p" in text

    @pytest.mark.parametrize("route", ROUTES)
    def test_what_another_dag_has_landed_is_refused_to_users_who_may_not_read_it(self, site: Site, route: str) -> None:
        site.publish(GROUPS)
        site.rights["teacher"] = {"another_dag"}
        site.run = replace(site.run, dag_id="another_dag")
        reply = site.client.get(f"/run/another_dag/manual__1{route}")
        assert reply.status_code == 403
        assert "north" not in reply.text
        assert "learnosity_dataset" not in reply.text
        assert "Another DAG has landed this dataset" in reply.text
        assert "/dags/another_dag/runs/manual__1" in links(reply.text)
        assert "/run/another_dag/manual__1" not in links(reply.text)

    @pytest.mark.parametrize("route", ROUTES)
    @pytest.mark.parametrize("lacking", ["", "RUN", "XCOM"])
    def test_what_another_dag_has_landed_is_shown_to_users_who_may_read_both(
        self, site: Site, route: str, lacking: str
    ) -> None:
        site.publish(GROUPS)
        site.rights["teacher"].add("another_dag")
        if lacking:
            site.lacking_of["learnosity_dataset"] = {lacking}
        site.run = replace(site.run, dag_id="another_dag")
        reply = site.client.get(f"/run/another_dag/manual__1{route}")
        assert reply.status_code == (403 if lacking else 200)
        assert [note.dag_id for note in site.noted] == ([] if lacking else ["another_dag"])

    @pytest.mark.parametrize("what", ["file", "listing", "manifest", "folder"])
    def test_a_link_out_of_the_destination_is_not_followed(self, site: Site, tmp_path: Path, what: str) -> None:
        site.publish(GROUPS)
        layout = DatasetLayout("activity-summary-by-group", DATASET_ID)
        inside = {
            "file": layout.data("groups/group.json"),
            "listing": layout.files,
            "manifest": layout.manifest,
            "folder": layout.data("groups"),
        }[what]
        outside = tmp_path.parent / f"outside-of-{tmp_path.name}"
        # What is behind the link is exactly what was published: only its place is wrong.
        (site.folder / inside).rename(outside)
        (site.folder / inside).symlink_to(outside)
        for route in ("/file/groups/group.json", "/view/groups/group.json"):
            reply = site.get(route)
            assert reply.status_code in (409, 503)
            assert "north" not in reply.text

    def test_a_link_within_the_destination_is_followed(self, site: Site) -> None:
        site.publish(GROUPS)
        file = site.folder / DatasetLayout("activity-summary-by-group", DATASET_ID).data("groups/group.json")
        file.rename(site.folder / "moved.json")
        file.symlink_to(site.folder / "moved.json")
        assert site.get("/file/groups/group.json").content == GROUPS["groups/group.json"]

    def test_a_pipe_is_not_opened(self, site: Site) -> None:
        site.publish(GROUPS)
        file = site.folder / DatasetLayout("activity-summary-by-group", DATASET_ID).data("groups/group.json")
        file.unlink()
        os.mkfifo(file)
        assert site.get("/view/groups/group.json").status_code in (409, 503)
        assert site.get("/file/groups/group.json").status_code in (409, 503)

    @pytest.mark.parametrize("route", ROUTES)
    def test_no_page_makes_a_folder(self, site: Site, route: str) -> None:
        site.publish(GROUPS)
        site.move_publication((site.folder / "a" / "b").as_uri())
        assert site.get(route).status_code == 503
        assert not (site.folder / "a").exists()

    @pytest.mark.parametrize("route", ROUTES)
    def test_a_page_does_not_tell_whether_a_connection_exists(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, route: str
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_EMPTY", '{"conn_type": "wasb"}')
        site.publish(GROUPS)
        pages = set()
        for uri in ("s3://unknown@b/p", "az://unknown@b/p", "az://empty@b/p", "odd://unknown@b/p"):
            site.move_publication(uri)
            reply = site.get(route)
            pages.add((reply.status_code, re.sub(r'nonce="[^"]*"', "", reply.text)))
        assert len(pages) == 1
        assert "unknown" not in str(pages)

    @pytest.mark.parametrize(
        ("route", "says"),
        [
            (f"/files?q={'a' * 201}", "q: "),
            ("/files?page=0", "page: "),
            ("/files?page=many", "page: "),
            (f"/files?page={'9' * 400}", "page: "),
            ("?" + "&".join(["group=a"] * 21), "group: "),
            (f"?sort={'a' * 201}", "sort: "),
        ],
    )
    def test_a_value_that_is_not_allowed_is_answered_in_words(self, site: Site, route: str, says: str) -> None:
        site.publish(GROUPS)
        reply = site.client.get(f"/run/learnosity_dataset/manual__1{route}")
        assert reply.status_code == 422
        assert "<h1>Not understood</h1>" in reply.text
        assert says in reply.text

    def test_a_list_of_files_that_was_changed_is_refused(self, site: Site) -> None:
        site.publish(GROUPS)
        listing = site.folder / DatasetLayout("activity-summary-by-group", DATASET_ID).files
        listing.write_bytes(listing.read_bytes().replace(b"groups/group.json", b"../../secret.txt "))
        reply = site.get("/files")
        assert reply.status_code == 409
        assert "changed after publishing" in reply.text

    def test_a_run_that_has_published_nothing_says_so(self, site: Site) -> None:
        reply = site.get()
        assert reply.status_code == 200
        assert "No dataset yet" in reply.text
        assert site.get("/files").status_code == 404

    def test_a_gap_is_warned_about_on_every_tab_and_counted_per_level(self, site: Site) -> None:
        levels = (LevelInfo("region", 2, 40, 0), LevelInfo("school", 5, 40, 0))
        sent = InputInfo(("s3://b/i",), 1, 40, 4_000, "x", users=40, levels=levels)
        gap = f"2 users did not come back. {EVIL}"
        returned = Returned(population=38, groups={"region": 2, "school": 4}, gaps=(gap,))
        site.publish(GROUPS, input=sent, returned=returned)
        for tab in ("", "/files", "/report"):
            reply = site.get(tab)
            assert "2 users did not come back." in reply.text
            assert Markup(reply.text).dangers == []
        text = re.sub(r"<[^>]*>|\s+", " ", site.get().text)
        assert "Not complete" in text
        for row in (r"Users +40 +38 +differs", r"Region +2 +2 +School +5 +4 +differs"):
            assert re.search(row, text)

    def test_a_complete_dataset_says_so(self, site: Site) -> None:
        sent = InputInfo(("s3://b/i",), 1, 40, 4_000, "x", users=40, levels=(LevelInfo("region", 2, 40, 0),))
        site.publish(GROUPS, input=sent, returned=Returned(population=40, groups={"region": 2}))
        reply = site.get().text
        assert "all that was uploaded came back" in reply
        assert "did not come back" not in reply

    def test_a_dataset_of_an_earlier_release_claims_nothing(self, site: Site) -> None:
        site.publish(GROUPS)
        assert "Complete?" not in site.get().text

    def test_a_result_without_any_session_is_warned_about(self, site: Site) -> None:
        site.publish(
            {"items.json": b"[]"}, "ibk-analysis-by-question", returned=Returned(questions=0, nothing_matched=True)
        )
        reply = site.get().text
        assert "This dataset is empty." in reply
        assert "No session matched the request. Check the activities" in reply

    def test_why_a_result_is_empty_is_said_once_and_other_gaps_apart(self, site: Site) -> None:
        why, other = (
            "Nothing matched: no session since 2026-01-01 was counted.",
            "40 users were uploaded, and 0 came back.",
        )
        site.publish(GROUPS, returned=Returned(population=0, nothing_matched=True, gaps=(why, other)))
        reply = site.get().text
        assert f"<strong>This dataset is empty.</strong> {why} Check the activities" in reply
        assert reply.count(why) == 1
        assert f"<li>{other}</li>" in reply
        assert ">Empty</span>" in reply

    def test_an_empty_result_is_said_in_words(self, site: Site) -> None:
        site.publish({"items.json": b"[]"}, "ibk-analysis-by-question")
        reply = site.get()
        assert "The result is empty" in reply.text
        assert "<pre" not in reply.text.partition('aria-labelledby="about"')[0]

    def test_a_failed_run_shows_why_and_nothing_in_it_can_act_on_the_page(self, site: Site) -> None:
        trouble = Trouble("wait_for_job", 2, f"halted {EVIL}", f"Clear it. {EVIL}", "/dags/d/runs/r/tasks/wait_for_job")
        failed = Progress("Failed in wait_for_job", False, None, None, (trouble,), (), None, True)
        site.run = replace(site.run, state="failed", progress=failed)
        reply = site.get()
        assert "<h1>Failed in wait_for_job</h1>" in reply.text
        assert "halted &#34;&gt;&lt;script&gt;" in reply.text
        assert 'href="/dags/d/runs/r/tasks/wait_for_job"' in reply.text
        assert Markup(reply.text).dangers == []
        assert "live.js" not in reply.text

    def test_a_running_run_is_followed_and_its_figures_are_shown(self, site: Site) -> None:
        landed = Landed(1, 2, 150, 300, 1_400, 10.0, None)
        begun = datetime.now(UTC)
        going = Progress("Landing the result files", True, begun, 90.0, (), (), landed, True)
        site.run = replace(site.run, state="running", progress=going)
        text = site.get().text
        for said in ("data-live", "live.js", "usually 1 min 30 s", "1 of 2 done", "150 of 300", "not known yet"):
            assert said in text

    def test_about_stands_above_the_rows_of_the_whole_and_below_those_of_a_group(self, site: Site) -> None:
        site.publish(GROUPS)
        whole, group = site.get().text, site.get(group="north").text
        assert whole.index("About this dataset") < whole.index("Distribution")
        assert group.index("About this dataset") > group.index("school 1")

    def test_the_label_of_the_type_stands_above_its_name(self, site: Site) -> None:
        site.publish(GROUPS)
        text = site.get().text
        assert "<h1>Activity summary by group (large group report)</h1>" in text
        assert "<code>activity-summary-by-group</code>" in text

    def test_moments_name_their_zone_and_can_be_read_by_the_script(self, site: Site) -> None:
        site.publish(GROUPS)
        expected = '<time datetime="2026-11-24T03:00:00+00:00">2026-11-24 03:00:00 UTC</time>'
        assert expected in site.get().text

    def test_another_run_is_no_learnosity_run(self, site: Site) -> None:
        other = Progress("No dataset", False, None, None, (), (), None, False)
        site.run = replace(site.run, progress=other)
        assert "<h1>Not a Learnosity run</h1>" in site.get().text

    @pytest.mark.parametrize(
        ("learnosity", "steps", "follows"),
        [(False, True, False), (False, False, True), (True, True, True), (True, False, True)],
    )
    def test_a_run_that_has_nothing_to_show_is_not_asked_about_again(
        self, site: Site, learnosity: bool, steps: bool, follows: bool
    ) -> None:
        going = Progress("Running train", True, None, None, (), (), None, learnosity)
        made = (Step("train", "running", None, None),) if steps else ()
        site.run = replace(site.run, state="running", progress=going, steps=made)
        text = site.get().text
        assert ("data-live" in text, "live.js" in text) == (follows, follows)

    @pytest.mark.parametrize("more", [False, True])
    def test_a_run_that_returned_more_than_is_read_says_so_on_every_page_of_it(self, site: Site, more: bool) -> None:
        said = "returned more than a page reads"
        for learnosity in (False, True):
            progress = Progress("No dataset", False, None, None, (), (), None, learnosity)
            site.run = replace(site.run, progress=progress, more=more)
            assert (said in site.get().text) is more
        site.publish(GROUPS)
        assert (said in site.get().text) is more
        assert (said in site.get(f"/dataset/{OTHER_ID}").text) is more
        site.publish(GROUPS, dataset_id=OTHER_ID, task_id="other.land.publish")
        assert (said in site.get().text) is more

    def test_a_run_that_does_not_exist_is_not_found(self, site: Site) -> None:
        assert site.client.get("/run/learnosity_dataset/other").status_code == 404


def test_every_page_of_a_dataset_says_what_did_not_come_back(site: Site) -> None:
    gaps = ("5 users were uploaded, and 4 came back.", "<script>alert(1)</script>")
    site.publish(GROUPS, returned=Returned(population=4, gaps=gaps), input=InputInfo(("s3://b/u",), 3, 5, 99, "x"))
    for page in ("", "/files"):
        text = site.get(page).text
        assert gaps[0] in text
        assert "&lt;script&gt;alert(1)" in text
        assert gaps[1] not in text
    assert "5 records of 3 files" in site.get().text
    site.publish(GROUPS, returned=Returned(population=5))
    assert "came back" not in site.get().text


PAGE = "/run/learnosity_dataset/manual__1"
ONE, OTHER = f"/dataset/{DATASET_ID}", f"/dataset/{OTHER_ID}"


@pytest.fixture
def two(site: Site) -> Site:
    """The pages of a run with two datasets of different types."""
    site.publish(GROUPS, task_id="groups.land.publish")
    site.publish(ITEMS, "ibk-analysis-by-question", dataset_id=OTHER_ID, task_id="items.land.publish", map_index=1)
    return site


def links(html: str) -> list[str]:
    """The addresses that a page leads to."""
    return [found.replace("&amp;", "&") for found in re.findall(r'(?:href|action)="([^"]*)"', html)]


class TestSeveralDatasets:
    @pytest.mark.parametrize("route", ROUTES)
    def test_each_has_every_page_at_an_address_of_its_own(self, two: Site, route: str) -> None:
        reply = two.get(ONE + route)
        assert reply.status_code == 200
        assert DATASET_ID in reply.text or route.startswith(("/file/", "/csv", "/files.csv", "/zip"))
        assert OTHER_ID not in reply.text

    def test_no_link_of_a_page_leads_to_another_dataset(self, two: Site) -> None:
        run = "/run/learnosity_dataset/manual__1"
        for route in ("", "/files", "/view/groups/group.json", "/report"):
            for link in links(two.get(ONE + route).text):
                airflow = ("/dags/learnosity_dataset", "/dags/learnosity_dataset/runs/manual__1")
                ours = link.startswith(("?", f"{run}{ONE}", "/static/", "data:")) or link in ("/", run, *airflow)
                ours = ours or link.startswith("/dags/learnosity_dataset/runs/manual__1/tasks/")
                assert ours, f"{route or 'the page'} leads to {link}"

    def test_all_of_one_datasets_pages_can_be_reached_from_the_list(self, two: Site) -> None:
        seen: dict[str, int] = {}
        todo = ["/run/learnosity_dataset/manual__1"]
        while todo:
            address = todo.pop()
            if address not in seen and address.startswith("/run/"):
                reply = two.client.get(address)
                seen[address] = reply.status_code
                html = reply.headers["content-type"].startswith("text/html")
                # The test client decodes a path twice, so it cannot ask for a name with a percent sign.
                found = (
                    [link for link in links(reply.text) if "%25" not in link and "sort=" not in link] if html else []
                )
                todo += [f"{address.partition('?')[0]}{link}" if link.startswith("?") else link for link in found]
        assert set(seen.values()) == {200}
        for own in (f"{ONE}/report", f"{ONE}/view/groups/group.json", f"{OTHER}/file/items.json", f"{OTHER}/files"):
            assert f"/run/learnosity_dataset/manual__1{own}" in seen
        assert f"/run/learnosity_dataset/manual__1{ONE}?group=north&group=school%201" in seen

    def test_the_page_of_the_run_lists_them(self, two: Site) -> None:
        page = two.get().text
        assert "2 of 2 published" in page
        for each in (DATASET_ID, OTHER_ID, "activity-summary-by-group", "groups.land.publish", "items.land.publish[1]"):
            assert each in page

    @pytest.mark.parametrize("route", ["/files", "/report", "/view/groups/group.json", "/view/a%20b/%C3%A9.json"])
    def test_an_address_without_a_dataset_lets_people_choose_and_then_go_on(self, two: Site, route: str) -> None:
        reply = two.get(route)
        assert reply.status_code == 200
        assert f"/run/learnosity_dataset/manual__1{ONE}{route}" in links(reply.text)

    @pytest.mark.parametrize(
        "route",
        [
            "?group=north&group=school%201",
            "/report?group=north",
            "/files?q=a%26b&page=2",
            "/view/-?file=a%3Fb.json",
            "/view/groups/group.json?sort=population&direction=desc",
            "/compare?with=x&only=new",
            "/compare?form=page",
        ],
    )
    def test_what_an_address_asks_for_is_kept_when_a_dataset_is_chosen(self, two: Site, route: str) -> None:
        reply = two.client.get(f"{PAGE}{route}")
        assert reply.status_code == 200
        assert f"{PAGE}{ONE}{route}" in links(reply.text)
        assert Markup(two.client.get(f"{PAGE}{route}{'&' if '?' in route else '?'}q={EVIL}").text).dangers == []

    @pytest.mark.parametrize(
        "route", ["/manifest.json", "/file/groups/group.json", "/csv?group=north", "/compare?form=csv", "/zip"]
    )
    def test_a_program_that_names_no_dataset_is_told_so(self, two: Site, route: str) -> None:
        reply = two.client.get(f"{PAGE}{route}")
        assert reply.status_code == 409
        assert DATASET_ID in reply.text
        assert OTHER_ID in reply.text

    @pytest.mark.parametrize("route", ROUTES)
    @pytest.mark.parametrize("unknown", ["7c9d5d5e-0000-4000-8000-000000000000", "%2e%2e", "x%22%3E%3Cscript%3E"])
    def test_a_dataset_of_another_run_is_not_found(self, two: Site, unknown: str, route: str) -> None:
        reply = two.client.get(f"/run/learnosity_dataset/manual__1/dataset/{unknown}{route}")
        assert reply.status_code == 404
        assert Markup(reply.text).dangers == []

    def test_a_dataset_of_another_run_is_not_found_in_words(self, site: Site) -> None:
        site.publish(GROUPS)
        reply = site.get(OTHER)
        assert reply.status_code == 404
        assert f"This run has published no dataset with the id &#39;{OTHER_ID}&#39;" in reply.text

    def test_the_only_dataset_has_both_addresses(self, site: Site) -> None:
        site.publish(GROUPS)
        for route in ROUTES:
            assert site.get(route).status_code == 200
            assert site.get(ONE + route).status_code == 200
        assert "All datasets of this run" not in site.get().text

    @pytest.mark.parametrize("route", ROUTES)
    def test_a_user_without_the_right_gets_403_and_no_data(self, two: Site, route: str) -> None:
        two.client.cookies.set("_token", "stranger")
        for address in (route, ONE + route):
            reply = two.get(address)
            assert reply.status_code == 403
            assert DATASET_ID not in reply.text
        two.client.cookies.clear()
        assert two.get(ONE + route).status_code == 401

    def test_what_another_dag_has_landed_is_refused_alone(self, two: Site) -> None:
        _, second = two.run.datasets
        manifest = two.folder / DatasetLayout(second.dataset_type, second.dataset_id).manifest
        manifest.write_bytes(manifest.read_bytes().replace(b'"learnosity_dataset"', b'"another_dag_of_it"'))
        assert two.get(OTHER).status_code == 403
        assert PAGE in links(two.get(OTHER).text)
        assert two.get(ONE).status_code == 200
        assert two.get().status_code == 200

    @pytest.mark.parametrize("state", ["running", "deferred", "failed", "up_for_retry", "none", "upstream_failed"])
    def test_one_that_is_not_published_is_listed_with_its_state(self, site: Site, state: str) -> None:
        site.publish(GROUPS, task_id="dataset.land.publish", map_index=0)
        step = Step("dataset.wait_for_job", state, None, None)
        waiting = RunDataset("dataset.land.publish", 1, "ibk-analysis-by-question", OTHER_ID, None, "", (step,))
        site.run = replace(site.run, state="running", datasets=(*site.run.datasets, waiting))
        page = site.get().text
        assert "1 of 2 published" in page
        row = next(row for row in page.split("<tr>") if OTHER_ID in row)
        assert "dataset.land.publish[1]" in row
        assert "ibk-analysis-by-question" in row
        assert f">{'not started' if state == 'none' else state}<" in row
        assert "dataset.wait_for_job" in row
        assert f"{ONE}" in page
        assert f"{OTHER}" not in page
        refusal = site.get(OTHER)
        assert refusal.status_code == 404
        assert f"not published yet. dataset.wait_for_job of dataset.land.publish[1]: {state}." in refusal.text

    def test_what_cannot_be_read_is_said_in_its_row(self, site: Site) -> None:
        site.publish(GROUPS, task_id="groups.land.publish")
        broken = RunDataset("items.land.publish", -1, problem="What this task returned cannot be read.")
        site.run = replace(site.run, datasets=(*site.run.datasets, broken))
        page = site.get().text
        assert "What this task returned cannot be read." in page
        assert ONE in page

    def test_a_run_whose_only_publication_cannot_be_read_does_not_say_that_there_is_none(self, site: Site) -> None:
        broken = RunDataset("land.publish", -1, problem="What this task returned cannot be read.")
        site.run = replace(site.run, datasets=(broken,))
        assert "What this task returned cannot be read." in site.get().text
        site.run = replace(site.run, datasets=(), unreadable=("some_task[3]",))
        assert "some_task[3]" in site.get().text


OTHER_TYPE = "sessions-summary-by-group"


class TestDatasetsOfOneId:
    """Learnosity has one id for both types of groups of a job. So a run may have two datasets of one id."""

    @pytest.fixture
    def pair(self, site: Site) -> Site:
        site.publish(GROUPS, task_id="a.land.publish")
        site.publish(GROUPS, OTHER_TYPE, task_id="b.land.publish")
        return site

    @pytest.mark.parametrize("route", ["", "/files", "/report", "/use", "/compare", "/find"])
    def test_an_address_that_means_both_lets_people_choose_and_keeps_the_page(self, pair: Site, route: str) -> None:
        for address in (route, ONE + route):
            page = pair.get(address)
            assert page.status_code == 200
            assert "<h1>Datasets of this run</h1>" in page.text
            ways = [each for each in links(page.text) if "/dataset/" in each]
            assert ways == [f"{PAGE}/dataset/{kind}:{DATASET_ID}{route}" for kind in (GROUP_TYPE, OTHER_TYPE)]
            for way, kind in zip(ways, (GROUP_TYPE, OTHER_TYPE), strict=True):
                assert f"<code>{kind}</code> · <code>{DATASET_ID}</code>" in pair.client.get(way).text

    @pytest.mark.parametrize("route", ["/manifest.json", "/zip", "/csv", "/file/groups/group.json"])
    def test_a_program_is_told_the_names(self, pair: Site, route: str) -> None:
        for address in (route, ONE + route):
            reply = pair.get(address)
            assert reply.status_code == 409
            assert f"{GROUP_TYPE}:{DATASET_ID}, {OTHER_TYPE}:{DATASET_ID}" in reply.text
        for kind in (GROUP_TYPE, OTHER_TYPE):
            assert pair.get(f"/dataset/{kind}:{DATASET_ID}{route}").status_code == 200

    def test_every_link_of_a_page_stays_with_its_dataset(self, pair: Site) -> None:
        for kind in (GROUP_TYPE, OTHER_TYPE):
            here = f"{PAGE}/dataset/{kind}:{DATASET_ID}"
            ways = [each for each in links(pair.client.get(here).text) if "/dataset/" in each]
            assert len(ways) > 5
            assert all(each.startswith(here) for each in ways)

    def test_two_places_of_one_dataset_are_two_datasets(self, site: Site) -> None:
        site.publish(GROUPS, task_id="a.land.publish")
        (first,) = site.run.datasets
        assert first.publication is not None
        copy = site.folder / "copy"
        shutil.copytree(site.folder / GROUP_TYPE, copy / GROUP_TYPE)
        manifest = f"{copy.as_uri()}/{first.publication.layout.manifest}"
        moved = replace(first.publication, destination_uri=copy.as_uri(), manifest_uri=manifest)
        site.run = replace(site.run, datasets=(first, replace(first, task_id="b.land.publish", publication=moved)))
        page = site.get(ONE)
        ways = [each for each in links(page.text) if "/dataset/" in each]
        assert len(set(ways)) == 2
        assert [copy.as_uri() in site.client.get(way).text for way in ways] == [False, True]
        assert copy.as_uri() in page.text

    def test_a_dataset_that_is_published_again_is_no_second_one(self, site: Site) -> None:
        site.publish(GROUPS, task_id="a.land.publish")
        (first,) = site.run.datasets
        site.run = replace(site.run, datasets=(first, replace(first, task_id="b.land.publish")))
        assert "<h1>Activity summary by group" in site.get(ONE).text

    def test_a_type_is_understood_where_the_id_is_enough(self, site: Site) -> None:
        site.publish(GROUPS)
        assert site.get(f"/dataset/{GROUP_TYPE}:{DATASET_ID}").status_code == 200
        assert site.get(f"/dataset/{OTHER_TYPE}:{DATASET_ID}").status_code == 404


class TestHostileData:
    def test_names_in_the_data_stay_text(self, site: Site) -> None:
        hostile = {
            "groups/group.json": group([], [EVIL, "javascript:alert(1)"]),
            f"groups/{EVIL.replace('/', '%2F')}/group.json": group([EVIL], users=[EVIL]),
            "</script>.json": msgspec.json.encode([{EVIL: EVIL}]),
            "note.txt": EVIL.encode(),
        }
        site.publish(hostile)
        replies = [
            site.get(),
            site.get(group=EVIL),
            site.get("/report", group=EVIL),
            site.get("/files", q=EVIL),
            site.get("/view/note.txt"),
            site.get("/view/%3C%2Fscript%3E.json"),
            site.get("/view/" + EVIL),
        ]
        for reply in replies:
            markup = Markup(reply.text)
            assert markup.dangers == []
            assert "img" not in markup.names
            assert "alert(1)</script>" not in reply.text

    def test_item_names_cannot_end_the_script_that_holds_the_points(self, site: Site) -> None:
        name = "</script><script>alert(1)</script>"
        site.publish(
            {
                "items.json": msgspec.json.encode(
                    [{"item_reference": name, "p_value": 0.5, "discrimination_index": 0.1}]
                )
            },
            "ibk-analysis-by-question",
        )
        reply = site.get()
        assert Markup(reply.text).dangers == []
        assert name not in reply.text

    @pytest.mark.parametrize("route", ["", "/files", "/view/groups/group.json"])
    def test_pages_run_only_their_own_scripts(self, site: Site, route: str) -> None:
        site.publish(GROUPS)
        first, second = site.get(route), site.get(route)
        policy = first.headers["content-security-policy"]
        nonce = re.search(r"script-src 'nonce-([^']+)'", policy)
        assert nonce is not None
        assert nonce[1] in first.text
        assert nonce[1] not in second.text
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert first.headers["cache-control"] == "no-store"


class TestLocalView:
    def test_the_root_lists_its_groups_with_a_plot_each(self, site: Site) -> None:
        site.publish(GROUPS)
        page = site.get().text
        assert "north" in page
        assert "south" in page
        assert "lower quartile 20%, median 30%, upper quartile 40%" in page
        assert ">Region<" in page.replace("\n", "")

    def test_a_group_leads_to_its_groups_and_they_to_their_users(self, site: Site) -> None:
        site.publish(GROUPS)
        assert "?group=north" in site.get().text
        assert "group=north&amp;group=school%201" in site.get(group="north").text
        page = site.get(group=["north", "school 1"]).text
        assert "u1" in page
        assert "u2" in page
        assert 'aria-current="location">school 1<' in page

    def test_a_group_that_is_not_there_is_not_found(self, site: Site) -> None:
        site.publish(GROUPS)
        assert site.get(group=["west"]).status_code == 404

    def test_rows_are_sorted_on_the_server(self, site: Site) -> None:
        site.publish(GROUPS)
        page = site.get(sort="median_percent", direction="desc").text
        assert page.index(">south<") < page.index(">north<")
        assert 'aria-sort="descending"' in page

    def test_poor_items_are_marked_in_words(self, site: Site) -> None:
        site.publish(ITEMS, "ibk-analysis-by-question")
        page = site.get().text
        weak, good = (next(row for row in page.split("<tr")[1:] if name in row) for name in ("weak-item", "good-item"))
        assert '<span class="tag poor">poor discrimination</span>' in weak
        assert '<span class="tag' not in good
        assert 'id="scatter"' in page

    def test_what_is_not_recognised_is_shown_as_it_is(self, site: Site) -> None:
        site.publish({"odd.json": b'{"a": [1, 2, {"b": null}]}', "plain.csv": b"x,y\n1,2\n"}, "something-new")
        assert "&#34;b&#34;: null" in site.get("/view/odd.json").text
        assert "<td" in site.get("/view/plain.csv").text

    def test_a_dataset_of_ten_thousand_files_is_listed_in_pages(self, site: Site) -> None:
        site.publish(
            {f"items/{number:05}.json": b"{}" for number in range(10_000)}, "ibk-analysis-by-question", stored=False
        )
        page = site.get("/files").text
        assert page.count("Download items/") == 100
        assert "items/00100.json" in site.get("/files", page=2).text
        found = site.get("/files", q="0999").text
        assert "items/09990.json" in found
        assert "items/00000.json" not in found
        assert site.get("/files", page=10**6).status_code == 200


def policy_of(reply: Any) -> dict[str, list[str]]:
    """The content security policy of a reply: the sources by directive, the first of two as in a browser."""
    found: dict[str, list[str]] = {}
    for directive in reply.headers["content-security-policy"].split(";"):
        name, *sources = directive.split()
        found.setdefault(name, sources)
    return found


def signed_request(site: Site) -> Any:
    """The request that the page of the report carries."""
    found = re.search(r'id="signed-request">(.*?)</script>', site.get("/report/frame").text, re.DOTALL)
    assert found is not None
    return msgspec.json.decode(found[1])


class TestReport:
    def test_the_signed_request_is_there_and_the_secret_is_not(self, site: Site) -> None:
        site.publish(GROUPS)
        assert SECRET not in site.get("/report/frame").text
        signed = signed_request(site)
        assert signed["security"]["signature"].startswith("$02$")
        assert signed["security"]["expires"] > signed["security"]["timestamp"]
        assert signed["request"]["reports"][0]["dataset_id"] == DATASET_ID

    @pytest.mark.parametrize(
        ("conn_type", "login", "password"),
        [
            ("postgres", "AAAABBBBCCCCDDDD", "0123456789abcdef0123456789abcdef01234567"),
            ("aws", "A1B2C3D4E5F60718", "f" * 40),
            ("http", "etl_user", "a-password-of-a-database"),
            ("http", "AAAABBBBCCCCDDDD", "a-password-of-a-database"),
        ],
    )
    def test_a_connection_of_another_system_signs_nothing(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, conn_type: str, login: str, password: str
    ) -> None:
        monkeypatch.setattr(LearnosityHook, "get_config", get_real_config)
        parts = {"conn_type": conn_type, "login": login, "password": password}
        monkeypatch.setenv("AIRFLOW_CONN_LEARNOSITY_DEFAULT", msgspec.json.encode(parts).decode())
        site.publish(GROUPS)
        for route in ("/report", "/report/frame"):
            page = site.get(route).text
            assert "$02$" not in page
            assert login not in page
            assert password not in page

    def test_the_dataset_of_the_publication_is_signed_whatever_the_request_names(self, site: Site) -> None:
        site.publish(GROUPS)
        manifest = site.folder / DatasetLayout("activity-summary-by-group", DATASET_ID).manifest
        content = msgspec.json.decode(manifest.read_bytes())
        content["request"] |= {"dataset_id": OTHER_ID, "dataset_type": "sessions-summary-by-group"}
        manifest.write_bytes(msgspec.json.encode(content))
        (report,) = signed_request(site)["request"]["reports"]
        assert (report["dataset_id"], report["type"]) == (DATASET_ID, "activity-summary-by-group")

    def test_only_a_frame_without_airflows_origin_loads_from_the_reports_url(self, site: Site) -> None:
        site.publish(GROUPS)
        policy = policy_of(site.get("/report/frame"))
        assert policy["sandbox"] == ["allow-scripts"]
        assert policy["frame-ancestors"] == ["'self'"]
        assert policy["connect-src"] == ["https://reports.example.com", "https://*.learnosity.com"]
        assert "'self'" not in {source for name, of in policy.items() if name != "frame-ancestors" for source in of}
        for route in ("", "/report", "/files"):
            around = policy_of(site.get(route))
            assert around["script-src"][0].startswith("'nonce-")
            assert len(around["script-src"]) == 1
            assert not {source for of in around.values() for source in of if "://" in source}

    def test_a_group_that_is_not_there_is_not_signed(self, site: Site) -> None:
        site.publish(GROUPS)
        for route in ("/report", "/report/frame"):
            assert site.get(route, group="west").status_code == 404

    def test_the_local_view_stands_by(self, site: Site) -> None:
        site.publish(GROUPS)
        page = site.get("/report").text
        assert re.search(r'id="local-view"[^>]*hidden', page)
        assert "north" in page

    def test_a_type_without_a_report_has_none(self, site: Site) -> None:
        site.publish(ITEMS, "ibk-analysis-by-question")
        assert site.get("/report").status_code == 404
        assert site.get("/report/frame").status_code == 404
        assert "/report" not in site.get().text


EVENTS = {
    "": "learnosity_results",
    "/files": "learnosity_files",
    "/view/groups/group.json": "learnosity_view",
    "/file/groups/group.json": "learnosity_download",
    "/manifest.json": "learnosity_manifest",
    "/report": "learnosity_report",
    "/report/frame": "learnosity_report_signed",
    "/compare": "learnosity_compare",
    "/find": "learnosity_find",
    "/csv": "learnosity_csv",
    "/csv/groups/group.json": "learnosity_csv",
    "/files.csv": "learnosity_files",
    "/zip": "learnosity_zip",
    "/use": "learnosity_use",
}


class TestWhoHasReadWhat:
    def test_every_page_of_a_dataset_is_known_here(self) -> None:
        known = {re.sub(r"/groups/group.json$", "/{path:path}", route) for route in ROUTES}
        assert {path.removeprefix(RUN).removeprefix("/dataset/{dataset_id}") for path in DATA_ROUTES} == known
        assert set(EVENTS) == set(ROUTES)

    @pytest.mark.parametrize("route", ROUTES)
    def test_a_page_leaves_one_row_with_the_account_and_the_dataset(self, site: Site, route: str) -> None:
        site.publish(GROUPS)
        assert site.get(route).status_code == 200
        (row,) = site.noted
        assert (row.event, row.owner, row.dag_id, row.run_id) == (
            EVENTS[route],
            "teacher",
            "learnosity_dataset",
            "manual__1",
        )
        extra = msgspec.json.decode(row.extra)
        assert (extra["dataset_type"], extra["dataset_id"]) == ("activity-summary-by-group", DATASET_ID)
        assert len(row.event) <= 60

    @pytest.mark.parametrize("route", ["/view/{}", "/file/{}"])
    @pytest.mark.parametrize("name", [name for name in GROUPS if "%" not in name])
    def test_the_row_leads_to_the_file_without_naming_it(self, site: Site, route: str, name: str) -> None:
        site.publish(GROUPS)
        assert site.get(route.format(name)).status_code == 200
        extra = msgspec.json.decode(site.noted[0].extra)
        lines = (site.folder / "activity-summary-by-group" / DATASET_ID / "files.ndjson").read_bytes().splitlines()
        assert msgspec.json.decode(lines[extra["file_line"] - 1], type=FileEntry).path == name
        assert extra["file_sha256"] == hashlib.sha256(GROUPS[name]).hexdigest()

    @pytest.mark.parametrize(
        "route",
        [each.replace("groups/group.json", "{}") for each in ROUTES if each != "/manifest.json"],
    )
    def test_no_name_of_a_pupil_or_group_is_in_the_row(self, site: Site, route: str) -> None:
        name = "groups/pupil-u17/group.json"
        site.publish({name: group(["pupil-u17"]), "groups/group.json": group([])})
        reply = site.get(route.format(name), group="pupil-u17", q="u17", sort="u17")
        assert reply.status_code == 200
        (row,) = site.noted
        assert "u17" not in str(vars(row))

    @pytest.mark.parametrize("route", ROUTES)
    def test_without_the_row_nothing_is_sent(self, site: Site, route: str, monkeypatch: pytest.MonkeyPatch) -> None:
        site.publish(GROUPS)

        def broken(row: Any) -> None:
            raise RuntimeError("the database is away")

        monkeypatch.setattr(audit, "create_session", lambda: nullcontext(SimpleNamespace(add=broken)))
        client = TestClient(app, cookies={"_token": "teacher"}, raise_server_exceptions=False)
        reply = client.get(f"/run/learnosity_dataset/manual__1{route}")
        assert reply.status_code == 500
        assert "north" not in reply.text

    @pytest.mark.parametrize("route", ROUTES)
    def test_who_is_refused_leaves_none(self, site: Site, route: str) -> None:
        site.publish(GROUPS)
        site.client.cookies.set("_token", "stranger")
        assert site.get(route).status_code == 403
        assert site.noted == []
