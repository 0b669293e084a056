"""Which places runs may read from and write to: who may trigger a run must not reach all that the worker can reach.

An administrator lists URI prefixes in an Airflow Variable. Without the list, runs write to the bucket of the default
destination, and read from connections that name a storage type.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from urllib.parse import unquote

from learnosity.errors import RequestError, StorageError
from learnosity.storage.uris import AZURE_SCHEMES, GCS_SCHEMES, S3_SCHEMES, StorageUri, parse_uri

ALLOWED_VARIABLE = "learnosity_allowed_uris"
_FILE = "file"
_DOTS = re.compile(r"\s*\.[.\s]*")
_ONE = re.compile(r"\[([][*?])\]")
_PLAIN = re.compile(rf"(?:[^*?\[]|{_ONE.pattern})*")
_WILDCARD = re.compile(r"[*?\[]")
_CLOUDS = (S3_SCHEMES, GCS_SCHEMES, AZURE_SCHEMES)


@dataclass(frozen=True, slots=True)
class AllowedUris:
    """The places that runs may use.

    :param prefixes: what the administrator lists; None = nothing was listed.
    :param default: the default destination; None = there is none.
    """

    prefixes: Sequence[StorageUri] | None = None
    default: StorageUri | None = None

    @classmethod
    def of(cls, listed: str | None, default: str | None) -> AllowedUris:
        """Read the two Airflow Variables.

        :param listed: text of `learnosity_allowed_uris`; None = it is not set.
        :param default: text of `learnosity_destination_uri`; None and blanks = it is not set.
        :raises RequestError: the list is not a JSON array of URIs. Then nothing is allowed.
        """
        text = (default or "").strip()
        return cls(None if listed is None else _listed(listed), _resolved(parse_uri(text)) if text else None)

    def check_write(self, uri: str) -> None:
        """Check a destination.

        :raises RequestError: runs may not write there. The message names what is allowed.
        """
        where = _plain("destination_uri", uri)
        if self.prefixes is not None:
            allowed = any(_covers(prefix, where) for prefix in self.prefixes)
        elif self.default is None:
            allowed = False
        elif self.default.conn_id is None:
            allowed = _covers(self.default, where)
        else:
            allowed = _place(where) == _place(self.default)
        if not allowed:
            raise self._refusal("destination_uri", "write to", where)

    def check_read(self, uri: str) -> None:
        """Check where input files are.

        :raises RequestError: runs may not read there. The message names what is allowed.
        """
        where = _plain("input_uri", uri)
        # In a URI, `[1]` can be a part of a glob or a part of a file's name; only a listing shows which of the two. So
        # the URI passes if either meaning is allowed. After the listing, `check_found` checks each file.
        if not self._may_read(where) and not self._may_read(_resolved(_without_glob(parse_uri(uri)))):
            raise self._refusal("input_uri", "read from", where)

    def check_found(self, uri: str, names: Iterable[str]) -> None:
        """Check the files that were found at `uri`: a glob may match names in other folders, and in a local folder, a
        symbolic link may lead elsewhere.

        :param uri: one that `check_read` has let pass.
        :param names: URIs of the files, without the Airflow connection.
        :raises RequestError: runs may not read a file from where it is.
        """
        base = parse_uri(uri)
        for name in names:
            if base.scheme == _FILE:
                where = StorageUri(_FILE, base.conn_id, "", os.path.realpath(name.removeprefix("file://")))
            else:
                where = replace(base, key=name.removeprefix(f"{base.root}/"))
            if not self._may_read(where):
                verb = "follow the link there to" if base.scheme == _FILE else "read from"
                raise self._refusal("input_uri", verb, where)

    def _may_read(self, where: StorageUri) -> bool:
        if self.prefixes is not None:
            return any(_covers(prefix, where) for prefix in self.prefixes)
        by_connection = where.conn_id is not None and _family(where.scheme) in _CLOUDS
        return by_connection or (self.default is not None and _covers(self.default, where))

    def _refusal(self, field: str, verb: str, where: StorageUri) -> RequestError:
        if self.prefixes is not None:
            allowed = ", ".join(_text(prefix) for prefix in self.prefixes) or "nothing"
            if any(_WILDCARD.search(prefix.key) for prefix in self.prefixes):
                allowed += " (in a prefix, *, ? and [ are characters of a name, and no wildcards)"
        elif verb != "write to":
            allowed = "connections of a storage type (s3://connection@bucket/…)"
        elif self.default is not None:
            allowed = _text(self.default if self.default.conn_id is None else _bucket(self.default))
        else:
            allowed = "nothing, because learnosity_destination_uri is not set"
        return RequestError(
            f"{field}: runs may not {verb} {_text(where)}. Allowed: {allowed}. An administrator can list the prefix in "
            f"the Airflow Variable {ALLOWED_VARIABLE}."
        )


def _listed(text: str) -> tuple[StorageUri, ...]:
    try:
        values = json.loads(text)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ValueError
        return tuple(_plain(ALLOWED_VARIABLE, value) for value in values)
    except (ValueError, StorageError):
        raise RequestError(
            f"The Airflow Variable {ALLOWED_VARIABLE} is not a JSON array of URI prefixes such as "
            '["s3://connection@bucket/", "file:///data/rosters/"]. Correct it: until then, nothing is allowed.'
        ) from None


def _plain(field: str, uri: str) -> StorageUri:
    """A URI that means the place that it names: without `..`, and for a local path without symbolic links."""
    where = parse_uri(uri)
    if any(_is_dots(segment) for segment in where.key.split("/")):
        raise RequestError(f"{field} has a segment `.` or `..`, or one that can be read so: write the path without it.")
    return _resolved(where)


def _resolved(where: StorageUri) -> StorageUri:
    """The place that a URI names, for a local path without symbolic links."""
    return StorageUri(_FILE, where.conn_id, "", os.path.realpath(where.key)) if where.scheme == _FILE else where


def _without_glob(where: StorageUri) -> StorageUri:
    """The folder or file that a glob begins with: all parts before its first wildcard, as plain text.

    `[[]`, `[*]` and the like are how a glob writes such a character of a name: they are no wildcards.
    """
    segments = where.key.split("/")
    plain = [_ONE.sub(r"\1", segment) for segment in takewhile(_PLAIN.fullmatch, segments)]
    # In `file:///*/a.csv`, no folder stands before the wildcard, so the joined text is empty. `_resolved` would take an
    # empty local path for the folder that the worker runs in. So a local path becomes the root `/` instead.
    return replace(where, key="/".join(plain) or ("/" if where.scheme == _FILE else ""))


def _is_dots(segment: str) -> bool:
    """Whether a store, a proxy or a mounted file system may read a part of a path as `.` or `..`."""
    text = unicodedata.normalize("NFKC", unquote(unquote(segment)))
    return any(_DOTS.fullmatch(part) for part in re.split(r"[/\\]", text))


def _covers(prefix: StorageUri, where: StorageUri) -> bool:
    """Whether `where` is the prefix, or is below it."""
    # Slashes at both ends of a path do not count, because a store is opened without them: `parse_uri` drops them.
    # Slashes in the middle count: in a bucket, the folder `team//a` is not the folder `team/a`.
    inside = prefix.key.strip("/")
    return _place(prefix) == _place(where) and (not inside or f"{where.key.strip('/')}/".startswith(f"{inside}/"))


def _place(where: StorageUri) -> tuple[tuple[str, ...], str | None, str, str]:
    # An Azure account has two host names for the same objects: `….dfs.…` and `….blob.…`. Both count as one place, so
    # one of the names is replaced with the other before two places are compared.
    return _family(where.scheme), where.conn_id, where.bucket, where.account.replace(".dfs.", ".blob.", 1)


def _family(scheme: str) -> tuple[str, ...]:
    """All schemes that mean the same cloud."""
    return next((schemes for schemes in _CLOUDS if scheme in schemes), (scheme,))


def _bucket(where: StorageUri) -> StorageUri:
    return StorageUri(where.scheme, where.conn_id, where.bucket, "", where.account)


def _text(where: StorageUri) -> str:
    scheme, _, rest = where.text.partition("://")
    return f"{scheme}://{where.conn_id}@{rest}" if where.conn_id else where.text
