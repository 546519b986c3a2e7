from __future__ import annotations

from ipaddress import ip_address

import pytest

from authz.outbound.allowlist import AllowList, AllowListError, is_special


@pytest.mark.parametrize(
    ("entry", "asked", "expected"),
    [
        ("api.example.org", ("https", "api.example.org", 443), True),
        ("api.example.org", ("http", "api.example.org", 80), True),
        ("api.example.org", ("https", "api.example.org", 8443), False),
        ("api.example.org", ("https", "api.example.org", 80), False),
        ("api.example.org", ("https", "api.example.org.", 443), True),
        ("API.Example.org", ("https", "api.example.org", 443), True),
        ("api.example.org", ("https", "xapi.example.org", 443), False),
        ("api.example.org", ("https", "api.example.org.evil.test", 443), False),
        ("api.example.org:8443", ("https", "api.example.org", 8443), True),
        ("api.example.org:8443", ("https", "api.example.org", 443), False),
        ("api.example.org:*", ("https", "api.example.org", 1), True),
        ("*.example.org", ("https", "a.example.org", 443), True),
        ("*.example.org", ("https", "a.b.example.org", 443), True),
        ("*.example.org", ("https", "example.org", 443), False),
        ("*.example.org", ("https", "evilexample.org", 443), False),
        ("*.example.org:8443", ("https", "a.example.org", 8443), True),
        ("127.0.0.1:8080", ("http", "127.0.0.1", 8080), True),
        ("127.0.0.1:8080", ("http", "127.1", 8080), False),
        ("127.0.0.1:8080", ("http", "::ffff:127.0.0.1", 8080), False),
        ("[::1]:8080", ("http", "::1", 8080), True),
        ("::1", ("http", "0:0:0:0:0:0:0:1", 80), True),
        ("[0::1]:*", ("http", "::1", 1), True),
    ],
)
def test_a_host_is_allowed_by_its_entry(entry: str, asked: tuple[str, str, int], expected: bool) -> None:
    assert AllowList([entry]).permits(*asked) is expected


def test_a_list_without_entries_allows_nothing() -> None:
    assert not AllowList()
    assert AllowList().permits("https", "api.example.org", 443) is False
    assert AllowList(["a.test"])


@pytest.mark.parametrize(
    "entry",
    ["*", "*.", "", " ", "https://a.test", "a.test/x", "a.test:0", "a.test:65536", "a.test:http", "a b", "ä.test", "[a.test]", "*.1.2.3",
     "[::1", "::1]", "fe80::1%eth0", "a..b", "-a.test", "*.*.a.test", "a.*.test", "user@a.test", "[127.0.0.1]"],
)  # fmt: skip
def test_what_is_no_host_is_refused_with_the_fix(entry: str) -> None:
    with pytest.raises(AllowListError) as caught:
        AllowList([entry])
    assert caught.value.message == f"`{entry}` is not a host"
    assert "api.example.org" in (caught.value.help or "")


SPECIAL = [
    *("127.0.0.1", "127.255.0.1", "0.0.0.0", "169.254.169.254", "224.0.0.1", "240.0.0.1", "255.255.255.255"),  # noqa: S104 - binds nothing
    *("100.100.100.200", "168.63.129.16"),
    *("::1", "::", "fe80::1", "ff02::1", "fd00:ec2::254", "fd20:ce::254", "::ffff:127.0.0.1", "::ffff:169.254.169.254"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::1", "::7f00:1"),
]


@pytest.mark.parametrize("address", SPECIAL)
def test_the_machine_its_link_and_metadata_are_special_in_every_spelling(address: str) -> None:
    assert is_special(ip_address(address))


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.1.1", "100.64.0.1", "8.8.8.8", "fd00::1", "2606:4700::1", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_other_addresses_are_not(address: str) -> None:
    assert not is_special(ip_address(address))


@pytest.mark.parametrize(
    ("entries", "host", "address", "expected"),
    [
        (["a.test:*"], "a.test", "10.0.0.1", True),
        (["a.test:*"], "a.test", "127.0.0.1", False),
        (["*.test:*"], "a.test", "169.254.169.254", False),
        (["a.test:*", "127.0.0.1:*"], "a.test", "127.0.0.1", True),
        (["a.test:*", "127.0.0.1:8080"], "a.test", "127.0.0.1", True),
        (["a.test:*", "127.0.0.1:8081"], "a.test", "127.0.0.1", False),
        (["a.test:*", "127.0.0.1"], "a.test", "127.0.0.1", False),
        (["localhost:8080"], "localhost", "127.0.0.1", True),
        (["localhost:8080"], "localhost", "::1", True),
        (["localhost:8080"], "localhost", "169.254.169.254", False),
        (["localhost:8080"], "a.test", "127.0.0.1", False),
        (["*.localhost:8080"], "a.localhost", "127.0.0.1", False),
    ],
)
def test_a_name_may_stand_for_a_special_address_only_if_that_is_allowed(
    entries: list[str], host: str, address: str, expected: bool
) -> None:
    assert AllowList(entries).permits_address(host, 8080, ip_address(address)) is expected
