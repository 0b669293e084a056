"""What a text for people says: yes, no, or later. A reply may have such a text where a flag or a message stands."""

from __future__ import annotations

import re
from typing import Any

from learnosity.results.known_keys import FAILED_WORDS, NOT_READY_WORDS, READY_WORDS, plain_key, words
from learnosity.results.shortfall import shortfalls
from learnosity.results.values import is_length_of_time, is_time, number

# Phrases in a message text of a reply which mean that the dataset is not finished yet.
_LATER = re.compile(
    r"not (yet )?(ready|available|complete|finished)|in progress|being (generated|prepared|compiled|processed|built)"
    r"|still (?:running|processing|generating)|try again|come back",
    re.IGNORECASE,
)
# A remark in the entry of a file is usually about this file, as in "If the link has expired, try again". Only a remark
# with these words may mean that the dataset is not ready.
_NOT_READY = re.compile(r"\bnot (?:yet )?(?:ready|complete|finished)|\bstill (?:being|\w+ing)\b", re.IGNORECASE)
_NO = re.compile(r"\b(?:not|never|no|yet|part(?:ly|ial|ially)?)\b", re.IGNORECASE)
# Words beside a time, as in `expected on 3 May`, which mean that the time has not come, or is not known. So such a text
# does not say that the dataset is finished.
_TO_COME = re.compile(
    r"\b(?:expect\w*|estimat\w*|due|soon|eta|tb[acd]|in|from|after|by|until|plan\w*|will|unknown)\b", re.IGNORECASE
)
# Words which mean that only a part is done, or that nothing is done yet. So a text with one of these words, such as
# `completed except 2 files`, does not say that the dataset is finished.
_IN_PART = re.compile(
    r"\b(?:but|except|until|unless|only|some|most|half|many|few|almost|nearly|soon|will|shall|should|must|can"
    r"|could|cannot"
    r"|may|might|would|to be|when|once|if|after|before|expect\w*|estimat\w*|await\w*|un\w+|in\w+|non|lost|fail\w*"
    r"|err\w*|warn\w*|miss\w*|skip\w*|omit\w*|drop\w*|partial\w*"
    r"|(?:\d+|one|two|three) (?:out )?of)\b|n't\b|\d\s*/\s*\d|%",
    re.IGNORECASE,
)
# `_PART` below finds phrases in a text which mean that the listing is only a part, such as `the list is truncated`. The
# patterns from here to `_OF_VALUES` are its pieces. Each phrase names files, a list or results. So a text about users,
# such as `only 3 users are listed`, is not found.
_FILE = r"(?:files?|outputs?|pages?|urls?|chunks?|documents?|entries|addresses)"
_LIST = r"(?:list|listing|lists|listings|result sets?)"
_RESULTS = r"(?:results?|outputs?|(?:result|output) files)"
_CUT = r"(?:truncated|incomplete|abridged|cut off|cut short|capped|partial(?! (?:credit|score|mark|attempt|answer)))"
# Words that may stand between `list` and `truncated`: `list of files has silently been truncated`.
_IS = (
    rf"(?:of (?:the |all |result |output )*{_FILE} |of (?:the )?\w+ |(?:returned|shown|given|below|above|here) ){{0,2}}"
    r"(?:(?:is|are|was|were|be|been|being|has|have|had|may|might|\w+ly|only|still|now|just|too) )*"
)
# If this follows a word of `_CUT`, such as `truncated`, the text is about values or names that are cut, and not about
# the list: `truncated to two decimals`.
_OF_VALUES = (
    r" (?:to|at|after) (?:\w+ ){0,3}?(?:characters?|chars?|letters?|digits?|decimals?|places?|words?|percent)\b"
)
# `Results capped at 1000` means that the results are only a part: 1000 may be a number of rows. `Scores in the output
# are capped at 100` does not mean this: only values are cut. Such a text is known by two things. A number follows the
# phrase (`_AT_A_VALUE` finds ` at 100`), and the same sentence has a word such as `Scores` before (`_VALUES`).
_AT_A_VALUE = re.compile(rf" at \d[\d,.]*(?![\d,.])(?! (?:{_FILE}|results|rows|lines|records)\b)", re.IGNORECASE)
_VALUES = re.compile(r"\b(?:scores?|values?|marks?|names?|texts?|decimals?)\b[^.!?]*$", re.IGNORECASE)
_PART = re.compile(
    rf"\b(?:partial|incomplete|truncated|abridged) (?:{_FILE} )?(?:{_LIST}|{_RESULTS})\b(?! (?:of|for|from) )"
    r"(?! (?:(?:is|are|was|were|has|have|be|been|will|not|never) )+"
    r"(?:excluded|included|ignored|omitted|left out|counted))"
    rf"|\b{_LIST} {_IS}{_CUT}(?!{_OF_VALUES})"
    rf"|(?P<results>\b{_RESULTS} {_IS}{_CUT}(?!{_OF_VALUES}))"
    rf"|\b(?:truncated|abridged|cut off|cut short) (?:at|to|after) (?:the )?(?:first )?\d[\d,.]* (?:{_FILE}|results)\b"
    rf"|\b(?<!input )(?<!source )(?<!uploaded )(?<!temporary )files (?:\w+ ){{0,2}}?(?:not (?:listed|shown"
    rf"|returned)|left out)\b"
    rf"|\bonly (?:the )?(?:first|last|some|part|\d+)\b(?![^.!?]{{0,20}}? (?:characters?|chars?|letters?|digits?|words?|"
    rf"lines?|columns?|bytes)\b)[^.!?]{{0,40}}?\b{_FILE} (?:\w+ ){{0,2}}?(?:listed|shown|returned)\b"
    rf"|\bmore (?:{_FILE}|results) (?:\w+ ){{0,2}}?(?:exist|remain|follow|available|to come)\b",
    re.IGNORECASE,
)
# Words that deny a phrase of `_PART` if they stand directly before the phrase, as in `No more files are available` or
# `This is not a partial list`.
_DENIED = re.compile(
    r"(?:\b(?:no|not|never|none|nor|neither|without)|n.t)(?: (?:a|an|any|the|these|those|of))* $", re.IGNORECASE
)
_COUNT = r"\d[\d,.]{0,20}"  # at most 21 characters: without a limit, the search in a long number would be slow
# Finds `3 of 200 files`, which means that files are left out. If a verb follows, it must be about the listing:
# `3 of 200 files are shown` is found, but `3 of 200 files have warnings` is not.
_SOME_OF = re.compile(
    rf"\b({_COUNT}) (?:{_FILE} )?(?:out )?of (?:the |all |a total of ){{0,3}}({_COUNT})"
    rf"(?= (?:result |output )?{_FILE}\b"
    r"(?! (?:failed|skipped|missing|dropped)\b)"
    r"(?! (?:is|are|was|were|has|have|had|contain\w*|with\w*) (?!listed|shown|returned|included|available|ready)))",
    re.IGNORECASE,
)
# Finds phrases such as `2 of 200 rows`. Such a phrase means that rows are left out only if a word such as `shown` or
# `Showing` is beside it, as in `2 of 200 rows are shown` or `Showing 2 of 200 questions.` Otherwise, the phrase may be
# about statistics, as in `There are statistics for 2 of 200 questions`.
_ROWS = r"(?:rows|questions|items|results|lines|records)"
_SOME_ROWS_OF = re.compile(
    r"(?P<before>\b(?:only|first|show\w*|return\w*|list\w*)\b[^.!?\d]{0,20})?"
    rf"\b(?P<part>{_COUNT}) (?:{_ROWS} )?(?:out )?of (?:the |all |a total of ){{0,3}}(?P<whole>{_COUNT}) {_ROWS}\b"
    r"(?P<after> (?:(?:is|are|was|were) )?(?:listed|shown|returned|included)\b(?! (?:errors?|no|nothing|un\w+)\b))?"
    r"(?P<end>\s*(?:[.!;]|$))?",
    re.IGNORECASE,
)
# Finds the first word of a text if a reason seems to follow it, as in `Failed: no space left` or `Error while writing`.
# For `said_badly`, such a text says that the dataset failed. But `Failed: 0` says that nothing failed, and `Error
# analysis by question` is a title. In these two, no reason follows the first word.
_REASON = re.compile(
    r"\s*([\w-]{1,30})(?:(?:[:.!,]| [(-])(?!\W{0,4}(?:0|none|no|nil|null|false)\b(?! \w))"
    r"(?!\W{0,4}(?:0|no|none)(?: of (?:\d+|the|them))?"
    r"(?: (?:files?|users?|sessions?|rows?|records?|errors?|failures?))?\W*$)"
    r"|\s(?:while|when|during|due|because|after|with|at|\d{3})\b)",
    re.IGNORECASE,
)
_FAILURE = re.compile(
    r"\s*(?:failed|failure|error|aborted|halted)\b(?: ?[:.!,(]| - | \d{3}\b)"
    r"(?!\W+$|\W*(?:(?:no|nil|null|n/?a|zero|0+)\b(?! \w)|(?:none|standard|users?|students?|sessions?)\b|[\d.]+ ?%))"
    r"(?!\W*\d+ (?!(?:(?:result|output) )?(?:files?|outputs?|chunks?|bytes)\b)[a-z])",
    re.IGNORECASE,
)
_DATE = re.compile(r"\d{4}|\d\s*[:./h-]\s*\d|\bago\b", re.IGNORECASE)
# `_TIMES`: keys of the time when the dataset was completed. A text with a date under such a key, such as `Completed on
# 3 May 2026`, means that the dataset is ready, if the text has no word of `_TO_COME`. `_AVAILABLE`: under these keys, a
# text may also say how long the dataset is available, such as `60 minutes`. This means that it is ready, too.
_TIMES = words("dtcompleted completedat dtfinished finishedat")
_AVAILABLE = words("available isavailable")


def says_unfinished(text: str) -> bool:
    """Whether a text says that the dataset is not finished yet."""
    return _LATER.search(text) is not None


def says_later(text: str) -> bool:
    """Whether a text says that the dataset, or files of it, are not finished yet."""
    return says_unfinished(text) or "later" in shortfalls(text)


def says_not_ready(text: str) -> bool:
    """Whether a remark in the entry of a file may mean that the dataset is not ready."""
    return _NOT_READY.search(text) is not None


def says_part(text: str) -> bool:
    """Whether a text says that a list of files, or the results, are only a part of the whole."""
    for found in _PART.finditer(text):
        is_denied = _DENIED.search(text, max(0, found.start() - 60), found.start()) is not None
        if not is_denied and not (found["results"] and _is_of_values(text, found.start(), found.end())):
            return True
    if any(_number(part) != _number(whole) for part, whole in _SOME_OF.findall(text)) or "lost" in shortfalls(text):
        return True
    return any(
        _number(found["part"]) != _number(found["whole"])
        for found in _SOME_ROWS_OF.finditer(text)
        if found["after"] or (found["before"] and found["end"] is not None)
    )


def _is_of_values(text: str, start: int, end: int) -> bool:
    """Whether a phrase says that values in the results are capped, and not the results."""
    return _AT_A_VALUE.match(text, end) is not None and _VALUES.search(text, max(0, start - 60), start) is not None


def _number(text: str) -> str:
    return text.replace(",", "").replace(".", "")


def says_no(text: str) -> bool:
    """Whether a text denies something, or says that only a part is done."""
    return _NO.search(text) is not None or says_later(text)


def is_word_of_state(text: str) -> bool:
    """Whether a text means that the dataset is not ready, or never will be, whatever key it has."""
    return plain_key(text) in NOT_READY_WORDS | FAILED_WORDS or says_later(text)


def said_badly(text: str) -> bool:
    """Whether a text that may say the state says that the dataset failed: `Failed: no space left`.

    `Failed: 0` says that nothing did, and `Error analysis by question` is a title.
    """
    return plain_key(text) in FAILED_WORDS or (
        (said := _REASON.match(text)) is not None and plain_key(said[1]) in FAILED_WORDS
    )


def is_failure(text: str) -> bool:
    """Whether a message says no more than that the dataset failed: `Failed`, `Failed: disk full` or `Error 500`.

    A message may begin with such a word and be about something else: `Expired after 1 hour`, `Failed: 3 sessions`.
    """
    return plain_key(text) in FAILED_WORDS or (_FAILURE.match(text) is not None and said_badly(text))


def says_yes(word: str, value: Any) -> bool:
    """Whether a text of several words under the key of a flag says yes.

    :param word: the plain key. For how long a dataset is available, or when it was completed, means yes, too.
    """
    if not isinstance(value, str):
        return False
    text = value.strip()
    if word in _AVAILABLE and (is_length_of_time(text) or (text[:6].lower() == "until " and is_time(text[6:]))):
        return True
    spoken = {plain_key(each) for each in text.split()}
    if says_no(text) or spoken & (NOT_READY_WORDS | FAILED_WORDS):
        return False
    if word in _TIMES and number(text) is None and _DATE.search(text):
        return "%" not in text and _TO_COME.search(text) is None
    is_good = "successfully" in spoken or not READY_WORDS.isdisjoint(spoken)
    return is_good and len(spoken) > 1 and _IN_PART.search(text) is None
