"""Addresses of pages, in the one spelling that survives Airflow's own path for plugins.

Airflow shows a page below `/plugin/learnosity/…`, decodes that path and hands it on. Where decoding changes the meaning
of an address, a reload would show another page. So what may stand in a path stays as it is, and a name with other
characters goes into the query, which Airflow hands on unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

# What a browser leaves in a path: encoded, it would be another spelling of the same address.
_KEPT = ":@!$&'()*+,;=~"
# These have a meaning when they are decoded, or are spelt in two ways.
_ODD = re.compile(r"[%?#\\|^\[\]]|//|(^|/)\.{1,2}(/|$)")
_PLACE = "-"  # stands for the path of a file that the query names


def segment(text: str) -> str:
    """A text as one segment of a path, such as the id of a run."""
    return quote(str(text), safe=_KEPT)


def group_address(here: str, path: Sequence[str]) -> str:
    """Address of a group's page.

    :param here: address of the page of the dataset.
    :param path: names of the groups from the top; empty = the page of the dataset.
    """
    query = "&".join(f"group={quote(name, safe='')}" for name in path)
    return f"{here}?{query}" if query else here


def file_address(here: str, path: str) -> str:
    """Address of the page that shows a file."""
    if query := file_query(path):
        return f"{here}/view/{_PLACE}?{query.rstrip('&')}"
    return f"{here}/view/{quote(path, safe='/' + _KEPT)}"


def file_query(path: str) -> str:
    """What every query on the page of a file begins with; "" for a file that the path of the page names."""
    return f"file={quote(path, safe='')}&" if _ODD.search(path) else ""
