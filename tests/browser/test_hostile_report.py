"""The script of the Reports API is of another company. It reaches neither Airflow nor the page around its frame."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from devstack.browser import INSTALL_HINT, browser, find_browser
from devstack.environment import REPOSITORY
from devstack.ports import free_ports
from simulator.config import DEMO_CONSUMER_KEY, DEMO_CONSUMER_SECRET
from tests.hostile.server import DAG
from tests.hostile.test_hostile import publish

RUN = "one"
# Tries what a script of a page can do. Each attempt notes what it got, or the name of its error.
HOSTILE = """
window.got = {};
const attempt = async (name, call) => {
  try { window.got[name] = String(await call()); } catch (error) { window.got[name] = `refused: ${error.name}`; }
};
window.LearnosityReports = { init(signed, callbacks) {
  const api = `${new URL(document.URL).origin}/api/v2/dags`;
  const framed = window.parent !== window;
  const read = (options) => fetch(api, { credentials: "include", ...options }).then((reply) => reply.text());
  Promise.all([
    attempt("get", () => read({})),
    attempt("post", () => read({ method: "POST", body: "{}" })),
    attempt("no-cors", () => read({ method: "POST", mode: "no-cors", body: "{}" }).then((text) => text || "sent")),
    attempt("xhr", () => new Promise((resolve, reject) => {
      const call = new XMLHttpRequest();
      call.withCredentials = true;
      call.open("POST", api);
      call.onload = () => resolve(call.responseText);
      call.onerror = () => reject(new TypeError("xhr"));
      call.send();
    })),
    attempt("parent", () => window.parent.document.documentElement.outerHTML),
    attempt("top", () => window.top.document.cookie),
    attempt("cookie", () => document.cookie),
    attempt("storage", () => window.localStorage.length),
    ...(framed ? [attempt("navigate", () => { window.top.location = `${api}?navigated`; return "went"; }),
    attempt("navigate parent", () => { window.parent.location.href = `${api}?navigated`; return "went"; })] : []),
    attempt("popup", () => { if (!window.open(api)) throw new TypeError("popup"); return "opened"; }),
  ]).then(() => {
    navigator.sendBeacon(api, "{}");
    const image = new Image();
    image.src = `${api}?image`;
    const form = document.createElement("form");
    form.action = api;
    form.method = "POST";
    document.body.append(form);
    if (framed) form.submit();
    const inner = document.createElement("iframe");
    inner.src = api;
    document.body.append(inner);
    window.parent.postMessage({ got: window.got }, "*");
    window.parent.postMessage({ report: { height: 1e9, state: "constructor" } }, "*");
    setTimeout(() => {
      window.parent.postMessage({ report: { state: "refused", code: "<b>hostile</b>" } }, "*");
    }, 500);
  });
} };
"""
# Waits until the page has `window.seen`: what the script got. Playwright's own way to wait cannot be used, because it
# needs JavaScript's `eval`, which the Content-Security-Policy of the page forbids.
SEEN = """new Promise((resolve, reject) => {
  const look = () => window.seen ? resolve(window.seen) : setTimeout(look, 50);
  setTimeout(() => reject(new Error("the script did not run to its end")), 30000);
  look();
})"""
QUIET = "window.LearnosityReports = { init(signed, { readyListener }) { %s readyListener(); } };"
TALL = QUIET % 'document.getElementById("learnosity-report").innerHTML = "<div style=\\"height: 700px\\">drawn</div>";'


@dataclass(slots=True)
class Scene:
    """The pages, a server whose script a test chooses, and a browser window of a user who is logged in."""

    url: str
    page: Page
    script: list[str]

    @property
    def report(self) -> str:
        return f"{self.url}/learnosity/run/{DAG}/{RUN}/report"

    def asked(self) -> Any:
        return httpx.get(f"{self.url}/asked").json()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    if find_browser() is None:
        pytest.skip(INSTALL_HINT)
    script = [""]

    class Reports(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript")
            self.end_headers()
            self.wfile.write(script[0].encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    reports = ThreadingHTTPServer(("127.0.0.1", 0), Reports)
    threading.Thread(target=reports.serve_forever, daemon=True).start()
    folder = tmp_path_factory.mktemp("reports")
    publish(folder / RUN, {"groups/group.json": (b'{"groups":[{"group_name":"north","population":4}]}', None)})
    (port,) = free_ports(1)
    connection = {
        "conn_type": "learnosity",
        "login": DEMO_CONSUMER_KEY,
        "password": DEMO_CONSUMER_SECRET,
        "extra": {"reports_url": f"http://127.0.0.1:{reports.server_port}"},
    }
    env = {
        **os.environ,
        "PYTHONPATH": f"{REPOSITORY / 'plugins'}:{REPOSITORY}",
        "AIRFLOW_CONN_LEARNOSITY_DEFAULT": json.dumps(connection),
    }
    server = Path(__file__).parents[1] / "hostile" / "server.py"
    process = subprocess.Popen([sys.executable, str(server), str(folder), str(port)], env=env, cwd=REPOSITORY)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while not _answers(url):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        with browser() as running:
            context = running.new_context()
            context.add_cookies([{"name": "_token", "value": "teacher", "url": url, "httpOnly": True}])
            page = context.new_page()
            page.add_init_script("addEventListener('message', ({ data }) => { if (data.got) window.seen = data.got; })")
            yield Scene(url, page, script)
    finally:
        process.terminate()
        process.wait(30)
        reports.shutdown()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/asked").status_code == 200
    except httpx.ConnectError:
        return False


def test_a_hostile_script_reaches_neither_airflow_nor_the_page(scene: Scene) -> None:
    scene.script[0] = HOSTILE
    scene.page.goto(scene.report)
    got = scene.page.evaluate(SEEN)
    assert len(got) == 11
    assert {name: said for name, said in got.items() if not said.startswith("refused: ")} == {}
    # The page says in its own words that the report was refused. It does not show the text that the script has sent.
    expect(scene.page.get_by_role("status")).to_contain_text("The Reports API refused the report. These are the same")
    expect(scene.page.get_by_role("link", name="Population")).to_be_visible()
    assert "hostile" not in scene.page.content()
    assert scene.page.url == scene.report
    assert len(scene.page.context.pages) == 1
    assert scene.asked() == []


def test_it_gains_nothing_where_its_frame_is_opened_alone(scene: Scene) -> None:
    scene.script[0] = HOSTILE
    scene.page.goto(f"{scene.report}/frame")
    got = scene.page.evaluate(SEEN)
    for name in ("get", "post", "no-cors", "xhr", "top", "cookie", "storage"):
        assert got[name].startswith("refused: "), name
    assert scene.asked() == []


def test_a_report_is_drawn_and_its_frame_is_as_high_as_it(scene: Scene) -> None:
    scene.script[0] = TALL
    scene.page.goto(scene.report)
    expect(scene.page.frame_locator("iframe[title=Report]").get_by_text("drawn")).to_be_visible()
    expect(scene.page.get_by_role("status")).to_be_hidden()
    expect(scene.page.locator("iframe[title=Report]")).to_have_css("height", "700px")


def test_another_frame_of_the_page_cannot_speak_for_the_report(scene: Scene) -> None:
    scene.script[0] = "window.LearnosityReports = { init() {} };"
    scene.page.goto(scene.report)
    expect(scene.page.locator("iframe[title=Report]")).to_be_attached()
    scene.page.evaluate("window.postMessage({ report: { state: 'ready' } }, '*')")
    scene.page.evaluate("new Promise((resolve) => setTimeout(resolve, 0))")
    expect(scene.page.get_by_role("status")).to_be_visible()


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("", "The Reports API did not load."),
        (
            "window.LearnosityReports = { init(s, { errorListener }) { errorListener({ code: 20004 }); } };",
            "(code 20004)",
        ),
    ],
)
def test_the_local_view_takes_the_place_of_a_report_that_fails(scene: Scene, script: str, says: str) -> None:
    scene.script[0] = script
    scene.page.goto(scene.report)
    expect(scene.page.get_by_role("status")).to_contain_text(says)
    expect(scene.page.get_by_role("cell", name="4")).to_be_visible()
    expect(scene.page.locator("iframe")).to_have_count(0)
