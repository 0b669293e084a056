"""What a reply says about the state of the dataset: is it ready, did it fail, is it the requested one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from learnosity.results.known_keys import ABOUT_A_FILE, FAILED_WORDS, NOT_READY_WORDS, READY_WORDS, plain_key, words
from learnosity.results.signal_keys import OWNER_IDS, Kind, kind_of
from learnosity.results.values import is_time, is_true, number, scalars, truth

Members = Sequence[tuple[str, Any]]
# Phrases in a message text of a reply which mean that the dataset is not finished yet.
_LATER = re.compile(
    r"not (yet )?(ready|available|complete|finished)|in progress|being (generated|prepared|compiled|processed|built)"
    r"|still (running|processing|generating)|try again|come back",
    re.IGNORECASE,
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# Where the id may be in an object under the key `dataset`; "" is an entry of a list.
_IDS = OWNER_IDS | words("id uuid guid identifier") | {""}
_OTHER = "it is about another dataset"


@dataclass(slots=True)
class State:
    """What one reply says about the state of the dataset.

    :param dataset_id: the dataset that was requested.
    """

    dataset_id: str
    failed: str | None = None
    """The word in the reply that means that the dataset will never be ready."""
    not_ready: str | None = None
    """The word in the reply that means that the dataset is not ready yet."""
    unclear: list[str] = field(default_factory=list)
    """Why it is not clear what the reply says about itself."""
    remarks: bool = False
    """Whether the reply contains a message for people."""
    any_status: bool = False
    """Whether an unknown status is accepted, because the Airflow connection declares where the files are."""

    def note_dataset(self, key: str, value: Any) -> None:
        """Note the id of the dataset in the object `value`, if `key` is `dataset`. The id may be a key in it."""
        if plain_key(key) not in ("dataset", "datasets") or not isinstance(value, dict):
            return
        own = [(plain_key(each), child) for each, child in value.items() if not isinstance(child, dict | list)]
        _owner_inside(self, key, [*own, *(("id", each) for each in value)])


def _status(state: State, key: str, value: Any) -> bool:
    for each in scalars(value):
        word = plain_key(str(each)) if each is not None else ""
        if word in NOT_READY_WORDS:
            state.not_ready = word
        elif word in FAILED_WORDS:
            state.failed = word
        elif word not in READY_WORDS and each not in (None, "") and not state.any_status:
            state.unclear.append(f"its `{key}` is a word that is not known")
    return True


def _ready_flag(state: State, key: str, value: Any) -> bool:
    is_ready = truth(value)
    if is_ready is None:
        return _status(state, key, value)
    if not is_ready:
        state.not_ready = key
    return True


def _pending(state: State, key: str, value: Any) -> bool:
    is_pending = truth(value)
    if is_pending is None:
        return _status(state, key, value)
    if is_pending or (isinstance(value, float) and value > 0):
        state.not_ready = key
    return True


def _progress(state: State, key: str, value: Any) -> bool:
    if isinstance(value, str) and value and not any(map(str.isdigit, value)):
        return _status(state, key, value)
    # A progress of 1 can mean 100 % or 1 %. It is read as 100 %, because results are normally requested only after
    # their job is completed.
    if value is not None and number(value) not in (1, 100):
        state.not_ready = key
    return True


def _verdict(state: State, key: str, value: Any) -> bool:
    is_right = value is None or truth(value)
    if is_right is None:
        return _status(state, key, value)
    if not is_right:
        state.unclear.append(f"its `{key}` is false")
    return True


def _trouble(state: State, key: str, value: Any) -> bool:
    if is_true(value):
        state.unclear.append(f"it states `{key}`")
    return True


def _remark(state: State, key: str, value: Any) -> bool:
    state.remarks |= bool(value)
    if isinstance(value, str) and _LATER.search(value):
        state.not_ready = key
    return True


def _flags_inside(state: State, key: str, inside: Members) -> None:
    """Note a flag that is an object. A value with a key of its own meaning was noted before."""
    flags = [each for word, each in inside if kind_of(word) is None and word not in ABOUT_A_FILE and each is not None]
    if inside and all(each is None for _, each in inside):
        flags = [None]
    for each in flags:
        STATE_READERS[kind_of(plain_key(key)) or "ready"](state, key, each)


def _progress_inside(state: State, key: str, inside: Members) -> None:
    """Note a progress that is an object: one share, or equal numbers such as `{"done": 10, "of": 10}`."""
    if any(kind_of(word) in ("progress", "status") for word, _ in inside):
        return
    values = [each for word, each in inside if kind_of(word) in _OF_PROGRESS and word not in ABOUT_A_FILE]
    numbers = [each for each in map(number, values) if each is not None]
    if len(numbers) == 1 or len(set(numbers)) > 1:
        _progress(state, key, numbers[0] if len(numbers) == 1 else 0)
    for each in values:
        if isinstance(each, str) and plain_key(each) and number(each) is None and not is_time(each):
            _progress(state, key, each)


def _remarks_inside(state: State, key: str, inside: Members) -> None:
    for _, each in inside:
        _remark(state, key, each)


def _owner(state: State, key: str, value: Any) -> bool:
    """Note the id of a dataset. If the value may be something else than an id, it is read on as possible data."""
    is_id = plain_key(key) in OWNER_IDS
    if (is_id and value is not None and not _is_same(state, value)) or _is_other(state, value):
        state.unclear.append(_OTHER)
    return is_id


def _owner_inside(state: State, key: str, inside: Members) -> None:
    """Note an id in an object. Beside the id of the dataset, another id is that of the object."""
    is_named = any(word in OWNER_IDS and _is_same(state, each) for word, each in inside)
    is_other = any(word in _IDS and _is_other(state, each) for word, each in inside)
    is_same = any(_is_same(state, each) for _, each in inside)
    is_missing = plain_key(key) in OWNER_IDS and not is_same and any(each is not None for _, each in inside)
    if is_missing or (is_other and not is_named):
        state.unclear.append(_OTHER)


def _is_same(state: State, value: Any) -> bool:
    return isinstance(value, str) and plain_key(value) == plain_key(state.dataset_id)


def _is_other(state: State, value: Any) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None and not _is_same(state, value)


STATE_READERS: dict[Kind, Callable[[State, str, Any], bool]] = {
    "status": _status,
    "ready": _ready_flag,
    "pending": _pending,
    "progress": _progress,
    "verdict": _verdict,
    "trouble": _trouble,
    "remark": _remark,
    "owner": _owner,
}
# These read a value that is an object or a list without files and rows.
INSIDE: dict[Kind | None, Callable[[State, str, Members], None]] = {
    "ready": _flags_inside,
    "verdict": _flags_inside,
    "progress": _progress_inside,
    "remark": _remarks_inside,
    "owner": _owner_inside,
}
# What a number inside a progress may be.
_OF_PROGRESS: tuple[Kind | None, ...] = (None, "ready", "count", "pages")
