"""Policy bundles as a source of policies: downloaded, activated, restored from disk, and how they stand.

Here the parts of this package meet. What decides with the policies is another's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from typing import Final

from authz.control_plane.activator import PINNED, Activator
from authz.control_plane.compiling import CompileSettings, Wanted, compile_bundles
from authz.control_plane.contents import Parts
from authz.control_plane.downloads import Downloads, adopt
from authz.control_plane.freshness import Freshness
from authz.control_plane.history import History
from authz.control_plane.versions import VersionsStatus, VersionStatus
from authz.refresh.messages import Compiled, CompileResponse
from authz.refresh.refresher import Decide
from authz.refresh.status import RefreshError, RefreshStatus
from authz.refresh.version_store import StoreError, VersionStore
from authz.services.downloads import Activated, BundleState
from authz.services.errors import Failure, ServiceError
from authz.services.resolution import ControlPlane
from authz.telemetry.counters import DOWNLOADED, ActivationCounters, DownloadCounters
from authz.telemetry.logs import log
from authz.telemetry.metrics import BundleStats
from authz.telemetry.tasks import beside

STORE: Final = "versions"
"""Name of the directory below the persistence directory that is ours."""

DEFAULT_PERSISTENCE: Final = ".opa"
"""OPA's, below the working directory."""

CONFIRM_S: Final = 10.0
"""How often the disk is told that the active version is still the newest."""

DEATH: Final = "a defect of authz ended the activation of bundles; restart to get it back"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BundleSettings:
    """What holds for all bundles, fixed for the life of the process."""

    compile: CompileSettings
    keep_versions: int = 5


class BundlePolicies:
    """The policy that the bundles of a control plane are."""

    def __init__(
        self,
        plane: ControlPlane,
        settings: BundleSettings,
        decide: Decide,
        counters: ActivationCounters,
        environment: Mapping[str, str],
    ) -> None:
        self.plane = plane
        self.freshness = Freshness()
        self._settings = settings
        self._store: VersionStore | None = None
        self._has_policy = asyncio.Event()
        self._errors: dict[str, RefreshError] = {}
        self._requests = DownloadCounters(Failure)
        history = History(None, settings.keep_versions)
        self._decide = decide
        self.activator = Activator(self._compile, Decide(self._activate, decide.approve), history, counters, time_ns, self._adopted)
        self.downloads = Downloads(self.activator.deliver, self._on_state, environment)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Restore what is on disk, then keep the policy up to date meanwhile."""
        async with AsyncExitStack() as stack:
            stack.callback(self._close_store)
            self.activator.history = await self._history()
            self.activator.want(Wanted(self.plane.bundles, self.plane.keys))
            await stack.enter_async_context(beside(self._work(), logger, DEATH))
            await stack.enter_async_context(
                beside(self._confirm(), logger, "a defect of authz: the age of bundles is not persisted any more")
            )
            stack.push_async_callback(self.downloads.close)
            yield

    async def _work(self) -> None:
        if await self.activator.restore():
            self._note_restored()
        await self.downloads.change(self.plane, self.activator.active)
        await self.activator.run()

    async def activate_first(self) -> None:
        """Wait until there is a policy, however long services take."""
        await self._has_policy.wait()

    def refreshing(self) -> AbstractAsyncContextManager[None]:
        """Go on as before: bundles are activated from the beginning."""
        return nullcontext()

    async def change(self, plane: ControlPlane) -> None:
        """Make the policy of another set of bundles from now on."""
        self.plane = plane
        self.activator.want(Wanted(plane.bundles, plane.keys))
        await self.downloads.change(plane, self.activator.active)

    def request(self) -> None:
        """Ask for every bundle now."""
        self.downloads.trigger()

    # Versions

    def versions(self) -> VersionsStatus:
        """Return the versions, newest first."""
        history, active = self.activator.history, self.activator.version
        found = (
            VersionStatus(
                held.version.id,
                held.version.revision,
                held.version.activated_ns,
                held.version.bundles,
                held.version.id == active,
                held.version.id == history.pinned,
                held.is_stored,
            )
            for held in history.held
        )
        return VersionsStatus(tuple(found), None if history.error is None else history.error.message)

    async def go_back(self, id: str | None) -> None:
        """Activate an older version and pin it, so that the next download does not bring back what was left. Raises AuthzError."""
        await self.activator.go_back(id)

    async def pin(self, id: str | None) -> None:
        """Keep a version active, the active one if none is named. Raises AuthzError."""
        await (self.activator.pin() if id is None else self.activator.go_back(id))

    async def unpin(self) -> None:
        """Let newer bundles be activated again, and ask for them."""
        await self.activator.unpin()
        self.downloads.trigger()

    # Versions on disk

    async def _history(self) -> History:
        """Return what is remembered of earlier versions. A disk that cannot be used is told of, and costs no policy."""
        persistent = frozenset(name for name, bundle in self.plane.bundles.items() if bundle.persist)
        keep = self._settings.keep_versions
        if not persistent:
            return History(None, keep)
        directory = Path(self.plane.persistence_directory or DEFAULT_PERSISTENCE) / STORE
        try:
            self._store = await asyncio.to_thread(VersionStore.open, directory, keep)
            history = History(self._store, keep, persistent)
            await history.open()
        except StoreError as error:
            log(logger, "error", "versions of bundles are not persisted", error=error.message, help=error.help)
            history = History(None, keep)
            history.error = error
        return history

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()

    def _note_restored(self) -> None:
        version = self.activator.version
        assert version is not None
        confirmed_ns = self.activator.history.confirmed_ns(version)
        for name in self.activator.active:
            self.freshness.confirm(name, (time_ns() - confirmed_ns) / 1e9)

    # What happens

    async def _compile(self, contents: Mapping[str, Parts], wanted: Wanted, known_digest: str | None) -> CompileResponse:
        return await compile_bundles(contents, wanted, self._settings.compile, known_digest)

    async def _activate(self, compiled: Compiled) -> None:
        await self._decide.activate(compiled)
        self._has_policy.set()  # here, for whatever reason it decides: a download, a version from disk, an operator's wish

    def _adopted(self, parts: Parts, activated: Activated) -> None:
        self._errors.pop(parts.name, None)
        downloader = self.downloads.find(parts.name)
        if downloader is not None:
            adopt(downloader, parts, activated)

    def _on_state(self, state: BundleState) -> None:
        error = state.error
        if error is None or error.failure is Failure.REJECTED:
            self._requests.count(DOWNLOADED)
        else:
            self._requests.count(error.failure)
        code = "" if error is None else _code(state, error)
        if code in ("", PINNED):  # a pinned version is as old as its operator wants it
            self.freshness.confirm(state.name)
        if error is None:
            self._errors.pop(state.name, None)
            self.activator.withdraw(state.name)
            return
        known = self._errors.get(state.name)
        if known is None or (known.code, known.message) != (code, error.message):
            is_passing = error.failure is not Failure.REJECTED or code == PINNED
            self._errors[state.name] = RefreshError(code, error.message, time_ns(), error.help, is_passing)

    async def _confirm(self) -> None:
        """Tell the disk again and again how old the active version is, so that it is known after a restart."""
        while True:
            await asyncio.sleep(CONFIRM_S)
            ages_s = [self.freshness.age_s(name) for name in self.activator.active]
            if self.activator.version is not None and ages_s and None not in ages_s:
                oldest_s = max(age_s for age_s in ages_s if age_s is not None)
                await self.activator.history.confirm(self.activator.version, time_ns() - round(oldest_s * 1e9))

    # How it stands

    def statuses(self) -> Sequence[RefreshStatus]:
        """Return the state of every bundle, of those too that are not asked for yet."""
        states = self.downloads.states
        return [self._status(states.get(name) or BundleState(name)) for name in sorted(self.plane.bundles)]

    def bundle_stats(self) -> BundleStats:
        """Return what is measured of the bundles."""
        wanted, history = self.plane.bundles, self.activator.history
        return BundleStats(
            {name: self.freshness.age_s(name) for name in wanted},
            {name: self.freshness.is_stale(settings) for name, settings in wanted.items()},
            self._requests.by_outcome,
            is_persistence_ok=history.error is None,
            is_pinned=history.pinned is not None,
        )

    def _status(self, state: BundleState) -> RefreshStatus:
        active = self.activator.active.get(state.name)
        settings = self.plane.bundles[state.name]
        return RefreshStatus(
            state.name,
            None if active is None else active.revision,
            attempted_ns=state.requested_ns,
            succeeded_ns=state.answered_ns,
            activated_ns=state.activated_ns,
            error=self._errors.get(state.name),
            age_s=self.freshness.age_s(state.name),
            is_stale=self.freshness.is_stale(settings),
        )


def _code(state: BundleState, error: ServiceError) -> str:
    """Return the code of an error: for a bundle that was refused, that of the reason."""
    return str(state.errors[0]["code"]) if error.failure is Failure.REJECTED and state.errors else str(error.failure)
