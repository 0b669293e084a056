"""Makes texts and URLs from outside safe for a log line: removes user info, URL queries, signatures and keys.

A text may hold a secret in many spellings: in a URL, in a path with its query, percent-encoded, in XML, in JSON, in a
header, in the text of a Python or PHP value. So the text is decoded first, and then read by structure: what follows a
`?`, what is named like a secret, and what looks like one.
"""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import unquote, urlsplit

# Maximum number of characters. A longer text is cut before it is redacted, because redacting a very long text takes
# long, and an attacker may have sent one.
MAX_TEXT = 8000
_MAX_PATH = 1000  # maximum number of characters of a URL's path; of a longer path, only the beginning is shown
# A word of a text ends before one of these characters. `_cut` uses this: it drops the last word of a text that it cuts.
# U+2028 is one of them, because `storage.errors.first_line` puts it in place of each line break.
_WORD_ENDS = " \t\n\u2028\"'<>"
# A text is decoded at most this many times. It may be encoded several times: for example, a URL in the parameter of
# another URL. The limit keeps the time short.
_MAX_DECODINGS = 10
_ESCAPE = re.compile(r"\\{1,8}(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([/\"']))")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

# User name and password before the host of a URL. A password may contain `/`, `@` or a blank that should be encoded.
# `://u:a/b@c@host`: the last `@` before a blank, or before the end of the text, ends the password.
# `://u:my pass@host`: no `@` is before the blank. So the blank is in the password, and the next `@` ends it.
# `://host:8080/a@b`: a port is behind the colon. So `host` is the host, there is no password, and nothing is removed.
_USER_INFO = re.compile(
    r"://(?:[^\s/?#]*|[^\s/?#:@\[]{0,200}:(?!\d{1,5}(?:[/?#\s]|$))[^\s\"'<>]{0,400}"
    r"|[^\s/?#:@\[]{1,200}:(?!\d{1,5}\b)[^\s@\"'<>]{1,200}[ \t][^@\"'<>\n\u2028]{0,200})@",
)
_QUERY = re.compile(r"\?[^\s?\"'<>]{0,2000}?=[^\s\"'<>]*|(?<=[A-Za-z0-9_/])#[^\s\"'<>]*=[^\s\"'<>]*")
_URL_QUERY = re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s?#\"'<>]*)[?#][^\s\"'<>]*", re.IGNORECASE)
_NAME = (
    r"(?:x-(?:amz|goog|ms)-[\w-]{0,40}|[\w-]{0,40}(?:signature|secret|passw(?:or)?d|passphrase|token|credential|"
    r"authorization|(?:access|api|private|account)[_-]?key|accesskeyid|googleaccessid|stringtosign)[\w-]{0,40}|sig|pwd|"
    r"bearer)"
)
# A quote. If JSON is a text inside other JSON, backslashes stand before its quotes: `{"body": "{\"token\": …}"}`.
_MARK = r"\\{0,8}[\"']"
# A text in quotes, such as `"…"`. Python writes a `b` before the quotes of bytes. The text ends at the next quote of
# the same kind with the same number of backslashes before it. A doubled quote does not end it. So `"a\"b"` is one text,
# and so is `'it''s'`. If no quote ends it, the text may have been cut. Then all that follows is taken for a part of it,
# so that no part of a secret is shown.
_QUOTED = (
    r"[bBuUrR]?(?P<slashes>\\{0,8})(?P<quote>[\"'])"
    r"(?s:(?<!\\)(?P=quote){2}|(?!(?<!\\)(?P=slashes)(?P=quote)).)*+(?:(?P=slashes)(?P=quote)|\Z)"
)
# What may follow the name of a secret: a text in quotes, a list `[…]`, an object `{…}`, something in round brackets, or
# a word. Before the bracket, a name may stand, as in `SecretStr(…)` or `Array (…)`. Before the word, the scheme
# `Bearer` or `Basic` may stand, as in `token: Bearer …`.
_VALUE = re.compile(
    rf"{_QUOTED}|(?P<nested>(?:array\s*(?=\()|[\w.]{{0,40}})[\[{{(])"
    rf"|(?:(?:bearer|basic)\s+)?(?:(?!\\+[\"'])[^\s,;&<>\"'}}])+",
    re.IGNORECASE,
)
_ESCAPED_QUOTE = re.compile(r"\\[\"']")
# Every name that `_NAME` finds contains one of these words. Most texts contain none of them, and so no such name. Then
# the slow patterns with `_NAME` are skipped.
_MAY_NAME = re.compile(
    r"signature|secret|passw|passphrase|token|credential|authorization|key|accessid|stringtosign|sig|pwd|bearer"
    r"|x-(?:amz|goog|ms)-",
    re.IGNORECASE,
)
# What stands before the two digits of an encoded character: `%` (which may be encoded itself, as `%25`), or a backslash
# with `u00` or `x`.
_ENCODED = r"(?:%(?:25){0,9}|\\{1,8}(?:u00|x))"
# The beginning of a value in quotes or brackets that are still encoded, as in `%22correct horse%22`. If this value was
# removed before it is decoded, only its first word `%22correct` would go, and ` horse` would be shown. So `_goes_on`
# finds such values, and they are removed after they are decoded. For `%22`, the group `of_quote` is `%`, and the group
# `quote` is `22`.
_ENCODED_BEGIN = re.compile(
    rf"(?:[bur]?|(?:bearer|basic)\s+)(?P<of_quote>{_ENCODED}(?:5c)?)(?P<quote>22|27)"
    rf"|[\w.]{{0,40}}(?P<of_bracket>{_ENCODED})(?P<bracket>28|5b|7b)|[bur]\Z",
    re.IGNORECASE,
)
# Maps the digits of an encoded quote or bracket that opens to the digits of the one that closes: `28`, which is `(`, to
# `29`, which is `)`.
_CLOSES = {"22": "22", "27": "27", "28": "29", "5b": "5d", "7b": "7d"}
_IN_NESTED = re.compile(rf"(?<!\w){_QUOTED}|(?P<begin>[\[{{(])|(?P<end>[\]}})])")
# A value that ends in the name of a further secret, as in `token=password: …`. The text behind that name is the secret,
# so `_value_at` returns that text.
_ENDS_IN_NAME = re.compile(rf"{_NAME}(?:{_MARK}|\]){{0,2}}(?:=>|:=|[:=])\Z", re.IGNORECASE)
_BLANKS = re.compile(r"[^\S\u2028]*")
_NAMED = re.compile(rf"(?:{_MARK})?\b{_NAME}\b(?:{_MARK}|\]){{0,2}}\s*(?:=>|:=|[:=])\s*", re.IGNORECASE)
# After `Authorization:`, the scheme may be any word, such as `AWS`, `SharedKey` or `Negotiate`. The scheme and the next
# word are removed.
_SCHEME = re.compile(
    r"(?P<name>\b[\w-]{0,40}authorization\b\s*[:=]\s*)[A-Za-z][\w-]{0,30}\s+[^\s,;&<>\"'}]+", re.IGNORECASE
)
# Three more forms of a secret with its name. `_PAIR`: `("signature", "…")`. `_NAME_AND_VALUE`: `{"name": "signature",
# "value": "…"}`, or the same as XML attributes. `_ELEMENT`: an XML element such as `<Signature>…</Signature>`.
_PAIR = re.compile(rf"(?P<name>[\[(]\s*b?{_MARK}{_NAME}{_MARK}\s*,\s*){_QUOTED}(?=\s*(?:[\])]|\Z))", re.IGNORECASE)
_NAME_AND_VALUE = re.compile(
    rf"\b(?:name|key)\b(?:{_MARK})?\s*[:=]\s*{_MARK}{_NAME}{_MARK}[\s,]{{1,10}}(?:{_MARK})?value\b(?:{_MARK})?\s*[:=]\s*",
    re.IGNORECASE,
)
_ELEMENT = re.compile(
    rf"(?P<name><(?P<tag>(?:[\w.-]{{1,40}}:)?{_NAME})(?:\s[^>]{{0,200}})?>)"
    rf"(?:(?s:.{{0,2000}}?)(?=</(?P=tag))|\s*(?:<!\[CDATA\[)?[^<]+)",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE)
# Texts without a name that look like a secret: a signature of Learnosity with a prefix such as `$02$`, a hex digest (32
# digits or more), or a key (40 characters or more, among them upper case letters, lower case letters and digits). A `/`
# ends such a key, because a path would look like a key otherwise. So a key with a `/` may stay in the text.
_LOOKS_SECRET = re.compile(
    r"(?P<scheme>\$0\d\$)[0-9A-Fa-f]{16,}|\b[0-9A-Fa-f]{32,}\b|(?<![\w+/=-])(?=[\w+=-]*[a-z])(?=[\w+=-]*[A-Z])(?=[\w+=-]*\d)[\w+=-]{40,}"
)


def redact(url: str) -> str:
    """`url` without user info, query, fragment and secrets in its path, safe for a log line."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "<unreadable URL>"
    host = f"[{host}]" if ":" in host else host
    query = "?…" if parts.query else ""
    return f"{_shown(f'{parts.scheme}://{host}' + (f':{port}' if port else ''), parts.path)}{query}"


def _shown(origin: str, path: str) -> str:
    """A URL without a secret in its path: a signature may stand there behind a `;`, or behind a `?` that is encoded."""
    path = path if len(path) <= _MAX_PATH else f"{path[:_MAX_PATH].rpartition('/')[0]}/…"
    plain = f"{origin}{unquote(path).replace('#', '-')}"
    redacted = redact_text(plain)
    # A decoded `%0A` would begin a new line in the log. So a path without a secret is shown encoded, as in the URL.
    return f"{origin}{_CONTROL.sub(' ', path)}" if redacted == _CONTROL.sub(" ", plain) else " ".join(redacted.split())


def redact_text(text: str) -> str:
    """`text` from outside without secrets, and with URLs that have no user info and no query."""
    text = _CONTROL.sub(" ", _decoded(_cut(text)))
    text = _without_values(_QUERY.sub("?…", _URL_QUERY.sub(r"\1?…", text)))
    return _LOOKS_SECRET.sub(r"\g<scheme>…", _BEARER.sub(r"\1 …", text))


def _cut(text: str) -> str:
    """`text`; of a longer one, its first part without the last word, which may be a part of a secret."""
    if len(text) <= MAX_TEXT:
        return text
    text = text[:MAX_TEXT]
    return f"{text[: max(map(text.rfind, _WORD_ENDS)) + 1]}…"


def _decoded(text: str) -> str:
    """`text` decoded and without user info. That is cut before each step, while `%2F` in a password is no slash yet.

    Values with a name are cut before each step, too, while a `\"` in a value differs from the quote that ends it.
    """
    for _ in range(_MAX_DECODINGS):
        plain = _without_values(_without_user_info(text), words=False)
        plain = unquote(_without_user_info(unescape(_without_user_info(_unescaped(plain)))))
        if plain == text:
            break
        text = plain
    return _without_user_info(text)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: found[3] or chr(int(found[1] or found[2], 16)), text)


def _without_values(text: str, *, words: bool = True) -> str:
    """`text` with `…` in place of each value that has the name of a secret.

    :param words: whether also a value without quotes and brackets that may be the beginning of a longer one, because
        the text is not decoded yet (`_goes_on`).
    """
    if not _MAY_NAME.search(text):
        return text
    for named in (_ELEMENT, _PAIR):
        text = named.sub(r"\g<name>…", text)
    text = _without_values_after(_NAME_AND_VALUE, text, words)
    return _without_values_after(_NAMED, _SCHEME.sub(r"\g<name>…", text), words)


def _without_values_after(named: re.Pattern[str], text: str, words: bool) -> str:
    parts, shown, begin = [], 0, 0
    while found := named.search(text, begin):
        begin = found.end()
        value = _value_at(text, begin)
        if not value or not (words or value["quote"] or value["nested"] or not _goes_on(value[0], text[value.end() :])):
            begin = value.start() if value else begin
            continue
        end = value.end() if value["nested"] is None else _end_of_nested(text, value.end())
        if begin >= shown:
            parts += [text[shown:begin], "…"]
        shown = max(shown, end)
        # A quote behind a backslash is taken for a character of the value. But in `"C:\keys\"`, the value ends there.
        # Then too much was taken for the value, and the name of a secret may be in it. So the value is searched, too.
        begin = value.start() if _ESCAPED_QUOTE.search(text, value.start(), end) else shown
    return "".join(parts) + text[shown:]


def _value_at(text: str, begin: int) -> re.Match[str] | None:
    """The value at a place of `text`. If it ends in the name of a further secret, the value of that."""
    value = _VALUE.match(text, begin)
    # To save time, only the last 150 characters are searched. A name, with the quotes and marks behind it, is shorter.
    while value and value[0][-1] in ":=" and _ENDS_IN_NAME.search(value[0][-150:]):
        blanks = _BLANKS.match(text, value.end())
        following = _VALUE.match(text, blanks.end()) if blanks else None
        if following is None or _goes_on(value[0], text[value.end() :]):
            break
        value = following
    return value


def _goes_on(word: str, rest: str) -> bool:
    """Whether a value may be longer once it is decoded: its quote or bracket ends in the text behind it."""
    begin = _ENCODED_BEGIN.match(word)
    if begin is None:
        return False
    digits = begin["quote"] or begin["bracket"]
    if digits is None:
        return True
    end = f"{begin['of_quote'] or begin['of_bracket']}{_CLOSES[digits.lower()]}".lower()
    # `_cut` puts `…` at the end of a text that it cuts. The closing quote or bracket may have been cut off, too.
    may_end = end in rest.lower() or rest.endswith("…")
    return may_end and _is_open(word[begin.start("of_quote") if begin["quote"] else 0 :])


def _is_open(word: str) -> bool:
    """Whether a word, once it is decoded, begins with a quote or a bracket that does not end in it."""
    for _ in range(_MAX_DECODINGS):
        word = unquote(_unescaped(word))
        # A blank is added behind the word. If the quote or bracket is closed, the value ends before this blank. If it
        # is open, the blank is taken for a part of the value, so the value ends where `text` ends.
        text = f"{word} "
        value = _VALUE.match(text)
        if value and (value["quote"] or value["nested"]):
            return (value.end() if value["nested"] is None else _end_of_nested(text, value.end())) == len(text)
    return False


def _end_of_nested(text: str, begin: int) -> int:
    """Where a list or an object ends: behind the bracket that closes it, or at the end of a text that was cut.

    :param begin: the place behind the bracket that opens it.
    """
    depth = 1
    for found in _IN_NESTED.finditer(text, begin):
        depth += (found["begin"] is not None) - (found["end"] is not None)
        if not depth:
            return found.end()
    return len(text)


def _without_user_info(text: str) -> str:
    return _USER_INFO.sub("://", text)
