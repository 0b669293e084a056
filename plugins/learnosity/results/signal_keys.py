"""The keys with which a reply says something about itself, and what each key is about.

Learnosity does not document these keys. A reply has many ways to say how many files there are, or that there are more.
So the keys of cursors, counts and further pages are recognised by the words that they are made of.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal

from learnosity.results.known_keys import LINK_WORDS, LISTING_KEYS, SIZE_KEYS, words
from learnosity.results.sketch import masked_key

Kind = Literal[
    "status",
    "ready",
    "pending",
    "progress",
    "verdict",
    "trouble",
    "remark",
    "said",
    "owner",
    "cursor",
    "next",
    "more",
    "last",
    "pages",
    "page",
    "offset",
    "limit",
    "count",
    "children",
]
# What a count in a reply may count, other than files. For example, a count of users may be a statistic, or the number
# of users in one file. So a count of users is not compared with the number of files that the reply lists.
Thing = Literal["row", "user", "group", "question", "child", "record", "item", "statistic"]

_VOCABULARY: dict[Kind, str] = {
    "status": "status state jobstatus jobstate datasetstatus filestatus processingstatus phase",
    "ready": "ready isready complete iscomplete completed iscompleted done isdone finished isfinished available "
    "isavailable dtcompleted completedat dtfinished finishedat",
    "pending": "pending pendingfiles ispending inprogress isrunning running processing unfinished",
    "progress": "progress percent percentage percentcomplete percentdone progresspercent",
    "verdict": "success ok successful isfinal final",
    "trouble": "error errors errormessage failed failures failedfiles missing missingfiles skipped skippedfiles "
    "omitted dropped unavailable warning warnings partial ispartial incomplete isincomplete expired isexpired "
    "unprocessed exception exceptions",
    "remark": "message messages detail details reason note notes notice remark",
    "owner": "datasetid datasetids datasetuuid datasetguid datasetidentifier dataset datasets datasetref "
    "datasetreference datasetkey",
    "cursor": "next cursor cursornext cursorafter continuation continue bookmark after afterid afterkey "
    "lastevaluatedkey scrollid",
    "more": "more hasnext hasnextpage incompleteresults remaining capped cutoff limited islimited overflow "
    "overflowed hasoverflow",
    "last": "islast islastpage last lastpage eof iseof",
    "pages": "pages totalpages pagecount numpages",
    "page": "page currentpage pagenumber",
    "offset": "offset skip start startindex startposition startrow",
    "limit": "limit pagesize perpage maxkeys maxresults maxitems",
    "count": "count total totalcount expectedcount returned found numberofelements records odatacount xtotal "
    "xtotalcount hits totalhits hitcount",
    "children": "haschildren haschild hassubgroups haschildgroups hasfolders hassubfolders",
}
# Keys whose value is always the id of a dataset. If the value is not the id of the requested dataset, the reply is
# refused. The line `owner` above has more keys, such as `dataset`. A text under `dataset` may be something else than an
# id, so it is refused only if it is the UUID of another dataset.
OWNER_IDS = words("datasetid datasetids datasetuuid datasetguid datasetidentifier")
# Some keys are about the reply only if their value is a flag, or only if it is a text: `end` may also be the end of a
# period, `retry` a number of attempts, and `result` an object with the files.
_OF_FLAGS: dict[str, Kind] = {
    **dict.fromkeys(words("end isend atend endreached reachedend exhausted isexhausted nomore nomorefiles"), "last"),
    **dict.fromkeys(words("endoffiles endoflist endoflisting endofresults endofdata endofpages"), "last"),
    **dict.fromkeys(words("retry shouldretry retrylater tryagain wait mustwait"), "pending"),
}
# `OUTCOMES`: a text under one of these may say how the job ended, as in `"result": "failed"`. In a row, it may be the
# result of a user. So it is not read there.
OUTCOMES = words("result outcome")
_OF_TEXTS = OUTCOMES | words(
    "statustext statusmessage statusdescription statusdetail statusdetails statusreason statuslabel statusname"
)
_BY_WORD: dict[str, Kind] = {word: kind for kind, text in _VOCABULARY.items() for word in words(text)}

_FILES = r"(?:file|url|uri|document|doc|chunk|part|batche?|output|segment|shard|artifact|attachment)s?"
_LISTED = rf"(?:{_FILES}|(?:result|record|entry|entrie|object|item|element|row|line|user|student|learner)s?)"
_THING = rf"(?:{_LISTED}|(?:question|group|subgroup|node|folder|subfolder|directory|directorie|child|children)s?)"
_REST = rf"(?:{_FILES}|(?:result|record|entry|entrie|row|line|page)s?)"
_TIMES = (
    r"(?:maintenance|release|version|lts|refresh|update|expir(?:y|es|ation)|run|sync|schedule)(?:d|at|on|date|time)*$"
)
_EXPIRY = r".*(?:expir(?:y|es|ed|ation)|expiresin|ttl)(?:d|at|on|in|date|time|seconds)*$"
_LACKING = (
    r"(?:failed|missing|skipped|omitted|dropped|unavailable|expired|incomplete|unprocessed|lost|errored|erroneous"
    r"|corrupt(?:ed)?|broken|partial)"
)
_NUMBER_OF = r"(?:(?:(?:num(?:ber)?|total|count)(?:of)?|n[or]?of)(?:the)?)?"
_ERRORS = r"(?:error|failure|exception)s?"
_WHOLE = r"(?:results?|resultset|list|listing|filelist|response|reply|content|data|dataset)"
# Matches keys such as `KeyCount`, a number of keys. In an object store, a key is the name of a file, so this is a
# number of files. If a reply has rows instead of files, this is not the number of rows, so the two are not compared.
_KEYS = (
    r"(?:(?:num(?:ber)?|total|count)(?:(?:number)?of)?|n[or]?of)(?:the)?keys"
    r"|keys?(?:count|total|found|returned|listed|quantity|qty)"
)
# Matches keys of the number of all files, such as `files_in_dataset`, but not `results_in_dataset`: this may be a
# number of answers. In a reply with rows instead of files, such a number is not compared with the number of rows. If
# the value is no number, such as `"listed": true`, it is no count, and no error: it is read as any other value.
_NUMBERS = (
    rf"available{_FILES}|{_FILES}available|(?:all|total)?{_FILES}(?:in|of)(?:the)?(?:dataset|listing|list)"
    rf"|(?:n|all|shown){_FILES}|expected|listed|shown|quantity|qty"
)
_PAGES = r"(?:num(?:ber)?|total|count|nr|nb|no?(?=of)|of|the|all|pages?)"
_PATTERNS: tuple[tuple[Kind, str], ...] = (
    # Keys such as `nextpage`, `nexttoken` and `nextpagetoken`. Their value is the cursor of the next page.
    (
        "cursor",
        r"next(?:page|result|record|file|item|batch|scroll|continuation|last|start|evaluated)?s?"
        r"(?:page|batch|cursor|token|marker|key|offset|url|uri|link|href|id|number|start|index|position|from)?",
    ),
    ("cursor", r"(?:page|paging|pagination|resume|resumption|scroll|continuation|continue|sync|delta|list)token"),
    ("cursor", r"(?!prev|start|end|first|before).*cursor"),
    # Any other key that begins with `next`, or has it after `odata` or a word such as `items`, may name the next page,
    # too. It is not known how to request that page. So the reply is refused if the key has a value. `next_refresh` and
    # `next_token_expires` do not match: their value is a time.
    ("next", rf"next(?!{_TIMES}|{_EXPIRY}).+|(?:odata|{_THING})next.*"),
    ("more", rf"(?:has|have|is|are|there)*(?:more|further)(?:{_THING}|pages?|data|available|exists?)*"),
    ("more", r"(?!not|un).*truncated"),
    ("more", rf"remaining{_REST}|{_REST}(?:remaining|left)"),
    ("pending", rf"(?:pending|unfinished){_FILES}|{_FILES}(?:pending|unfinished|inprogress)"),
    ("trouble", rf"{_NUMBER_OF}{_LACKING}{_FILES}(?:count|total)?|{_FILES}{_LACKING}(?:count|total)?"),
    ("trouble", rf"{_NUMBER_OF}{_FILES}(?:with|in)?{_ERRORS}(?:count|total)?"),
    ("trouble", rf"{_ERRORS}(?:of|in|on|for|per)(?:the)?{_FILES}"),
    (
        "trouble",
        rf"(?:is|has)?(?:partial|incomplete|truncated){_WHOLE}|(?:is)?{_WHOLE}(?:is|are)?(?:partial|incomplete)",
    ),
    ("verdict", rf"(?:is)?complete{_WHOLE}|(?:is)?{_WHOLE}(?:is|are)?complete"),
    ("limit", rf"max(?:imum)?{_LISTED}|{_LISTED}(?:perpage|limit)|pages?limit|limitperpage|batchsize"),
    ("more", rf"(?:{_THING}|list|listing|page)?(?:is)?limited|limitreached|limitexceeded"),
    ("page", r"(?:current|this)?page(?:number|no|num|nr|index)"),
    ("pages", rf"(?=.*(?:num|total|count|nr|nb)|no?of)(?=.*page){_PAGES}+"),
    (
        "count",
        rf"(?=num|nb|n[or]?of|.*(?:snum|total|count|amount|found|returned|listed|expected|quantity|qty))(?=.*{_THING})"
        r"(?:num(?:ber)?|total|count|nr|nb|no?(?=of)|amount|found|returned|listed|expected|quantity|qty|of|the|all|in"
        rf"|{_THING})+",
    ),
    (
        "count",
        r"(?:num(?:ber)?|total|count)(?:of)?(?:found|returned|listed|shown)|(?:found|returned|listed|shown)(?:count|total|num)",
    ),
    ("count", _KEYS),
    ("count", _NUMBERS),
)
# `OF_PAGES`: kinds of keys about pages and counts. `PAGE_BOXES`: keys of objects about pages. An object or a list under
# such a key, without files and rows, may say that more pages follow, as in `{"paging": {"rest": "2 of 3"}}`. So
# `Signals.note_unread` refuses the reply if an unknown key in it, such as `rest`, has `true`, a number, or a text with
# a digit. Under a key of the kind `next`, any text may name the next page, so there a text without a digit is enough.
OF_PAGES: tuple[Kind, ...] = ("next", "more", "last", "pages", "page", "offset", "limit", "count")
PAGE_BOXES = words("paging pagination pageinfo")
# In an object under one of these keys, a count of records or items is the number of entries that the reply lists, as in
# `{"paging": {"total_items": 3}}`.
LISTING_BOXES = PAGE_BOXES | words("page pages meta")
# In an object under one of these keys that also has the files, a count of records or items is the number of the files,
# as in `{"listing": {"total_items": 1, "files": [{"url": …}]}}`.
FILE_BOXES = words("list listing filelist fileslist")
# If an object under one of these keys has no files in it, a count such as the 3 in `{"stats": {"total": 3}}` is a
# statistic, and no number of files. Only a count that says that it is of files, such as `file_count`, is one.
STATISTICS = words("stats statistics")
# If the Airflow connection declares `count`, the number of files comes from an expression, such as `sum(meta.counts)`.
# So no key of the reply can name this number. If it is wrong, the error message shows this name instead.
DECLARED_COUNT = "declared count of files"
# In an object about pages (see `OF_PAGES`), a value under one of these keys need not be understood: it says nothing
# about pages.
NOT_OF_PAGES = LINK_WORDS.union(SIZE_KEYS)
# `_INSIDE`: what these keys mean in an object about pages, as in `{"page": {"number": 1, "of": 3}}`. In other places
# they say nothing about the reply, so `kind_of` does not know them, and `kind_inside` looks them up here.
# `_INSIDE_A_COUNT`: the same for an object under a key of the kind `count`, as in `{"total": {"value": 3}}`.
_INSIDE: dict[str, Kind] = {"number": "page", "current": "page", "index": "page", "of": "pages", "size": "limit"}
_INSIDE_A_COUNT: dict[str, Kind] = dict.fromkeys(LISTING_KEYS | {"value", "number"}, "count")
_THINGS: tuple[tuple[Thing, re.Pattern[str]], ...] = (
    ("child", re.compile("child|subgroup|node|folder|director")),
    ("group", re.compile("group")),
    ("user", re.compile("user|student|learner")),
    ("question", re.compile("question")),
    ("row", re.compile("row|line")),
    # A count of records or items may be of what is inside the files. But in an object such as `paging`, it is the
    # number of all entries that the reply lists. For such a count, `Findings.note_box` adds the key of the object to
    # the name: `total_items of paging`. The next two patterns do not match this name, so the count is compared with
    # the number of files or rows.
    ("record", re.compile(rf"record(?!.*of(?:{'|'.join(LISTING_BOXES | FILE_BOXES)})$)")),
    ("item", re.compile(rf"item(?!.*of(?:{'|'.join(LISTING_BOXES | FILE_BOXES)})$)")),
    ("statistic", re.compile(rf"of(?:{'|'.join(STATISTICS)})$")),
)
_PARTS = re.compile(_FILES)
_TOTAL_OF_SIZES = re.compile(
    r"(?=.*(?:total|sum|combined|overall))(?=.*(?:size|byte|contentlength))"
    r"(?:total|sum|combined|overall|of|all|the|in|files?|results?|outputs?|downloads?|content|length|sizes?|bytes?)+"
)
_ONLY_NUMBERS = re.compile(rf"(?:{_NUMBERS}|{_KEYS}|hits)(?:of(?:{'|'.join(STATISTICS)}))?")
# Found in a key whose count is only of what this page has, such as `total_returned` or `batch_total`. Even if it is
# right, more pages may follow. Not found in three kinds of keys whose count is of all: `total_found`, plurals such as
# `total_chunks`, and names that `Findings.note_box` makes, such as `total_items of pages`.
_HERE = re.compile("returned|listed|shown|(?<!total)found|(?:batch|chunk)(?!e?s)|(?<!of)page")
_BY_PATTERN = tuple((kind, re.compile(pattern)) for kind, pattern in _PATTERNS)


@lru_cache(maxsize=4096)
def kind_of(word: str) -> Kind | None:
    """What a plain key (`plain_key`) says about the reply; None when it says nothing.

    Kind `next` may name a next page in an unknown way. The other kinds are known.
    """
    kind = _BY_WORD.get(word)
    if kind is not None or len(word) > 40:
        return kind
    return next((kind for kind, pattern in _BY_PATTERN if pattern.fullmatch(word)), None)


def kind_of_value(word: str, value: Any) -> Kind | None:
    """What a plain key says about the reply with this value: some keys say something as a flag or as a text alone."""
    if isinstance(value, bool):
        return kind_of(word) or _OF_FLAGS.get(word)
    return kind_of(word) or ("said" if isinstance(value, str) and word in _OF_TEXTS else None)


@lru_cache(maxsize=4096)
def thing_of(word: str) -> Thing | None:
    """What the count under a plain key is of; None for files, and for whatever the reply lists."""
    return next((thing for thing, pattern in _THINGS if pattern.search(word)), None)


def is_of_all(word: str) -> bool:
    """Whether the count under a plain key is surely of all files, and not only of those on this page."""
    return ("total" in word or "file" in word) and _HERE.search(word) is None


def is_only_a_number(word: str) -> bool:
    """Whether a count is only of files. If it is not a number, or if it is beside rows, it is about something else.

    `hits` is such a count. `total_hits` and `hit_count` are not: they are compared with rows, too.
    """
    return _ONLY_NUMBERS.fullmatch(word) is not None


def is_total_of_sizes(word: str) -> bool:
    """Whether a plain key names the size of all files together, in bytes."""
    return _TOTAL_OF_SIZES.fullmatch(word) is not None


def counts_parts(word: str) -> bool:
    """Whether the count under a plain key is of files, or of parts of the dataset such as chunks."""
    return thing_of(word) is None and _PARTS.search(word) is not None


def kind_inside(kind: Kind | None, word: str) -> Kind | None:
    """What a plain key says inside an object of `kind`, if it says nothing elsewhere."""
    return (_INSIDE_A_COUNT if kind == "count" else _INSIDE).get(word)


def shown_key(key: str) -> str:
    """`key` for a message. A key may be data, such as a name: one that does not look like a word is masked.

    What `Findings.note_box` adds to the name of a count is ours, and does not mask it.
    """
    name, _, box = key.rpartition(" of ")
    is_ours = box in LISTING_BOXES | FILE_BOXES | STATISTICS and masked_key(name, "") == name
    return f"`{key}`" if is_ours or key == DECLARED_COUNT else masked_key(key, "`")
