"""The pages by axe-core's rules (WCAG and its best practices): light and dark, wide and narrow, without a violation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect

from devstack.browser import Ui

if TYPE_CHECKING:
    from tests.browser.conftest import Site

pytestmark = pytest.mark.integration

PAGES = {
    "the list": "/learnosity/",
    "the list without a row": "/learnosity/?q=no+such+dataset",
    "groups": "{groups}",
    "users": "{groups}?group=district_1&group=school_1&group=class_1",
    "items": "{items}?only=flagged&hard=0.4",
    "compared": "{again}/compare?sort=p_value_change",
    "nothing to compare": "{groups}/compare",
    "find": "{groups}/find",
    "files": "{groups}/files?q=school_1",
    "a file": "{groups}/view/groups/group.json",
    "use this data": "{groups}/use",
    "the report": "{groups}/report",
    "a refusal": "{groups}/view/no/such/file",
}
WINDOWS = [
    pytest.param(dark, width, id=f"{'dark' if dark else 'light'}-{width}")
    for dark in (False, True)
    for width in (1280, 390)
]


def violations(ui: Ui) -> list[str]:
    """What axe-core finds, one text each with the elements."""
    ui.settle()
    found = Axe().run(ui.page).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {each['help']}: {[node['html'][:200] for node in each['nodes'][:3]]}"
        for each in found
    ]


@pytest.mark.parametrize(("dark", "width"), WINDOWS)
def test_no_page_violates_a_rule(site: Site, dark: bool, width: int) -> None:
    ui = site.window(dark=dark, width=width)
    found: dict[str, list[str]] = {}
    for name, address in PAGES.items():
        ui.goto(address.format(**{name: site.page(getattr(site, name)) for name in ("groups", "items", "again")}))
        expect(ui.page.get_by_role("heading", level=1)).to_be_visible()
        if name == "the report":
            expect(ui.page.frame_locator("iframe[title=Report]").locator("table")).to_be_visible()
        found[name] = violations(ui)
    ui.close()
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_the_local_view_in_place_of_the_report_violates_none(site: Site) -> None:
    ui = site.window()
    ui.page.route(f"{site.stack.simulator.url}/**", lambda route: route.abort())
    ui.goto(site.page(site.groups) + "/report")
    expect(ui.page.locator("#local-view")).to_be_visible()
    assert violations(ui) == []
    ui.close()
