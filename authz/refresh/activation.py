"""A compiled policy's last step: from the worker's bytes to the snapshot that decides.

Builds beside the event loop and swaps on it. What a snapshot is, is the PDP's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from authz import rego
from authz.identity import IdentityConfig
from authz.pdp import PDP, CacheConfig, Snapshot
from authz.refresh.messages import Compiled


@dataclass(frozen=True, slots=True)
class SnapshotSettings:
    """What a snapshot is built with besides its policy; fixed for the life of the process."""

    entrypoint: str
    identity: IdentityConfig
    cache: CacheConfig


class Activation:
    """Activates compiled policies, and tells `on_active` when that was done."""

    def __init__(self, pdp: PDP, settings: SnapshotSettings, now_ns: Callable[[], int], on_active: Callable[[], None]) -> None:
        self._pdp = pdp
        self._settings = settings
        self._now_ns = now_ns
        self._on_active = on_active

    async def activate(self, compiled: Compiled) -> None:
        """Make `compiled` the policy that decides; raises AuthzError and changes nothing if it cannot."""
        snapshot = await asyncio.to_thread(self._build, compiled)
        self._pdp.activate(snapshot)
        self._on_active()

    def _build(self, compiled: Compiled) -> Snapshot:
        settings = self._settings
        return Snapshot.build(
            rego.Policy.from_bytes(compiled.policy),
            entrypoint=settings.entrypoint,
            revision=compiled.revision,
            activated_ns=self._now_ns(),
            identity=settings.identity,
            cache=settings.cache,
        )
