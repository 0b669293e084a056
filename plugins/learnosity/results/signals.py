"""What a reply says about itself: is it ready, are there more pages, how many files are there, which dataset is it.

A reply may list files, and at the same time say that more files exist. Such keys are noted here while the reply is
read. `reading` judges them when the whole reply has been read. If a known key has a value that cannot be understood,
the reply is unclear. Such a key is never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from learnosity.results.addresses import holds_address
from learnosity.results.known_keys import FAILED_WORDS, NOT_READY_WORDS, READY_WORDS, plain_key, words

# Phrases in a message text of a reply which mean that the dataset is not finished yet.
_LATER = re.compile(
    r"not (yet )?(ready|available|complete|finished)|in progress|being (generated|prepared|compiled|processed|built)"
    r"|still (running|processing|generating)|try again|come back",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Signals:
    """What one reply says about itself.

    :param dataset_id: the dataset that was requested.
    """

    dataset_id: str
    failed: str | None = None
    """The word in the reply that means that the dataset will never be ready."""
    not_ready: str | None = None
    """The word in the reply that means that the dataset is not ready yet."""
    unclear: list[str] = field(default_factory=list)
    """Why it is not clear what the reply says about itself."""
    cursors: set[str] = field(default_factory=set, repr=False)
    """Values that can be sent as `next` to get the next page."""
    more: list[str] = field(default_factory=list)
    """Keys that say that this is not the last page."""
    later: list[str] = field(default_factory=list)
    """Keys that say that this is not the first page."""
    ended: bool = False
    """Whether the reply says that this is the last page."""
    limits: list[int] = field(default_factory=list)
    open_counts: list[tuple[str, int]] = field(default_factory=list)
    """Counts that are not yet compared with what was found."""
    wrong_counts: list[tuple[str, int]] = field(default_factory=list)
    """Counts that differ from what was found."""
    counted: bool = False
    """Whether a count of all files was compared with what was found."""
    remarks: bool = False
    """Whether the reply contains a message for people."""
    ignores_cursors: bool = False
    """Whether the Airflow connection declares where the cursor is. Then no other cursor is read."""
    any_status: bool = False
    """Whether an unknown status is accepted, because the Airflow connection declares where the files are."""

    def note(self, key: str, value: Any) -> bool:
        """Note one key of the reply.

        :returns: whether the key says something about the reply. If not, its value is read as possible data.
        """
        read = _READERS.get(plain_key(key))
        if read is None or (isinstance(value, dict | list) and read not in _OF_ANYTHING):
            return False
        return read(self, key, value)

    def note_entry(self, entry: Mapping[str, Any]) -> None:
        """Note the entry of a file, with plain keys. Its counts and cursors are not noted: they are about the file."""
        for word in _ENTRY_WORDS.intersection(entry):
            self.note(word, entry[word])

    def note_cursor(self, key: str, value: Any) -> None:
        """Note the cursor of the next page. An empty value means that no page follows."""
        if all(each in (None, "") or each is False for each in _scalars(value)):
            return
        if isinstance(value, dict | list) or not _can_be_sent(value):
            self.unclear.append(f"its `{key}` names a next page in a way that cannot be requested")
        else:
            self.cursors.add(str(value))

    def note_count(self, key: str, value: int) -> None:
        """Note a number of files that the reply gives."""
        self.open_counts.append((key, value))

    def compare_counts(self, start: int, found: set[int]) -> None:
        """Compare the counts from index `start` on with `found`, the numbers of files or rows in the same object."""
        for key, stated in self.open_counts[start:]:
            word = plain_key(key)
            self.counted |= "total" in word or "file" in word
            if stated not in found:
                self.wrong_counts.append((key, stated))
        del self.open_counts[start:]


def is_true(value: Any) -> bool:
    """Whether a flag is true. The flag may be a boolean, a number or a word."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "false", "no", "none", "null")
    return bool(value)


def _status(signals: Signals, key: str, value: Any) -> bool:
    for each in _scalars(value):
        word = plain_key(str(each)) if each is not None else ""
        if word in NOT_READY_WORDS:
            signals.not_ready = word
        elif word in FAILED_WORDS:
            signals.failed = word
        elif word not in READY_WORDS and each not in (None, "") and not signals.any_status:
            signals.unclear.append(f"its `{key}` is a word that is not known")
    return True


def _ready_flag(signals: Signals, key: str, value: Any) -> bool:
    if not is_true(value):
        signals.not_ready = key
    return True


def _pending(signals: Signals, key: str, value: Any) -> bool:
    if isinstance(value, str):
        return False
    if is_true(value):
        signals.not_ready = key
    return True


def _progress(signals: Signals, key: str, value: Any) -> bool:
    # A progress of 1 can mean 100 % or 1 %. It is read as 100 %, because results are normally requested only after
    # their job is completed.
    if value is not None and str(value).strip(" %") not in ("1", "1.0", "100", "100.0"):
        signals.not_ready = key
    return True


def _verdict(signals: Signals, key: str, value: Any) -> bool:
    if value is not None and not is_true(value):
        signals.unclear.append(f"its `{key}` is false")
    return True


def _trouble(signals: Signals, key: str, value: Any) -> bool:
    if is_true(value):
        signals.unclear.append(f"it states `{key}`")
    return True


def _remark(signals: Signals, key: str, value: Any) -> bool:
    signals.remarks |= bool(value)
    if isinstance(value, str) and _LATER.search(value):
        signals.not_ready = key
    return True


def _owner(signals: Signals, key: str, value: Any) -> bool:
    if isinstance(value, str) and value.lower() != signals.dataset_id.lower():
        signals.unclear.append("it is about another dataset")
    return True


def _cursor(signals: Signals, key: str, value: Any) -> bool:
    if not signals.ignores_cursors:
        signals.note_cursor(key, value)
    return True


def _more(signals: Signals, key: str, value: Any) -> bool:
    _end(signals, key, not is_true(value))
    return True


def _last(signals: Signals, key: str, value: Any) -> bool:
    if isinstance(value, bool):
        _end(signals, key, value)
        return True
    return plain_key(key) == "lastpage" and _page_count(signals, key, value)


def _page_count(signals: Signals, key: str, value: Any) -> bool:
    number = _integer(value)
    if number is not None:
        _end(signals, key, number <= 1)
    return number is not None


def _page(signals: Signals, key: str, value: Any) -> bool:
    number = _integer(value)
    if number is not None and number > 1:
        signals.later.append(key)
    return number is not None


def _offset(signals: Signals, key: str, value: Any) -> bool:
    number = _integer(value)
    if number is not None and number > 0:
        signals.later.append(key)
    return number is not None


def _limit(signals: Signals, key: str, value: Any) -> bool:
    number = _integer(value)
    if number is not None and number > 0:
        signals.limits.append(number)
    return number is not None


def _count(signals: Signals, key: str, value: Any) -> bool:
    number = _integer(value)
    if number is not None:
        signals.note_count(key, number)
    elif value is not None:
        signals.unclear.append(f"its `{key}` is not a whole number")
    return True


def _end(signals: Signals, key: str, is_last: bool) -> None:
    if is_last:
        signals.ended = True
    else:
        signals.more.append(key)


def _can_be_sent(value: Any) -> bool:
    """Whether `value` can be sent as the field `next`: a text or a number, but not an address or a path."""
    if isinstance(value, str):
        return not holds_address(value) and not value.startswith(("/", "?", "."))
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _scalars(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _scalars(each)
    else:
        yield value


def _integer(value: Any) -> int | None:
    """`value` as an integer, if it is an integer, a float such as 3.0, or a text of digits; None for anything else."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


_Reader = Callable[[Signals, str, Any], bool]
_VOCABULARY: dict[_Reader, str] = {
    _status: "status state jobstatus jobstate datasetstatus filestatus processingstatus phase",
    _ready_flag: "ready isready complete iscomplete completed iscompleted done isdone finished isfinished available "
    "isavailable dtcompleted completedat dtfinished finishedat",
    _pending: "pending pendingfiles ispending inprogress isrunning running processing",
    _progress: "progress percent percentage percentcomplete percentdone progresspercent",
    _verdict: "success ok successful",
    _trouble: "error errors errormessage failed failures failedfiles missing missingfiles skipped skippedfiles omitted "
    "dropped unavailable warning warnings partial ispartial incomplete isincomplete expired isexpired unprocessed",
    _remark: "message messages detail details reason note notes notice remark",
    _owner: "datasetid",
    _cursor: "next nextpage nextcursor nexttoken nextpagetoken nextmarker nextkey nextoffset nexturl nextlink nexthref "
    "cursor continuationtoken nextcontinuationtoken continuation pagetoken after",
    _more: "hasmore hasnext hasnextpage more moreavailable moreresults morefiles istruncated truncated "
    "incompleteresults remaining capped cutoff",
    _last: "islast islastpage last lastpage",
    _page_count: "pages totalpages pagecount numpages",
    _page: "page currentpage pagenumber",
    _offset: "offset skip",
    _limit: "limit pagesize perpage maxkeys maxresults maxitems",
    _count: "count total filecount filescount totalfiles totalcount totalrecords totalresults totalitems totalelements "
    "recordcount records numfiles numberoffiles filestotal resultcount resultscount numresults itemcount itemscount "
    "numitems expectedfiles expectedcount returned found numberofelements",
}
SIGNAL_WORDS = frozenset(word for text in _VOCABULARY.values() for word in words(text))
_READERS = {word: read for read, text in _VOCABULARY.items() for word in words(text)}
# Only these functions accept an object or a list as the value of a key.
_OF_ANYTHING = {_status, _pending, _trouble, _cursor}
_ENTRY_WORDS = {word for word, read in _READERS.items() if read in (_status, _ready_flag, _pending, _trouble, _owner)}
