"""The downloads of the bundles that are wanted: a client for each service, a downloader for each bundle, begun and ended as that changes.

Knows nothing of what becomes of a download.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from authz.control_plane.contents import Parts
from authz.services.client import ServiceClient
from authz.services.downloader import Deliver, Downloader, Source
from authz.services.downloads import Activated, BundleState
from authz.services.registry import RegistrySource
from authz.services.resolution import ControlPlane, DownloadSettings
from authz.services.sources import MAX_ARCHIVE_BYTES, FileSource, ServiceSource, follow
from authz.telemetry.logs import telling_of_death

DEATH: Final = "a defect of authz ended the downloads of a bundle; restart to get them back"

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Download:
    downloader: Downloader
    tasks: list[asyncio.Task[None]]


class Downloads:
    """The downloaders that run, by the names of their bundles."""

    def __init__(self, deliver: Deliver, on_state: Callable[[BundleState], None], environment: Mapping[str, str]) -> None:
        self._deliver = deliver
        self._on_state = on_state
        self._environment = environment
        self._plane = ControlPlane()
        self._clients: dict[str, ServiceClient] = {}
        self._running: dict[str, _Download] = {}

    @property
    def states(self) -> dict[str, BundleState]:
        """How each bundle stands."""
        return {name: running.downloader.state for name, running in self._running.items()}

    async def change(self, plane: ControlPlane, active: Mapping[str, Parts]) -> None:
        """Download what this control plane has from now on; what is active is asked about by its ETag."""
        before, self._plane = self._plane, plane
        for name in list(self._running):
            if plane.bundles.get(name) != before.bundles[name] or _service(plane, name) != _service(before, name):
                await self._end(name)
        for name in list(self._clients):
            if plane.services.get(name) != before.services.get(name) or plane.keys != before.keys:
                await self._clients.pop(name).__aexit__(None, None, None)
        for name, settings in plane.bundles.items():
            if name not in self._running:
                is_verified = name not in before.bundles or _verification(plane, name) == _verification(before, name)
                await self._begin(settings, active.get(name) if is_verified else None)

    async def client(self, service: str) -> ServiceClient:
        """Return the client of a service, which is there until the service changes."""
        if service not in self._clients:
            client = ServiceClient(self._plane.services[service], self._plane.keys, self._environment)
            self._clients[service] = await client.__aenter__()
        return self._clients[service]

    async def _begin(self, settings: DownloadSettings, active: Parts | None) -> None:
        """Begin to download a bundle, of which something may be active that was verified as it has to be now."""
        client = None if settings.service is None else await self.client(settings.service)
        downloader = Downloader(settings, source_of(settings, client), self._deliver, self._on_state)
        if active is not None:
            adopt(downloader, active, Activated(active.revision))
        self._running[settings.name] = _Download(downloader, begun(downloader))

    async def _end(self, name: str) -> None:
        await ended(self._running.pop(name).tasks)

    def find(self, name: str) -> Downloader | None:
        """Return the downloader of a bundle."""
        running = self._running.get(name)
        return None if running is None else running.downloader

    def trigger(self) -> None:
        """Ask for every bundle now."""
        for running in self._running.values():
            running.downloader.trigger()

    async def settle(self) -> None:
        """Return once all that was triggered has been answered."""
        for running in list(self._running.values()):
            await running.downloader.settle()

    async def close(self) -> None:
        """End all of it."""
        for name in list(self._running):
            await self._end(name)
        for name in list(self._clients):
            await self._clients.pop(name).__aexit__(None, None, None)


def source_of(settings: DownloadSettings, client: ServiceClient | None) -> Source:
    """Return where a bundle comes from: its service, a file without one."""
    if client is None:
        return FileSource(Path(settings.resource))
    kind = RegistrySource if client.settings.is_registry else ServiceSource
    return kind(settings, client, max_bytes=max(MAX_ARCHIVE_BYTES, settings.size_limit_bytes))


def begun(downloader: Downloader) -> list[asyncio.Task[None]]:
    """Have a downloader run; return the tasks that it takes."""
    settings = downloader.settings
    works = [downloader.run()]
    if settings.service is None and not settings.is_manual:
        works.append(follow(Path(settings.resource), downloader))
    tasks = [asyncio.create_task(work) for work in works]
    for task in tasks:
        task.add_done_callback(telling_of_death(logger, DEATH))
    return tasks


async def ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """End the tasks of a downloader."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def adopt(downloader: Downloader, parts: Parts, activated: Activated) -> None:
    """Tell a downloader which bundle is active, by the ETag that it has there, if it came from there."""
    etag = parts.etag if parts.origin == downloader.origin else ""
    downloader.adopt(activated, etag, bytes.fromhex(parts.digests[-1]))


def _verification(plane: ControlPlane, bundle: str) -> object:
    """Return how a bundle is verified."""
    return plane.bundles[bundle].signing, plane.keys


def _service(plane: ControlPlane, bundle: str) -> object:
    """Return what a bundle's requests depend on besides its own settings."""
    settings = plane.bundles.get(bundle)
    return None if settings is None or settings.service is None else (plane.services[settings.service], plane.keys)
