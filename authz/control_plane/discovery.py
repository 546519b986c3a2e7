"""The discovery bundle: downloaded, evaluated in another process, followed, and kept on disk for a start without its service.

Owns which configuration is followed. Who follows it, and how, is not known here.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from time import time_ns
from typing import Final, TypeAlias

from authz.bundle.json_text import parse_json
from authz.control_plane.boot import Boot
from authz.control_plane.compiling import BundleCompiler, Wanted
from authz.control_plane.contents import Parts, activated, received
from authz.control_plane.discovery_store import DiscoveryStore
from authz.control_plane.downloads import begun, ended, source_of
from authz.control_plane.mending import NOT_MENDED, mend_when_due
from authz.control_plane.persistence import directory_of
from authz.control_plane.states import error_of
from authz.errors import ErrorCode
from authz.refresh.messages import Failed, ReadBundle
from authz.refresh.spool import SpoolError
from authz.refresh.status import RefreshError, RefreshStatus
from authz.refresh.version_store import StoreError, Version
from authz.services.client import ServiceClient
from authz.services.conversion import SettingsError
from authz.services.discovery import Discovered, discover
from authz.services.downloader import DISCOVERY, Downloader
from authz.services.downloads import Activated, BundleState, Download, Outcome, Rejected
from authz.services.resolution import ControlPlane, DownloadSettings
from authz.services.substitution import substitute_all
from authz.telemetry.logs import log
from authz.telemetry.tasks import beside

_SEPARATORS: Final = re.compile(r"[/.]")

logger = logging.getLogger(__name__)

Follow: TypeAlias = Callable[[ControlPlane], Awaitable[None]]
"""Do what a configuration says from now on."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A discovery bundle that was evaluated: its parts as they were read, what it turned out to be, and the configuration."""

    parts: Parts
    read: ReadBundle
    discovered: Discovered


class Discovery:
    """Follows what the discovery bundle says. `message` is what the boot configuration overrides."""

    def __init__(self, boot: Boot, settings: DownloadSettings, compiler: BundleCompiler, follow: Follow) -> None:
        self.message = ""
        self.on_change: Callable[[], None] = lambda: None
        self._boot = boot
        self._settings = settings
        self._compiler = compiler
        self._follow = follow
        self._disk = DiscoveryStore(directory_of(boot.plane, DISCOVERY.name)) if settings.persist else None
        self._is_asked = asyncio.Event()
        self._parts: Parts | None = None
        self._downloader: Downloader | None = None
        self._error: RefreshError | None = None

    # A start without the service

    async def restore(self) -> ControlPlane | None:
        """Return the configuration of the last discovery bundle on disk that can be used; None if there is none."""
        if self._disk is None:
            return None
        for version in await self._disk.versions():
            found = await self._read(self._disk, version)
            if isinstance(found, Failed):
                log(logger, "error", "a discovery bundle on disk cannot be used", error=found.message, help=found.help)
                continue
            self._parts, self.message = found.parts, found.discovered.message
            text = "configured by the last good discovery bundle until its service answers"
            log(logger, "warn", text, revision=found.parts.revision)
            return found.discovered.plane
        return None

    async def _read(self, disk: DiscoveryStore, version: Version) -> _Found | Failed:
        try:
            parts = await disk.parts(self._settings.name, version)
        except StoreError as error:
            return Failed(error.code, error.message, error.help)
        return await self._evaluated(parts)

    async def _save_again(self) -> None:
        assert self._disk is not None
        await self._disk.save_again()
        self.on_change()

    # Downloads

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the configuration up to date meanwhile."""
        service, plane = self._settings.service, self._boot.plane
        client = None if service is None else ServiceClient(plane.services[service], plane.keys, self._boot.environment)
        source = source_of(self._settings, client)
        self._downloader = Downloader(self._settings, source, self._deliver, self._on_state, part=DISCOVERY)
        if self._parts is not None:
            # Without its ETag: it may come from elsewhere now, and it is small.
            self._downloader.adopt(Activated(self._parts.revision), "", bytes.fromhex(self._parts.digests[-1]))
        if client is not None:
            await client.__aenter__()
        tasks = begun(self._downloader)
        try:
            async with self._tending():
                yield
        finally:
            await ended(tasks)
            if client is not None:
                await client.__aexit__(None, None, None)

    @asynccontextmanager
    async def _tending(self) -> AsyncIterator[None]:
        """Have on disk meanwhile what is to be there."""
        disk = self._disk
        if disk is None:
            yield
            return
        try:
            work = mend_when_due(lambda: disk.error is not None, self._save_again, self._is_asked)
            async with beside(work, logger, NOT_MENDED):
                yield
        finally:
            disk.close()

    async def _deliver(self, download: Download) -> Outcome:
        found = await self._evaluated(received(self._parts, download))
        if isinstance(found, Failed):
            return Rejected(found.message, found.errors, found.is_final, found.help, found.code)
        await self._follow(found.discovered.plane)
        self._parts, self.message = found.parts, found.discovered.message
        if found.discovered.overridden:
            log(logger, "info", "the boot configuration overrides discovery", overridden=", ".join(found.discovered.overridden))
        if self._disk is not None:
            await self._disk.save(found.parts)
        return activated(found.parts, found.read)

    async def _evaluated(self, parts: Parts) -> _Found | Failed:
        """Return the configuration that a discovery bundle holds."""
        boot = self._boot
        path = tuple(step for step in _SEPARATORS.split(boot.plane.decision) if step)
        try:
            wanted = Wanted({parts.name: self._settings}, boot.plane.keys)
            answer = await self._compiler.evaluate(parts, wanted, path, boot.runtime())
            if isinstance(answer, Failed):
                return answer
            discovered = discover(boot.document, substitute_all(parse_json(answer.document), boot.environment))
        except SpoolError as error:
            return Failed(error.code, error.message, error.help)
        except SettingsError as error:
            return Failed(error.code, error.message, error.help, is_final=True)
        if not discovered.plane.bundles:  # OPA would forget its policy
            return Failed(ErrorCode.CONFIG, "the discovered configuration has no bundles", "add `bundles` to it", is_final=True)
        return _Found(parts.as_read(answer.bundle), answer.bundle, discovered)

    def _on_state(self, state: BundleState) -> None:
        self._error = error_of(state, self._error, time_ns())
        self.on_change()

    def trigger(self) -> None:
        """Ask for the bundle now, and try a disk again that failed."""
        self._is_asked.set()
        if self._downloader is not None:
            self._downloader.trigger()

    async def settle(self) -> None:
        """Return once what was asked for has come, or not."""
        if self._downloader is not None:
            await self._downloader.settle()

    # How it stands

    @property
    def disk_error(self) -> StoreError | None:
        """What is wrong with the disk, None if nothing is."""
        return None if self._disk is None else self._disk.error

    @property
    def state(self) -> BundleState:
        """The state of its download."""
        return BundleState(self._settings.name) if self._downloader is None else self._downloader.state

    def named_state(self) -> BundleState:
        """Return the state by the name that OPA's reports give to it, whatever the bundle is called."""
        return replace(self.state, name=DISCOVERY.name)

    def status(self) -> RefreshStatus:
        """Return its state as a source's."""
        state = self.state
        return RefreshStatus(
            DISCOVERY.name,
            state.revision,
            attempted_ns=state.requested_ns,
            succeeded_ns=state.answered_ns,
            activated_ns=state.activated_ns,
            error=self._error,
        )
