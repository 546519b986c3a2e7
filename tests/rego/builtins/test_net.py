"""net.*: CIDRs as Go reads them, bounded expansion, and no look-ups."""

from typing import Any

import pytest

from tests.rego.builtins.as_json import call, failure


@pytest.mark.parametrize(
    ("cidr", "other", "contains"),
    [
        ("10.0.0.0/8", "192.168.1.0/24", False),
        ("10.0.0.0/8", "10.2.3.4/4", False),
        ("10.9.9.9/08", "10.2.3.4", True),
        ("2001:4860:4860::8888/32", "2001:4860:4860:1234::8888/40", True),
        ("::/0", "1.2.3.4", False),
        ("0.0.0.0/0", "::1", False),
    ],
)
def test_a_network_contains_addresses_and_networks(cidr: str, other: str, contains: bool) -> None:
    assert call("net.cidr_contains", cidr, other) is contains
    assert call("net.cidr_overlap", cidr, other) is contains


@pytest.mark.parametrize(
    ("cidr", "address"), [("1.2.3.0/24", "::ffff:1.2.3.4"), ("::ffff:1.2.3.0/120", "1.2.3.4"), ("::ffff:0:0/96", "1.2.3.4")]
)
def test_a_mapped_address_is_its_ipv4_address(cidr: str, address: str) -> None:
    """An allow list for IPv4 must not be passed by, nor a deny list evaded, by writing the address as IPv6."""
    assert call("net.cidr_contains", cidr, address) is True


@pytest.mark.parametrize(
    ("operands", "message"),
    [
        (("foo", "1.1.1.1"), "invalid CIDR address: foo"),
        (("10.0.0.0", "1.1.1.1"), "invalid CIDR address: 10.0.0.0"),
        (("01.2.3.0/24", "1.1.1.1"), "invalid CIDR address: 01.2.3.0/24"),
        (("fe80::1%eth0/10", "::1"), "invalid CIDR address: fe80::1%eth0/10"),
        (("10.0.0.0/8", "10.1.1.1/33"), "not a valid textual representation of an IP address or CIDR: 10.1.1.1/33"),
        (("fe80::/10", "fe80::1%eth0"), "not a valid textual representation of an IP address or CIDR: fe80::1%eth0"),
    ],
)
def test_what_is_no_network_is_refused(operands: tuple[str, str], message: str) -> None:
    assert failure("net.cidr_contains", *operands) == message


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("192.168.1.0/24", True),
        ("192.168.1.2", False),
        ("", False),
        ("1.2.3.4/+1", False),
        ("1.2.3.4/٣", False),
        ("::ffff:1.2.3.4/127", True),
        (1, False),
    ],
)
def test_validity_needs_a_prefix(text: Any, valid: bool) -> None:
    assert call("net.cidr_is_valid", text) is valid


def test_networks_intersect_if_one_contains_the_other() -> None:
    assert call("net.cidr_intersects", "192.168.1.0/25", "192.168.1.64/25") is True
    assert call("net.cidr_intersects", "192.168.1.64/26", "192.168.1.0/24") is True
    assert call("net.cidr_intersects", "192.168.1.0/24", "192.168.2.0/24") is False
    assert call("net.cidr_intersects", "10.0.0.0/8", "::/0") is False


def test_matches_are_named_by_index_key_or_member() -> None:
    assert call("net.cidr_contains_matches", [["1.1.2.0/24", 1], "1.1.1.0/24"], ["1.1.1.1", "1.1.2.1"]) == [[0, 1], [1, 0]]
    assert call("net.cidr_contains_matches", {"k": "1.1.1.1/24"}, "1.1.1.128") == [["k", "1.1.1.128"]]
    assert call("net.cidr_contains_matches", {"1.1.1.0/24"}, {"1.1.1.1"}) == [["1.1.1.0/24", "1.1.1.1"]]
    assert call("net.cidr_contains_matches", 1, "1.1.1.1") == []


def test_an_entry_is_a_string_or_starts_with_one() -> None:
    message = "operand 2: element must be string or non-empty array"
    assert failure("net.cidr_contains_matches", ["1.1.1.0/24"], ["1.1.1.1", 1]) == message
    assert failure("net.cidr_contains_matches", ["1.1.1.0/24"], [[]]) == message
    assert failure("net.cidr_contains_matches", [[1]], ["x"]) == "operand 1 must be string but got number"
    assert failure("net.cidr_contains_matches", ["1.1.1.0/24"], [[1]]) == "operand 1 must be string but got number"
    assert call("net.cidr_contains_matches", [[1]], []) == []


def test_pairs_are_bounded() -> None:
    cidrs = [f"10.{number // 256}.{number % 256}.0/24" for number in range(600)]
    assert "more than" in failure("net.cidr_contains_matches", cidrs, cidrs)


def test_every_operand_is_called_the_first_as_in_opa() -> None:
    assert failure("net.cidr_contains", "10.0.0.0/8", 1) == "operand 1 must be string but got number"
    assert failure("net.cidr_contains", "x", 1) == "invalid CIDR address: x"
    assert failure("net.cidr_intersects", "10.0.0.0/8", None) == "operand 1 must be string but got null"


def test_expansion_includes_both_ends_and_is_bounded() -> None:
    assert call("net.cidr_expand", "10.0.0.1/30") == ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert "has more than 65536 addresses" in failure("net.cidr_expand", "10.0.0.0/8")
    assert "has more than 65536 addresses" in failure("net.cidr_expand", "::/0")


@pytest.mark.parametrize(
    ("cidrs", "merged"),
    [
        (["192.0.128.0/24", "192.0.129.0/24"], ["192.0.128.0/23"]),
        (["192.0.2.112/30", "192.0.2.116/31", "192.0.2.118/31"], ["192.0.2.112/29"]),
        (["10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32"], ["10.0.0.1/32", "10.0.0.2/31"]),
        (["192.0.128.0", "192.0.129.0"], ["192.0.128.0/23"]),
        (["10.0.0.1"], ["10.0.0.1/8"]),
        (["10.0.0.1", "10.0.0.2"], ["10.0.0.0/8"]),
        (["::/8", "127.0.0.1/25"], ["::/8"]),
        (["::/0", "fe80::1/128"], ["::/0"]),
        (["0.0.0.0/0", "::/0"], ["::/0"]),
        (["fe80::/120", "192.0.2.0/24"], ["192.0.2.0/24", "fe80::/120"]),
        ([], []),
    ],
)
def test_networks_merge_to_the_fewest(cidrs: list[str], merged: list[str]) -> None:
    assert call("net.cidr_merge", cidrs) == merged


@pytest.mark.parametrize(
    ("member", "message"),
    [("foo", "invalid CIDR address: foo"), ("::1", "IPv6 invalid: needs prefix length"), (1, "element must be string")],
)
def test_what_cannot_merge_is_refused(member: Any, message: str) -> None:
    assert failure("net.cidr_merge", [member]) == message
    assert failure("net.cidr_merge", "10.0.0.0/8") == "operand must be an array"


def test_only_literal_addresses_are_looked_up() -> None:
    assert call("net.lookup_ip_addr", "10.0.0.0") == ["10.0.0.0"]
    assert call("net.lookup_ip_addr", "::ffff:1.2.3.4") == ["1.2.3.4"]
    assert call("net.lookup_ip_addr", "FE80::1%eth0") == ["fe80::1%eth0"]
    assert call("net.lookup_ip_addr", "localhost") == ["127.0.0.1", "::1"]
    assert failure("net.lookup_ip_addr", "example.com") == "names are not resolved while deciding"
