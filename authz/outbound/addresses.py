"""Name resolution that hands out only addresses which may be connected to: what was checked is what is dialled."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from authz.outbound.allowlist import AllowList


class ForbiddenAddressError(OSError):
    """A name stands for nothing but addresses that may not be asked."""


class CheckedResolver(AbstractResolver):
    """The system's resolver, its answers checked against an allow-list. The connector dials nothing else."""

    def __init__(self, allowed: AllowList) -> None:
        self._allowed = allowed
        self._resolver = ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        """Return a name's addresses. Raises ForbiddenAddressError, or another OSError if there are none."""
        found = await self._resolver.resolve(host, port, family)
        permitted = [one for one in found if self._allowed.permits_address(host, port, ip_address(one["host"].partition("%")[0]))]
        if found and not permitted:
            raise ForbiddenAddressError(f"{host} stands for an address that may not be asked")
        return permitted

    async def close(self) -> None:
        await self._resolver.close()
