"""No secret survives in a text from outside, however it is spelled, and the words around it stay."""

from __future__ import annotations

import html
import json
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.redaction import MAX_TEXT, redact, redact_text
from learnosity.storage.errors import first_line

HEX = "0123456789abcdef" * 4
SECRETS = {
    "signature of Learnosity": f"$02${HEX}",
    "signature of Learnosity in the old scheme": HEX,
    "signature of S3, version 4": "f3a1" * 16,
    "signature of S3, version 2": "vjbyPxybdZaNmGa%2ByT272YEAiv4%3D",
    "shared access signature": "Rk9PYmFyMTIzNDU2Nzg5MGFiY2RlZg%3D%3D",
    "secret key": "wJalrXUtnFEMIxK7MDENGxbPxRfiCYEXAMPLEKEY",
    "session token": "IQoJb3JpZ2luX2VjEHoaCXVzLWVhc3QtMSJHMEUCIQD",
}
NAMES = ("X-Amz-Signature", "Signature", "sig", "X-Goog-Signature", "x-amz-security-token", "signature")


def encoded(text: str, times: int) -> str:
    for _ in range(times):
        text = quote(text, safe="")
    return text


SPELLINGS: dict[str, Callable[[str, str], str]] = {
    "URL": lambda name, secret: f"https://host.example/path/file.json?a=1&{name}={secret}",
    "path and query": lambda name, secret: f"GET /bucket/file.json?a=1&{name}={secret} HTTP/1.1",
    "query alone": lambda name, secret: f"a=1&{name}={secret}",
    "percent-encoded URL": lambda name, secret: quote(f"https://host.example/file?{name}={secret}", safe=""),
    "percent-encoded twice": lambda name, secret: quote_plus(quote_plus(f"https://host.example/f?{name}={secret}")),
    "XML with entities": lambda name, secret: f"<Resource>/f?a=1&amp;{name}={secret}</Resource>",
    "XML element": lambda name, secret: f"<Error><{name}>{secret}</{name}></Error>",
    "JSON": lambda name, secret: json.dumps({"security": {name: secret, "domain": "localhost"}}),
    "JSON in JSON": lambda name, secret: json.dumps({"error": json.dumps({name: secret})}),
    "JSON with escapes": lambda name, secret: f'{{"url": "https:\\/\\/host\\/f?a=1\\u0026{name}={secret}"}}',
    "Python": lambda name, secret: repr({name: secret}),
    "header": lambda name, secret: f"{name}: {secret}",
    "authorization": lambda name, secret: f"Authorization: AWS4-HMAC-SHA256 Credential=x, {name}={secret}",
    "bearer": lambda name, secret: f"Authorization: Bearer {secret}",
    "user info": lambda name, secret: f"https://user:{quote(secret, safe='')}@host.example/{name}",
    "fragment": lambda name, secret: f"https://host.example/#{name}={secret}",
    "list": lambda name, secret: json.dumps({name: [secret]}),
    "object": lambda name, secret: json.dumps({name: {"value": secret}}),
    "pair of a list": lambda name, secret: repr([(name, secret)]),
    "pair in JSON": lambda name, secret: json.dumps({"headers": [[name, secret]]}),
    "name and value": lambda name, secret: json.dumps([{"name": name, "value": secret}]),
    "key and value": lambda name, secret: json.dumps({"key": name, "value": secret}),
    "attributes": lambda name, secret: f'<Field name="{name}" value="{secret}"/>',
    "element with attributes": lambda name, secret: f'<{name} xmlns="https://a.example/">{secret}</{name}>',
    "element of a namespace": lambda name, secret: f"<ds:{name}>{secret}</ds:{name}>",
    "CDATA": lambda name, secret: f"<{name}><![CDATA[{secret}]]></{name}>",
    "bytes": lambda name, secret: repr({name.encode(): secret.encode()}),
    "bytes of pairs": lambda name, secret: repr([(name.encode(), secret.encode())]),
    "PHP": lambda name, secret: f"Array ( [{name}] => {secret} )",
    "PHP code": lambda name, secret: f"['{name}' => '{secret}']",
    "field of a field": lambda name, secret: f"security[{name}]={secret}",
    "Go": lambda name, secret: f"map[{name}:[{secret}]]",
    "escapes of a script": lambda name, secret: f"https:\\x2f\\x2fhost\\x2ff\\x3fa\\x3d1\\x26{name}\\x3d{secret}",
    "percent-encoded eight times": lambda name, secret: encoded(f"https://host.example/f?{name}={secret}", 8),
    "scheme of a header": lambda name, secret: f"Authorization: AWS {name}:{secret}",
    "other scheme of a header": lambda name, secret: f"proxy-authorization = SharedKey {name}:{secret}",
    "prose": lambda name, secret: f"The {name} is {name}={secret}, which is wrong.",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.promise("no secret")
def test_no_spelling_of_a_secret_survives(spelling: Callable[[str, str], str], name: str, secret: str) -> None:
    text = f"The server said: {spelling(name, secret)} and no more."
    told = redact_text(text)
    for part in (secret, quote(secret, safe=""), html.escape(secret), secret.removeprefix("$02$")):
        assert part not in told
        assert part[:24] not in told
    assert told.startswith("The server said: ")
    assert told.endswith(" and no more.")


# Passwords that have a quote or a bracket in them, or a blank. All end with `more`, for which the test searches: a
# password must not be taken to end at the quote, bracket or blank in it.
AWKWARD = (
    'ab"cd-more',
    "ab'cd-more",
    "a\"b'c\\d-more",
    '"more',
    "a b more",
    "a]b}c)more",
    'a"}, "b": "more',
    "<a>more",
)
QUOTED_SPELLINGS: dict[str, Callable[[str], str]] = {
    "JSON": lambda value: json.dumps({"secretKey": value, "b": 1}),
    "JSON in JSON": lambda value: json.dumps({"error": json.dumps({"secretKey": value})}),
    "JSON in JSON in JSON": lambda value: json.dumps([json.dumps({"error": json.dumps({"secretKey": value})})]),
    "JSON, percent-encoded": lambda value: quote(json.dumps({"secretKey": value}), safe=""),
    "JSON in HTML": lambda value: html.escape(json.dumps({"secretKey": value})),
    "JSON in a URL": lambda value: f"key={quote(json.dumps({'secretKey': value}), safe='')}",
    "Python": lambda value: repr({"password": value}),
    "bytes": lambda value: repr({b"password": value.encode()}),
    "call": lambda value: f"Client(password=SecretStr({value!r}))",
    "tuple": lambda value: repr({"password": (value, 1)}),
    "nested": lambda value: json.dumps({"password": {"a": {"b": value}}}),
    "nested lists": lambda value: json.dumps({"password": ["a", ["b", [value]]]}),
    "nested in JSON": lambda value: json.dumps({"error": json.dumps({"password": {"a": [{"b": value}]}})}),
    "PHP": lambda value: f"Array ( [password] => Array ( [a] => {value!r} ) )",
    "pair": lambda value: json.dumps([["password", value]]),
    "pair in JSON": lambda value: json.dumps({"error": json.dumps([["password", value]])}),
    "name and value": lambda value: json.dumps([{"name": "password", "value": value}]),
    "name and value in JSON": lambda value: json.dumps({"error": json.dumps([{"name": "password", "value": value}])}),
    "doubled quotes": lambda value: "password='{}'".format(value.replace("'", "''")),
    "XML": lambda value: f"<Password>{html.escape(value)}</Password>",
    "CDATA": lambda value: f"<Password><![CDATA[{value}]]></Password>",
    "XML elements": lambda value: f"<Password><Value>{html.escape(value)}</Value></Password>",
}


@pytest.mark.parametrize("spelling", QUOTED_SPELLINGS.values(), ids=QUOTED_SPELLINGS)
@pytest.mark.parametrize("secret", AWKWARD)
@pytest.mark.promise("no secret")
def test_no_end_of_a_quoted_secret_survives_whatever_is_in_it(secret: str, spelling: Callable[[str], str]) -> None:
    told = redact_text(f"The server said: {spelling(secret)} and no more.")
    assert told.startswith("The server said: ")
    assert told.removesuffix(" and no more.") != told
    assert "more" not in told.removesuffix(" and no more.")


@pytest.mark.parametrize(
    "text",
    [
        'bad value for password="hunter2',
        'bad value for password="correct horse\nhunter2',
        '{"error": "{\\"password\\": \\"correct horse hunter2',
        '{"password": {"a": "b", "c": ["hunter2',
        "{'password': ('a', 'hunter2",
        '[["password", "hunter2',
        '[{"name": "password", "value": "hunter2',
        "<Password><![CDATA[hunter2",
        "token=[hunter2, hunter2",
    ],
)
@pytest.mark.promise("no secret")
def test_a_secret_that_has_no_end_is_removed(text: str) -> None:
    assert "hunter2" not in redact_text(text)


@pytest.mark.parametrize(
    "secret",
    [
        '{"password": "hunter2 correct horse"}',
        "http://user:hunter2@proxy:3128",
        f"abc{HEX}",
        f"$02${HEX}",
        "sig=hunter2",
        "password=%22hunter2 correct horse%22",
        r"password=\u0022hunter2 correct horse\u0022",
        "credentials=%7B%22user%22: %22hunter2%22, %22x%22: %22correct horse%22%7D",
    ],
)
@pytest.mark.promise("no secret")
def test_no_part_of_a_secret_survives_where_a_long_text_is_cut(secret: str) -> None:
    for place in range(len(secret)):
        told = redact_text(f"{'y ' * MAX_TEXT}"[: MAX_TEXT - place] + secret)
        assert told.startswith("y y y ")
        for part in ("hunter", "user", "correct", "0123", "$02"):
            assert part not in told.removesuffix("$02$…")


@pytest.mark.parametrize("password", ["pass word", "a b c", "x\ty", "a: b", "a/b c"])
@pytest.mark.promise("no secret")
def test_a_blank_in_the_password_of_a_url_does_not_keep_it(password: str) -> None:
    assert redact_text(f"proxy https://user:{password}@host/x failed") == "proxy https://host/x failed"
    assert redact_text(quote(f"https://user:{password}@host/x", safe="")) == "https://host/x"


def test_the_first_line_of_an_error_keeps_no_secret_that_goes_on_in_the_next_line() -> None:
    assert first_line(ValueError('bad value for password="hunter2\nmore", so')) == "bad value for password=…, so"
    assert first_line(ValueError("bad: token={'a': 'hunter2',\n'b': 1}")) == "bad: token=…"
    assert first_line(ValueError("\nfirst\r\nsecond")) == "first"
    wrong = "Invalid bucket in s3://data:x of DAG d"
    assert first_line(ValueError(f"{wrong}\nUse s3://conn@data/x")) == wrong
    assert first_line(ValueError("Unauthorized.\n" + "A" * 9000)) == "Unauthorized."
    assert first_line(ValueError("Wrong token: token:\nTask x of DAG y failed")) == "Wrong token: …"


def test_the_words_behind_a_quoted_secret_stay() -> None:
    for value in ('"ab\\"cd"', '"ab\\""', '""', "'it''s'", '{"a": {"b": "c"}}', '["a", ["b"]]', "b'x'", "f('a')"):
        assert redact_text(f"secretKey: {value}, line 3") == "secretKey: …, line 3"


_URL_SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda url: url,
    "percent-encoded": lambda url: quote(url, safe=""),
    "percent-encoded twice": lambda url: quote(quote(url, safe=""), safe=""),
    "HTML": html.escape,
    "HTML by numbers": lambda url: url.replace("/", "&#x2F;"),
    "JSON": lambda url: url.replace("/", r"\/"),
    "JSON in JSON": lambda url: url.replace("/", r"\\/"),
}


@pytest.mark.parametrize("spelling", _URL_SPELLINGS.values(), ids=_URL_SPELLINGS)
@pytest.mark.parametrize("encoded", [True, False])
@pytest.mark.parametrize("mark", "@/?#:;,!$%&+=~[]|^*()")
@pytest.mark.promise("no secret")
def test_no_end_of_a_password_survives_whatever_character_is_in_it(
    mark: str, encoded: bool, spelling: Callable[[str], str]
) -> None:
    for password in (f"Tr{mark}ub4dor-and-more", f"Tr{mark}{mark}ub4dor-and-more", f"{mark}ub4dor-and-more{mark}"):
        written = quote(password, safe="") if encoded else password
        told = redact_text(f"proxy {spelling(f'http://svc:{written}@proxy:3128/a')} failed")
        assert "ub4dor" not in told
        assert "svc" not in told
        assert told.startswith("proxy http://")
        assert told.endswith(" failed")
        if encoded or mark not in "?#":
            assert told == "proxy http://proxy:3128/a failed"


@pytest.mark.parametrize(
    "text",
    [
        "http://host:8080/people/anna@example.org is gone",
        "s3://bucket/anna@example.org/file.json",
        "http://[::1]:8080/a@b",
        "write to https://host/a or to anna@example.org",
        "http://host:8080 is down, write to anna@example.org",
        "http://host:8080, 8081: write to anna@example.org",
        "https://host: write to anna@example.org",
    ],
)
def test_an_at_sign_in_a_path_is_no_user_info(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Signatures do not match (code 41003). Check the consumer secret of the connection.",
        "line 3 is no record: user_id is missing",
        "dataset a951cc14-0316-4c12-bb13-1f386338a094 does not exist",
        "https://data.learnosity.com/v2026.2.LTS/jobs answered 503",
        "s3://bucket/datasets/activity-summary-by-group/2026-11-28/file_0001.json",
        "100 % of 20 files; is it so? Yes.",
        "Groß- und Kleinschreibung, 数据",
        'Missing fields: ["domain", "timestamp"], (user_id, groups)',
        '{"name": "report.json", "value": "12"}, <Key name="report" value="a/b"/>',
        "no authorization for this bucket; name the key of the dataset",
        "C:\\users\\data, \\d+ and \\xyz",
    ],
)
def test_words_ids_and_addresses_stay(text: str) -> None:
    assert redact_text(text) == text


@given(st.text(max_size=300))
def test_any_text_can_be_redacted_and_redacting_twice_changes_nothing(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once or "%" in text or "&" in text or "\\" in text
    assert not any(ord(char) < 32 and char not in "\t\n" for char in once)


@given(st.text(alphabet="abc123/?&=%#@:\"'<>\\ $", max_size=80))
def test_no_hostile_text_takes_long_or_keeps_a_query(text: str) -> None:
    assert f"{HEX}" not in redact_text(f"{text} https://h/p?Signature={HEX} {text}")


@pytest.mark.parametrize("mark", [";", "%3F", "%3f", "%253F", "&", "%26", "/", "/a?b/", "\\?", "/a;b=1&", "%3B", " "])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_no_secret_in_the_path_of_a_url_survives(secret: str, name: str, mark: str) -> None:
    shown = redact(f"https://user:pw@host.example:8443/in/0.ndjson{mark}{name}={secret}")
    assert secret not in shown
    assert secret[8:] not in shown
    assert shown.startswith("https://host.example:8443/in/0.ndjson")


@pytest.mark.parametrize(
    "path",
    [
        *("/up/0%0A2026-11-30%20ERROR%20forged", "/a%09b", "/a%2Fb%25c", "/a%23b/c.json", "/r%E2%80%A8x", "/a b"),
        *("/reports/2026/dt=2026-11-30/out.json", "/reports/11111111-2222-4333-8444-555555555555/group.json"),
    ],
)
def test_a_path_without_a_secret_is_shown_as_it_is_in_the_url(path: str) -> None:
    assert redact(f"https://host.example{path}?sig=1") == f"https://host.example{path}?…"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https:user:hunter2pw@host/x", "https://host/x"),
        ("https://h/a%3FhunterSecret9", "https://h/a?…"),
        ("https://h/a\x1b[31mb", "https://h/a [31mb"),
    ],
)
def test_what_stands_in_the_place_of_the_path_is_redacted_as_in_a_whole_url(url: str, shown: str) -> None:
    assert redact(url) == shown


def test_a_path_with_a_secret_begins_no_new_line() -> None:
    shown = redact("https://host.example/up/0%0A2026-11-30%20ERROR;X-Amz-Signature=abcdef0123")
    assert shown.splitlines() == [shown]
    assert "abcdef" not in shown


def test_of_a_very_long_url_host_and_begin_are_shown() -> None:
    assert redact(f"https://host.example/a/{'b' * 10_000}") == "https://host.example/a/…"


@pytest.mark.parametrize("path", ["a" * 10**6, ";X-Amz-Signature=" * 10**5, "%3F" * 10**5, "/a" * 10**5, "%25" * 10**5])
def test_a_long_url_does_not_take_long(path: str) -> None:
    began = time.process_time()
    redact(f"https://host.example/{path}")
    assert time.process_time() - began < 1


def test_a_url_keeps_host_and_path_only() -> None:
    assert redact("https://user:pw@host:8443/a/b?X-Amz-Signature=1#x") == "https://host:8443/a/b?…"
    assert redact("http://[") == "<unreadable URL>"


@pytest.mark.parametrize(
    "text",
    [
        r'{"message":"Login failed for password=\u0022correct horse\u0022"}',
        r"{'m': 'password=\u0027correct horse\u0027 is wrong'}",
        "password=%22correct horse%22",
        "password=b&quot;correct horse&quot;",
        "password=ab%26horse",
        "password=ab%2526horse",
        "http://h/p?sig=ab%20horse&x=1",
        "Authorization: AWS ab%20horse",
        r"consumer_secret=ab\u0026horse",
        "token=ab%22horse",
        r"signature=ab\x20horse",
        r'{"m":"token=abc\u0026password: horse"}',
        "token=password: horse",
        "api_key=mykey%26horse: not accepted",
        "password=keyab%20horse: access denied",
        "token=sig%3Bhorse: refused",
        "login with user=x&password=%28ab%29%26horse failed: HTTP 401",
        "password=a%28b%29%2Chorse is wrong",
        "https://h/p?token=%22a%22%20horse is gone",
        "https://h/p?token=%2522a%2522%2520horse is gone",
        r"password=a\u005bb\u005d\u0026horse is wrong",
        "credentials=%7B%22aws%22:%7B%22id%22:%22x%22%7D,%22value%22:%22horse%22%7D",
        "tokens=%5B%5B%22a%22%5D,%5B%22horse%22%5D%5D",
        "secret=%7B%22a%22:%22%7D%22,%22b%22:%22horse%22%7D",
        r'{"m":"password=\u0027it\u0027\u0027s horse\u0027"}',
        r"password=%27correct\%27 horse%27",
        "token=%22password: correct horse%22",
        "credentials=%7Bpassword: correct horse, user: x%7D failed",
        r'{"m":"credentials=\u007bpassword: correct horse\u007d"}',
        r'token_file="C:\secrets\"; password="correct horse"',
        r"secret_dir='D:\keys\' password='correct horse'",
        r'<add key="token_dir" value="C:\a\"/><add key="password" value="correct horse"/>',
    ],
)
def test_the_end_of_a_secret_is_found_in_every_spelling_of_its_quotes(text: str) -> None:
    assert "horse" not in redact_text(text)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("GET https://h.example/p?user=x&password=ab%28cd failed: connection refused", "failed: connection refused"),
        ("password=ab%5Bcd is wrong (401)", "is wrong (401)"),
        ("token=%22ab is wrong", "is wrong"),
        ("login with user=x&password=%28ab%29%26cd failed: HTTP 401", "failed: HTTP 401"),
        ("api_key=mykey%26abc: not accepted", "not accepted"),
    ],
)
def test_what_follows_a_secret_with_an_encoded_mark_is_told(text: str, end: str) -> None:
    assert redact_text(text).endswith(f"… {end}")
