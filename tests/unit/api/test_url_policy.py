"""Which addresses may be called, and how they may be spoken of."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.api.config import build_config
from learnosity.api.ip_ranges import HERE, NEVER, Leads, is_oddly_spelt, leads
from learnosity.api.ip_ranges import PRIVATE as NETS
from learnosity.api.url_policy import UrlPolicy, is_forbidden_address, is_loopback
from learnosity.errors import ConnectionConfigError, PermanentApiError
from learnosity.redaction import redact, redact_text

REAL = UrlPolicy("data.learnosity.com", plain_http=False)
LOCAL = UrlPolicy("127.0.0.1", plain_http=True)
TEST_SERVER = UrlPolicy("simulator.internal", plain_http=True)

METADATA = [
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[64:ff9b:1:a9fe:a9:fe00::]",
    "[64:ff9b:1:a9:fe:a9fe::]",
    "[64:ff9b:1:0:a9:fea9:fe00::]",
    "[2002:a9fe:a9fe::]",
    "[2001:0:a9fe:a9fe::]",
    "[::a9fe:a9fe]",
    "[::169.254.169.254]",
    "168.63.129.16",
    "[::ffff:168.63.129.16]",
    "2852039166",
    "0xa9fea9fe",
    "0xa9.0xfe.0xa9.0xfe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.254.169.254.",
    "100.100.100.200",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "metadata",
    "instance-data",
    "0.0.0.0",
    "0",
    "[::]",
    "224.0.0.1",
    "[ff02::1]",
]
# Beside the spellings above, one of each place that is never called.
METADATA += [
    "168.63.129.16",
    "192.0.0.192",
    "169.254.170.2",
    "[fd00:ec2::23]",
    "[fd20:ce::254]",
    "240.0.0.1",
    "255.255.255.255",
    "0.1.2.3",
    "[2001:0:a9fe:a9fe::1]",
    "instance-data.ec2.internal",
    "metadata.goog",
    "metadata.tencentyun.com",
    "api.metadata.cloud.ibm.com",
]
PRIVATE = [
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "198.18.0.1",
    "[fc00::1]",
    "[fd12:3456::1]",
]
THIS_MACHINE = [
    "localhost",
    "LOCALHOST",
    "localhost.",
    "api.localhost",
    "127.0.0.1",
    "127.8.8.8",
    "127.1",
    "2130706433",
    "0x7f000001",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[2002:7f00:1::]",
    "[64:ff9b::7f00:1]",
]
ALLOWED = ["[2002:c633:6401::]", "[64:ff9b::c633:6401]", "[2600:1f18::1]", "8.8.8.8", "172.32.0.1", "100.128.0.1"]


@pytest.mark.parametrize("host", ALLOWED)
def test_other_addresses_may_be_called(host: str) -> None:
    assert REAL.check(f"https://{host}/x") == f"https://{host}/x"


@pytest.mark.parametrize("host", METADATA)
def test_metadata_and_link_local_addresses_are_never_followed_however_they_are_spelt(host: str) -> None:
    for policy in (REAL, LOCAL, TEST_SERVER):
        with pytest.raises(PermanentApiError, match="Refused to follow"):
            policy.check(f"https://{host}/file")
    assert is_forbidden_address(host)


@pytest.mark.parametrize("host", THIS_MACHINE)
def test_this_machine_is_followed_only_when_the_connection_points_at_it(host: str) -> None:
    assert is_loopback(host)
    with pytest.raises(PermanentApiError, match="this machine"):
        REAL.check(f"https://{host}/file")
    if is_oddly_spelt(host):
        with pytest.raises(PermanentApiError, match="unusual form"):
            LOCAL.check(f"http://{host}:8080/file")
    else:
        assert LOCAL.check(f"http://{host}:8080/file") == f"http://{host}:8080/file"


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_address_is_followed_only_when_the_connection_names_it(host: str) -> None:
    for policy in (REAL, LOCAL):
        with pytest.raises(PermanentApiError, match="a private network"):
            policy.check(f"https://{host}/file")
    for policy in (UrlPolicy("data.learnosity.com", False, (host.strip("[]"),)), UrlPolicy(host.strip("[]"), False)):
        assert policy.check(f"https://{host}/file")


def spellings(address: ipaddress.IPv4Address) -> dict[str, str]:
    """All ways to write an IPv4 address that some resolver, gateway or parser takes."""
    a, b, c, d = address.packed
    bits = int(address)
    low, high = bits & 0xFFFF, bits >> 16
    return {
        "dotted": str(address),
        "final dot": f"{address}.",
        "decimal": str(bits),
        "hex": f"{bits:#x}",
        "octal": f"0{bits:o}",
        "dotted hex": f"{a:#x}.{b:#x}.{c:#x}.{d:#x}",
        "dotted octal": f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        "mixed": f"{a:#X}.0{b:o}.{c}.{d}",
        "two parts": f"{a}.{bits & 0xFFFFFF}",
        "three parts": f"{a}.{b}.{low}",
        "mapped": f"[::ffff:{address}]",
        "mapped in hex": f"[::ffff:{high:x}:{low:x}]",
        "mapped, long": f"[0:0:0:0:0:ffff:{high:04x}:{low:04x}]",
        "translated": f"[::ffff:0:{address}]",
        "compatible": f"[::{address}]",
        "NAT64": f"[64:ff9b::{address}]",
        "NAT64 of one's own": f"[64:ff9b:1::{address}]",
        "6to4": f"[2002:{high:x}:{low:x}::1]",
        "ISATAP": f"[2001:db8::5efe:{address}]",
        "Teredo": f"[2001:0:{high:x}:{low:x}::1]",
    }


@pytest.mark.parametrize(
    ("hosts", "what"),
    [
        (["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0"], "an address that means no host, as blockers of DNS give it"),
        (["224.0.0.1", "239.255.255.250", "ff02::1", "64:ff9b::224.0.0.1"], "a multicast address"),
        (["240.0.0.1", "255.255.255.255", "100::1", "2002:f000:1::1"], "a reserved address"),
        (["2001:0:102:304::1"], "an address of a Teredo tunnel"),
        (
            ["169.254.169.254", "fe80::1", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"],
            "a link-local or metadata address",
        ),
        (
            ["::ffff:169.254.169.254", "fe80::5efe:e000:1", "fd20:ce::254", "64:ff9b:1::a9fe:a9fe"],
            "a link-local or metadata address",
        ),
    ],
)
def test_an_address_that_is_never_called_is_told_as_what_it_is(hosts: list[str], what: str) -> None:
    for host in hosts:
        bare = f"[{host}]" if ":" in host else host
        assert REAL.refuses("h.example", host) == what
        with pytest.raises(PermanentApiError, match=f"its host is {what}\\."):
            REAL.check(f"https://{bare}/f")
        with pytest.raises(ConnectionConfigError, match=f"the host is {what}, which is never called"):
            build_config("c", login="k" * 16, password="s" * 40, host=bare)


def test_the_name_of_a_metadata_service_is_told_as_what_it_is() -> None:
    with pytest.raises(PermanentApiError, match="its host is a link-local or metadata address"):
        REAL.check("https://metadata.google.internal/f")


NEVER_V4 = [network for network in NEVER if network.version == 4]


@given(st.sampled_from([*NEVER_V4, *(each for each in (*HERE, *NETS) if each.version == 4)]), st.integers(0, 2**32 - 1))
def test_no_spelling_of_a_place_that_is_not_called_gets_through(network: ipaddress.IPv4Network, n: int) -> None:
    address = network[n % network.num_addresses]
    for how, host in spellings(address).items():
        if how == "compatible" and int(address) <= 1:
            continue  # `::` and `::1` are addresses of their own, which are refused as well
        for url in (f"https://{host}/f", f"https://{host.upper()}:8443/f", f"http://{host}/f"):
            with pytest.raises(PermanentApiError, match="Refused to follow|cannot be read"):
                REAL.check(url)


@given(st.integers(0, 2**32 - 1))
def test_an_address_of_the_open_net_leads_there_in_every_spelling(n: int) -> None:
    address = ipaddress.IPv4Address(n)
    if any(address in network for network in (*NEVER_V4, *HERE, *NETS) if network.version == 4):
        return
    for how, host in spellings(address).items():
        if how == "NAT64 of one's own":
            # Where the IPv4 address is in it depends on the length of the operator's prefix, which is not known. So it
            # never counts as outside.
            assert leads(host) in (Leads.PRIVATE, Leads.NEVER)
        elif how != "Teredo":
            assert leads(host) is Leads.OUTSIDE, how
    assert REAL.check(f"https://{address}/f")
    assert not is_oddly_spelt(str(address))
    for how in ("final dot", "decimal", "hex", "octal", "dotted hex", "two parts"):
        if spellings(address)[how] != str(address):
            assert is_oddly_spelt(spellings(address)[how])


@pytest.mark.parametrize("host", ["notlocalhost", "localhost.example.org", "8.8.8.8", "128.0.0.1", "[2001:db8::1]"])
def test_other_hosts_are_not_taken_for_this_machine(host: str) -> None:
    assert not is_loopback(host)
    assert not is_forbidden_address(host)
    assert REAL.check(f"https://{host}/x?Signature=s") == f"https://{host}/x?Signature=s"


def test_plain_http_is_followed_only_to_a_plain_http_connections_own_host() -> None:
    assert TEST_SERVER.check("http://simulator.internal:9/x") == "http://simulator.internal:9/x"
    for policy, url in [
        (REAL, "http://bucket.s3.amazonaws.com/x"),
        (REAL, "http://data.learnosity.com/x"),
        (TEST_SERVER, "http://other.internal/x"),
        (LOCAL, "http://bucket.s3.amazonaws.com/x"),
    ]:
        with pytest.raises(PermanentApiError, match="not https"):
            policy.check(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        pytest.param("https://user:pw@host/x", "user info", id="user-and-password"),
        pytest.param("https://@host/x", "user info", id="empty-user"),
        pytest.param("https:///x", "no host", id="no-host"),
        pytest.param("ftp://host/x", "scheme is 'ftp'", id="ftp"),
        pytest.param("file://host/etc/passwd", "scheme is 'file'", id="file"),
        pytest.param("https://169.254.169%2e254/x", "characters", id="percent-in-the-host"),
        pytest.param("https://good.example\\.169.254.169.254/x", "characters", id="backslash"),
        pytest.param("https://１６９.254.169.254/x", "characters", id="wide-digits"),
        pytest.param("https://[fe80::1%25eth0]/x", "link-local|characters", id="zone"),
        pytest.param("https://host:99999x/x", "cannot be read", id="unreadable-port"),
        pytest.param("https://[::1/x", "cannot be read", id="unreadable"),
    ],
)
def test_a_url_that_parsers_could_read_in_two_ways_is_refused(url: str, reason: str) -> None:
    with pytest.raises(PermanentApiError, match=reason):
        REAL.check(url)


@given(
    st.sampled_from([*METADATA, *THIS_MACHINE, "bucket.s3.amazonaws.com", "a b", "%", "ü"]),
    st.sampled_from(["http", "https", "ftp", "HTTPS"]),
    st.text(alphabet="abcdefghij0123456789", min_size=12, max_size=40),
)
def test_a_refusal_never_quotes_the_query(host: str, scheme: str, secret: str) -> None:
    url = f"{scheme}://{host}/path?Signature={secret}#{secret}"
    try:
        assert REAL.check(url) == url
    except PermanentApiError as error:
        assert secret not in str(error)
    assert secret not in redact(url)
    if " " not in host:
        assert secret not in redact_text(f"could not read {url}, sorry")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "https://b.s3.amazonaws.com/a/b.ndjson?AWSAccessKeyId=K&Signature=S",
            "https://b.s3.amazonaws.com/a/b.ndjson?…",
        ),
        ("https://user:pw@host:8443/x#frag", "https://host:8443/x"),
        ("https://[::1", "<unreadable URL>"),
        ("https://host:99999/x?s", "<unreadable URL>"),
        ("https://[2001:db8::7]:8443/x?Signature=1", "https://[2001:db8::7]:8443/x?…"),
    ],
)
def test_a_redacted_url_keeps_what_helps_to_find_the_file(url: str, shown: str) -> None:
    assert redact(url) == shown


def test_text_of_foreign_origin_loses_url_queries_and_signatures_and_keeps_the_rest() -> None:
    text = (
        'part 3 of "https://b.example/x.ndjson?Expires=1&Signature=abc%2B" is empty, signed $02$' + "ab" * 32 + "; why?"
    )
    shown = redact_text(text)
    assert shown == 'part 3 of "https://b.example/x.ndjson?…" is empty, signed $02$…; why?'
