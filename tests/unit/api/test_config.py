"""A connection's parts become a checked config, or an error that names the connection and what to put there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnosity.api.config import ApiConfig, build_config
from learnosity.errors import ConnectionConfigError

SECRET = "0123456789abcdef0123456789abcdef01234567"


def config(*, login: str | None = "AAAABBBBCCCCDDDD", password: str | None = SECRET, **parts: Any) -> ApiConfig:
    return build_config("lrn", login=login, password=password, **parts)


def extra(**values: Any) -> dict[str, Any]:
    return {"extra": values}


def test_key_and_secret_are_enough() -> None:
    built = config()
    assert built.url("reports/datasets") == "https://data.learnosity.com/v2026.2.LTS/reports/datasets"
    assert built.credentials.domain == "localhost"
    assert built.reports_url == "https://reports.learnosity.com"
    assert built.organisation_id is None
    assert built.verify
    assert built.trust_env
    assert built.timeout == 60


def test_every_setting_of_the_extra_is_taken_over() -> None:
    built = config(
        **extra(
            version="v2025.3.LTS",
            domain="school.example",
            organisation_id="505",
            reports_url="https://reports-ie.learnosity.com/",
            timeout="12.5",
            proxy="http://proxy.internal:3128",
            verify=False,
            trust_env="no",
            region="ie",
        )
    )
    assert built.base_url == "https://data-ie.learnosity.com"
    assert (built.version, built.organisation_id, built.timeout) == ("v2025.3.LTS", 505, 12.5)
    assert built.credentials.domain == "school.example"
    assert built.reports_url == "https://reports-ie.learnosity.com"
    assert built.proxy == "http://proxy.internal:3128"
    assert not built.verify
    assert not built.trust_env


def test_empty_form_fields_mean_the_defaults() -> None:
    fields = ("version", "domain", "organisation_id", "region", "reports_url", "allow_http", "timeout", "proxy")
    for empty in ("", None):
        switches = {"verify": empty, "verify_ssl": empty, "trust_env": empty}
        assert config(host=empty, schema=empty, **extra(**dict.fromkeys(fields, empty), **switches)) == config()


@pytest.mark.parametrize(
    ("parts", "base_url"),
    [
        ({"host": "data-ie.learnosity.com"}, "https://data-ie.learnosity.com"),
        ({"host": "https://data-au.learnosity.com/"}, "https://data-au.learnosity.com"),
        ({"host": "data.learnosity.com", "schema": "https", "port": 8443}, "https://data.learnosity.com:8443"),
        ({"host": "127.0.0.1", "schema": "http", "port": 8888}, "http://127.0.0.1:8888"),
        ({"host": "http://localhost:8888"}, "http://localhost:8888"),
        ({"host": "http://[::1]:8888"}, "http://[::1]:8888"),
        ({"host": "[::1]", "schema": "http", "port": 8888}, "http://[::1]:8888"),
        ({"host": "::1", "schema": "http", "port": 8888}, "http://[::1]:8888"),
        ({"host": "2001:db8::7"}, "https://[2001:db8::7]"),
        ({"host": "https://[2001:DB8::7]:8443/"}, "https://[2001:db8::7]:8443"),
        ({"host": "http://simulator:8888", "extra": {"allow_http": "true"}}, "http://simulator:8888"),
        ({"host": "data.learnosity.com", "extra": {"region": "ie"}}, "https://data.learnosity.com"),
    ],
)
def test_the_host_may_be_a_name_or_a_url(parts: dict[str, Any], base_url: str) -> None:
    assert config(**parts).base_url == base_url


@pytest.mark.parametrize(
    "host",
    ["data.learnosity.com", "https://data.learnosity.com", "localhost", "http://[::1]:8888", "2001:db8::7", "my_sim",
     "https://my-sim.example:8443/", "data.learnosity.com.", "données.example"],
)  # fmt: skip
@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\r\n", "\u00a0"], ids=repr)
def test_blanks_around_host_and_schema_count_for_nothing(host: str, blank: str) -> None:
    plain = config(host=host)
    for around in (f"{blank}{host}", f"{host}{blank}", f"{blank}{host}{blank}"):
        assert (config(host=around).base_url, config(host=around).account) == (plain.base_url, plain.account)
    assert config(host=blank) == config()
    if "://" not in host:
        assert config(host=host, schema=f"https{blank}").base_url == plain.base_url


@pytest.mark.parametrize(
    "host",
    ["data learnosity.com", "https:// data.learnosity.com", "https://data.learnosity.com /", "data.learnosity.com x",
     "data,learnosity.com", "data..learnosity.com", "https://data.learnosity.com :443", "a" * 64 + ".example",
     "data\u00a0learnosity.com", "data*.example", "(data)"],
)  # fmt: skip
def test_what_cannot_be_a_host_is_refused_before_it_is_called(host: str) -> None:
    with pytest.raises(ConnectionConfigError, match="the host "):
        config(host=host)


HOSTS: list[dict[str, Any]] = [
    {},
    {"host": "data.learnosity.com"},
    {"host": "https://data.learnosity.com"},
    {"host": "https://data.learnosity.com:443"},
]


@pytest.mark.parametrize("host", HOSTS, ids=str)
@pytest.mark.parametrize("port", [None, 0, 443])
def test_a_port_that_changes_nothing_makes_no_other_account(host: dict[str, Any], port: int | None) -> None:
    built = config(**host, port=port)
    assert built.base_url == "https://data.learnosity.com"
    assert built.account == config().account


@pytest.mark.parametrize(("port", "base_url"), [(80, "http://127.0.0.1"), (443, "http://127.0.0.1:443")])
def test_only_the_port_of_the_scheme_is_left_out(port: int, base_url: str) -> None:
    assert config(host="127.0.0.1", schema="http", port=port).base_url == base_url


def test_a_port_without_a_host_is_not_dropped_in_silence() -> None:
    with pytest.raises(ConnectionConfigError, match="port is 8443, but the host is empty"):
        config(port=8443)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        pytest.param({"login": None}, "login is empty; put the Learnosity consumer key there", id="no-key"),
        pytest.param({"login": "  "}, "login is empty", id="blank-key"),
        pytest.param({"password": ""}, "password is empty; put the Learnosity consumer secret there", id="no-secret"),
        pytest.param({"conn_type": "postgres"}, "type is not Learnosity or HTTP", id="type-of-a-database"),
        pytest.param({"conn_type": "aws"}, "type is not Learnosity or HTTP", id="type-of-a-cloud"),
        pytest.param({"conn_type": None}, "type is not Learnosity or HTTP", id="no-type"),
        pytest.param({"login": "etl_user"}, "no Learnosity consumer key", id="login-of-a-database"),
        pytest.param({"login": "AAAABBBBCCCCDDD"}, "16 letters and digits", id="short-key"),
        pytest.param({"login": "AAAABBBBCCCCDDDDE"}, "16 letters and digits", id="long-key"),
        pytest.param({"login": "AAAABBBBCCCC_DDD"}, "16 letters and digits", id="key-with-a-line"),
        pytest.param({"password": "hunter2-of-a-database"}, "no Learnosity consumer secret", id="password"),
        pytest.param({"password": SECRET[:19]}, "letters and digits alone", id="short-secret"),
        pytest.param({"password": SECRET * 4}, "letters and digits alone", id="long-secret"),
        pytest.param(extra(version="2026"), "must look like 'v2026.2.LTS'", id="version"),
        pytest.param(extra(version="v1/../x"), "`version`", id="version-with-a-path"),
        pytest.param(extra(domain="https://school.example"), "bare domain", id="domain-is-a-url"),
        pytest.param(extra(domain="school.example:443"), "without scheme or port", id="domain-with-port"),
        pytest.param(extra(organisation_id="six"), "`organisation_id` must be a whole number", id="organisation-text"),
        pytest.param(extra(organisation_id=1.5), "`organisation_id` must be a whole number", id="organisation-float"),
        pytest.param(extra(organisation_id=True), "`organisation_id` must be a whole number", id="organisation-bool"),
        pytest.param(extra(timeout="soon"), "`timeout` must be a number of seconds above 0", id="timeout-text"),
        pytest.param(extra(timeout=-1), "`timeout` must be a number of seconds above 0", id="timeout-negative"),
        pytest.param(extra(timeout="inf"), "`timeout` must be a number of seconds above 0", id="timeout-endless"),
        pytest.param(extra(timeout="nan"), "`timeout` must be a number of seconds above 0", id="timeout-nan"),
        pytest.param(extra(timeout=10**400), "`timeout` must be a number of seconds above 0", id="timeout-huge"),
        pytest.param(extra(timeout=-(10**400)), "`timeout` must be a number of seconds above 0", id="timeout-deep"),
        pytest.param(extra(region="eu"), "one of .*'ie' .Europe.*'or' .Oregon", id="region"),
        pytest.param(extra(verify=[]), "`verify` must be true or false", id="verify-is-a-list"),
        pytest.param(extra(proxy="socks5://proxy:1080"), "`proxy` is no URL of an HTTP proxy", id="proxy-is-socks"),
        pytest.param(extra(proxy="http://proxy:port"), "`proxy` is no URL of an HTTP proxy", id="proxy-port"),
        pytest.param(extra(trust_env="perhaps"), "`trust_env` must be true or false", id="trust-env"),
        pytest.param(extra(reports_url="http://reports.example"), "https URL", id="reports-plain-http"),
        pytest.param(extra(reports_url="javascript:alert(1)"), "https URL", id="reports-script"),
        pytest.param(extra(reports_url='https://x.example"><script>'), "https URL", id="reports-markup"),
        pytest.param(extra(reports_url="https://x.example:443;script-src * 'unsafe-inline'"), "https URL", id="policy"),
        pytest.param(extra(reports_url="https://x.example:port"), "https URL", id="reports-port"),
        pytest.param(extra(reports_url="https://x.example/a;script-src *"), "https URL", id="policy-in-a-path"),
        pytest.param(extra(reports_url="https://x.example/a b"), "https URL", id="reports-blank"),
        pytest.param(extra(reports_url="https://x.example,*"), "https URL", id="reports-comma"),
        pytest.param(extra(reports_url="https://*.example"), "https URL", id="reports-wildcard"),
        pytest.param(extra(reports_url="https://me@x.example"), "https URL", id="reports-user"),
        pytest.param({"host": "http://data.learnosity.com"}, "Use https, or set extra `allow_http`", id="plain-http"),
        pytest.param({"host": "simulator", "schema": "http"}, "plain http", id="plain-http-by-schema"),
        pytest.param({"host": "ftp://data.learnosity.com"}, "starts with https://", id="ftp"),
        pytest.param({"host": "https://"}, "must be a host name", id="no-name"),
        pytest.param({"host": "https://me:pw@data.learnosity.com"}, "must not carry user info", id="user-info"),
        pytest.param({"host": "https://data.learnosity.com/v1"}, "version goes into the extra", id="path"),
        pytest.param({"host": "https://data.learnosity.com?x=1"}, "a query", id="query"),
        pytest.param({"host": "https://data.learnosity.com:http"}, "cannot be read", id="bad-port"),
        pytest.param({"host": "https://169.254.169.254"}, "never called", id="metadata"),
        pytest.param({"host": "https://2852039166"}, "never called", id="metadata-as-a-number"),
        pytest.param({"host": "https://[::ffff:169.254.169.254]"}, "never called", id="metadata-mapped"),
        pytest.param({"host": "fe80::1"}, "never called", id="link-local-without-brackets"),
        pytest.param({"host": "fd00:ec2::254", "port": 80}, "never called", id="metadata-ipv6"),
    ],
)
def test_a_connection_that_cannot_be_used_is_refused_by_name_with_what_to_do(parts: dict[str, Any], says: str) -> None:
    with pytest.raises(ConnectionConfigError, match=says) as caught:
        config(**parts)
    assert str(caught.value).startswith("Connection 'lrn': ")
    assert SECRET not in str(caught.value)
    for field in ("login", "password"):
        given = (parts.get(field) or "").strip()
        assert not given or given not in str(caught.value)


@pytest.mark.parametrize("conn_type", ["learnosity", "http", "https"])
def test_blanks_around_a_pasted_key_and_secret_do_not_count(conn_type: str) -> None:
    built = config(login=" AAAABBBBCCCCDDDD\n", password=f"{SECRET} \n", conn_type=conn_type)
    assert built.credentials == config().credentials


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("HTTPS://Reports.Example:8443//", "https://reports.example:8443"),
        ("https://reports.example/a/b/", "https://reports.example/a/b"),
        ("http://[::1]:8080/reports", "http://[::1]:8080/reports"),
    ],
)
def test_the_address_of_the_reports_api_is_made_of_its_parts(given: str, used: str) -> None:
    assert config(**extra(reports_url=given)).reports_url == used


@given(
    st.dictionaries(
        st.sampled_from(
            ["version", "domain", "organisation_id", "timeout", "region", "verify", "reports_url", "proxy"]
        ),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers()),
    ),
    st.none() | st.text(max_size=30),
)
def test_no_extra_and_no_host_ends_in_anything_but_a_config_or_a_refusal(
    values: dict[str, Any], host: str | None
) -> None:
    try:
        built = config(host=host, extra=values)
    except ConnectionConfigError as error:
        assert SECRET not in str(error)
    else:
        assert built.base_url.startswith("https://") or "localhost" in built.base_url or "127." in built.base_url
        assert 0 < built.timeout < float("inf")


def test_the_account_is_the_address_and_the_key_and_nothing_else() -> None:
    same = {
        config().account,
        config(password="f" * 40).account,
        config(**extra(version="v2025.3.LTS", domain="school.example", organisation_id=7, timeout=5)).account,
        config(host="https://data.learnosity.com").account,
    }
    assert same == {config().account}
    others = {
        config(login="DDDDCCCCBBBBAAAA").account,
        config(**extra(region="ie")).account,
        config(host="http://localhost:8888").account,
        config(host="http://localhost:8889").account,
    }
    assert len(same | others) == 5
    assert "AAAABBBB" not in config().account


def test_neither_the_secret_nor_the_proxy_is_in_any_repr() -> None:
    built = config(**extra(proxy="http://user:proxy-password@proxy:3128"))
    for shown in (repr(built), str(built), repr(built.credentials)):
        assert SECRET not in shown
        assert "proxy-password" not in shown


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (None, ()),
        ("", ()),
        ([], ()),
        (["Files.Example.", "*.s3.example"], ("files.example", "*.s3.example")),
        ("a.example, *.b.example 10.1.2.3", ("a.example", "*.b.example", "10.1.2.3")),
    ],
)
def test_hosts_of_private_networks_are_named(given: Any, names: tuple[str, ...]) -> None:
    config = build_config("test", login="k" * 16, password="s" * 40, extra={"private_hosts": given})
    assert config.url_policy.private_hosts == names


@pytest.mark.parametrize("given", ["*", "*.", ["a b"], [1], {"a": 1}, 7, True, ["https://a.example"], ["*.*.a"]])
def test_what_names_no_host_is_refused(given: Any) -> None:
    with pytest.raises(ConnectionConfigError, match="private_hosts"):
        build_config("test", login="k" * 16, password="s" * 40, extra={"private_hosts": given})
