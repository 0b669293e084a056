"""Airflow's UI through a real browser, as people use it: log in, trigger with the form, follow a run, open a page.

Every page keeps what went wrong on it (console errors, failed requests), so that a test can ask for none.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, FrameLocator, Locator, Page, Request, Response, expect, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL_HINT = "No Chromium on the PATH; on Debian and Ubuntu: apt install chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SECONDS = 1000.0
ABORTED = "net::ERR_ABORTED"


def find_browser() -> str | None:
    """Path of an installed Chromium, None when there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium.

    :raises RuntimeError: when none is installed
    """
    executable = find_browser()
    if executable is None:
        raise RuntimeError(INSTALL_HINT)
    expect.set_options(timeout=30 * SECONDS)  # Playwright's default of 5 s is too short for a busy machine
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        try:
            yield running
        finally:
            running.close()


def follow(way: Locator, *, key: str | None = None) -> None:
    """Click a link or a button that opens another page in its own frame, and wait until that page is there.

    A click alone does not wait: a slow machine still shows the page before, and the next step would act on that page.

    :param key: the key that opens the page, in place of a click: Enter in a field of a form
    """
    frame = way.element_handle().owner_frame()
    if frame is None:
        raise RuntimeError(f"{way} is no longer on its page")
    # The page that is open now gets a mark. The page that opens next does not have it, so the wait below is for a page
    # without the mark.
    frame.evaluate("document.documentElement.dataset.left = ''")
    if key is None:
        way.click()
    else:
        way.press(key)
    frame.wait_for_selector("html:not([data-left])", state="attached")
    frame.wait_for_load_state()


@dataclass(slots=True)
class Ui:
    """One user's window on Airflow.

    :param url: address of Airflow
    :param problems: console errors and failed requests so far
    """

    page: Page
    url: str
    problems: list[str] = field(default_factory=list)

    @classmethod
    def open(
        cls,
        running: Browser,
        url: str,
        *,
        width: int = 1440,
        height: int = 900,
        dark: bool = False,
        any_certificate: bool = False,
    ) -> Ui:
        """A fresh window, without anybody's cookies.

        :param any_certificate: whether a certificate that no authority has signed is accepted
        """
        context = running.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            ignore_https_errors=any_certificate,
            locale="en-GB",
            timezone_id="UTC",
            permissions=["clipboard-read", "clipboard-write"],
        )
        # Airflow keeps the theme in local storage. The script also runs in the frame of the report. The origin of this
        # frame is `null`, so it has no local storage, and access to it would be an error.
        theme = "dark" if dark else "light"
        context.add_init_script(f"if (self.origin !== 'null') localStorage.setItem('theme', '{theme}')")
        page = context.new_page()
        page.set_default_timeout(30 * SECONDS)
        ui = cls(page, url.rstrip("/"))
        page.on("console", lambda message: ui._note(message.type == "error", f"console: {message.text}"))
        page.on("pageerror", lambda error: ui._note(True, f"exception: {error}"))
        page.on("response", lambda response: ui._answered(response))
        page.on("requestfailed", lambda request: ui._failed(request))
        return ui

    def close(self) -> None:
        """Close the window with all it knows."""
        self.page.context.close()

    def log_in(self, user: str, password: str) -> None:
        """Log in with the form of Airflow's simple auth manager."""
        self.page.goto(f"{self.url}/auth/login?next={self.url}/")
        self.page.locator("input[name=username]").fill(user)
        self.page.locator("input[name=password]").fill(password)
        self.page.get_by_role("button", name=re.compile("sign in", re.IGNORECASE)).click()
        self.page.wait_for_url(lambda url: "/auth/login" not in url)
        expect(self.page.get_by_role("link", name="Dags").first).to_be_visible(timeout=60 * SECONDS)

    def goto(self, path: str) -> None:
        """Open a path of Airflow."""
        self.page.goto(f"{self.url}{path}")

    def dataset(self, dag_id: str, run_id: str) -> FrameLocator:
        """Open the tab "Learnosity" of a run; what is in it."""
        self.goto(f"/dags/{dag_id}/runs/{run_id}/plugin/dataset")
        frame = self.page.frame_locator("iframe[title=Learnosity]")
        expect(frame.get_by_role("heading", level=1)).to_be_visible()
        return frame

    def settle(self) -> None:
        """Wait until the page has finished loading and its animations are over: for pictures."""
        self.page.wait_for_load_state("networkidle")
        self.page.evaluate(
            "Promise.all(document.getAnimations()"
            ".filter(each => each.effect.getComputedTiming().endTime !== Infinity)"
            ".map(each => each.finished.catch(() => null)))"
        )

    def _note(self, wrong: bool, text: str) -> None:
        if wrong:
            self.problems.append(text)

    def _failed(self, request: Request) -> None:
        # When the user leaves a page, the browser aborts the page's open requests. These requests have not failed.
        self._note(request.failure != ABORTED, f"{request.failure} {request.method} {request.url.partition('?')[0]}")

    def _answered(self, response: Response) -> None:
        self._note(
            response.status >= 400, f"{response.status} {response.request.method} {response.url.partition('?')[0]}"
        )
