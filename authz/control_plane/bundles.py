"""Policy bundles as a source of policies: downloaded, activated, restored from disk, and how they stand.

Here the parts of this package meet. What decides with the policies is another's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from time import time_ns
from typing import Final

from authz.control_plane.activator import PINNED, Activator
from authz.control_plane.compiling import BundleCompiler, Wanted
from authz.control_plane.contents import Parts
from authz.control_plane.downloads import Downloads, adopt
from authz.control_plane.freshness import Freshness
from authz.control_plane.history import History
from authz.control_plane.mending import NOT_MENDED, mend_when_due
from authz.control_plane.persistence import Persistence
from authz.control_plane.staleness import StalenessGuard, Withhold
from authz.control_plane.states import error_of
from authz.control_plane.versions import VersionsStatus, VersionStatus
from authz.refresh.messages import Compiled
from authz.refresh.refresher import Decide
from authz.refresh.status import RefreshError, RefreshStatus
from authz.services.downloads import Activated, BundleState
from authz.services.errors import Failure
from authz.services.resolution import ControlPlane, DownloadSettings
from authz.telemetry.counters import DOWNLOADED, ActivationCounters, DownloadCounters
from authz.telemetry.metrics import BundleStats
from authz.telemetry.tasks import beside

CONFIRM_S: Final = 10.0
"""How often the disk is told that the active version is still the newest."""

DENIED: Final = "a defect of authz: whether bundles are stale is not known any more, so every check is denied; restart to get it back"
NOT_DATED: Final = "a defect of authz: the age of bundles is not persisted any more"
DEATH: Final = "a defect of authz ended the activation of bundles; restart to get it back"

logger = logging.getLogger(__name__)


class BundlePolicies:
    """The policy that the bundles of a control plane are."""

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        plane: ControlPlane,
        compiler: BundleCompiler,
        decide: Decide,
        counters: ActivationCounters,
        environment: Mapping[str, str],
        *,
        keep_versions: int,
        withhold: Withhold | None = None,
    ) -> None:
        """`withhold` is called while bundles are older than they may be; without it, those decide."""
        self.plane = plane
        self.freshness = Freshness()
        self.on_change: Callable[[], None] = lambda: None
        self._persistence = Persistence(keep_versions)
        self._changing = asyncio.Lock()
        self._has_policy = asyncio.Event()
        self._is_asked = asyncio.Event()
        self._errors: dict[str, RefreshError] = {}
        self._requests = DownloadCounters(Failure)
        history = History(None, keep_versions)
        self._decide = decide
        self._guard = None if withhold is None else StalenessGuard(self._overdue, withhold, self._note_fresh)
        self.activator = Activator(compiler.compile, Decide(self._activate, decide.approve), history, counters, time_ns, self._adopted)
        self.downloads = Downloads(self.activator.deliver, self._on_state, environment)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Restore what is on disk, then keep the policy up to date meanwhile."""
        async with AsyncExitStack() as stack:
            stack.callback(self._persistence.close)
            await stack.enter_async_context(beside(self._work(), logger, DEATH))
            await stack.enter_async_context(beside(self._confirm(), logger, NOT_DATED))
            mending = mend_when_due(lambda: self.activator.history.is_behind, self._mend_disk, self._is_asked)
            await stack.enter_async_context(beside(mending, logger, NOT_MENDED))
            if self._guard is not None:
                await stack.enter_async_context(beside(self._guard.run(), logger, DENIED))
            stack.push_async_callback(self.downloads.close)
            yield

    async def _work(self) -> None:
        await self.change(self.plane)
        await self.activator.run()

    async def activate_first(self) -> None:
        """Wait until there is a policy, however long services take."""
        await self._has_policy.wait()

    def refreshing(self) -> AbstractAsyncContextManager[None]:
        """Go on as before: bundles are activated from the beginning."""
        return nullcontext()

    async def change(self, plane: ControlPlane) -> None:
        """Make the policy of this set of bundles from now on; if none is active, of what is on disk of them."""
        async with self._changing:
            self.plane = plane
            self._errors = {name: error for name, error in self._errors.items() if name in plane.bundles}
            self.activator.want(Wanted(plane.bundles, plane.keys))
            await self._follow_disk()
            await self.downloads.change(plane, self.activator.active)
        self.on_change()

    def request(self) -> None:
        """Ask for every bundle now, and try a disk again that failed."""
        self._is_asked.set()
        self.downloads.trigger()

    async def settle(self) -> None:
        """Return once all that was asked for has come, or not."""
        await self.downloads.settle()

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

    def _note_restored(self) -> None:
        version = self.activator.version
        assert version is not None
        confirmed_ns = self.activator.history.confirmed_ns(version)
        for name in self.activator.active:
            self.freshness.confirm(name, (time_ns() - confirmed_ns) / 1e9)
        self._look()

    # What happens

    async def _activate(self, compiled: Compiled) -> None:
        await self._decide.activate(compiled)  # for whatever reason: a download, a version from disk, an operator's wish
        if self._guard is None:
            self._has_policy.set()
        self._look()

    def _adopted(self, parts: Parts, activated: Activated) -> None:
        self._errors.pop(parts.name, None)
        downloader = self.downloads.find(parts.name)
        if downloader is not None:
            adopt(downloader, parts, activated)
            self.on_change()

    def _on_state(self, state: BundleState) -> None:
        failure = None if state.error is None else state.error.failure
        self._requests.count(DOWNLOADED if failure in (None, Failure.REJECTED) else str(failure))
        error = error_of(state, self._errors.pop(state.name, None), time_ns())
        if error is not None:
            self._errors[state.name] = error
        if error is None or error.code == PINNED:  # a pinned version is as old as its operator wants it
            self.freshness.confirm(state.name)
            self._look()
        if error is None:
            self.activator.withdraw(state.name)
        self.on_change()

    # Staleness

    def _overdue(self) -> Sequence[str]:
        """Return the bundles of the active policy that must not decide any more."""
        return [name for name in self._active_names() if self.freshness.is_stale(self.plane.bundles[name])]

    def _note_fresh(self) -> None:
        """Let the first policy answer checks. How old it is has to be known: what is restored is activated first, and dated then."""
        if self.activator.version is not None and all(self.freshness.age_s(name) is not None for name in self._active_names()):
            self._has_policy.set()

    def _active_names(self) -> Sequence[str]:
        return sorted(self.activator.active.keys() & self.plane.bundles.keys())

    def _look(self) -> None:
        if self._guard is not None:
            self._guard.look()

    # The disk

    async def _mend_disk(self) -> None:
        """Try a disk again that failed."""
        async with self._changing:
            await self._follow_disk()
        await self.activator.save_again()

    async def _follow_disk(self) -> None:
        """Remember versions where the configuration says; if none is active, activate what is there."""
        try:
            if await self._persistence.follow(self.plane, self.activator) and await self.activator.restore():
                self._note_restored()
        except Exception:  # a defect of ours: a disk must not cost the downloads
            logger.exception("what is on disk cannot be used")

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
        return [self._status(states.get(name) or BundleState(name), wanted) for name, wanted in sorted(self.plane.bundles.items())]

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

    def _status(self, state: BundleState, settings: DownloadSettings) -> RefreshStatus:
        active = self.activator.active.get(state.name)
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
