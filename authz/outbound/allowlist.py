"""Which hosts and addresses policies may send requests to. Compares names and numbers; resolves and connects nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias, Union

from authz.errors import AuthzError, ErrorCode

Address: TypeAlias = Union[IPv4Address, IPv6Address]

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_ANY_PORT: Final = 0
_MAX_PORT: Final = 65_535
_NAME: Final = re.compile(r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_ENTRY: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}|\*))?")
_NAT64: Final = IPv6Network("64:ff9b::/96")

_METADATA: Final = frozenset(map(ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16")))
"""Where clouds tell a workload its credentials, besides 169.254.0.0/16 and fe80::/10: AWS, Google, Alibaba, Azure."""


class AllowListError(AuthzError):
    """An entry of the allow-list cannot be used."""

    code = ErrorCode.CONFIG


@dataclass(frozen=True, slots=True)
class _Entry:
    """One allowed host. `port` is None for the scheme's own, 0 for any; a suffix begins with its dot; an address has its shortest form."""

    host: str
    port: int | None

    def covers(self, host: str, port: int, default_port: int | None) -> bool:
        matches = host.endswith(self.host) if self.host.startswith(".") else host == self.host
        return matches and (self.port == _ANY_PORT or port == (default_port if self.port is None else self.port))


class AllowList:
    """The hosts that may be asked; one without entries allows none."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        """Raises AllowListError for an entry that is no host."""
        self._entries = tuple(map(_parsed, entries))

    def __bool__(self) -> bool:
        return bool(self._entries)

    def permits(self, scheme: str, host: str, port: int) -> bool:
        """Whether a URL's host and port may be asked; `host` is lower case, an address without brackets."""
        host, default_port = normal(host), DEFAULT_PORTS[scheme]
        return any(entry.covers(host, port, default_port) for entry in self._entries)

    def permits_address(self, host: str, port: int, address: Address) -> bool:
        """Whether a connection for an allowed host may go to an address that the host's name has been resolved to.

        The machine itself, its link and the cloud's metadata are not what a name should stand for: whoever controls the name's
        DNS could have a policy ask them. They have to be allowed by their address; `localhost` stands for the machine.
        """
        if not is_special(address):
            return True
        names = [str(address)]
        if normal(host) == "localhost" and address.is_loopback:
            names.append("localhost")
        default_port = port if port in DEFAULT_PORTS.values() else None
        return any(entry.host in names and entry.covers(entry.host, port, default_port) for entry in self._entries)


def normal(host: str) -> str:
    """Return a host as entries are compared with: an address in its shortest form, a name without the root's dot."""
    try:
        return str(ip_address(host))
    except ValueError:
        return host.lower().removesuffix(".")


def is_special(address: Address) -> bool:
    """Whether an address is the machine itself, its link, a group, or a cloud's metadata; also where it is wrapped in an IPv6 one."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return is_special(IPv4Address(int(address) & 0xFFFF_FFFF))
        wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if wrapped is not None and is_special(wrapped):
            return True
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address.is_reserved
        or address in _METADATA
    )


def _parsed(text: str) -> _Entry:
    entry = text.strip().lower()
    if entry.count(":") > 1 and not entry.startswith("["):
        entry = f"[{entry}]"
    found = _ENTRY.fullmatch(entry)
    host = found["host"] if found else ""
    if found is None or (host.startswith("[") and not _is_ipv6(host[1:-1])):
        raise _unusable(text)
    return _Entry(_host(host, text), _port(found["port"], text))


def _host(host: str, text: str) -> str:
    if host.startswith("["):
        return str(ip_address(host[1:-1]))
    name = host.removeprefix("*.")
    if _NAME.fullmatch(name) is None or (name != host and name.replace(".", "").isdecimal()):
        raise _unusable(text)
    return f".{name}" if name != host else normal(name)


def _port(port: str | None, text: str) -> int | None:
    if port is None:
        return None
    if port == "*":
        return _ANY_PORT
    if not 0 < int(port) <= _MAX_PORT:
        raise _unusable(text)
    return int(port)


def _is_ipv6(text: str) -> bool:
    try:
        return ip_address(text).version == 6 and "%" not in text
    except ValueError:
        return False


def _unusable(text: str) -> AllowListError:
    return AllowListError(
        f"`{text}` is not a host",
        help="write `api.example.org`, `*.example.org`, an address, each perhaps with `:8443`, or `:*` for every port",
    )
