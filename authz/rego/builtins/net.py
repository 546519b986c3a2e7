"""Built-ins on addresses and networks.

Owns Go's reading of a CIDR and the bound on expansion. Never resolves a name: a
decision must not wait for the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, summarize_address_range
from typing import Final, TypeAlias, Union

from authz.rego.builtins.registry import ANY, BOOLEAN, SET, STRING, builtin, operand_error
from authz.rego.errors import BuiltinError
from authz.rego.values import Object, Set, Value

MAX_EXPANDED: Final = 65_536
"""Addresses that one net.cidr_expand may yield (an IPv4 /16)."""

MAX_PAIRS: Final = 250_000
"""Pairs that one net.cidr_contains_matches may look at."""

_PARSED_CIDRS: Final = 4_096
_PREFIX_DIGITS: Final = 64
_MAPPED_BITS: Final = 96
_LOWEST: Final = (0, 0xFFFF << 32)  # `::` and 0.0.0.0, before which there is nothing
_LOOPBACK: Final = ("127.0.0.1", "::1")

Address: TypeAlias = Union[IPv4Address, IPv6Address]
Network: TypeAlias = Union[IPv4Network, IPv6Network]


class NetworkError(ValueError):
    """The text is no CIDR or no address; the message is Go's."""


@lru_cache(_PARSED_CIDRS)
def parse_cidr(text: str) -> Network:
    """Return the network of `address/prefix`, its host bits cleared (Go's net.ParseCIDR). Raises NetworkError."""
    host, slash, prefix = text.partition("/")
    address = _ip(host)
    if not slash or address is None or not _is_prefix(prefix, address.max_prefixlen):
        raise NetworkError(f"invalid CIDR address: {text}")
    if isinstance(address, IPv4Address):
        return IPv4Network((address, int(prefix)), strict=False)
    return _unmapped(IPv6Network((address, int(prefix)), strict=False))


def _is_prefix(text: str, most: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _PREFIX_DIGITS and int(text) <= most


def _unmapped(network: IPv6Network) -> Network:
    """Return the IPv4 network that an IPv4-mapped one is: Go keeps no difference, so neither may a policy."""
    mapped = network.network_address.ipv4_mapped
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))


def _mapped(network: Network) -> IPv6Network:
    if isinstance(network, IPv6Network):
        return network
    return IPv6Network((f"::ffff:{network.network_address}", network.prefixlen + _MAPPED_BITS))


@lru_cache(_PARSED_CIDRS)
def _ip(text: str) -> Address | None:
    """Return the address as written, or None for what is not one."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return None if "%" in text else address


def parse_address(text: str) -> Address | None:
    """Return the address, or None for what is not one. An IPv4-mapped address is IPv4."""
    address = _ip(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def network_of(text: str) -> Network:
    """Return the network, or the single address as a network. Raises NetworkError."""
    address = parse_address(text)
    if address is None:
        try:
            return parse_cidr(text)
        except NetworkError:
            raise NetworkError(f"not a valid textual representation of an IP address or CIDR: {text}") from None
    return IPv4Network(address) if isinstance(address, IPv4Address) else IPv6Network(address)


@lru_cache(_PARSED_CIDRS)
def _block(text: str, *, is_cidr: bool) -> tuple[int, int, int]:
    """Return family, first and last address of a network or, unless it has to be a CIDR, of a single address. Raises NetworkError."""
    network = parse_cidr(text) if is_cidr else network_of(text)
    return network.version, int(network.network_address), int(network.broadcast_address)


def _checked(name: str, operand: Value, *, is_cidr: bool) -> tuple[int, int, int]:
    """Return an operand's block; errors call every operand the first, as OPA does."""
    if type(operand) is not str:
        raise operand_error(name, 1, STRING, operand)
    try:
        return _block(operand, is_cidr=is_cidr)
    except NetworkError as error:
        raise BuiltinError(f"{name}: {error}") from None


def _contains(name: str, cidr: Value, other: Value) -> bool:
    version, first, last = _checked(name, cidr, is_cidr=True)
    other_version, other_first, other_last = _checked(name, other, is_cidr=False)
    return version == other_version and first <= other_first and other_last <= last


@builtin("net.cidr_contains", ANY, ANY, result=BOOLEAN)
def cidr_contains(cidr: Value, other: Value) -> bool:
    return _contains("net.cidr_contains", cidr, other)


@builtin("net.cidr_overlap", ANY, ANY, result=BOOLEAN, deprecated=True)
def cidr_overlap(cidr: Value, other: Value) -> bool:
    return _contains("net.cidr_overlap", cidr, other)


@builtin("net.cidr_intersects", ANY, ANY, result=BOOLEAN)
def cidr_intersects(left: Value, right: Value) -> bool:
    version, first, last = _checked("net.cidr_intersects", left, is_cidr=True)
    other_version, other_first, other_last = _checked("net.cidr_intersects", right, is_cidr=True)
    return version == other_version and first <= other_last and other_first <= last


@builtin("net.cidr_is_valid", ANY, result=BOOLEAN)
def cidr_is_valid(cidr: Value) -> bool:
    try:
        return type(cidr) is str and bool(parse_cidr(cidr))
    except NetworkError:
        return False


@builtin("net.cidr_expand", STRING, result=SET)
def cidr_expand(cidr: str) -> Value:
    try:
        network = parse_cidr(cidr)
    except NetworkError as error:
        raise BuiltinError(f"net.cidr_expand: {error}") from None
    if network.num_addresses > MAX_EXPANDED:
        raise BuiltinError(f"net.cidr_expand: {cidr} has more than {MAX_EXPANDED} addresses")
    return Set(str(address) for address in network)


@builtin("net.cidr_contains_matches", ANY, ANY, result=SET)
def cidr_contains_matches(cidrs: Value, others: Value) -> Value:
    """Return the names of every network and every network or address in it, looked at pair by pair."""
    name = "net.cidr_contains_matches"
    found: set[Value] = set()
    pairs = 0
    for key, cidr in _entries(name, 1, cidrs):
        for other_key, other in _entries(name, 2, others):
            pairs += 1
            if pairs > MAX_PAIRS:
                raise BuiltinError(f"{name}: more than {MAX_PAIRS} pairs")
            if _contains(name, cidr, other):
                found.add((key, other_key))
    return Set(found)


def _entries(name: str, position: int, operand: Value) -> Iterator[tuple[Value, Value]]:
    """Yield each entry's name in the result and its network: a set's members name themselves.

    An operand that is no text and no collection has no entries (OPA's behaviour).
    """
    pairs: Iterable[tuple[Value, Value]] = ()
    if type(operand) is str:
        pairs = [(operand, operand)]
    elif isinstance(operand, Set):
        pairs = [(member, member) for member in operand.ordered()]
    elif isinstance(operand, Object):
        pairs = [(key, operand[key]) for key in operand.ordered()]
    elif type(operand) is tuple:
        pairs = enumerate(operand)
    for key, member in pairs:
        text = member[0] if type(member) is tuple and member else member
        if text is member and type(text) is not str:
            raise BuiltinError(f"{name}: operand {position}: element must be string or non-empty array")
        yield key, text


@builtin("net.cidr_merge", ANY, result=SET)
def cidr_merge(cidrs: Value) -> Value:
    if not isinstance(cidrs, (tuple, Set)):
        raise BuiltinError("net.cidr_merge: operand must be an array")
    ranges: list[_Range] = []
    for member in cidrs.ordered() if isinstance(cidrs, Set) else cidrs:
        if type(member) is not str:
            raise BuiltinError("net.cidr_merge: element must be string")
        text, network = _merged_network(member)
        ranges.append((int(network.broadcast_address), int(network.network_address), text))
    return Set(text for merged in _merged(ranges) for text in _range_texts(merged))


_Range: TypeAlias = tuple[int, int, str]
"""The last and the first address of a range, and its text, which is "" for what was merged of several."""


def _merged(ranges: list[_Range]) -> list[_Range]:
    """Join ranges that overlap or touch, as OPA does: from the end, each with the one before it."""
    merged = sorted(ranges)
    for at in range(len(merged) - 1, 0, -1):
        last, first, _ = merged[at]
        previous_last, previous_first, _ = merged[at - 1]
        if first - (first not in _LOWEST) <= previous_last:
            merged[at - 1 :] = [(last, min(first, previous_first), ""), *merged[at + 1 :]]
    return merged


def _range_texts(merged: _Range) -> Iterator[str]:
    last, first, text = merged
    if text:
        yield text
    else:
        for network in summarize_address_range(IPv6Address(first), IPv6Address(last)):
            yield str(_unmapped(network))


def _merged_network(text: str) -> tuple[str, IPv6Network]:
    """Return the network and its text; an IPv4 address alone has the prefix of its historic class (Go's DefaultMask)."""
    address = parse_address(text)
    if isinstance(address, IPv6Address):
        raise BuiltinError("net.cidr_merge: IPv6 invalid: needs prefix length")
    if address is not None:
        first = address.packed[0]
        prefix = 8 if first < 0x80 else 16 if first < 0xC0 else 24
        return f"{address}/{prefix}", _mapped(IPv4Network((address, prefix), strict=False))
    try:
        network = parse_cidr(text)
    except NetworkError as error:
        raise BuiltinError(f"net.cidr_merge: {error}") from None
    return str(network), _mapped(network)


@builtin("net.lookup_ip_addr", STRING, result=SET, deterministic=False)
def lookup_ip_addr(name: str) -> Value:
    """Return a literal address as it is; `localhost` is what RFC 6761, 6.3 says it is. Nothing else is looked up."""
    address = parse_address(name)
    if address is not None:
        return Set([str(address)])
    literal, percent, zone = name.partition("%")
    if zone and isinstance(parse_address(literal), IPv6Address):
        return Set([f"{parse_address(literal)}{percent}{zone}"])
    if name.rstrip(".").lower() == "localhost":
        return Set(_LOOPBACK)
    raise BuiltinError("net.lookup_ip_addr: names are not resolved while deciding")
