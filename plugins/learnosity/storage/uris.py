"""Parses object-storage URIs in Airflow's format, `scheme://conn_id@bucket/key`. Nothing is opened here."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass

from learnosity.errors import StorageError

S3_SCHEMES = ("s3", "s3a", "s3n")
GCS_SCHEMES = ("gs", "gcs")
AZURE_SCHEMES = ("az", "azure", "abfs", "abfss", "adl", "wasb", "wasbs")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


@dataclass(frozen=True, slots=True)
class StorageUri:
    """A parsed object-storage URI.

    :param bucket: bucket or container, empty for `file`.
    :param key: prefix without slashes at the ends; for `file` the absolute path.
    """

    scheme: str
    conn_id: str | None
    bucket: str
    key: str

    @property
    def text(self) -> str:
        """The URI without the Airflow connection. Like ObjectStoragePath, it has every character as it is."""
        if self.scheme == "file":
            return f"file://{self.key}"
        return f"{self.scheme}://{self.bucket}{'/' + self.key if self.key else ''}"


def parse_uri(uri: str) -> StorageUri:
    """Parse a URI.

    :raises StorageError: `uri` is not an object-storage URI; the message gives examples.
    """
    # ObjectStoragePath drops blanks before a URI, and line ends in it. A folder's name may end with a blank.
    text = uri.lstrip().rstrip("\t\r\n")
    if re.search(r"[\t\r\n]", text):
        raise StorageError(f"{text[:200]!r} holds a tab or a line end, which Airflow drops from URIs. Name it without.")
    scheme, separator, rest = text.partition("://")
    scheme = "file" if scheme.lower() == "local" else scheme.lower()  # fsspec has both names
    if not separator or not _SCHEME.fullmatch(scheme):
        raise StorageError(
            f"{uri[:200]!r} is not an object-storage URI. Write s3://connection@bucket/prefix, gs://…, abfs://… or "
            "file:///absolute/folder."
        )
    if scheme != "file":
        rest = rest.rstrip()
    netloc, _, key = rest.partition("/")
    conn_id, has_conn, bucket = netloc.rpartition("@")
    if ":" in conn_id:
        raise StorageError("An object-storage URI names a connection before the @, never a user and password.")
    if scheme == "file":
        if bucket or not key.strip("/"):
            raise StorageError("A file URI has to be absolute: file:///absolute/folder.")
        return StorageUri(scheme, conn_id or None, "", "/" + key.strip("/"))
    if not bucket:
        raise StorageError(f"{scheme}:// needs a bucket: {scheme}://connection@bucket/prefix.")
    return StorageUri(scheme, conn_id if has_conn and conn_id else None, bucket, key.strip("/"))


def split_glob(uri: str) -> tuple[str, str]:
    """Split a URI with wildcards in its key: the folder's URI before the first wildcard, and the pattern after it."""
    where = parse_uri(uri)
    segments = where.key.split("/")
    plain = next((i for i, segment in enumerate(segments) if glob.has_magic(segment)), len(segments))
    prefix, pattern = "/".join(segments[:plain]), "/".join(segments[plain:])
    conn = f"{where.conn_id}@" if where.conn_id else ""
    if where.scheme == "file":
        return f"file://{prefix or '/'}", pattern
    return f"{where.scheme}://{conn}{where.bucket}/{prefix}", pattern
