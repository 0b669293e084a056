"""Addresses that survive Airflow's own path for plugins, which decodes what stands in it."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.web.addresses import file_address, file_query, segment

# The signs that a browser leaves as they are in a path, besides letters and digits. It encodes the "path percent-encode
# set" of the URL standard.
BROWSER_KEEPS = "!$%&'()*+,-./:;=@_~|[]"


def as_airflow_hands_it_on(address: str) -> str:
    """Airflow decodes the path of an address, and a browser reads the result as an address."""
    path, _, query = address.partition("?")
    read = urlsplit(f"http://x{quote(unquote(path), safe=BROWSER_KEEPS + '?#')}")
    assert (read.query, read.fragment) == ("", "")
    return read.path + (f"?{query}" if query else "")


NAMES = ["a.json", "a b/é.json", "c++/1:2.json", "school%201/x.json", "a?b#c", "a//b", "50%", "[x]", "a|b", "'q'"]


@pytest.mark.parametrize("name", NAMES)
def test_the_page_of_a_file_is_the_same_one_after_a_reload(name: str) -> None:
    address = file_address("/run/dag/run", name)
    assert as_airflow_hands_it_on(address) == address


@given(st.text(st.characters(exclude_categories=["C"]), min_size=1))
def test_every_name_is_named_by_its_address(name: str) -> None:
    path, _, query = file_address("/here", name).partition("?")
    named = parse_qs(query)["file"][0] if query else unquote(path.removeprefix("/here/view/"))
    assert named == name
    assert bool(query) == bool(file_query(name))


@pytest.mark.parametrize("run_id", ["manual__2026-11-28T03:00:00+00:00", "scheduled__1~a.b-c_d"])
def test_the_id_of_a_run_stays_as_it_is(run_id: str) -> None:
    assert segment(run_id) == run_id
    assert segment("a/b?c") == "a%2Fb%3Fc"
