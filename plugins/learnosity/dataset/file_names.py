"""Checks which names of result files may become paths. The names come from a server, so they are not trusted.

A name is refused if it could leave its folder, or if it clashes with another name. Then nothing is written. Names are
never changed: nobody would find a file under another name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from learnosity.dataset.local_table import LocalTable
from learnosity.errors import UnsafeNameError
from learnosity.storage.object_names import LOCAL_RESERVED

# Longest path of a result file, and longest part of a path between two slashes, in bytes. S3 allows 1,024 bytes for the
# destination prefix and this path together. File systems usually allow 255 bytes for each part, and while a file `a` is
# written, it has a longer name, such as `a#1`. So both limits leave room.
MAX_PATH_BYTES = 700
MAX_SEGMENT_BYTES = 240
_SHOWN = 10  # an error message quotes at most this many clashes of names, and says how many there are in all
_PLAIN = re.compile(r"(?:[A-Za-z0-9_%+=,@-][A-Za-z0-9_.%+=,@ -]*/)*[A-Za-z0-9_%+=,@-][A-Za-z0-9_.%+=,@ -]*")
_NAME_TWICE = (
    " (if the reply tells files of one name apart in another way, declare that as `name` in the extra `results` of the "
    "connection, such as join('.', [name, format]), then clear list_files)"
)
# This character replaces `/` when paths are sorted, because `-` and other characters sort before `/`. So `a` stands
# directly before `a/b`, even if there is an `a-b`. Then a comparison of neighbours finds a name that is both a file and
# a folder. No name contains this character: `safe_path` accepts no control characters.
_SLASH = "\x01"
# Characters that file names must not contain, because a name with them can look like another name: line ends,
# characters that change the direction of the text, and the invisible byte order mark.
_DECEPTIVE = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def safe_path(name: object) -> str:
    """Return `name` unchanged if it may become a relative path.

    :raises UnsafeNameError: `name` may not become a path; the message says why.
    """
    if not isinstance(name, str) or not name:
        raise UnsafeNameError("A result file has no name.")
    # Most names pass the fast checks of the next two lines. Only the others need the slow rules of `_refusal`.
    plain = _PLAIN.fullmatch(name) is not None and len(name) <= MAX_SEGMENT_BYTES
    reason = None if plain and " /" not in name and not name.endswith(" ") else _refusal(name)
    if reason:
        raise UnsafeNameError(f"The result file {name[:80]!a} cannot be landed: {reason}. Nothing was written.")
    return name


def check_names(names: Iterable[str], *, local: bool = False, ignores_case: bool = False) -> None:
    """Refuse a listing with names that repeat, are equal after Unicode normalisation, or are both file and folder.

    :param names: names that `safe_path` has accepted.
    :param local: whether the destination is a file system, which has stricter rules.
    :param ignores_case: whether the destination takes `A` and `a` for one file or folder.
    :raises UnsafeNameError: at least one such name exists. The message has the first ten and their number.
    """
    table = LocalTable("CREATE TABLE names (sorted TEXT, name TEXT)")
    sorting = _folded if ignores_case else _sorted
    table.change_many("INSERT INTO names VALUES (?, ?)", ((sorting(name), name) for name in names))
    number, twice, shown = 0, False, list[str]()
    above, earlier = "", ""
    for key, name in table.rows("SELECT sorted, name FROM names ORDER BY sorted, name"):
        clashes: list[str] = []
        if ignores_case and _differ_by_case(earlier, name):
            clashes.append(f"{earlier[:80]!a} and {name[:80]!a} differ by case alone, which the destination ignores")
        elif earlier and key == above:
            clashes.append(f"{name[:80]!a} {'is listed twice' if earlier == name else 'collides with another name'}")
        elif earlier and key.startswith(above + _SLASH):
            clashes.append(f"{earlier[:80]!a} is both a file and a folder")
        if local and any(LOCAL_RESERVED.search(segment) for segment in name.split("/")):
            clashes.append(f"{name[:80]!a} ends as '#1' or 'C:' do, which the local store cannot keep")
        # `_NAME_TWICE` advises how to declare the names of files that a reply lists. It does not fit files like
        # `groups/…/group.json`: landing makes them from groups in a reply, and chooses these names itself. So if only
        # such names are there twice, the message does not have this advice.
        twice |= name == earlier and not (name.startswith("groups/") and name.endswith("/group.json"))
        number += len(clashes)
        shown += clashes[: _SHOWN - len(shown)]
        above, earlier = key, name
    if number:
        lines = "\n  ".join(shown)
        raise UnsafeNameError(
            f"{number} result file names cannot be landed side by side; nothing was written"
            f"{_NAME_TWICE if twice else ''}:\n  {lines}"
        )


def _sorted(name: str) -> str:
    """The normalised name, such that a folder comes right before what is in it when names are sorted."""
    return (name if name.isascii() else unicodedata.normalize("NFC", name)).replace("/", _SLASH)


def _folded(name: str) -> str:
    return _sorted(name.casefold())


def _differ_by_case(earlier: str, name: str) -> bool:
    """Whether a folder or the file has two spellings that differ by case alone."""
    for one, other in zip(earlier.split("/"), name.split("/"), strict=False):
        if _sorted(one) != _sorted(other):
            return _folded(one) == _folded(other)
    return False


def _refusal(name: str) -> str | None:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "its name is not valid Unicode"
    if size > MAX_PATH_BYTES:
        return f"its name is longer than {MAX_PATH_BYTES} bytes"
    if name.startswith("/") or "\\" in name or re.match(r"[A-Za-z]:", name):
        return "its name is an absolute path or holds a backslash"
    if any(unicodedata.category(char) in ("Cc", "Cs") or char in _DECEPTIVE for char in name):
        return "its name holds control characters"
    for segment in name.split("/"):
        if segment in ("", ".", ".."):
            return "its name holds an empty, '.' or '..' part"
        if len(segment.encode()) > MAX_SEGMENT_BYTES:
            return f"a part of its name is longer than {MAX_SEGMENT_BYTES} bytes"
        if segment != segment.strip():
            return "a part of its name begins or ends with a blank"
    return None
