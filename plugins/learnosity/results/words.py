"""The words that a reply may use as keys, grouped by what they mean.

The vendor documents no shape for the reply that lists result files (docs/learnosity-api.md). These lists are what the
reader goes by. They are compared without case, dashes and underscores: `signedUrl`, `signed_url` and `Signed-URL` are
one word. A key that stands in no list means nothing, and what stands below it has to be proven otherwise.
"""

from __future__ import annotations

import re
from functools import lru_cache

_NOT_PLAIN = re.compile(r"[^a-z0-9]+")
_LINK_SUFFIXES = ("url", "uri", "link", "href", "page")


def words(text: str) -> frozenset[str]:
    """The words of `text`, as `plain_key` gives them."""
    return frozenset(text.split())


# The keys of one file's entry.
URL_KEYS = words(
    "url href link uri file src location address download signedurl presignedurl downloadurl fileurl dataurl contenturl"
    " resulturl outputurl objecturl s3url geturl signeduri downloaduri fileuri signedlink downloadlink filelink"
)
# In order of preference.
NAME_KEYS = ("name", "filename", "file")
PATH_KEYS = ("path", "filepath", "relativepath", "fullpath")
OBJECT_KEYS = ("key", "objectkey", "s3key")
FOLDER_KEYS = ("folder", "foldername", "folderpath", "directory", "directoryname", "dir")
SIZE_KEYS = ("bytes", "size", "contentlength", "length", "filesize", "sizebytes", "sizeinbytes", "filebytes")
TYPE_KEYS = ("contenttype", "mimetype", "mediatype", "mime", "type")
ABOUT_A_FILE = words(
    "id uuid etag md5 sha1 sha256 checksum hash crc32 created createdat updated updatedat modified modifiedat "
    "lastmodified expires expiresat expiry expiresin version format extension encoding contentencoding "
    "compression title label description rel method count rows records lines datasetid datasettype organisationid"
)
CONTENT_KEYS = words("content contents body text inline data")

# Keys that say "here are the files" and nothing more. An empty list below one of them is an empty dataset.
LISTING_KEYS = words(
    "files outputs items results urls downloads children entries list listing filelist fileslist outputfiles "
    "resultfiles objects documents parts contents artifacts attachments resources"
)
# Below these, everything is a file by the word itself.
FILE_LISTS = words("files downloads filelist fileslist outputfiles resultfiles")
FORMAT_KEYS = words(
    "json csv tsv ndjson jsonl parquet xlsx xml zip gz "
    "jsonurl csvurl tsvurl ndjsonurl jsonlurl parqueturl xlsxurl xmlurl zipurl gzurl"
)
# Keys that wrap what they hold: they are never folders.
STRUCTURE_KEYS = (
    LISTING_KEYS
    | FORMAT_KEYS
    | words(
        "data dataset datasets datasetgroup output item result url download entry file links response payload body "
        "content records rows report reports set part page pages embedded collection package export exports archive "
        "resource nodes value values"
    )
)
# A node of a tree of folders keeps what is in it under one of these.
TREE_KEYS = words("children nodes folders subfolders directories")
# What was asked for, given back. Nothing below these is part of the dataset.
ECHO_KEYS = words(
    "request filters filter options parameters params query config settings fields userfields versions sdk"
)
# Where the input went. These are files, but not of the result.
INPUT_KEYS = words("inputfiles input inputs inputurls infiles upload uploads uploadurl uploadurls uploadedfiles")
ABOUT_KEYS = ECHO_KEYS | words("meta metadata info paging pagination page stats statistics job links")
LINK_BOXES = words("links link")

# Links to the reply itself, or away from the data.
SELF_LINKS = words("self canonical prev previous")
DOCUMENTATION_LINKS = words("documentation docs doc help support terms license")
# Links to the reply only where the address says so too.
POSSIBLE_SELF_LINKS = words("link href url uri first last index home about up")
PAGE_LINKS = words("first last")

# `self_url`, `prevPage` and the like.
_LINK_WORDS = {
    f"{word}{suffix}": word
    for word in SELF_LINKS | DOCUMENTATION_LINKS | PAGE_LINKS | {"next"}
    for suffix in ("", *_LINK_SUFFIXES)
}
LINK_WORDS = frozenset(_LINK_WORDS) | LINK_BOXES

# Groups of a dataset that is read one group at a time.
GROUP_LISTS = words("groups children subgroups childgroups")
GROUP_CONTEXT = words("group ancestors ancestor parents parent root")

_FILE_SUFFIXES = words(
    "json csv tsv ndjson jsonl txt gz zip zst bz2 tar tgz parquet avro orc xml html pdf xls xlsx yaml yml md log"
)


@lru_cache(maxsize=4096)
def plain_key(key: str) -> str:
    """`key` without case and punctuation, as the word lists have it."""
    return _NOT_PLAIN.sub("", key.lower()) if len(key) <= 80 else ""


def link_word(key: str) -> str:
    """The word that says what a link is: `self` for `self_url`, `prev` for `prevPage`."""
    word = plain_key(key)
    return _LINK_WORDS.get(word, word)


def looks_like_a_file(name: str) -> bool:
    """Whether `name` ends like the name of a data file."""
    stem, dot, suffix = name.rpartition(".")
    return bool(stem and dot) and suffix.lower() in _FILE_SUFFIXES


# What `status` and the like may say of a dataset.
READY_WORDS = words(
    "completed complete ready done success succeeded successful finished ok available published compiled generated "
    "processed exported stored 200 true"
)
NOT_READY_WORDS = words(
    "queued running pending processing inprogress notready waiting preparing generating building started starting "
    "scheduled submitted accepted created initialising initializing initialised initialized compiling working new "
    "exporting uploading retrying delayed incomplete partial unfinished notstarted ongoing executing computing"
)
FAILED_WORDS = words(
    "failed failure halted error errored cancelled canceled aborted expired deleted rejected invalid timeout timedout "
    "stopped killed terminated notfound"
)
