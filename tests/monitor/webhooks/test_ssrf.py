"""Where a webhook may point: every way into a private network that is known is refused, by name."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import AddressRefused
from monitor.settings import ConfigError, from_environment
from monitor.webhooks.ssrf import allowed_networks, checked, is_public, parse

PUBLIC_4, PUBLIC_6 = "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"
HOOK = parse("https://hooks.example/cusp")


@pytest.mark.parametrize("address", [PUBLIC_4, PUBLIC_6, "8.8.8.8", "2001:4860:4860::8888"])
def test_a_public_address_passes(address: str) -> None:
    assert checked(HOOK, [address], ()) == [address]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",  # carrier-grade NAT
        "100.100.100.200",  # metadata at Alibaba
        "169.254.169.254",  # metadata at AWS, Google, Azure
        "168.63.129.16",  # Azure's wire server
        "192.0.0.192",  # metadata at Oracle
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",  # metadata at AWS
        "ff02::1",
        "::ffff:127.0.0.1",  # IPv4-mapped
        "::ffff:169.254.169.254",
        "::127.0.0.1",  # IPv4-compatible
        "64:ff9b::7f00:1",  # NAT64 of 127.0.0.1
        "64:ff9b:1::a00:1",  # local NAT64
        "2002:7f00:1::",  # 6to4 of 127.0.0.1
        "2001:0:53aa:64c:0:0:80ff:fffe",  # Teredo
        "2001:db8::1",
        "100::1",  # discard
        "5f00::1",  # segment routing
    ],
)
def test_an_address_that_is_not_public_is_refused_with_the_way_out(address: str) -> None:
    with pytest.raises(AddressRefused, match="CUSP_WEBHOOK_ALLOW=") as refusal:
        checked(HOOK, [address], ())
    assert address in str(refusal.value)


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_that_python_calls_private_passes(address: ipaddress.IPv4Address) -> None:
    if not address.is_global:
        assert not is_public(address)


@given(st.ip_addresses(v=6))
def test_no_ipv6_address_that_python_calls_private_passes(address: ipaddress.IPv6Address) -> None:
    if not address.is_global or address.ipv4_mapped or address.sixtofour or address.teredo:
        assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_passes_in_an_ipv6_coat(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for coat in ("::ffff:0:0", "::", "64:ff9b::", "64:ff9b:1::"):
        assert not is_public(ipaddress.IPv6Address(int(ipaddress.IPv6Address(coat)) + number))
    assert not is_public(ipaddress.IPv6Address((0x2002 << 112) + (number << 80)))


def test_one_bad_address_among_good_ones_is_refused() -> None:
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
        checked(HOOK, [PUBLIC_4, "10.0.0.1"], ())


def test_a_name_without_an_address_is_refused() -> None:
    with pytest.raises(AddressRefused, match=r"'hooks\.example' has no address"):
        checked(HOOK, [], ())


def test_an_allowed_network_opens_itself_and_nothing_else() -> None:
    allowed = allowed_networks("10.1.0.0/16, ::1")
    on_any_port = parse("https://hooks.example:9000/")
    assert checked(on_any_port, ["10.1.2.3", "::1"], allowed)
    for address in ("10.2.0.1", "127.0.0.1", "::ffff:10.1.2.3"):
        with pytest.raises(AddressRefused):
            checked(on_any_port, [address], allowed)


@pytest.mark.parametrize("port", [22, 25, 80, 5432, 6379, 8080])
def test_a_public_address_is_reached_at_the_usual_ports_only(port: int) -> None:
    with pytest.raises(
        AddressRefused, match=f"port {port}; a public address is reached at 443 or 8443"
    ):
        checked(parse(f"https://hooks.example:{port}/"), [PUBLIC_4], ())
    assert checked(parse("https://hooks.example:8443/"), [PUBLIC_4], ())


def test_http_is_for_this_machine_and_only_when_allowed() -> None:
    plain = parse("http://localhost:9000/")
    with pytest.raises(AddressRefused, match="unencrypted; use https"):
        checked(plain, ["127.0.0.1"], ())
    assert checked(plain, ["127.0.0.1"], allowed_networks("127.0.0.1"))
    for address in (PUBLIC_4, "10.0.0.1"):
        with pytest.raises(AddressRefused, match="unencrypted; use https"):
            checked(plain, [address], allowed_networks("10.0.0.0/8, 93.184.216.34"))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://hooks.example/", "use one like https"),
        ("file:///etc/passwd", "use one like https"),
        ("gopher://127.0.0.1:6379/_SET", "use one like https"),
        ("hooks.example/cusp", "use one like https"),
        ("https://", "use one like https"),
        ("https://hooks.example:0/", "use one like https"),
        ("https://hooks.example:99999/", "cannot be read"),
        ("https://[::1/", "cannot be read"),
        ("https://user:secret@hooks.example/", "user or password"),
        ("https://hooks.example\\@127.0.0.1/", "characters no URL has"),
        ("https://hooks.example/a b", "characters no URL has"),
        ("https://hooks.example/\r\nX-Evil: 1", "characters no URL has"),
        ("https://hööks.example/", "characters no URL has"),
        ("https://hooks.example/#part", "fragment"),
        ("https://hooks.example/" + "x" * 2_000, "at most 2000"),
    ],
)
def test_a_url_that_is_none_of_ours_is_refused_with_the_way_out(url: str, why: str) -> None:
    with pytest.raises(AddressRefused, match=why) as refusal:
        parse(url)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("https://hooks.example", "hooks.example", "/"),
        ("https://HOOKS.example:443/a?b=c", "hooks.example", "/a?b=c"),
        ("https://hooks.example:8443/", "hooks.example:8443", "/"),
        ("https://[2606:2800::1]:8443/x", "[2606:2800::1]:8443", "/x"),
    ],
)
def test_a_url_is_taken_apart(url: str, authority: str, path: str) -> None:
    target = parse(url)
    assert (target.authority, target.path) == (authority, path)


def test_the_setting_is_read_and_a_bad_network_is_named() -> None:
    config = from_environment({"CUSP_WEBHOOK_ALLOW": "10.1.0.0/16,127.0.0.1"})
    assert [str(network) for network in config.webhook_allow] == ["10.1.0.0/16", "127.0.0.1/32"]
    with pytest.raises(ConfigError, match=r"CUSP_WEBHOOK_ALLOW holds '10\.1\.0\.1/16'"):
        from_environment({"CUSP_WEBHOOK_ALLOW": "10.1.0.1/16"})


@pytest.mark.parametrize("name", ["CUSP_DELETED_DAYS", "CUSP_KEEP_DAYS"])
@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "1e9"])
def test_days_that_mean_nothing_are_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is '{value}'"):
        from_environment({name: value})


def test_days_are_read() -> None:
    config = from_environment({"CUSP_DELETED_DAYS": "7", "CUSP_KEEP_DAYS": "0.5"})
    assert (config.deleted_days, config.keep_days) == (7.0, 0.5)
    assert (from_environment({}).deleted_days, from_environment({}).keep_days) == (30.0, None)
