"""What a reply says about the state of the dataset: is it ready, did it fail, is it the requested one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from learnosity.results.api_warnings import is_about_api
from learnosity.results.content import holds_rows
from learnosity.results.known_keys import ABOUT_A_FILE, FAILED_WORDS, NOT_READY_WORDS, READY_WORDS, plain_key, words
from learnosity.results.noted import OTHER, State
from learnosity.results.owners import is_other, is_same, names_other
from learnosity.results.shortfall import shortfalls
from learnosity.results.signal_keys import OWNER_IDS, Kind, kind_of
from learnosity.results.spoken import (
    is_failure,
    is_word_of_state,
    said_badly,
    says_later,
    says_no,
    says_part,
    says_unfinished,
    says_yes,
)
from learnosity.results.values import (
    as_flag,
    is_length_of_time,
    is_time,
    is_true,
    members,
    number,
    objects,
    scalars,
    truth,
)

_EPOCH = 10**8  # a number of at least this much is a time in Unix seconds, and not a progress
_WAY_OUT = " (if the reply is the whole, declare `count` as well, or `inline`)"
# A flag may be an object, as in `{"ready": {"value": true}}`, with its value under one of these keys. It may also be a
# list, as in `{"ready": [true]}`: its entry has no key, and the empty key stands for it.
_FLAG_WORDS = words("value is flag state result answer") | {""}
# A message may be a list, or an object such as `{"message": {"text": "Failed"}}`. In it, a text under one of these keys
# may say the state of the dataset. Under another key, a word such as `Failed` may mean something else, so `_remark`
# does not take it for the state. The empty key stands for the entries of a list.
_TEXTS = words("text message title value") | {""}
# Under the key `status`, these words mean that the dataset is not ready. As a message, they do not mean this: `Created`
# and `Accepted` may be words of HTTP, and `scheduled` or `requested` may say why the dataset was made.
_NO_STATES = words("created accepted new scheduled requested")
# A progress may be an object, as in `{"progress": {"done": 5, "of": 10}}`. `_DONE`: keys of how much is done (5).
# `_WHOLE`: keys of how much there is in all (10). Without a `_WHOLE` key, the value of a `_DONE` key is read as a share
# or a percentage. In a list, as in `{"progress": [50]}`, a number has no key: the empty key in `_DONE` stands for it.
_DONE = words("done complete completed finished processed current value count number") | {""}
_WHOLE = words("of outof total max maximum all expected")
# Without a `_WHOLE` key, `_shares` skips these keys. The 5 in `{"progress": {"count": 5}}` counts files or users, and
# is no share.
_ONLY_OF = words("count number")


def _status(state: State, key: str, value: Any) -> bool:
    for each in scalars(value):
        word = plain_key(str(each)) if each is not None else ""
        if word in NOT_READY_WORDS:
            state.not_ready = word
        elif word in FAILED_WORDS:
            state.failed = word
        elif word not in READY_WORDS and each not in (None, "") and not state.any_status:
            state.doubt(key, "its {} is a word that is not known")
    return True


def _ready_flag(state: State, key: str, value: Any) -> bool:
    if (is_ready := truth(value)) is None:
        return says_yes(plain_key(key), value) or _status(state, key, value)
    if not is_ready:
        state.not_ready = key
    return True


def _pending(state: State, key: str, value: Any) -> bool:
    if plain_key(key) == "processing" and is_length_of_time(value):
        return True  # the value says how long the processing took, so it has ended
    if (is_pending := truth(value)) is None:
        return _status(state, key, value)
    # `truth` is False for 0.5 and for the text `40%`, but such a share says that something is still pending.
    if is_pending or (number(value) or 0) > 0:
        state.not_ready = key
    return True


def _progress(state: State, key: str, value: Any) -> bool:
    if isinstance(value, str) and value and not any(map(str.isdigit, value)):
        return _status(state, key, value)
    # A progress of 1 can mean 100 % or 1 %. It is read as 100 %, because results are normally requested only after
    # their job is completed. But the text `1%` can only mean 1 %, so the dataset is not ready.
    if value is not None and _share(value) not in (1, 100):
        state.not_ready = key
    return True


def _verdict(state: State, key: str, value: Any) -> bool:
    if plain_key(key) == "final" and as_flag(value) is None:
        return False  # the value is no flag: it may be a grade or a label
    is_right = value is None or truth(value)
    if is_right is None:
        return says_yes(plain_key(key), value) or _status(state, key, value)
    is_of_listing = plain_key(key) not in ("success", "ok", "successful")
    if not is_right and not (is_of_listing and state.ignores_parts):
        state.doubt(key, f"its {{}} is false{_WAY_OUT if is_of_listing else ''}")
    return True


def _trouble(state: State, key: str, value: Any) -> bool:
    texts = [each for each in scalars(value) if each]
    is_warning = plain_key(key).startswith("warning") and all(kind_of(each) != "trouble" for each, _ in members(value))
    if is_warning and is_about_api(value, state.dataset_id):
        state.linked.update(texts)
    elif is_true(value):
        if any(isinstance(each, str) and says_later(each) for each in texts):
            state.doubt(key, "its {} says that it is not ready")
        else:
            state.refuse("it states {}", key)
    return True


def _remark(state: State, key: str, value: Any, *, may_be_state: bool = True) -> bool:
    state.remarks |= bool(value)
    if isinstance(value, str) and holds_rows(value):
        state.doubt(key, "its {} may be content")
    elif isinstance(value, str) and may_be_state and is_failure(value):
        state.refuse("it states {}", key)
    elif isinstance(value, str) and may_be_state and plain_key(value) in NOT_READY_WORDS - _NO_STATES:
        state.not_ready = key
    elif isinstance(value, str):
        _note_text(state, key, value)
    return True


def _said(state: State, key: str, value: Any) -> bool:
    """Note a text that may say the state. It is read on as possible data, too: it may be something else."""
    if said_badly(value):
        state.refuse("it states {}", key)
    elif plain_key(value) in NOT_READY_WORDS:
        state.not_ready = key
    else:
        _note_text(state, key, value)
    return False


def _note_text(state: State, key: str, text: str) -> None:
    """Note what a text says of the listing. If a number of files is declared, that says whether files are missing."""
    said = shortfalls(text)
    if says_unfinished(text) or ("later" in said and not state.ignores_parts):
        state.not_ready = key
    elif state.ignores_parts:
        return
    elif says_part(text):
        state.doubt(key, f"its {{}} says that this is a part{_WAY_OUT}")
    elif "more" in said:
        state.more.append(key)
    elif "end" in said:
        state.later.append(key)
    elif "hint" in said:
        state.note_hint(key)


def _flags_inside(state: State, key: str, value: Any) -> None:
    """Note a flag that is an object. A value with a key of its own meaning was noted before.

    A whole number under another key is a number of something, and not a flag. Beside a time, words describe the time.
    """
    inside = list(members(value))
    read = STATE_READERS[kind_of(plain_key(key)) or "ready"]
    if inside and all(each is None for _, each in inside):
        read(state, key, None)
    is_dated = any(isinstance(each, str) and is_time(each) and truth(each) for _, each in inside)
    for word, each in inside:
        if kind_of(word) is not None or word in ABOUT_A_FILE or each is None:
            continue
        if word in _FLAG_WORDS or word == plain_key(key) or _may_be_flag(state, each, is_dated=is_dated):
            read(state, key, each)


def _may_be_flag(state: State, value: Any, *, is_dated: bool) -> bool:
    """Whether a value in an object of a flag may be the flag, although its key does not say so."""
    if isinstance(value, str) and (state.any_status or (is_dated and truth(value) is None)):
        return is_word_of_state(value) or (not state.any_status and says_no(value))
    if isinstance(value, str):
        return not value.strip().isdigit()
    return not state.any_status and (isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()))


def _progress_inside(state: State, key: str, value: Any) -> None:
    """Note a progress that is an object: a share, or what is done of how much, as in `{"done": 10, "of": 10}`.

    If nothing in it has a known key, it may be one number or several equal ones. A declaration is then enough, too.
    """
    inside = list(members(value))
    if any(kind_of(word) in ("progress", "status") for word, _ in inside):
        return
    shares = [share for each in objects(value) for share in _shares(each)]
    for share in shares:
        _progress(state, key, share)
    values = [each for word, each in inside if kind_of(word) in _OF_PROGRESS and word not in ABOUT_A_FILE]
    if shares or state.any_status:
        texts = [each for each in values if isinstance(each, str)]
        values = [each for each in texts if is_word_of_state(each) or ("%" in each and not shares)]
    numbers = [each for each in map(_share, values) if each is not None]
    if len(numbers) == 1 or len(set(numbers)) > 1:
        _progress(state, key, numbers[0] if len(numbers) == 1 else 0)
    for each in values:
        is_share = isinstance(each, str) and ("%" in each or number(each) is None)
        if is_share and plain_key(each) and not is_time(each):
            _progress(state, key, each)


def _share(value: Any) -> float | None:
    """`value` as a number, of which 1 and 100 are the whole. A text of 1 % is 0: with its sign, only 100 is."""
    share = number(value)
    return 0 if share == 1 and isinstance(value, str) and "%" in value else share


def _shares(record: list[tuple[str, Any]]) -> list[Any]:
    """What the known keys of one object say about its progress: shares, of which 1 and 100 are the whole."""
    done = [(word, each) for word, each in record if word in _DONE and each is not None]
    whole = {each for word, value in record if word in _WHOLE and (each := number(value)) is not None}
    shares: list[Any] = []
    for word, each in done:
        share = _share(each)
        if share is None and kind_of(word) == "ready":
            # A flag or a time, as in `"done": true`. `_ready_flag` has read it before: if it is false, the dataset is
            # not ready. So it need not be judged again, and counts as done here.
            shares.append(1)
        elif whole and share is not None and share < _EPOCH:
            shares.append(1 if share in whole else 0)
        elif not whole and word not in _ONLY_OF and not (share is not None and share >= _EPOCH):
            shares.append(each)
    return shares


def _remarks_inside(state: State, key: str, value: Any) -> None:
    for word, each in members(value):
        _remark(state, key, each, may_be_state=word in _TEXTS)


def _owner(state: State, key: str, value: Any) -> bool:
    """Note the id of a dataset. If the value may be something else than an id, it is read on as possible data."""
    is_id = plain_key(key) in OWNER_IDS
    if (is_id and value is not None and not is_same(state.dataset_id, value)) or is_other(state.dataset_id, value):
        state.refuse(OTHER)
    return is_id


def _owner_inside(state: State, key: str, value: Any) -> None:
    """Note the id of a dataset in an object or a list."""
    inside = list(scalars(value))
    is_found = any(is_same(state.dataset_id, each) for each in inside)
    is_missing = plain_key(key) in OWNER_IDS and not is_found and any(each is not None for each in inside)
    if is_missing or names_other(state.dataset_id, value):
        state.refuse(OTHER)


STATE_READERS: dict[Kind, Callable[[State, str, Any], bool]] = {
    "status": _status,
    "ready": _ready_flag,
    "pending": _pending,
    "progress": _progress,
    "verdict": _verdict,
    "trouble": _trouble,
    "remark": _remark,
    "said": _said,
    "owner": _owner,
}
# An object or a list under a key such as `ready` may contain files, so it is read as data first. If it has no file and
# no row, it says something about the state. Then `Signals.note_unread` calls the function for the kind of its key.
INSIDE: dict[Kind | None, Callable[[State, str, Any], None]] = {
    "ready": _flags_inside,
    "verdict": _flags_inside,
    "progress": _progress_inside,
    "remark": _remarks_inside,
    "owner": _owner_inside,
}
# A progress may be an object, as in `{"progress": {"value": 100}}`. If the key of a number in it is of one of these
# kinds, the number may be the progress itself. None: keys that have no kind, such as `value`.
_OF_PROGRESS: tuple[Kind | None, ...] = (None, "ready", "count", "pages")
