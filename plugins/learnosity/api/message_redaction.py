"""Hides values in texts of the API: its error messages may repeat ids of users, names of groups and other values.

Airflow writes errors into logs, its database, events and notes. So of a text of the API only known words are shown: the
words of its errors, documented names, and numbers that count something. Everything else becomes `…`. That is closed by
default: a value need not be known to be left out. A hint of ours and the error code stand beside the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from learnosity.redaction import redact_text

LIMIT = 2000
"""A longer text is cut to this many characters."""
# A value that is nested in more than this many lists and objects is hidden. `wording` calls itself for each of them,
# and Python raises a RecursionError after too many nested calls.
DEEPEST = 20
_HIDDEN = "…"


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Ordinary words that are shown when they occur in an error message of the API. Any other ordinary word is hidden,
# because it may be the name of a person or a group.
_WORDS = _set(
    """
    a able aborted about above accepted access add addition additional after again all allowed already also an and
    another any api are array as associated at available back bad based be because been before begin being below
    between body boolean both browser but by bytes call called calls can canceled cancelled cannot certain change
    changed character characters check client code codes column columns combined comma commence compile compiled
    complete completed conflict connection consumer contain contained containing contains content could count create
    created csv currently data database dataset datasets date day days decimal decode default define defined
    deleted denied depth detail details did different digits disabled do document documented does domain done
    down duplicate duplicated during each either element elements else empty enabled encoded encoding end ended
    endpoint ends enough entered entries entry error errors exactly exceed exceeded exceeds except exist
    existing exists expect expected expire expired expires extra fail failed failure failures false fatal few
    fewer field fields file files filter filters finished first following for forbidden form format formatted found from
    full generate generated get given greater group groups had halted has have header headers hierarchy higher
    highest hold holds host hostname hour hours http https id identifier identifiers ids if in inactive
    incomplete incorrect index infiles inner input insufficient integer internal into invalid is issue it item
    items its job jobs json key keys kind known label labels large last later least length less level levels
    lies limit limits line lines list listed long longer lower lowest made malformed mandatory many match
    matches maximum memory message method minimum minute minutes mismatch missing more most must ndjson near
    need needed needs negative nested never next no non none nor not nothing null number numbers numeric object
    objects occurred of off on once one only open operation option optional options or order organisation
    organisations other out over own page parameter parameters parse parsed parsing part parts path paused pending per
    period please position positive possible previous problem process processed processing properties property
    provided queued quota range rate reached read readable reading ready reason received record recorded records
    reference references refused region rejected report reports request requested requests require required
    requires response responses result results retrieve retry returned rights row rows rules running same schema
    second seconds security see send sent server service session sessions set shape should signature signatures
    signed size small so some something sort sorted specified start started starts state status stopped storage
    stored string strings student students submitted success succeeded such supplied supported syntax system temporarily
    temporary terminated text than that the their them then there these they this those thrown time timed timeout times
    timestamp to together token too top total trailing true try type types unable unavailable unexpected
    unfinished unicode unique unknown unprocessed unrecognised unrecognized unsupported until unusable unused up
    update updated upload uploaded uploads url urls use used user users using utf uuid valid validate validated
    validation value values version versions via wait was were what when where whether which while whole with
    within without word wrong xml year years yet you your zero
    """
)
# Names in Learnosity's documentation, such as fields, endpoints and dataset types (docs/learnosity-api.md). They are
# shown, even inside quotation marks. But a request may have the same word as a value: a group level may have the key
# `score`. Then the word is hidden in the error about this request, because it may stand for this value.
_NAMES = _set(
    """
    filters options groups fields key label action activity activity_id asc attempted_max_score count_attempted
    count_sessions consumer_key dataset_id
    dataset_type default_sort_field default_sort_order default_users_sort_field default_users_sort_order desc
    discrimination_index dt_completed dt_created file_count group_count group_name group_path halted input_files
    item_position item_reference job_reference max_score maxtime mintime mean_attempted_percent
    mean_seen_activities organisation_id p_value p_value_if_attempted population question_number
    question_reference request_uuid score seen_activities seen_score session_id session_ids stddev_p_value
    stddev_p_value_if_attempted unscored_max_score user_fields user_id YYYYMMDD-HHMM activity-summary-by-group
    sessions-summary-by-group ibk-analysis-by-question activity-analysis-by-question reports/datasets
    jobs/reports/datasets utf-8 rfc iso
    """
)
# Fields of a request whose values are names of the API, such as `population` in `fields`. These values may be shown.
# The values of all other fields of the request are hidden in the error about this request.
_NAMED_BY_THE_API = _set(
    """
    dataset_type fields user_fields default_sort_field default_sort_order default_users_sort_field
    default_users_sort_order status
    """
)
_STATISTIC = re.compile(r"(?:lowest|highest|mean|median|stddev|p\d\d)_(?:score|percent)")
# Words in capital letters. They are shown if they are written exactly so. `_WORDS` has only words in small letters.
_ACRONYMS = _set(
    """
    API CSV HTTP HTTPS ID IDS JSON NDJSON OK RFC UNIX URL URLS UTC UTF UTF-8 UUID XML
    """
)
# A word that begins with a capital letter, such as `Long`, may be a person's name, so it is hidden. But a sentence also
# begins with a capital letter: there, `Long` is shown, because `_WORDS` has `long`. After `:`, `;` and `(`, a sentence
# may begin, or a name may follow, as in `Unknown student: Long`. So there, such a word is shown only if this list has
# it: the words of this list are nobody's name.
_NO_NAMES = _set(
    """
    Cannot Duplicate Expected Failed Incorrect Invalid Malformed Missing Not Required The This Unable Unexpected
    Unknown Unrecognised Unrecognized Unsupported
    """
)
# A word with an apostrophe, such as `isn't`, is split into two parts, `isn` and `t`. The word is shown only if both
# parts may be shown. This list has the parts that are not in `_WORDS`.
_CUT = ("s", "t", "isn", "aren", "doesn", "don", "didn", "hasn", "couldn")
# A number in an error message may be an id, so it is hidden, unless it has at most 9 characters and stands
# - after a word of `_COUNTING`, as the 7 of `line 7`, or before a word of `_UNITS`, as the 7 of `7 bytes`,
# - or after such a number and `and`, as the 10 of `between 1 and 10`.
# Only blanks may stand between them: the 12 of `line 7, 12` is hidden.
_COUNTING = _set(
    """
    at between byte bytes code column exceeds file http index least length level limit line lines maximum
    minimum most only part position row status than within
    """
)
_UNITS = _set(
    """
    bytes characters days digits entries files hours lines minutes objects records rows seconds times values
    """
)

# `_QUOTED` finds quoted text, which is hidden unless it is a documented name. It knows the quotation marks of several
# languages. A mark such as `'` inside a word is an apostrophe, so no quoted text begins or ends there.
_ANGLES = ("\u00ab\u00bb", "\u00bb\u00ab", "\u2039\u203a", "\u203a\u2039", "\u300c\u300d", "\u300e\u300f")
_SINGLE = ("''", "\u2018\u2019", "\u201a\u2018", "\u201a\u2019")
_QUOTED = "|".join(
    [
        *(f"{mark}[^{mark}]*{mark}" for mark in '"`\uff02'),
        r"(?<!\w)\u00b4[^\u00b4]*?\u00b4(?!\w)",
        r"(?:\u201c|(?<!\w)[\u201d\u201e])[^\u201c-\u201e]*[\u201c\u201d]",
        *(f"{pair[0]}[^{pair}]*{pair[1]}" for pair in _ANGLES),
        *(rf"(?<!\w){pair[0]}[^{pair[0]}]*?{pair[1]}(?!\w)" for pair in _SINGLE),
        r"(?<!\w)\u2019[^\u2019]*\u2019(?!\w)",
        r"(?<!\w)\u00b4[^\u00b4]*\u00b4",
    ]
)
_TOKEN = re.compile(
    r"(?P<url>[a-z][a-z0-9+.-]{1,20}://[^\s\"'<>]*)"
    rf"|(?P<quoted>{_QUOTED})"
    r"|(?P<word>[^\W\d_](?:[\w./'-]*\w)?)"
    r"|(?P<number>\d+(?:\.\d+)?)(?![\w@])"
    r"|(?P<other>[\w@$#%&*+/\\^~|<>-]+)"
    r"|(?P<plain>\s+|.)",
    re.DOTALL,
)
_REPEATED = re.compile(r"…(?:[\s,.'/@_-]*…)+")


def wording(said: Any, sent: Any = None, *, depth: int = 0) -> str:
    """A text of the API with `…` in place of each value, such as an id or a name.

    :param said: a text, or another JSON value, of a reply.
    :param sent: the request that is answered. Its values are left out even where they are usual words.
    :param depth: how many lists and objects of the reply are around `said`. What is too deep is left out.
    """
    if depth > DEEPEST:
        return _HIDDEN
    if isinstance(said, str):
        return _masked(said, sorted(set(_values(sent)), key=len, reverse=True))
    if isinstance(said, Mapping):
        return "{" + ", ".join(_pair(str(key), value, sent, depth) for key, value in list(said.items())[:20]) + "}"
    if isinstance(said, list):
        return "[" + ", ".join(wording(value, sent, depth=depth + 1) for value in said[:20]) + "]"
    return msgspec.json.encode(said).decode() if said is None or isinstance(said, bool) else _HIDDEN


def _pair(key: str, value: Any, sent: Any, depth: int) -> str:
    counts = key == "code" and isinstance(value, int) and 0 <= value < 100_000
    return f"{_masked(key, ())}: {value if counts else wording(value, sent, depth=depth + 1)}"


def _masked(text: str, own: Sequence[str]) -> str:
    """`text` with `…` in place of each value.

    :param own: values that are left out whatever they are, long ones first.
    """
    # The text is cut to `LIMIT` characters only below, after `_TOKEN` has found the quoted texts. If it were cut here,
    # a quoted text could lose its second mark. Then it would not be found as quoted, and its words would be shown.
    text = redact_text(text)
    for value in own:
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", _HIDDEN, text, flags=re.IGNORECASE)
    tokens = [token for token in _TOKEN.finditer(text) if token.start() < LIMIT]
    shown: list[str] = []
    # These three describe the token before the current one; blanks are skipped. `before`: its text, if it is a word.
    # `counts`: whether it is a number next to a word of `_COUNTING` or `_UNITS`, or the `and` after such a number.
    # `end`: its text, if it is a mark such as `:`. A message begins with a sentence, so `end` is `.` at first. After
    # `. (`, a sentence may begin, too, so `(` does not replace the `.`.
    before, counts, end = "", False, "."
    for place, token in enumerate(tokens):
        piece = token[0]
        if token["plain"] is not None:
            if not piece.isspace():
                before, counts = "", False
                end = end if piece == "(" and end else piece
            shown.append(piece)
            continue
        if token["number"] is not None:
            blank, after = ([each[0].lower() for each in tokens[place + 1 : place + 3]] + ["", ""])[:2]
            is_unit = blank.isspace() and after in _UNITS
            is_second = counts and before == "and"
            counts = len(piece) <= 9 and (before in _COUNTING or is_unit)
            piece = piece if counts or (is_second and len(piece) <= 9) else _HIDDEN
            before = ""
        else:
            before = piece.lower()
            counts = counts and before == "and"
            is_safe = piece in _NO_NAMES and end in (":", ";", "(")
            piece = piece if _is_wording(token, begins=is_safe or end in (".", "!", "?")) else _HIDDEN
        end = ""
        shown.append(piece)
    return _REPEATED.sub(_HIDDEN, "".join(shown)).strip()


def _is_wording(token: re.Match[str], *, begins: bool) -> bool:
    """Whether a token is a word of the API, and not a value."""
    if token["quoted"] is not None:
        return _is_name(token[0][1:-1])
    word = token["word"]
    if word is None:
        return False
    return _is_name(word) or all(_is_word(part, begins=begins) for part in re.split(r"[/']", word))


def _is_word(word: str, *, begins: bool) -> bool:
    if word in _ACRONYMS or word in _CUT:
        return True
    return (word.islower() or (begins and word.istitle())) and word.lower() in _WORDS


def _is_name(text: str) -> bool:
    """Whether a text is documented: a name, or names with dots between."""
    return all(
        part in _NAMES
        or part in ("filters", "options", "groups", "fields", "key", "label")
        or _STATISTIC.fullmatch(part)
        for part in text.split(".")
    )


def _values(sent: Any) -> Iterator[str]:
    """All texts of a request, but for those that are meant to be names of the API."""
    if isinstance(sent, Mapping):
        for key, value in sent.items():
            if key not in _NAMED_BY_THE_API:
                yield from _values(value)
    elif isinstance(sent, list | tuple):
        for value in sent:
            yield from _values(value)
    elif isinstance(sent, str) and re.search(r"\w", told := redact_text(sent)):
        yield told
