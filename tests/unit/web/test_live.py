"""The script that follows a run: what it does with each reply."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from learnosity.web import rendering

LIVE = Path(rendering.__file__).parent / "static" / "live.js"
# What the script needs of a browser. It prints what the script does after its first request.
BROWSER = """
const reply = %s;
const told = [];
const element = (html) => ({
  innerHTML: html, dataset: reply.live ? { live: "" } : {}, childNodes: [], contains: () => false,
  replaceChildren: () => told.push("replaced"),
});
globalThis.document = {
  URL: "http://x/run", hidden: false, activeElement: null,
  getElementById: () => element("old"), adoptNode: (node) => node, addEventListener: () => {},
};
globalThis.window = { location: { reload: () => told.push("reloaded") } };
globalThis.DOMParser = class {
  parseFromString() {
    const has = reply.page ? (reply.problem ? "problem" : "live") : null;
    return { getElementById: (id) => (id === has ? element("new") : null) };
  }
};
globalThis.fetch = async () => {
  if (!reply.status) throw new TypeError("no network");
  return { ok: reply.status < 300, status: reply.status, text: async () => "" };
};
let asked = 0;
globalThis.setTimeout = (call) => {
  asked += 1;
  if (asked === 1) call(); else { told.push("asks again"); console.log(JSON.stringify(told)); }
};
process.on("exit", () => { if (asked === 1) console.log(JSON.stringify(told)); });
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
@pytest.mark.parametrize(
    ("reply", "does"),
    [
        ({"status": 200, "page": True, "live": True}, ["replaced", "asks again"]),
        ({"status": 404, "page": True, "live": True}, ["replaced", "asks again"]),
        ({"status": 200, "page": True, "live": False}, ["reloaded"]),
        ({"status": 200, "page": False}, ["reloaded"]),
        ({"status": 401, "page": False}, ["reloaded"]),
        ({"status": 403, "page": False}, ["reloaded"]),
        ({"status": 500, "page": False}, ["asks again"]),
        ({"status": 503, "page": False}, ["asks again"]),
        ({"status": 500, "page": True, "problem": True}, ["asks again"]),
        ({"status": 503, "page": True, "problem": True}, ["reloaded"]),
        ({"status": 409, "page": True, "problem": True}, ["reloaded"]),
        ({"status": 409, "page": False}, ["asks again"]),
        ({"status": 0}, ["asks again"]),
    ],
)
def test_what_follows_each_reply(reply: dict[str, object], does: list[str]) -> None:
    code = BROWSER % json.dumps(reply) + LIVE.read_text(encoding="utf-8")
    done = subprocess.run(["node", "-e", code], capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(done.stdout) == does
