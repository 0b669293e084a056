"""A notice about the API with a link or a code refuses no dataset. One that may be about the dataset still does."""

from __future__ import annotations

from typing import Any

import pytest

from learnosity.results.reading import Files, Inline, NotUnderstood
from tests.unit.results.replies import AB, FOLDER, ROW, A, B, at, names, read

DEPRECATED = "The version v2025.1.LTS is deprecated"
HELP = "https://help.learnosity.com/hc/en-us/articles/360000758557-Versions"
LEGAL: tuple[Any, ...] = (
    f"v2025.1.LTS is deprecated and will be removed on 2027-01-01. See {HELP}",
    f"{DEPRECATED} ({HELP}).",
    f"{DEPRECATED}. For more information, see {HELP}.",
    f"{DEPRECATED}; see [the docs]({HELP}?lang=en#removed) for details",
    f"{DEPRECATED}. See help.learnosity.com/versions",
    {"code": 10001, "message": DEPRECATED},
    {"id": "W-17", "level": "warning", "type": "VersionDeprecated", "message": DEPRECATED},
    {"code": 0, "severity": 2, "title": "Deprecation notice", "detail": DEPRECATED, "deprecated": True},
    {"message": DEPRECATED, "link": HELP},
    {"message": DEPRECATED, "docs": HELP, "help_url": HELP, "url": HELP, "moreInfo": HELP},
    {"code": 10001, "message": f"{DEPRECATED}. See {HELP}"},
)
OTHERS: tuple[Any, ...] = (
    f"{DEPRECATED}. See {at('b.csv')}",
    f"{DEPRECATED}. See {FOLDER}/b.csv",
    f"2 files were skipped, see {HELP}",
    f"See {HELP}",
    {"code": 10001},
    {"code": 10001, "message": "2 files were skipped"},
    {"code": "PARTIAL_RESULTS", "message": DEPRECATED},
    {"type": "files-missing", "message": DEPRECATED},
    *({"code": code, "message": DEPRECATED} for code in ("not_ready", "E_FILES_MISSING", "failed", "Incomplete")),
    f"{DEPRECATED}. Use https://files.example.com/exports/b.csv",
    f"{DEPRECATED}. Use https://files.example.com/exports/b.csv?part=1.",
    {"count": 3, "message": DEPRECATED},
    {"message": DEPRECATED, "group": "north"},
    {"message": DEPRECATED, "url": at("b.csv")},
    {"message": DEPRECATED, "url": "https://results.example.com/b.csv"},
    {"message": DEPRECATED, "file": HELP},
    {"message": DEPRECATED, "link": f"{FOLDER}/b"},
    [{"code": 10001, "message": DEPRECATED}, {"code": 20001}],
)


@pytest.mark.parametrize("key", ["warning", "warnings"])
@pytest.mark.parametrize("notice", LEGAL, ids=str)
def test_a_notice_about_the_api_may_have_a_link_or_a_code(notice: Any, key: str) -> None:
    for value in (notice, [notice], [notice, None]):
        about: dict[str, Any] = {key: value}
        assert names(read({"files": [A, B]}, **about)) == AB
        assert names(read({"files": [A, B], **about})) == AB
        assert isinstance(read({"rows": [ROW]}, **about), Inline)
        about = {key: [value, 7]}
        assert isinstance(read({"files": [A, B]}, **about), NotUnderstood)


@pytest.mark.parametrize("notice", OTHERS, ids=str)
def test_a_warning_that_may_be_about_the_dataset_is_not_passed_over(notice: Any) -> None:
    for value in (notice, [notice], [DEPRECATED, notice]):
        about: dict[str, Any] = {"warnings": value}
        assert not isinstance(read({"files": [A, B]}, **about), Files)
        assert not isinstance(read({"files": [A, B], **about}), Files)
