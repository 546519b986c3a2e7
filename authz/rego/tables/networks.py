"""Networks: which of the CIDRs of a table an address or a network lies in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from authz.rego.builtins.net import NetworkError, parse_address, parse_cidr
from authz.rego.tables.indexes import NOTHING, Component
from authz.rego.values import Value

Place: TypeAlias = tuple[int, int, int]
"""IP version, prefix length, leading bits."""


class NetworkIndex:
    """For every prefix length, the leading bits of its networks: as many look-ups as there are lengths. A component is a Place."""

    __slots__ = ("_lengths", "_places")

    def __init__(self, networks: Iterable[str]) -> None:
        self._places = frozenset(map(self.component, networks))
        # (bits of an address, length) by version, the longest first
        self._lengths = {
            version: tuple(sorted({length for other, length, _ in self._places if other == version}, reverse=True)) for version in (4, 6)
        }

    @staticmethod
    def component(network: str) -> Place:
        """Return the component that a CIDR is found under."""
        parsed = parse_cidr(network)
        return parsed.version, parsed.prefixlen, int(parsed.network_address) >> (parsed.max_prefixlen - parsed.prefixlen)

    def select(self, value: Value | None, /) -> Sequence[Component]:
        if not isinstance(value, str):
            return NOTHING
        address = parse_address(value)
        if address is not None:
            return self._around(address.version, address.max_prefixlen, address.max_prefixlen, int(address))
        try:
            network = parse_cidr(value)
        except NetworkError:
            return NOTHING
        return self._around(network.version, network.max_prefixlen, network.prefixlen, int(network.network_address))

    def _around(self, version: int, most: int, own: int, address: int) -> Sequence[Component]:
        """Return the networks around an address or a network of `own` leading bits."""
        places = [(version, length, address >> (most - length)) for length in self._lengths[version] if length <= own]
        return [place for place in places if place in self._places]

    def __len__(self) -> int:
        return len(self._places)
