"""Reads one page of a listing of objects or uploads, or the reply to a bulk delete: all of it, or an error.

A reply with status 200 can be something else than a listing: an error of the store, the login page of a proxy, the
beginning of a listing. None of these may be taken for a folder with fewer objects, or without any.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from learnosity.storage.store import ObjectInfo


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing.

    :param objects: their paths are those of `Store`.
    :param folders: the same.
    :param token: asks for the next page; "" = this was the last one.
    """

    objects: list[ObjectInfo]
    folders: list[str]
    token: str


@dataclass(frozen=True, slots=True)
class UploadsMarker:
    """An unfinished upload. It can be the end of a page; then one of the two may be empty."""

    key: str
    upload_id: str


@dataclass(frozen=True, slots=True)
class UploadPage:
    """A part of the unfinished uploads of a bucket, each as the marker after it.

    :param next: the end of this page, if there are more; None = this was the last one.
    """

    uploads: list[UploadsMarker]
    next: UploadsMarker | None


class OddPageError(Exception):
    """A reply with status 200 that is not a whole page of a listing. The text says what it is.

    :param transient: whether the same request may get a page later.
    :param refused: whether the reply is an error of the store, which has the reason in it.
    :param unreadable: whether the name of an object is the reason. It is a page of a store, but cannot be read.
    """

    def __init__(self, what: str, *, transient: bool = False, refused: bool = False, unreadable: bool = False) -> None:
        super().__init__(what)
        self.transient = transient
        self.refused = refused
        self.unreadable = unreadable


PageReader = Callable[[bytes, str, int], Page]
"""Makes a page of the body of a reply. The other arguments are those of `s3_page`."""

# Finds the name of the first XML element. A declaration, comments, a doctype and blanks may stand before this element.
# The atomic group `(?>…)` matches them, and Python tries only one way to match it. With a plain group, Python would try
# many ways, and a body of many comments would take very long.
_ROOT = re.compile(
    rb"(?>(?:<\?.*?\?>|<!--.*?-->|<!doctype[^>]*>|\s)*)<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)[\s/>]", re.S | re.I
)
# Characters that are not allowed in XML. But if the name of an object has one, some stores write it into the page. The
# XML parser refuses such a page. So `_parsed` replaces these characters, and the page can be read.
_NO_XML = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]"
    rb"|&#0*(?:[0-8]|1[124-9]|2[0-9]|3[01]);|&#[xX]0*(?:1?[0-8bBcCeEfF]|1[9aAdD]);"
)
_BLANKS = " \t\r\n"
_DELETE = b"\x7f"  # the control character DEL, which is allowed in XML; it replaces the characters of `_NO_XML`


def s3_page(body: bytes, below: str, skip: int) -> Page:
    """A page of S3 (ListObjectsV2), which GCS has as well.

    :param body: of a reply with status 200.
    :param below: the prefix that was asked for. All keys have to begin with it.
    :param skip: how many characters of a key are not part of the path.
    :raises OddPageError: the body is something else, or only a part of a page.
    """
    root = _root(body, "ListBucketResult")
    objects: list[ObjectInfo] = []
    folders: list[str] = []
    token, truncated, marker = "", "", ""
    for element in root:
        match _name(element):
            case "Contents":
                objects.append(_s3_object(_fields(element), below, skip))
            case "CommonPrefixes":
                folders.append(_path(_fields(element).get("Prefix"), below, skip))
            case "NextContinuationToken":
                token = element.text or ""
            case "IsTruncated":
                truncated = _text(element).lower()
            case "NextMarker":
                marker = _text(element)
    if truncated not in ("true", "false", ""):
        raise OddPageError("it does not say whether it is the last page (IsTruncated)")
    if not token.strip() and (truncated == "true" or marker):
        raise OddPageError("it is not the last page, and has no NextContinuationToken")
    names = _names(objects, folders, below[:skip])
    # Some servers send no IsTruncated. Then there is another page if the reply has a NextContinuationToken.
    return Page(objects, folders, "" if truncated == "false" else _token(token, body, names))


def s3_deleted(body: bytes) -> tuple[set[str], list[tuple[str, str, str]]]:
    """What S3 says about a bulk delete: the removed keys, and key, error code and message of those that are not.

    :raises OddPageError: the body is something else, or only a part of such a reply.
    """
    gone: set[str] = set()
    refused: list[tuple[str, str, str]] = []
    for element in _root(body, "DeleteResult"):
        fields = _fields(element)
        match _name(element):
            case "Deleted":
                gone.add(fields.get("Key", ""))
            case "Error":
                refused.append((fields.get("Key", ""), fields.get("Code", ""), fields.get("Message", "")))
    return gone, refused


def s3_unfinished(body: bytes, below: str) -> UploadPage:
    """A page of S3's unfinished multipart uploads (ListMultipartUploads).

    :param body: of a reply with status 200.
    :param below: the prefix that was asked for. Other uploads belong to somebody else, and must not be removed.
    :raises OddPageError: the body is something else, or only a part of such a page.
    """
    root = _root(body, "ListMultipartUploadsResult")
    fields = _fields(root)
    uploads: list[UploadsMarker] = []
    for element in root:
        if _name(element) == "Upload":
            upload = _fields(element)
            key, upload_id = upload.get("Key"), upload.get("UploadId")
            if key is None or not key.startswith(below) or not upload_id:
                raise OddPageError("it has an upload without a key or an id, or one that is not below the prefix")
            uploads.append(UploadsMarker(key, upload_id))
    truncated = fields.get("IsTruncated", "").strip().lower()
    if truncated not in ("true", "false", ""):
        raise OddPageError("it does not say whether it is the last page (IsTruncated)")
    if truncated != "true":
        return UploadPage(uploads, None)
    # The next page begins after this upload. SeaweedFS sends only the upload's id; other servers send its key, or both.
    # So one of the two is enough.
    after = UploadsMarker(
        _token(fields.get("NextKeyMarker"), body, [upload.key for upload in uploads]),
        _token(fields.get("NextUploadIdMarker"), body, [upload.upload_id for upload in uploads]),
    )
    if not (after.key or after.upload_id):
        raise OddPageError("it is not the last page, and has no NextKeyMarker")
    return UploadPage(uploads, after)


def azure_page(body: bytes, below: str, skip: int) -> Page:
    """A page of Azure (List Blobs). See `s3_page`."""
    root = _root(body, "EnumerationResults")
    parts = {_name(element): element for element in root}
    if "Blobs" not in parts:
        raise OddPageError("it has no Blobs")
    objects: list[ObjectInfo] = []
    folders: list[str] = []
    for element in parts["Blobs"]:
        if _name(element) == "BlobPrefix":
            folders.append(_path(_azure_name(element), below, skip))
        elif _name(element) == "Blob" and (blob := _azure_object(element, below, skip)) is not None:
            objects.append(blob)
    following = parts["NextMarker"].text if "NextMarker" in parts else ""
    return Page(objects, folders, _token(following, body, _names(objects, folders, below[:skip])))


def _root(body: bytes, expected: str) -> Element:
    """The first element of a page."""
    content = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not content:
        raise OddPageError("it is empty", transient=True)
    if not content.startswith(b"<"):
        raise OddPageError("it is no XML")
    if (found := _ROOT.match(content)) is None:
        raise OddPageError("it breaks off", transient=True)
    name = found[1].decode()
    if name == "Error":
        raise OddPageError("it is an error", transient=True, refused=True)
    if name != expected:
        raise OddPageError("it is a web page" if name.lower() == "html" else f"it is <{name}>, not <{expected}>")
    try:
        return _parsed(content)
    except ElementTree.ParseError:
        raise OddPageError("it breaks off, or is damaged", transient=True) from None


def _parsed(content: bytes) -> Element:
    try:
        return ElementTree.fromstring(content)
    except ElementTree.ParseError:
        if (readable := _NO_XML.sub(_DELETE, content)) == content:
            raise
        return ElementTree.fromstring(readable)


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: Element) -> str:
    return (element.text or "").strip()


def _token(text: str | None, body: bytes, names: Sequence[str]) -> str:
    """The text that asks for the next page; "" = none, also where there are only blanks.

    On Ceph, it is the last key of this page as it is. A token that is changed, if only by a blank at its end, is
    another place in the bucket: the next page would leave objects out. So line breaks around it, as in XML that is
    laid out, are dropped only if no name has them.

    :param names: what the page lists. On Ceph, the token is one of these.
    :raises OddPageError: the token has a character that reading the page may have changed.
    """
    token = text or ""
    if not token.strip():
        return ""
    before, after = _breaks(token)
    if before and not any(_breaks(name)[0] for name in names):
        token = token.lstrip(_BLANKS)
    if after and not any(_breaks(name)[1] for name in names):
        token = token.rstrip(_BLANKS)
    # Reading the page changes two kinds of characters: `_parsed` makes a DEL of a character that XML forbids, and the
    # XML parser makes a line feed of a carriage return. A token that may differ from the sent one is an error.
    for char, is_changed in (("\x7f", _NO_XML.search(body) is not None), ("\n", b"\r" in body)):
        if is_changed and char in token:
            if any(char in name for name in names):
                what = "the next page begins after a name with a control character, and cannot be asked for"
                raise OddPageError(what, unreadable=True)
            raise OddPageError("what asks for its next page has a control character, and may not be as it was sent")
    return token


def _names(objects: Sequence[ObjectInfo], folders: Sequence[str], prefix: str) -> list[str]:
    return [prefix + path for path in (*(info.path for info in objects), *folders)]


def _breaks(text: str) -> tuple[bool, bool]:
    """Whether there is a line break in the blanks that a text begins with, and in those that it ends with."""
    return "\n" in text[: len(text) - len(text.lstrip(_BLANKS))], "\n" in text[len(text.rstrip(_BLANKS)) :]


def _fields(element: Element) -> dict[str, str]:
    return {_name(field): field.text or "" for field in element}


def _path(key: str | None, below: str, skip: int) -> str:
    if key is None or not key.startswith(below):
        raise OddPageError("it has an object without a name, or one that is not below the prefix")
    return key[skip:]


def _s3_object(fields: dict[str, str], below: str, skip: int) -> ObjectInfo:
    path = _path(fields.get("Key"), below, skip)
    try:
        modified = datetime.fromisoformat(fields["LastModified"]).timestamp()
        return ObjectInfo(path, int(fields["Size"]), fields.get("ETag") or None, modified)
    except (KeyError, ValueError):
        raise OddPageError("it has an object without a size or a time") from None


def _azure_object(element: Element, below: str, skip: int) -> ObjectInfo | None:
    """A blob; None = a folder of an account with a hierarchy, which comes as if it were one."""
    path = _path(_azure_name(element), below, skip)
    fields = next((_fields(part) for part in element if _name(part) == "Properties"), {})
    if fields.get("ResourceType") == "directory":
        return None
    try:
        modified = parsedate_to_datetime(fields["Last-Modified"]).timestamp()
        return ObjectInfo(path, int(fields["Content-Length"]), fields.get("Etag") or None, modified)
    except (KeyError, ValueError):
        raise OddPageError("it has an object without a size or a time") from None


def _azure_name(element: Element) -> str | None:
    names: Iterator[Element] = (part for part in element if _name(part) == "Name")
    if (name := next(names, None)) is None:
        return None
    # If a name has characters that are not allowed in XML, Azure percent-encodes the name, and marks it as `Encoded`.
    return unquote(name.text or "") if name.get("Encoded") == "true" else name.text or ""
