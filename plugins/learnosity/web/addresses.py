"""Addresses of pages, spelt so that Airflow's path for plugins does not change them.

Airflow shows a page below `/plugin/learnosity/…`, and percent-decodes that path once. For some file names, the decoded
path would be the address of another page. Such a name goes into the query, which Airflow passes on unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

# In paths, `quote` does not encode these characters, because browsers do not encode them, either. Otherwise, a page
# could have two addresses: one with `:`, and one with `%3A`.
KEPT = ":@!$&'()*+,;=~"
# If a file's name contains one of these characters or parts, such as `%`, `//` or `/../`, the name is put into the
# query of the address and not into the path. A server or browser could change such a path, and the changed path would
# lead to another page.
_ODD = re.compile(r"[%?#\\|^\[\]]|//|(^|/)\.{1,2}(/|$)")
# If a file's name is in the query, the path has this text where the name would be: `/view/-?file=100%25.json`.
_PLACE = "-"


def segment(text: str) -> str:
    """A text as one segment of a path, such as the id of a run."""
    return quote(str(text), safe=KEPT)


def group_address(here: str, path: Sequence[str]) -> str:
    """Address of a group's page.

    :param here: address of the page of the dataset.
    :param path: names of the groups from the top; empty = the page of the dataset.
    """
    query = "&".join(f"group={quote(name, safe='')}" for name in path)
    return f"{here}?{query}" if query else here


def file_address(here: str, path: str) -> str:
    """Address of the page that shows a file."""
    query = file_query(path).rstrip("&")
    return f"{here}/view/{file_segment(path)}{'?' if query else ''}{query}"


def file_segment(path: str) -> str:
    """What stands in an address in place of the path of a file; with `file_query`, it names the file."""
    return _PLACE if file_query(path) else quote(path, safe="/" + KEPT)


def file_query(path: str) -> str:
    """The file name as the start of a query; "" if the name can be in the path."""
    return f"file={quote(path, safe='')}&" if _ODD.search(path) else ""
