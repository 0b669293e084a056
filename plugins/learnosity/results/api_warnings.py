"""Whether a warning in a reply is about the API itself, such as a version that ends. Pure functions.

Any other warning may say that something is missing from the dataset, so the reply is refused.
"""

from __future__ import annotations

import re
from typing import Any

from learnosity.results.addresses import is_signed, leads_into
from learnosity.results.known_keys import (
    DOCUMENTATION_LINKS,
    FAILED_WORDS,
    NOT_READY_WORDS,
    known_suffix,
    link_word,
    plain_key,
    words,
)
from learnosity.results.signal_keys import kind_of
from learnosity.results.spoken import says_later, says_part
from learnosity.results.values import objects

_SUBJECT = re.compile(
    r"\bdeprecat|\bend[ -]of[ -](?:life|support)\b|\bsunset\b|\b(?:un)?support|\bretire|\bupgrad|\bmigrat|\buse v\d",
    re.IGNORECASE,
)
# A warning counts as one about the API only if all its words are in this list or in `_PHRASES`. So `Deprecated items
# are excluded` does not count: `items` and `excluded` are not in the list, because they may be about the dataset. For
# the same reason, `response` (of a student), `more` and `removed` are not in the list.
_WORDS = words(
    "a after an and announced api apis apr april are as aug august be been before by calls caution code current "
    "currently dec december deprecated deprecates deprecation docs documentation end endpoint endpoints ends eol "
    "favor favour feb february for from guide has have higher important in instead is it its jan january jul july "
    "jun june latest learnosity life lifecycle longer lts maintained mar march may migrate migrating minor move new "
    "newer notes notice nov november now oct october of official on or our planned please previous reach reached "
    "reaches recommend recommended refer release releases requests retire retired retirement scheduled sdk see sep "
    "sept september shortly since soon starting sunset sunsets support supported supports switch switching that the "
    "this to unsupported until upcoming upgrade upgraded upgrading use uses using version versions was we were when "
    "which will with you your"
)
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may(?! (?:be|no|have|soon)\b)|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b"
)
_DAY = r"[0-3]?\d(?:st|nd|rd|th)?"
# Used after the pattern of a year or a date: it matches only if no word such as `is` follows. The sentence
# `2024 is no longer supported` may be about the data of 2024. So this `2024` does not count as a phrase of `_PHRASES`,
# and the warning does not count as one about the API. In `deprecated on 2024-05-01 and is …`, the date counts as a
# phrase: because of the `and`, the sentence is not about the date.
_NO_SUBJECT = (
    r"\b(?! (?:(?:and|or) (?!(?:is|are|was|were|has|have|may|will|no)\b)\w+ )?"
    r"(?:of|is|are|was|were|has|have|may|will|no|un\w+|deprecat\w+|end\w*|reach\w*)\b)"
)
# Versions, times and fixed phrases. They are removed from a warning before its words are looked up in `_WORDS`. For
# example, the phrase `no longer` is about the API, but the word `no` alone may be about the dataset.
_PHRASES = re.compile(
    "|".join(
        (
            r"\bfor (?:(?:more|further) )?(?:information|details)\b",
            r"\b(?:data|reports) api\b",
            r"/reports/datasets\b",
            r"\bv[1-9]\b",
            r"\bv?20\d\d\.\d(?:\.\d{1,2})?(?:[. ]?LTS)?\b",
            rf"\b20\d\d(?:[-/]\d\d?){{0,2}}(?:t[\d:.]+(?:z|[+-]\d\d:?\d\d)?)?{_NO_SUBJECT}",
            r"\b(?:in|by|of|until|before|after) q[1-4]\b",
            rf"\b{_DAY}(?=(?: of|-)? ?{_MONTH})",
            rf"\b{_MONTH} {_DAY}{_NO_SUBJECT}",
            rf"\b\d\d?[-/.]\d\d?[-/.]20\d\d{_NO_SUBJECT}",
            r"\bin \d{1,3} (?:days|weeks|months|years)\b",
            r"\bplease note\b",
            r"\bno longer\b",
            r"\bwe plan to\b",
            r"\brequested (?=(?:api )?version\b)",
            r"\bversion(?: \(?v[\d.]+(?:LTS)?\)?)?(?: that)? you(?: have)? requested\b",
            r"\bolder (?=versions?\b|releases?\b)",
            r"\bnext (?:month|quarter|year|release|version|lts)\b",
            r"\bin a (?:future|later) (?:release|version)\b",
            r"\bbeing (?=deprecated|retired|sunset)",
            r"\byou (?:must|should|need to) (?=upgrade|migrate|switch|move)",
            r"\b(?:please|to) update (?=to\b)",
            r"\b(?:sunset|life|support|retirement) date\b",
            r"\bsupport (?:has )?ended\b",
            r"\b(?:scheduled|planned|marked) for removal\b",
            r"\bwill be (?:removed|withdrawn|(?:shut|switched|turned) (?:down|off)|disabled|discontinued)"
            r"(?= (?:on|in|after|by|from|soon)\b)",
        )
    ),
    re.IGNORECASE,
)


# Addresses are removed, too, before the words of a warning are looked up in `_WORDS`: an address leads to a page about
# the warning, and its parts are no words.
_ADDRESS = re.compile(r"(?:https?://|\b(?:[\w-]{1,40}\.){1,4}learnosity\.com\b)[^\s\"'<>()\[\]]*", re.IGNORECASE)
# In a warning such as `{"code": "W17", "message": …}`, the value of `code` only labels the message. So only the message
# has to be about the API. The same holds for the other keys in this list. But a value such as `missing_files` or
# `failed` may be about the dataset. So `_is_label` returns False, and the warning does not count as one about the API.
_LABELS = words("code id type level severity deprecated")
_OF_FILES = re.compile("file|missing|partial|incomplete")
# The address of a page about a warning ends with one of these suffixes, or with none that is known. An address with
# another known suffix, such as `csv`, may be that of a result file, so the warning does not count as one about the API.
_PAGES = (None, "html", "pdf", "md")
_LINKS = DOCUMENTATION_LINKS | words("link url href info moreinfo")


def is_about_api(value: Any, dataset_id: str) -> bool:
    """Whether a warning is about the API itself, such as a version that ends, and not about the dataset.

    :param value: a text, or objects and lists of texts. In an object, one text has to say so.
    :param dataset_id: the dataset that was requested. An address in its folder may be that of a file.
    """
    for pairs in objects([value]):
        texts = [each for word, each in pairs if each and not _is_label(word, each, dataset_id)]
        if not all(_says_so(each, dataset_id) for each in texts) or (not texts and any(each for _, each in pairs)):
            return False
    return True


def _is_label(word: str, value: Any, dataset_id: str) -> bool:
    """Whether a value beside the text of a warning says nothing more. A code that says that files lack does."""
    if word in _LABELS:
        if not isinstance(value, str) or value.lower() == "warning":
            return True
        code = plain_key(value)
        return kind_of(code) is None and code not in NOT_READY_WORDS | FAILED_WORDS and not _OF_FILES.search(code)
    if link_word(word) not in _LINKS or not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        return False
    return (
        known_suffix(value.partition("?")[0]) in _PAGES and not is_signed(value) and not leads_into(value, dataset_id)
    )


def _says_so(value: Any, dataset_id: str) -> bool:
    if not isinstance(value, str) or says_part(value) or says_later(value):
        return False
    if any(known_suffix(each.partition("?")[0].rstrip(".,;:!")) not in _PAGES for each in _ADDRESS.findall(value)):
        return False
    text = _ADDRESS.sub(" ", value.lower())
    if not _SUBJECT.search(text) or is_signed(value) or leads_into(value, dataset_id):
        return False
    return _WORDS.issuperset(re.findall(r"\w+", _PHRASES.sub(" ", text)))
