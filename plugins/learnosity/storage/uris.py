"""Parses object-storage URIs in Airflow's format, `scheme://conn_id@bucket/key`. No store is opened here."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass

from learnosity.errors import StorageError

S3_SCHEMES = ("s3", "s3a", "s3n")
GCS_SCHEMES = ("gs", "gcs")
# Host of a storage account of any cloud of Azure, such as `account.dfs.core.windows.net`. An account may also be in a
# DNS zone: `account.z6.dfs.storage.azure.net`.
_ACCOUNT_HOST = re.compile(
    r"[a-z0-9-]+\.(dfs|blob)\.core\.[a-z0-9.-]+[a-z0-9]|[a-z0-9-]+\.z\d+\.(dfs|blob)\.storage\.azure\.net"
)
AZURE_SCHEMES = ("az", "azure", "abfs", "abfss", "adl", "wasb", "wasbs")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


@dataclass(frozen=True, slots=True)
class StorageUri:
    """A parsed object-storage URI.

    :param bucket: bucket or container, empty for `file`.
    :param key: prefix without slashes at the ends; for `file` the absolute path.
    :param account: host of the storage account, where an Azure URI has it instead of a connection; "" = none.
    """

    scheme: str
    conn_id: str | None
    bucket: str
    key: str
    account: str = ""

    @property
    def text(self) -> str:
        """The URI without the Airflow connection. Like ObjectStoragePath, it has every character as it is."""
        if self.scheme == "file":
            return f"file://{self.key}"
        return f"{self.root}{'/' + self.key if self.key else ''}"

    @property
    def root(self) -> str:
        """The URI of the bucket or container, without the Airflow connection."""
        return f"{self.scheme}://{self.bucket}{'@' + self.account if self.account else ''}"


def parse_uri(uri: str) -> StorageUri:
    """Parse a URI.

    :raises StorageError: `uri` is not an object-storage URI; the message gives examples.
    """
    # As in Airflow's ObjectStoragePath, blanks before the URI are dropped. At its end, only tabs and line ends are
    # dropped here, because the name of a local folder may end with a space. If the URI is not that of a local folder,
    # spaces at its end are dropped below.
    text = uri.lstrip().rstrip("\t\r\n")
    if re.search(r"[\t\r\n]", text):
        raise StorageError(f"{text[:200]!r} holds a tab or a line end, which Airflow drops from URIs. Remove it.")
    if "\0" in text or not _is_unicode(text):
        raise StorageError(f"{text[:200]!a} holds a character that no URI may have. Write it without.")
    scheme, separator, rest = text.partition("://")
    # fsspec uses both names, `file` and `local`, for local files, so they count as the same scheme.
    scheme = "file" if scheme.lower() == "local" else scheme.lower()
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
    if scheme in AZURE_SCHEMES and "." in bucket:
        return _with_account(scheme, conn_id, bucket, key)
    if not bucket:
        raise StorageError(f"{scheme}:// needs a bucket: {scheme}://connection@bucket/prefix.")
    return StorageUri(scheme, conn_id if has_conn and conn_id else None, bucket, key.strip("/"))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _with_account(scheme: str, container: str, host: str, key: str) -> StorageUri:
    """Parse Hadoop's form of an Azure URI, `abfss://container@account.dfs.core.windows.net/key`."""
    if not container or not _ACCOUNT_HOST.fullmatch(host.lower()):
        raise StorageError(
            f"{scheme}://{container}@{host}: no container of Azure has a dot in its name. Write "
            f"{scheme}://connection@container/prefix, or {scheme}://container@account.dfs.core.windows.net/prefix "
            "for the credentials of the environment."
        )
    return StorageUri(scheme, None, container, key.strip("/"), host.lower())


def split_glob(uri: str) -> tuple[str, str]:
    """Split a URI with wildcards in its key: the folder's URI before the first wildcard, and the pattern after it."""
    where = parse_uri(uri)
    segments = where.key.split("/")
    plain = next((i for i, segment in enumerate(segments) if glob.has_magic(segment)), len(segments))
    prefix, pattern = "/".join(segments[:plain]), "/".join(segments[plain:])
    conn = f"{where.conn_id}@" if where.conn_id else ""
    if where.scheme == "file":
        return f"file://{prefix or '/'}", pattern
    root = where.root if where.account else f"{where.scheme}://{conn}{where.bucket}"
    return f"{root}/{prefix}", pattern
