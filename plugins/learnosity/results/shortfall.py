"""What a text for people says about files that a listing lacks: they are not ready, are lost, or are on a further page.

Only sentences about the files, the entries, the results or the listing itself count. `Questions could not be scored` or
`Sessions without a user were skipped` say what is in the files. A listing with such a text is whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from learnosity.results.known_keys import FILE_SUFFIXES, words

Shortfall = Literal["later", "lost", "more"]

_NAMED = rf"[\w-]{{1,60}}\.(?:{'|'.join(sorted(FILE_SUFFIXES))})\b"
_OWN = r"(?:files?|outputs?|chunks?|shards?|archives?)"
_FILE = rf"(?:{_OWN}|pages?|urls?|links?|addresses|documents?|entry|entries|objects?|parts?|segments?|batch(?:es)?)"
_NOUN = rf"(?:(?:result|output|data) )?(?:{_FILE}|results|result sets?)"
_LISTING = r"(?:list|listing|reply|page|result sets?|(?:file|result) list)"
_NUMBER = r"(?:\d[\d,.]{0,15}(?<=\d)|two|three|five|ten|few|hundred|thousand)"
_BE = r"(?:(?:is|are|was|were|be|been|being|has|have|had|got|can|could|will|also|only|\w{1,20}ly) ){0,4}"
_PLURAL = re.compile(r"(?<=\w)\(s\)", re.IGNORECASE)  # as in `1 file(s)`
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n")
_CLAUSE = re.compile(r"[,;:.!?(](?:\s|$)|\(")
# What is done with a file so that it is listed in the end.
_MADE = (
    r"(?:generated|created|exported|written|compiled|produced|processed|included|listed|returned|shown|stored"
    r"|found|read"
    r"|retrieved|fetched|built|rendered|completed|finished|saved|delivered|published|prepared|added|loaded|accessed"
    r"|provided|sent|signed|transferred|copied|ready|available|complete|opened|packed|merged|assembled"
    r"|generate|finish|complete|uploaded|displayed|done)\b"
)
_NOT = r"(?:could|can|did|do|does|have|has|had|was|were|is|are|will|would)(?:n.t| not|not)"
# The next two patterns are matched behind the word for the files: `files of group north were not generated`.
_OF_WHAT = r"(?: (?:of|for|from|in)(?: (?!who\b|that\b|which\b|whose\b|where\b)[\w-]{1,30}){1,4}?)?"
_FAILS = re.compile(
    rf"{_OF_WHAT}(?: {_BE}(?:not (?:yet )?)(?:been |be )?{_MADE}"
    rf"| {_NOT}(?: yet| currently| all| fully| \w+ly)?(?: be| been| get)?(?: \w+ly)? {_MADE}"
    rf"| {_BE}(?:skipped|omitted|left out|dropped|excluded|lost|missing|unavailable|incomplete|truncated|cut off"
    rf"|discarded|ignored|corrupt(?:ed)?|damaged|unreadable|failed|timed[- ]out|pending|unfinished|remaining|left)\b"
    r"| (?:have|has|had|returned|gave) errors?\b)",
    re.IGNORECASE,
)
_SUCCEEDS = re.compile(rf"{_OF_WHAT} {_BE}(?:yet |now )?{_MADE}", re.IGNORECASE)
_TO_COME = re.compile(
    rf"{_OF_WHAT} (?:(?:will|shall) (?:be )?{_MADE}(?: \w+)? (?:soon|later|shortly|tomorrow"
    rf"|in (?:about )?\d+ (?:sec|min|hour))"
    r"|(?:is|are) (?:still )?being \w+)",
    re.IGNORECASE,
)
_LATER = re.compile(r"\byet\b|\bso far\b|\bpending\b|\bunfinished\b|\bat the moment\b|\bcurrently\b", re.IGNORECASE)
_STATE = re.compile(r"(?:ready|completed?|finished|done)$", re.IGNORECASE)
# What may follow `files were skipped`, and says that none was, or that this was asked for.
_HARMLESS = re.compile(
    r" (?:to|at|after) (?:\w+ ){0,3}?(?:characters?|chars?|letters?|words?|digits?|decimals?)\b"
    r"|\s*[:=]\s*(?:0|none|no|nil|null|-|n/a)(?:\W|$)"
    r"|(?: \w+){0,2} (?:by (?:the |a |your )?(?:student|user|learner|candidate|filter|request)"
    r"|as (?:requested|asked|configured|expected|you asked)|on request"
    r"|because (?:they|it) (?:is|are|was|were) (?:empty|duplicate|unchanged))"
    r"|(?: \w+){0,2} (?:after|beyond|in|to) (?:\d+ (?:days?|hours?|weeks?|minutes?)"
    r"|(?:the|its|their) (?:link|url|address)|expir|the input)",
    re.IGNORECASE,
)
_SUBJECT = re.compile(rf"\b(?:{_FILE}|results|data|everything|{_NAMED})(?![\w-]|\.\w)", re.IGNORECASE)
_IS_OWN = re.compile(rf"{_OWN}|{_NAMED}", re.IGNORECASE)
_WORD = re.compile(r"[\w'-]{1,40}(?:[.,]\d{1,3}){0,4}")
_DENIALS = words("no none zero 0 neither nor never without not nothing")
_ALL = words("all every each")
_CONDITIONS = words("if unless whenever when where should")
_PREPOSITIONS = words("in within inside from to by on with for at into to about per")
_AMOUNTS = words(
    "some several many most few one two three four five six seven eight nine ten certain other remaining rest both "
    "number half more another further following hundred thousand"
)
_QUANTIFIERS = _AMOUNTS | words("the all any each every these those this that our your its out not")
# Files with one of these words before them are not those of the listing.
_OTHERS = words(
    "input source uploaded upload audio image video media attached attachment old older previous prior earlier "
    "temporary temp empty blank duplicate duplicated log unused unchanged config configuration"
)
# If one of these words stands before a phrase, in the same part of the sentence, the phrase is denied, or a condition.
_UNSAID = re.compile(
    r"\b(?:no|not|never|none|neither|nor|without|if|unless|when|whenever|in case|should|would|avoid|prevent|with|input|"
    r"inputs|requests?|source|uploaded|0|zero)\b|n.t\b",
    re.IGNORECASE,
)
# A phrase behind one of these words is about what is in the files, and not about the listing.
_INSIDE = re.compile(
    r"\b(?:attempts?|sessions?|users?|students?|learners?|candidates?|answers?|responses|questions?|characters?"
    r"|letters?|words?|decimals?|digits?|scores?|marks?|values?|names?|texts?|columns?|scoring)\b",
    re.IGNORECASE,
)
_TOO_MANY = re.compile(r"\btoo (?:many|large|big)\b", re.IGNORECASE)
_PER_PAGE = re.compile(r"\b(?:per|each|every) (?:page|request|reply|response|call)\b|\bat a time\b", re.IGNORECASE)
_GIVEN = (
    r"(?:returned|listed|shown|included|exported|delivered|sent|given|provided|available|displayed|fetched|retrieved|"
    r"generated|created|ready|complete|stored|written|there)\b"
)
_END = r"(?=\s*(?:[.,;:!)]|$))"
_REST = r"(?:remaining|rest|more|next|further|others?|additional|missing|following|subsequent|remainder)\b"
_ENTRIES = r"(?:records|rows|items|lines)"
_MAKE = (
    r"(?:generate|create|export|list|write|compile|produce|include|return|fetch|store|build|load|process|retrieve|get)"
)
_SOME = (
    r"(?: (?:the|all|some|one|every|each|any|several|few|\d[\d,]*|of|these|a|an|result|output|data|further|other"
    r"|more))*"
)
_LACK = r"(?:missing|skipped|failed|omitted|unavailable|incomplete|lost|dropped|unprocessed)"
_NONE = r"(?!\s*(?:0|none|no|nil|null|-|n/a)?\s*(?:[.,;)]|$))(?!\s*(?:0|none|no)\b)"
# Phrases that say that the rest of the listing is not here.
_REST_ELSEWHERE = (
    r"\btoo many (?:\w+ ){0,2}?(?:files|outputs|results|entries|objects|records|rows|chunks|documents|urls|pages)\b",
    rf"\b(?:{_LISTING}|results|output|dataset|payload)(?: (?:is|was|are|were"
    rf"|has become))?(?: \w+ly)? too (?:large|big|long)"
    r"\b(?! for (?:the )?(?:preview|browser|screen))",
    rf"\btoo (?:large|big|long|many) to (?:be )?(?:listed|returned|shown|included|exported|{_MAKE})\b",
    rf"\b(?:only|just) (?:the )?(?:first|last|top|latest|newest|oldest) {_NUMBER}(?: (?:{_NOUN}"
    rf"|{_ENTRIES}))? {_BE}{_GIVEN}",
    rf"\b(?:only|just) (?:a |the )?(?:part|portion|subset|fraction|some|half|few|sample)(?: of)?(?: the| all| these)?"
    rf"(?: \w+)? {_NOUN} {_BE}{_GIVEN}",
    r"\b(?:show\w*|list\w*|return\w*|contain\w*|includ\w*|display\w*|deliver\w*|export\w*) (?:only |just |at most )?"
    rf"(?:the |its )?(?:first|last|top|latest|newest|oldest) {_NUMBER}(?: (?:{_NOUN}|{_ENTRIES}))?"
    rf"(?: only\b| of (?:the |all |a total of )*\d|{_END})",
    rf"\bfirst {_NUMBER} (?:{_NOUN} )?only\b",
    rf"\b(?:{_LISTING}|response|outputs?|results|files|entries|file count|dataset|export|(?:number|count) of {_NOUN})"
    rf"(?: of (?:the )?\w+)? {_BE}(?:limited|restricted|reduced|capped|truncated|cut|shortened|trimmed"
    rf"|clipped) (?:down )?"
    r"(?:to|at|after) (?:the |first |last |top |a |only |maximum |max |of |at most |up to )*"
    rf"(?:{_NUMBER} (?:(?:out )?of (?:the |all )?\d[\d,]*(?= (?:{_NOUN}|{_ENTRIES}|in total|available|found)\b"
    rf"|\s*[.,;)]|$)|{_NOUN}\b(?! per\b)))",
    rf"\b(?:{_LISTING}|response) {_BE}(?:limited|restricted|reduced|capped|truncated|cut|shortened|trimmed) (?:down )?"
    rf"(?:to|at|after) (?:the |first |last |top |a |only |maximum |max |of )*{_NUMBER}(?: {_ENTRIES}\b|{_END})",
    rf"\b(?:files?|results?|output|list|listing|entry|size|object|row|record)(?: count"
    rf"| size)? limit (?:of {_NUMBER} )?{_BE}"
    r"(?:reached|exceeded|hit)\b",
    rf"\b(?:maximum|max|limit)(?: number| count| size)? of (?:{_NUMBER} )?(?:{_NOUN}|{_ENTRIES}|bytes) {_BE}"
    r"(?:reached|exceeded|hit)\b",
    rf"\b(?:{_NOUN}|{_LISTING}|output|response) exceed\w* (?:the |its )?(?:maximum\b(?! length)|limit\b|allowed)",
    rf"\bthere (?:is|are) (?:\d+ )?(?:more|further|additional) {_NOUN}\b(?! (?:than|in)\b)",
    r"\b(?:request|get|fetch|see|load) page (?!1\b)\d+\b",
    rf"\b(?:stopped|stops|ends?|ended|broke off) (?:at|after) (?:the first )?{_NUMBER} {_NOUN}\b",
    r"\bonly the first (?:page|part|batch|chunk)\b(?! of\b)",
    rf"\bmore {_NOUN} than (?:allowed|can|could|fit|listed|shown|returned|the (?:limit|maximum)|one page)\b",
    r"\b(?:use|using|pass|send|supply|provide|specify|follow|set|add|repeat|call|increase|raise|give|apply|via|with)\b"
    r"[^.!?]{0,40}?\b(?:next|cursor|offset|limit|pages?|token|pagination|paging|continuation|marker)\b[^.!?]{0,40}?"
    r"\b(?:get|fetch|retrieve|read|load|request|see|obtain|list|receive|access|download|continue|for|find|reach) "
    rf"(?:the |all |any |of )*{_REST}(?! (?:information|details|help|about|on\b))",
    r"\b(?:see|request|fetch|get|retrieve|load|call|open|go to|continue (?:with|on|at)|continued on) (?:the )?"
    r"(?:next|following|remaining|further|rest of the) (?:page|pages|files|results|entries|parts?|chunks?|batch)\b"
    r"(?! of the (?:report|guide|docs|documentation))",
    rf"\b(?:remaining|rest of the|further) {_NOUN} (?:\w+ ){{0,3}}?(?:follow|(?:next|another) page"
    r"|can be (?:fetched|retrieved|requested|obtained|listed)|will|exist)\b",
    r"^\s*(?:this is |showing |listing |here is )?(?:page|part|chunk|batch|segment) \d+ ?(?:of|/) ?(?!1\b)\d+\b",
)
# Phrases that say that files could not be made or listed.
_LOST = (
    r"\b(?:timed[- ]?out|time[- ]?out|stopped|ended|aborted|interrupted|cancell?ed|failed|terminated|closed"
    r"|gave up|ran out"
    r"|quit|expired|died|crashed|lost|dropped)\b[^.!?]{0,30}\bbefore (?:all|every|each|the|it|any)\b[^.!?]{0,40}?"
    rf"\b(?:{_OWN}|results?|list|listing|entries|pages|urls|documents|objects)\b",
    r"\b(?:request|query|listing|export|generation|compilation|storage|database|backend|server|job|scan|lookup|call"
    rf"|operation) {_BE}(?:timed[- ]?out|aborted|interrupted)\b",
    r"\b(?:errors?|failures?|problems?|exceptions?|timeouts?) (?:\w+ ){0,2}?(?:while|when|during|in|on) (?:\w+ ){0,2}?"
    r"(?:listing|generating|exporting|compiling|creating|writing|producing|storing|building|packaging|fetching)"
    rf"{_SOME} (?:{_FILE}|results?|dataset|listing|{_NAMED})\b",
    rf"\b(?:failed|unable|not able|could not|couldn.t|cannot|can.t|did not|didn.t) (?:to )?{_MAKE}{_SOME} "
    rf"(?:{_FILE}|results|listing|dataset|{_NAMED})\b",
    r"\b(?:skipped|skipping|omitted|omitting|dropped|lost|missing) (?!0\b|no\b|zero\b)(?:at least )?(?:\d[\d,]*"
    r"|some|several"
    rf"|one|two|three|a few)(?: of the)?(?: result| output| data)? {_FILE}\b",
    r"\b(?:generation|creation|compilation|export|listing|file list)(?: of [^!?,;]{1,40}?)? (?:has |have )?failed\b"
    r"(?! for (?:\w+ ){0,3}?(?:users?|students?|sessions?|questions?|items?|groups?)\b)",
    r"\b(?:dataset|export|generation|compilation|listing|file list)(?: \w+)? (?:could not|couldn.t|did not|didn.t"
    r"|was not) (?:be )?(?:\w+ly )?(?:completed?|finish(?:ed)?|generated?|compiled|listed|returned|read)\b",
    r"\b(?:dataset|export|generation|compilation|listing|job) (?:\w+ ){0,2}?(?:completed|finished|done|ended|generated"
    r"|compiled) with (?!0\b)(?:some |several |a few |\d+ )?(?:errors?|failures?|problems)\b",
    r"^\s*(?:the |this )?(?:api )?(?:response|reply) (?:(?:is|was|has been|may be) )?(?:truncated|cut off"
    r"|cut short|incomplete"
    r"|partial)\b(?! (?:to|at|after) (?:\w+ ){0,3}?(?:characters?|letters?|words?|digits?|decimals?))",
    rf"\b(?:skipping|skipped|omitted|missing) (?:(?:the )?file )?{_NAMED}",
    rf"\b{_LACK} (?:result |output )?(?:{_OWN}|entries|pages|documents|objects)\s*[:=]{_NONE}",
)


def _compiled(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{each})" for each in phrases), re.IGNORECASE)


_PHRASES: tuple[tuple[Shortfall, re.Pattern[str]], ...] = (
    ("more", _compiled(*_REST_ELSEWHERE)),
    ("lost", _compiled(*_LOST)),
)


def shortfalls(text: str) -> Iterator[Shortfall]:
    """What each sentence of a text says about files that the listing lacks."""
    for sentence in _SENTENCE.split(_PLURAL.sub("s", text)):
        yield from _of_subjects(sentence)
        for kind, pattern in _PHRASES:
            if any(_is_said(sentence, found.start(), found.end()) for found in pattern.finditer(sentence)):
                yield kind


def _is_said(sentence: str, start: int, end: int) -> bool:
    """Whether a phrase says something of the listing: it is not denied, and not about what is in the files."""
    before = sentence[max(0, start - 200) : start]
    if _UNSAID.search(_CLAUSE.split(before)[-1]) or _PER_PAGE.search(sentence, end, end + 60):
        return False
    return _INSIDE.search(before) is None or _TOO_MANY.search(before) is not None


def _of_subjects(sentence: str) -> Iterator[Shortfall]:
    """What a sentence says of which files are the subject: `2 files were skipped`, or `Not all files are ready`."""
    for found in _SUBJECT.finditer(sentence):
        before = _CLAUSE.split(sentence[max(0, found.start() - 80) : found.start()])[-1]
        spoken = [each.lower() for each in _WORD.findall(before)]
        near = spoken[-5:]
        if not _CONDITIONS.isdisjoint(spoken) or not _OTHERS.isdisjoint(near) or not _is_subject(spoken):
            continue
        is_in_part = found[0].lower() == "everything" and near[-1:] == ["not"]
        is_not_all = is_in_part or any(one == "not" and other in _ALL for one, other in pairwise(near))
        is_denied = not is_not_all and not _DENIALS.isdisjoint(near)
        is_counted = any(each in _AMOUNTS or each[0].isdigit() for each in near)
        if is_not_all or is_denied:
            said = _SUCCEEDS.match(sentence, found.end())
        elif is_counted or _IS_OWN.fullmatch(found[0]):
            said = _TO_COME.match(sentence, found.end()) or _FAILS.match(sentence, found.end())
        else:
            continue
        if said is None or _HARMLESS.match(sentence, said.end()):
            continue
        is_later = said.re is _TO_COME or _LATER.search(sentence, said.start(), said.end() + 20) is not None
        if is_later or not is_denied:
            yield "later" if is_later or (is_not_all and _STATE.search(said[0])) else "lost"


def _is_subject(spoken: list[str]) -> bool:
    """Whether the files behind these words are what the sentence is about, and not `rows of the files`."""
    for index in reversed(range(len(spoken))):
        word, before = spoken[index], spoken[index - 1] if index else ""
        if word in _PREPOSITIONS or (word == "of" and not _is_amount(before)):
            return False
        if _is_amount(word) and before != "of" and before not in _PREPOSITIONS:
            return True
    return True


def _is_amount(word: str) -> bool:
    return word in _QUANTIFIERS or word[:1].isdigit() or word == "none"
