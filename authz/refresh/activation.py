"""A compiled policy's last step: from the worker's bytes to the snapshot that decides.

Builds beside the event loop and swaps on it. What a snapshot is, is the PDP's.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    """Activates compiled policies, frees those that were replaced, and tells `on_active` when one is active."""

    def __init__(self, pdp: PDP, settings: SnapshotSettings, now_ns: Callable[[], int], on_active: Callable[[], None]) -> None:
        self._pdp = pdp
        self._settings = settings
        self._now_ns = now_ns
        self._on_active = on_active
        self._policy: rego.Policy | None = None

    async def activate(self, compiled: Compiled) -> None:
        """Make `compiled` the policy that decides; raises AuthzError and changes nothing if it cannot."""
        policy, snapshot = await asyncio.to_thread(self._build, compiled)
        self._pdp.activate(snapshot)
        replaced, self._policy = self._policy, policy
        self._on_active()
        if replaced is not None:  # nobody is asking it: a check never outlives the turn of the loop it began in
            await asyncio.to_thread(replaced.retire)

    def _build(self, compiled: Compiled) -> tuple[rego.Policy, Snapshot]:
        settings = self._settings
        with _without_collections():
            policy = rego.Policy.from_bytes(compiled.policy)
            snapshot = Snapshot.build(
                policy,
                entrypoint=settings.entrypoint,
                revision=compiled.revision,
                activated_ns=self._now_ns(),
                identity=settings.identity,
                cache=settings.cache,
            )
        return policy, snapshot


@contextmanager
def _without_collections() -> Iterator[None]:
    """Keep the garbage collector away from what is made here, now and later: it is used until it is retired.

    A collection stops every thread while it looks at every object; a policy with a large data document has millions.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
