"""The words that a reply may use as keys, grouped by meaning.

Learnosity does not document the reply that lists result files (docs/learnosity-api.md). So the reader uses these lists.
Case, dashes and underscores are ignored: `signedUrl`, `signed_url` and `Signed-URL` are the same word. A key that is in
no list means nothing. Values below such a key need another proof that they are data.
"""

from __future__ import annotations

import re
from functools import lru_cache

_NOT_PLAIN = re.compile(r"[^a-z0-9]+")
_LINK_SUFFIXES = ("url", "uri", "link", "href", "page")


def words(text: str) -> frozenset[str]:
    """The words of `text`, which are already in the form of `plain_key`."""
    return frozenset(text.split())


# Keys under which an entry in a list of files may have the URL of its file.
URL_KEYS = words(
    "url href link uri file src location address download signedurl presignedurl downloadurl fileurl dataurl contenturl"
    " resulturl outputurl objecturl s3url geturl signeduri downloaduri fileuri signedlink downloadlink filelink"
)
# Keys under which an entry may have the name, path, folder, size or type of its file. `OBJECT_KEYS`: its path in an
# object store. The order in each tuple matters: if an entry has several keys of one tuple, the first key with a usable
# value is used. But of `NAME_KEYS`, a key whose value ends like a file name is preferred: `name` may hold a title.
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

# A text with more characters than this may be content, and not only a remark. If only the files landed, this content
# would be lost. So a reply with files and such a text is refused. Exception: a text under a key such as `message` may
# be longer, because the key says that it is a remark.
MAX_PLAIN_TEXT = 200

# Keys of lists of files. If such a list is empty, the dataset counts as empty. But if something else in the reply may
# be content, or a text under a key such as `message` may say why the list is empty, the reply is refused.
LISTING_KEYS = words(
    "files outputs items results urls downloads children entries list listing filelist fileslist outputfiles "
    "resultfiles objects documents parts contents artifacts attachments resources"
)
# In a list under one of these keys, the address of an entry counts as the address of a file. In other lists, it may be
# a link, so more proof is needed, such as a file name at its end. Without such a proof, the reply is refused.
FILE_LISTS = words("files downloads filelist fileslist outputfiles resultfiles")
FORMAT_KEYS = words(
    "json csv tsv ndjson jsonl parquet xlsx xml zip gz "
    "jsonurl csvurl tsvurl ndjsonurl jsonlurl parqueturl xlsxurl xmlurl zipurl gzurl"
)
# Keys that only give a reply its structure, such as `data` or `csvurl`. They never become folders. Another key, such as
# `grade 5`, may become a folder, in which the files below this key land.
STRUCTURE_KEYS = (
    LISTING_KEYS
    | FORMAT_KEYS
    | words(
        "data dataset datasets datasetgroup output item result url download entry file links response payload body "
        "content records rows report reports set part page pages embedded collection package export exports archive "
        "resource nodes value values"
    )
)
# In a tree of folders, a folder lists its content under one of these keys. So the `name` of an object with such a key
# is a folder: the file of `{"name": "north", "children": [{"url": …, "name": "a.json"}]}` lands as `north/a.json`.
TREE_KEYS = words("children nodes folders subfolders directories")
# A number under one of these keys is a count, as in `"users": 20`. If the reply then lists users, but not 20, some may
# be missing, so the reply is refused. A number under one of `LISTING_KEYS` is a count, too.
COUNTED_KEYS = words("rows users students learners questions chunks batches segments shards folders subfolders")
# Keys under which a reply repeats the request, or says something about the API, such as `ratelimit`. Nothing below
# these keys is part of the dataset.
ECHO_KEYS = words(
    "request filters filter options parameters params query config settings fields userfields versions sdk "
    "ratelimit ratelimits quota quotas"
)
# Keys of lists of input files. A file below such a key is no result file, so it does not land.
INPUT_KEYS = words("inputfiles input inputs inputurls infiles upload uploads uploadurl uploadurls uploadedfiles")
# `ECHO_KEYS`, and keys of objects about the reply, such as `paging`. Under these keys, an object needs no file and no
# row. If an object under any other key has neither, a file may be missing in it, or it may be content that would not
# land. So the reply may be refused.
ABOUT_KEYS = ECHO_KEYS | words("meta metadata info paging pagination page stats statistics job links")
LINK_BOXES = words("links link")  # keys of objects or lists that consist of links

# Keys of links that are no files: links to the reply itself or to the page before it (`SELF_LINKS`), and links to
# documentation. An address of documentation needs no signature. So a signed address under a key of
# `DOCUMENTATION_LINKS` may be that of a file, and the reply is refused.
SELF_LINKS = words("self canonical prev previous")
DOCUMENTATION_LINKS = words("documentation docs doc help support terms license")
# An address under one of these keys may be a link, such as one to the reply itself, or the address of a file. It counts
# as a link only if its end shows that it leads to a list of files, as in `…/index.json`.
POSSIBLE_SELF_LINKS = words("link href url uri first last index home about up")
# Keys of links to the first and the last page, in an object or a list under `links`. If an address under one of these
# is signed, it may also be that of a file. Then it counts as a link only if a key beside it, such as `prev` or `page`,
# or the address itself shows that it leads to a page. Otherwise the reply is refused.
PAGE_LINKS = words("first last")

# Maps each spelling of the key of a link to the word that says what kind of link it is: `selfurl` and `selflink` to
# `self`, `prevpage` to `prev`. `LINK_WORDS` are all keys whose values are links: these spellings, and `LINK_BOXES`.
_LINK_WORDS = {
    f"{word}{suffix}": word
    for word in SELF_LINKS | DOCUMENTATION_LINKS | PAGE_LINKS | {"next"}
    for suffix in ("", *_LINK_SUFFIXES)
}
LINK_WORDS = frozenset(_LINK_WORDS) | LINK_BOXES

# `GROUP_LISTS`: keys of the groups below a group. Each of these groups is requested. `GROUP_CONTEXT`: keys of the group
# itself, or of the groups above it. These are not requested: this reply, or an earlier one, is the reply for them.
GROUP_LISTS = words("groups children subgroups childgroups")
GROUP_CONTEXT = words("group ancestors ancestor parents parent root breadcrumb breadcrumbs")
# Matches keys of the groups above the group that the reply is about, as in `{"ancestors": {"ancestor_1": {…}}}`. All
# that stands in the value of such a key, at any depth, is about these groups. So no group in it is requested.
GROUPS_ABOVE = re.compile("(?:ancestor|parent)s?(?:[0-9]*|groups?)|breadcrumbs?")

# Endings by which the name of a data file is recognised, without the dot.
FILE_SUFFIXES = words(
    "json csv tsv ndjson jsonl txt gz zip zst bz2 tar tgz parquet avro orc xml html pdf xls xlsx yaml yml md log"
)


@lru_cache(maxsize=4096)
def plain_key(key: str) -> str:
    """`key` in lower case and without punctuation, as in the word lists."""
    return _NOT_PLAIN.sub("", key.lower()) if len(key) <= 80 else ""


def link_word(key: str) -> str:
    """The word that names the kind of a link: `self` for `self_url`, `prev` for `prevPage`."""
    word = plain_key(key)
    return _LINK_WORDS.get(word, word)


def looks_like_a_file(name: str) -> bool:
    """Whether `name` ends with the suffix of a data file."""
    return known_suffix(name) is not None


def known_suffix(name: str) -> str | None:
    """The suffix of `name` in lower case; None if it is not that of a data file."""
    stem, _, suffix = name.rpartition(".")
    return suffix.lower() if stem and suffix.lower() in FILE_SUFFIXES else None


# Values of `status` and similar keys that mean: the dataset is ready, is not ready yet, or has failed.
READY_WORDS = words(
    "completed complete ready done success succeeded successful finished ok available published compiled generated "
    "processed exported stored 200 true"
)
NOT_READY_WORDS = words(
    "queued running pending processing inprogress notready waiting preparing generating building started starting "
    "scheduled submitted accepted created initialising initializing initialised initialized compiling working new "
    "exporting uploading retrying delayed incomplete partial unfinished notstarted ongoing executing computing "
    "enqueued requested creating validating calculating aggregating collecting merging assembling finalising "
    "finalizing analysing analyzing writing saving packaging compressing copying publishing"
)
FAILED_WORDS = words(
    "failed failure halted error errored cancelled canceled aborted expired deleted rejected invalid timeout timedout "
    "stopped killed terminated notfound"
)
