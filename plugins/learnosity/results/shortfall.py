"""What a text for people says about files that a listing lacks: they are not ready, are lost, or are on a further page.

Only short statements about the files or the listing count, which are all of a clause: `2 files were skipped`, and not
`2 files were skipped by your filter`. What goes on is about something else too often, and would refuse a whole listing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

from learnosity.results.known_keys import FILE_SUFFIXES

# What a text says. `later`: files are not ready yet. `lost`: files could not be made or listed. `more`: files are on a
# further page. `hint`: how to ask for more; the last page may say this, too, so it is weaker than `more`. `end`: this
# is the last of several pages, as in `Page 2 of 2`. In the first reply, this means that the pages before it are
# missing.
Shortfall = Literal["later", "lost", "more", "hint", "end"]

_NAMED = rf"[\w./-]{{1,80}}\.(?:{'|'.join(sorted(FILE_SUFFIXES))})\b"
_KIND = r"(?:(?:result|output|data|dataset) )?"
_FILES = rf"{_KIND}(?:files?|outputs?|chunks?|shards?)\b"
_LISTED = rf"(?:{_FILES}|{_KIND}(?:results?|entries|entry|records|rows)\b)"
_N = r"(?:[1-9][\d,]{0,12}|one or more|one|two|three|four|five|ten|some|several|many|most|a few|few|hundred|thousand)"
_OF = r"(?: (?:out )?of(?: (?:the|all|these|[1-9][\d,]{0,12})\b){0,2})?"
_COUNTED = rf"(?:(?:at least |up to )?{_N}{_OF}|an?|the following|(?:the |all )?(?:other|remaining)|the rest of the)"
_DONE = (
    r"(?:generated|created|exported|written|compiled|produced|processed|included|listed|returned|retrieved|fetched"
    r"|built|completed|finished|found|read|stored|saved|uploaded)\b"
)
_READY = r"(?:ready|available|complete)\b"
_DO = r"(?:generate|create|export|write|compile|produce|list|return|retrieve|fetch|build|store|read)"
_DOING = r"(?:listing|generating|exporting|compiling|creating|writing)"
_WORK = (
    r"(?:(?:dataset|file) )?(?:dataset|export|generation|compilation|listing|file list|request|query|storage|database"
    r"|job|scan)"
)
_LACKING = r"(?:skipped|omitted|left out|dropped|lost|missing|unavailable|incomplete|corrupt(?:ed)?|failed|timed out)"
_BE = r"(?:(?:is|are|was|were|has|have|had|been|be|only) ){0,3}"
_CANNOT = r"(?:could not|couldn.t|cannot|can not|can.t) be"
_NOT = r"(?:(?:is|are|was|were|has|have|had)(?: not|n.t))(?: been)?"
# `_CLOSED` matches where a clause ends, or where a reason such as `due to` follows. `_NONE` makes sure that no zero and
# no word such as `none` follows: `Files skipped: 0` does not say that a file is missing. Neither a list nor an object
# may follow after `: `, because it may be empty.
_NONE = (
    r"(?![ :=('\"-]{0,4}(?:0+|no|none|nil|null|false|zero|nothing|never|n/a)\b(?! \w))"
    r"(?!: (?:\[|\{|see\b|ask\b))"
)
_CLOSED = (
    rf"{_NONE}(?= ?(?:[.,;:!()…\n]|$)| - | (?:due to|because|in time|from storage)\b| after an? (?:error|timeout)\b)"
)
# Matches where no other clause of the same sentence stands before. `Part 1 of 2` says that the reply is a part. But in
# `Mathematics - Part 1 of 2`, it belongs to a title.
_FIRST = r"(?<![,:-] )(?<!and )"
_OF_GROUP = r"(?: (?:of|for|in) (?:group )?[\w-]{1,30})?"
_COUNTED_FILES = rf"(?:{_COUNTED} (?:{_FILES}|entries|entry|documents?|pages?){_OF_GROUP}|(?:the )?(?:file )?{_NAMED})"
_ANY_FILES = rf"(?:{_COUNTED_FILES}|(?:the )?{_FILES}|{_N} (?:{_KIND}results|data))"
_ALL_FILES = rf"(?:all|every|each)(?: of)?(?: the)? (?:{_FILES}|{_LISTED}|pages?|data)"
_MOST = rf"(?:first|last|latest|newest|top) {_N}"
_NEXT = r"(?:next|cursor|offset|limit|continuation|token|page|marker)"
_REST = r"(?:remaining|rest|more|next|further|other|others|additional|following(?= (?:entries|results)\b))"

_SAID: tuple[tuple[Shortfall, tuple[str, ...]], ...] = (
    (
        "later",
        (
            rf"(?:no|none of the|(?:not )?{_ALL_FILES}|{_ANY_FILES})(?: {_FILES})? {_BE}(?:not )?(?:been )?"
            rf"(?:{_DONE}|{_READY}) (?:yet|so far)\b",
            rf"{_ANY_FILES} {_BE}not yet (?:been )?{_DONE}{_CLOSED}",
            rf"{_COUNTED_FILES} {_BE}(?:still )?(?:pending|unfinished|outstanding|processing|queued|in the queue)"
            rf"{_CLOSED}",
            rf"(?:still )?waiting for (?:{_N} {_FILES}|{_NAMED}){_CLOSED}",
            rf"(?:the )?(?:dataset|export|job|generation|compilation) (?:is )?(?:running|compiling|ongoing){_CLOSED}",
            rf"{_ANY_FILES} {_BE}(?:still )?being (?:generated|created|exported|written|compiled|merged){_CLOSED}",
            rf"{_ANY_FILES} will be (?:{_DONE}|{_READY}) (?:soon|later|shortly|in \d+ (?:seconds|minutes|hours))"
            rf"{_CLOSED}",
            rf"not {_ALL_FILES} {_BE}{_READY}{_CLOSED}",
            r"(?:the )?(?:(?:dataset|export|job|listing|it)(?: is)? )?still (?:being )?(?:compil|export|build|prepar"
            rf"|upload|creat|copy|merg|assembl|packag|publish|writ)(?:ing|ed){_CLOSED}",
        ),
    ),
    (
        "lost",
        (
            rf"{_ANY_FILES} {_CANNOT} {_DONE}{_CLOSED}",
            rf"{_COUNTED_FILES} {_NOT} {_DONE}{_CLOSED}",
            rf"{_COUNTED_FILES} (?:{_BE}(?:{_LACKING}|remaining)|failed to {_DO}|had errors){_CLOSED}",
            rf"(?:the )?{_KIND}(?:files|chunks|shards|outputs) (?:are|were) (?:missing|lost|incomplete|skipped)"
            rf"{_CLOSED}",
            rf"(?:file )?{_NAMED}(?:: (?:failed|missing|skipped|lost|error)|:? not found){_CLOSED}",
            rf"not (?:{_ALL_FILES}|everything)(?: (?:{_BE}|could be ){_DONE}| is here)?{_CLOSED}",
            rf"only {_COUNTED} {_FILES} could be {_DONE}{_CLOSED}",
            rf"(?:the )?{_KIND}(?:files?|outputs?|chunks?|entries) {_LACKING}[:=]? ?[1-9]",
            rf"(?:{_LACKING}|remaining) {_KIND}(?:files?|outputs?|chunks?|entries) ?[:=] ?(?:[1-9]|{_NAMED})",
            rf"(?:skipped|skipping|omitted|dropped|lost|missing) (?:{_N}{_OF} {_FILES}|(?:the )?(?:file )?{_NAMED})"
            rf"{_CLOSED}",
            rf"{_N} {_FILES}(?: (?:were |are )?\w+)?[,;] (?:but )?[1-9]\d{{0,8}} (?:failed|skipped|missing){_CLOSED}",
            r"(?:only )?(?:(?:generated|listed|returned) )?(?P<made>[1-9]\d{0,8}) ?/ ?(?!(?P=made)\b)\d{1,9}"
            rf" {_FILES}(?: {_BE}(?:{_DONE}|{_READY}))?{_CLOSED}",
            rf"(?:the |an )?{_WORK} {_BE}(?:timed out|aborted|interrupted)"
            rf"(?:{_CLOSED}| before (?:all|every|the)\b| after \d)",
            rf"(?:the )?{_WORK} (?:stopped|ended|failed) (?:early\b|before (?:all|every|the)\b)",
            rf"(?:the )?{_WORK} (?:could not be|was not|did not) (?:completed?|finish(?:ed)?){_CLOSED}",
            rf"(?:the )?{_WORK}(?: of (?:{_NAMED}|{_N} {_FILES}))?(?: has)? failed(?: for (?:{_NAMED}|{_N} {_FILES}))?"
            rf"{_CLOSED}",
            rf"(?:the )?(?:{_WORK} )?(?:was )?{_BE}(?:completed|finished|ended|compiled|created|generated) with "
            rf"(?:some |[1-9]\d{{0,8}} )?errors?{_CLOSED}",
            rf"(?:the )?(?:dataset|export|listing|result set|file generation) {_BE}(?:incomplete|partial){_CLOSED}",
            rf"(?:the )?(?:response|reply) {_BE}(?:truncated|cut off){_CLOSED}",
            rf"(?:an )?errors?(?: occurred)?(?: while| when)? {_DOING}(?: (?:all|the|{_N}))?"
            rf" (?:{_FILES}|{_NAMED}|dataset|export){_CLOSED}",
            r"(?:the job |it |we )?(?:failed to|unable to|could not|couldn.t|cannot|did not|didn.t)"
            rf" {_DO}(?: (?:all|some|the|{_N}{_OF})){{0,2}} (?:{_FILES}|(?:file )?{_NAMED}){_CLOSED}",
            rf"(?:timed out|timeout|failed)(?: while)? {_DOING}(?: the)? (?:{_FILES}|{_NAMED}){_CLOSED}",
            r"(?:(?:this|it) )?(?:is )?not (?:a |the )?(?:full|complete|entire|whole) (?:file )?list(?:ing)?"
            rf"(?: of (?:the |all )?{_FILES})?{_CLOSED}",
            r"(?:internal (?:server )?error|partial (?:success|failure)|partially completed|truncated)[.!]?$",
        ),
    ),
    (
        "more",
        (
            rf"(?:there are )?too many (?:{_FILES}|results|entries|objects|records|rows)"
            rf"(?:{_CLOSED}| to (?:list|return)\b)",
            rf"(?:the )?(?:{_KIND}results?|result set|list|listing|output|response|dataset) {_BE}too (?:large|big|long)"
            rf"(?:{_CLOSED}| to (?:list|return)\b)",
            rf"(?:this is )?only (?:the )?{_MOST} {_LISTED} {_BE}(?:{_DONE}|shown|available){_CLOSED}",
            rf"(?:this is )?only (?:a |the )?(?:part|subset|half|some) of (?:the )?{_LISTED} {_BE}{_DONE}{_CLOSED}",
            rf"(?:too many \w+, )?only (?:the )?first {_N} {_BE}(?:returned|listed){_CLOSED}",
            rf"(?:only )?(?:showing|listing|returning|returns|shows) (?:only )?(?:the )?(?:{_MOST} {_LISTED}"
            rf"|first {_N})(?: only)?{_CLOSED}",
            r"(?:only )?(?:showing|listing|returning|displaying) (?:only )?(?:the )?first (?P<top>[1-9][\d,]{0,12})"
            rf"(?: {_FILES})? of (?!(?P=top)\b)[1-9]",
            r"showing (?:(?:files|results) )?[1-9]\d{0,8} ?(?:-|to) ?(?P<until>\d{1,9}) of (?!(?P=until)\b)[1-9]",
            rf"first {_N} (?:{_FILES} )?only{_CLOSED}",
            rf"(?P<here>[1-9]\d{{0,8}}) {_FILES} {_BE}(?:returned|listed|shown)[,;]? \(?(?!(?P=here)\b)[1-9]\d{{0,8}}"
            r" (?:in )?total\b(?! (?!files?\b)\w)",
            rf"{_N} more (?:{_FILES} )?(?:are )?(?:available|to come){_CLOSED}",
            rf"(?:the )?(?:listing|list|response|reply|{_KIND}results?|output|number of files) {_BE}"
            r"(?:limited|restricted|reduced|capped|truncated|cut|trimmed) to (?:the )?(?:first )?"
            rf"(?:{_N} (?:{_FILES}|entries|records|results)|(?P<cut>[1-9]\d{{0,8}}) of (?!(?P=cut)\b)[1-9]\d{{0,8}}"
            rf"(?: {_LISTED})?){_CLOSED}",
            rf"(?:the )?file list is limited to {_N}{_CLOSED}",
            rf"(?:the )?(?:file|result|entry|listing) limit (?:of {_N} )?{_BE}(?:reached|exceeded){_CLOSED}",
            rf"(?:the )?(?:maximum|limit)(?: number)? of (?:{_N} )?{_LISTED} {_BE}(?:reached|exceeded){_CLOSED}",
            rf"(?:reached|hit|exceeded) (?:the )?(?:limit|maximum)(?: number)? of (?:{_N} )?{_LISTED}{_CLOSED}",
            rf"(?:the )?(?:files|list|listing) exceeds? the (?:maximum|limit)(?: size)?{_CLOSED}",
            rf"there are (?:more|further) (?:{_FILES}|results|entries)(?:{_CLOSED}| than can\b)",
            rf"(?:further|additional) (?:{_FILES}|results) (?:are )?(?:available|exist){_CLOSED}",
            rf"(?:the )?(?:listing|list|export) (?:stopped|ends|ended) (?:at|after) {_N} (?:{_FILES}|entries|results)"
            rf"{_CLOSED}",
            rf"(?:this is )?only the first (?:page|part){_CLOSED}",
            rf"(?:the )?(?:remaining|rest of the|further) (?:{_FILES}|results|entries)"
            rf" (?:(?:will )?follow|are on (?:the next|another) page){_CLOSED}",
        ),
    ),
    (
        "hint",
        (
            r"(?:please )?(?:use|pass|send|follow|set|increase|repeat with|call again with) (?:(?:the|a|your|its) )?"
            rf"(?:\w+ )?{_NEXT}(?: ?= ?\w+)?(?: \w+){{0,4}} to (?:get|fetch|retrieve|read|load|request|see|list)"
            rf" (?:all |the )*(?:{_REST}(?: of the)?(?: (?:{_LISTED}|pages?))?){_CLOSED}",
            rf"use (?:the )?next (?:token|cursor|page) to continue{_CLOSED}",
            r"(?:please )?(?:see|request|fetch|get|retrieve|load|continue with)(?: the)? next page"
            rf"(?: for {_N} {_FILES})?{_CLOSED}",
            rf"(?:the )?(?:remaining|further) {_FILES} can be (?:requested|fetched|retrieved)\b",
        ),
    ),
    ("more", (rf"{_FIRST}(?:this is |showing )?(?:page|part) (\d{{1,9}}) ?(?:of|/) ?(?!\1\b)[1-9]\d{{0,8}}[.!]?$",)),
    ("end", (rf"{_FIRST}(?:this is |showing )?(?:page|part) (?!1\b)(\d{{1,9}}) ?(?:of|/) ?\1[.!]?$",)),
)
_PATTERNS = tuple((kind, re.compile(each)) for kind, phrases in _SAID for each in phrases)
_CLAUSE = re.compile(
    r"(?:^|[.,;:!…-] |\(|\b(?:and|but|because|since|that|timeout|error|unfortunately|in total) )(?=\w)", re.MULTILINE
)
_CONDITION = re.compile(r"\b(?:if|unless|in case|input|uploads?|several)\b[^.!?\n]*$")
# A clause without any of these words cannot match. To look for them is much faster than to try the patterns.
_ABOUT = (
    *("file", "output", "chunk", "shard", "entr", "page", "document", "result", "data", "list", "export", "response"),
    *(
        "reply",
        "record",
        "rows",
        "part",
        "error",
        "every",
        "first",
        "more",
        "next",
        "offset",
        "cursor",
        "limit",
        "still",
    ),
    *("showing", "truncated", "job", "scan", "query", "request", "storage", "generation", "compilation", "completed"),
    *("finished", "waiting", *(f".{each}" for each in FILE_SUFFIXES)),
)


@lru_cache(maxsize=16)  # a text is asked about several times in a row, and entries often have the same text
def shortfalls(text: str) -> frozenset[Shortfall]:
    """What the clauses of a text say about files that the listing lacks."""
    text = text.lower()
    if not _may_match(text):
        return frozenset()
    lines = (" ".join(line.replace("`", "").replace("(s)", "s").split()) for line in text.split("\n"))
    return frozenset(_said("\n".join(lines)))


def _said(text: str) -> Iterator[Shortfall]:
    for clause in _CLAUSE.finditer(text):
        start = clause.end()
        if not _may_match(text[start : start + 120]):
            continue
        for kind, pattern in _PATTERNS:
            if pattern.match(text, start) and _CONDITION.search(text, max(0, start - 80), start) is None:
                yield kind


def _may_match(text: str) -> bool:
    return any(word in text for word in _ABOUT)
