"""Lets tools read a path as the name of one file, where they would take it for a pattern. Pure functions.

DuckDB, Polars and Spark take a path with some characters for a pattern, and would read each file that it matches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Source code of a function `exact`, in SQL for DuckDB and in Python for Spark. It changes a path so that the tool does
# not take the path for a pattern. The code samples of the tab "Use this data" contain this function only if a path that
# they read looks like a pattern.
IN_DUCKDB = r"""-- some names have characters of a pattern, such as [ or *
CREATE MACRO exact(path) AS regexp_replace(path, '([\[*?])', '[\1]', 'g');
"""
IN_PYTHON = r"""

def exact(path):  # some names have characters of a pattern, such as [ or *
    return re.sub(r"([\\{}\[\]*?])", r"\\\1", path)


"""
_OF_SPARK = re.compile(r"([\\{}\[\]*?])")


def are_like_patterns(paths: Iterable[str]) -> bool:
    """Whether a tool would take one of these paths for a pattern that other paths match, too."""
    return any(map(_OF_SPARK.search, paths))


def for_duckdb(path: str) -> str:
    """A path in SQL that DuckDB reads as it is."""
    return re.sub(r"([\[*?])", r"[\1]", path)


def for_spark(path: str) -> str:
    """A path that Spark reads as it is."""
    return _OF_SPARK.sub(r"\\\1", path)
