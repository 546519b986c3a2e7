"""Built-ins on addresses and networks.

Owns Go's reading of a CIDR and the bound on expansion. Never resolves a name: a
decision must not wait for the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses, ip_address
from typing import Final, TypeAlias, Union

from authz.rego.builtins.registry import ANY, ARRAY, BOOLEAN, SET, STRING, builtin, operand_error
from authz.rego.errors import BuiltinError
from authz.rego.values import Object, Set, Value

MAX_EXPANDED: Final = 65_536
"""Addresses that one net.cidr_expand may yield (an IPv4 /16)."""

_PARSED_CIDRS: Final = 4_096
_PREFIX_DIGITS: Final = 64
_MAPPED_BITS: Final = 96
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


def contains(outer: Network, inner: Network) -> bool:
    """Tell whether all addresses of `inner` are in `outer`; families do not mix."""
    return outer.version == inner.version and outer.supernet_of(inner)  # type: ignore[arg-type]


def _checked(name: str, check: Callable[[], bool]) -> bool:
    try:
        return check()
    except NetworkError as error:
        raise BuiltinError(f"{name}: {error}") from None


@builtin("net.cidr_contains", STRING, STRING, result=BOOLEAN)
def cidr_contains(cidr: str, other: str) -> bool:
    return _checked("net.cidr_contains", lambda: contains(parse_cidr(cidr), network_of(other)))


@builtin("net.cidr_overlap", STRING, STRING, result=BOOLEAN, deprecated=True)
def cidr_overlap(cidr: str, other: str) -> bool:
    return _checked("net.cidr_overlap", lambda: contains(parse_cidr(cidr), network_of(other)))


@builtin("net.cidr_intersects", STRING, STRING, result=BOOLEAN)
def cidr_intersects(left: str, right: str) -> bool:
    def intersects() -> bool:
        one, other = parse_cidr(left), parse_cidr(right)
        return contains(one, other) or contains(other, one)

    return _checked("net.cidr_intersects", intersects)


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
    name = "net.cidr_contains_matches"
    outers = [(key, _matched(text, parse_cidr)) for key, text in _entries(name, 1, cidrs)]
    inners = [(key, _matched(text, network_of)) for key, text in _entries(name, 2, others)]
    return Set((left, right) for left, outer in outers for right, inner in inners if contains(outer, inner))


def _matched(text: str, parse: Callable[[str], Network]) -> Network:
    try:
        return parse(text)
    except NetworkError as error:
        raise BuiltinError(f"net.cidr_contains_matches: {error}") from None


def _entries(name: str, position: int, operand: Value) -> Iterator[tuple[Value, str]]:
    """Yield each entry's name in the result and its text: a set's members name themselves.

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
        if type(text) is not str:
            if text is not member:
                raise operand_error(name, position, STRING, text)
            raise BuiltinError(f"{name}: operand {position}: element must be string or non-empty array")
        yield key, text


@builtin("net.cidr_merge", (ARRAY, SET), result=SET)
def cidr_merge(cidrs: Value) -> Value:
    members = cidrs if isinstance(cidrs, (tuple, Set)) else ()
    networks: list[IPv6Network] = []
    for member in members:
        if type(member) is not str:
            raise BuiltinError("net.cidr_merge: element must be string")
        networks.append(_mapped(_merged_network(member)))
    return Set(str(_unmapped(network)) for network in collapse_addresses(networks))


def _merged_network(text: str) -> Network:
    """Return the network; an IPv4 address alone has the prefix of its historic class (Go's DefaultMask)."""
    try:
        return parse_cidr(text)
    except NetworkError as error:
        address = parse_address(text)
        if isinstance(address, IPv6Address):
            raise BuiltinError("net.cidr_merge: IPv6 invalid: needs prefix length") from None
        if address is None:
            raise BuiltinError(f"net.cidr_merge: {error}") from None
        first = address.packed[0]
        return IPv4Network((address, 8 if first < 0x80 else 16 if first < 0xC0 else 24), strict=False)


@builtin("net.lookup_ip_addr", STRING, result=SET, deterministic=False)
def lookup_ip_addr(name: str) -> Value:
    """Return a literal address as it is; `localhost` is what RFC 6761, 6.3 says it is. Nothing else is looked up."""
    address = parse_address(name)
    if address is not None:
        return Set([str(address)])
    if name.rstrip(".").lower() == "localhost":
        return Set(_LOOPBACK)
    raise BuiltinError("net.lookup_ip_addr: names are not resolved while deciding")
