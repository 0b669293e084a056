"""What was noted about the state of the dataset while one reply is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from learnosity.results.known_keys import plain_key
from learnosity.results.owners import is_other, names_other
from learnosity.results.signal_keys import shown_key

OTHER = "it is about another dataset"


@dataclass(slots=True)
class State:
    """What one reply says about the state of the dataset.

    :param dataset_id: the dataset that was requested.
    :param first_page: whether the request had no cursor.
    """

    dataset_id: str
    failed: str | None = None
    """The word in the reply that means that the dataset will never be ready."""
    not_ready: str | None = None
    """The word in the reply that means that the dataset is not ready yet."""
    unclear: list[str] = field(default_factory=list)
    """Why it is not clear what the reply says about itself."""
    is_final: bool = False
    """Whether the first of these reasons is final: asked again, the API would reply the same."""
    more: list[str] = field(default_factory=list)
    """Keys that say that this is not the last page."""
    hints: list[str] = field(default_factory=list)
    """Those of them that only say how to ask for more, whether or not there is more."""
    is_closed: bool = False
    """Whether something in the reply says that no page follows."""
    first_page: bool = True
    later: list[str] = field(default_factory=list)
    """Keys that say that this is not the first page."""
    remarks: bool = False
    """Whether the reply contains a message for people."""
    linked: set[Any] = field(default_factory=set, repr=False)
    """Values of warnings about the API. An address in such a text leads to documentation, and not to a file."""
    any_status: bool = False
    """Whether an unknown status is accepted, because the Airflow connection declares where the files are."""
    ignores_cursors: bool = False
    """Whether the Airflow connection declares where the cursor is. Then no other cursor is read."""
    ignored_cursors: list[str] = field(default_factory=list)
    """The keys of cursors that have a value, and were not read for this reason."""
    ignores_counts: bool = False
    """Whether the Airflow connection declares where the number of files is. Then no other count is read."""
    ignores_parts: bool = False
    """Whether a text may say that the reply is a part, because the number of files or the content is declared."""
    cursors_aside: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """This object of cursors says nothing: the declared `next` beside it says whether a page follows."""

    def doubt(self, key: str, why: str) -> None:
        """Note a reason that is about a key. The key may be data: one that does not look like a word is masked.

        :param why: the reason, with `{}` where the key is shown.
        """
        self.unclear.append(why.format(shown_key(key)))

    def refuse(self, why: str, key: str = "") -> None:
        """Note a reason as `doubt` does, which would be the same if the API were asked again."""
        self.is_final |= not self.unclear  # `is_final` is about the first reason, because no other is shown
        self.doubt(key, why)

    def note_dataset(self, key: str, value: Any) -> None:
        """Note the id of the dataset in the object `value`, if `key` is `dataset`. The id may be a key in it."""
        if plain_key(key) not in ("dataset", "datasets") or not isinstance(value, dict):
            return
        if any(is_other(self.dataset_id, each) for each in value) or names_other(self.dataset_id, value, nested=False):
            self.refuse(OTHER)

    def note_hint(self, key: str) -> None:
        """Note a text that says how to ask for more. It may be in each reply, and so also on the last page."""
        if self.first_page and not self.is_closed:
            self.hints.append(key)
            self.more.append(key)

    def close(self) -> None:
        """Note that no page follows. Then a hint says nothing."""
        self.is_closed = True
        for key in self.hints:
            self.more.remove(key)
        self.hints.clear()
