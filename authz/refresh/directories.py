"""Policy directories as a source of policies: watched, compiled elsewhere, activated. Knows neither bundles nor who decides."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from typing import Final

from authz.errors import AuthzError
from authz.refresh.compiler_process import compile_in_process
from authz.refresh.files import fingerprint
from authz.refresh.messages import CompileRequest, CompileResponse, Paths
from authz.refresh.refresher import Decide, Refresher
from authz.refresh.status import RefreshStatus
from authz.telemetry.counters import ActivationCounters
from authz.telemetry.tasks import beside
from authz.watcher import Watcher

DEATH: Final = "a defect of authz ended hot reload; restart to get it back"

logger = logging.getLogger(__name__)


class StartError(AuthzError):
    """The first policy could not be activated; `code` is that of the refresh that failed."""

    def __init__(self, code: str, message: str, help: str | None) -> None:
        super().__init__(message, help=help)
        self.code = code


@dataclass(frozen=True, slots=True)
class DirectorySettings:
    """Where policies are, how they are compiled, and how changes are found."""

    paths: tuple[str, ...]
    entrypoint: str
    rego_version: int
    compile_timeout_s: float
    is_watching: bool
    poll_s: float


class DirectoryPolicies:
    """The policy that directories are."""

    def __init__(self, settings: DirectorySettings, decide: Decide, counters: ActivationCounters) -> None:
        self._settings = settings
        self._refresher = Refresher(", ".join(settings.paths), self._compile, decide, counters, time_ns)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Notice changes meanwhile; begun before the first compile, so that no edit is missed."""
        settings = self._settings
        if not settings.is_watching:
            yield
            return
        watcher = await Watcher.start(tuple(map(Path, settings.paths)), settings.poll_s, fingerprint)
        async with beside(self._follow(watcher), logger, DEATH):
            yield

    async def activate_first(self) -> None:
        """Activate the first policy. Raises StartError."""
        error = (await self._refresher.refresh()).error
        if error is not None:
            raise StartError(error.code, error.message, error.help)

    def refreshing(self) -> AbstractAsyncContextManager[None]:
        """Refresh the policy meanwhile whenever it is asked for."""
        return beside(self._refresher.run(), logger, DEATH)

    def request(self) -> None:
        """Ask for a refresh."""
        self._refresher.request()

    def statuses(self) -> Sequence[RefreshStatus]:
        """Return the state of the one source."""
        return [self._refresher.status]

    def bundle_stats(self) -> None:
        """Return nothing: there are no bundles."""

    async def _follow(self, watcher: Watcher) -> None:
        async for _ in watcher.changes():
            self._refresher.request()

    async def _compile(self, known_digest: str | None) -> CompileResponse:
        settings = self._settings
        request = CompileRequest(
            Paths(settings.paths), settings.entrypoint, settings.rego_version, settings.compile_timeout_s, known_digest
        )
        return await compile_in_process(request)
