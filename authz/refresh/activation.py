"""A compiled policy's last step: from the compile worker's bytes to a snapshot that can decide.

Builds beside the event loop. What a snapshot is, is the PDP's; who makes it decide is another's.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from authz import rego
from authz.identity import IdentityConfig
from authz.pdp import CacheConfig, Responses, Snapshot
from authz.refresh.messages import Compiled


@dataclass(frozen=True, slots=True)
class SnapshotSettings:
    """What a snapshot is built with besides its policy; fixed for the life of the process."""

    entrypoint: str
    identity: IdentityConfig
    cache: CacheConfig
    responses: Responses | None = None


class SnapshotBuilder:
    """Builds snapshots of compiled policies."""

    def __init__(self, settings: SnapshotSettings) -> None:
        self._settings = settings

    async def build(self, compiled: Compiled) -> Snapshot:
        """Return the snapshot, built in another thread; raises AuthzError."""
        return await asyncio.to_thread(self._build, compiled)

    def _build(self, compiled: Compiled) -> Snapshot:
        settings = self._settings
        with _without_collections():
            policy = rego.Policy.from_bytes(compiled.policy)
            snapshot = Snapshot.build(
                policy,
                entrypoint=settings.entrypoint,
                revision=compiled.revision,
                identity=settings.identity,
                cache=settings.cache,
                responses=settings.responses,
            )
        weakref.finalize(snapshot, _retire, policy).atexit = False
        return snapshot


def _retire(policy: rego.Policy) -> None:
    """Free a policy whose snapshot is gone: it was replaced, and the last check that waited with it is decided."""
    try:
        asyncio.get_running_loop().run_in_executor(None, policy.retire)
    except RuntimeError:  # no loop, so nobody whom it could hold up
        policy.retire()


@contextmanager
def _without_collections() -> Iterator[None]:
    """Keep the garbage collector away from what is made here, now and later: it is used until it is retired.

    A collection stops every thread while it looks at every object; a policy with a large data document has millions. What is garbage
    when they are frozen is never found again, so the young generations, where it mostly is, are collected before (some thousand objects).
    """
    gc.collect(1)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
