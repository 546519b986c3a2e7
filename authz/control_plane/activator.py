"""Downloads → the policy that decides: compiled together, tried, activated all or none, remembered; and back again.

One activation at a time. Downloads that come meanwhile are the next one, together: what a control plane published at once is
activated at once. Knows neither services nor clocks nor who decides: those are what it is given.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from authz.control_plane.compiling import Wanted
from authz.control_plane.contents import Archive, Parts, id_of
from authz.control_plane.history import Held, History
from authz.errors import AuthzError, ErrorCode
from authz.refresh.messages import Compiled, CompileResponse, Failed
from authz.refresh.refresher import Decide
from authz.services.downloads import Activated, Download, Outcome, Rejected
from authz.telemetry.counters import ACTIVATED, UNCHANGED, ActivationCounters
from authz.telemetry.logs import log

MAX_DELTAS: Final = 32
"""Deltas on top of a snapshot, after which a snapshot is wanted: each is read again at every activation."""

PINNED: Final = "pinned"
"""The code of what is not activated because an operator has pinned a version."""

logger = logging.getLogger(__name__)

Compile: TypeAlias = Callable[[Mapping[str, Parts], Wanted, str | None], Awaitable[CompileResponse]]
"""Compile bundles, unless the digest of all they hold is the one given."""


Adopt: TypeAlias = Callable[[Parts, Activated], None]
"""Hear of a bundle that became active without being what its download was answered with: it had been refused, or is an older one."""


class VersionError(AuthzError):
    """There is no such version, or it cannot be activated."""

    code = ErrorCode.ACTIVATION


@dataclass(slots=True)
class _Candidate:
    """A download that is not active. `answer` is None once it was refused: it may still fit together with what comes later."""

    parts: Parts
    answer: asyncio.Future[Outcome] | None


class Activator:
    """Makes downloads decide. `active` are the bundles of the active policy, `version` is its id."""

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        compile: Compile,
        decide: Decide,
        history: History,
        counters: ActivationCounters,
        now_ns: Callable[[], int],
        adopt: Adopt,
    ) -> None:
        self.active: Mapping[str, Parts] = {}
        self.version: str | None = None
        self.history = history
        self.wanted = Wanted()
        self._compile = compile
        self._decide = decide
        self._counters = counters
        self._now_ns = now_ns
        self._adopt = adopt
        self._digest: str | None = None
        self._pending: dict[str, _Candidate] = {}
        self._is_wanted = asyncio.Event()
        self._changing = asyncio.Lock()
        self._preparing: asyncio.Task[CompileResponse] | None = None

    # What is wanted

    def want(self, wanted: Wanted) -> None:
        """Make the policy of these bundles from now on; those that are not among them any more leave it."""
        before, self.wanted = self.wanted, wanted
        for name in list(self._pending):
            if wanted.bundles.get(name) != before.bundles.get(name):  # it is not wanted any more, or another one is
                _settle(self._pending.pop(name), Rejected("the bundle is not wanted any more"))
        if self.active.keys() - wanted.bundles.keys():
            self._is_wanted.set()

    # Downloads

    async def deliver(self, download: Download) -> Outcome:
        """Return what becomes of a download once that is decided."""
        archive = await asyncio.to_thread(Archive.of, download.content)
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        base = self.active.get(download.name)
        if base is not None and download.base_etag == base.etag:
            parts = base.followed_by(archive, download.etag)
        else:
            parts = Parts(download.name, (archive,), download.etag)
        self._pending[download.name] = _Candidate(parts, answer)
        self._is_wanted.set()
        return await answer

    async def run(self) -> None:
        """Activate what is delivered, until cancelled."""
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            async with self._changing:
                try:
                    await self._work()
                except Exception as error:  # a defect of ours: the downloads go on, and are answered
                    logger.exception("activation failed unexpectedly")
                    for candidate in self._pending.values():
                        _settle(candidate, Rejected(f"{type(error).__name__}: {error}", is_final=False))

    async def _work(self) -> None:
        if self.history.pinned is not None:
            text = f"version {self.history.pinned} is pinned"
            refused = Rejected(text, help="`authz bundle unpin` lets newer ones be activated", code=PINNED)
            for candidate in self._pending.values():
                _settle(candidate, refused)
            return
        fresh = {name: candidate for name, candidate in self._pending.items() if candidate.answer is not None}
        if self.wanted.bundles.keys() - self.active.keys() - self._pending.keys():
            return  # an answer is given when the others have come: half of a policy may allow what the other half denies
        if fresh:
            await self._work_on(fresh)
        elif self.active.keys() - self.wanted.bundles.keys():
            failed = await self._try({})
            if failed is not None:
                log(logger, "error", "bundles that are not wanted any more still decide", error=failed.message, help=failed.help)

    async def _work_on(self, fresh: dict[str, _Candidate]) -> None:
        """Activate downloads; those that were refused before may fit together with them now."""
        failed = await self._try(fresh)
        if failed is not None and len(self._pending) > len(fresh) and await self._try(dict(self._pending)) is None:
            return
        if failed is not None:
            await self._blame(fresh, failed)
        elif self._pending:
            await self._try(dict(self._pending))

    async def _blame(self, fresh: dict[str, _Candidate], failed: Failed) -> None:
        """Refuse the bundle at fault and go on with the others; where none can be told, each has to stand alone."""
        if failed.bundle in fresh:
            self._refuse(failed.bundle, fresh[failed.bundle], failed)
            rest = {name: candidate for name, candidate in fresh.items() if name != failed.bundle}
            if rest and not self.wanted.bundles.keys() - self.active.keys() - rest.keys():
                again = await self._try(rest)
                if again is not None:
                    await self._blame(rest, again)
            return
        for name, candidate in fresh.items():
            alone = failed if len(fresh) == 1 else await self._try({name: candidate})
            if alone is not None:
                self._refuse(name, candidate, alone)

    def _refuse(self, name: str, candidate: _Candidate, failed: Failed) -> None:
        _settle(candidate, _rejected(failed))
        if failed.bundle == name and self._pending.get(name) is candidate:  # it is wrong by itself, whatever else may come
            del self._pending[name]

    async def _try(self, candidates: Mapping[str, _Candidate]) -> Failed | None:
        """Activate what is active with the candidates on top; return what is wrong with that. They are answered if nothing is."""
        contents = {**self.active, **{name: candidate.parts for name, candidate in candidates.items()}}
        contents = {name: parts for name, parts in contents.items() if name in self.wanted.bundles}
        if contents.keys() != self.wanted.bundles.keys():
            return Failed(ErrorCode.BUNDLE, "other bundles of the policy are missing")
        response = await self._activated(contents)
        if isinstance(response, Failed):
            self._counters.count(response.code)
            return response
        read = {each.name: each for each in response.bundles}
        for name, candidate in candidates.items():
            if self._pending.get(name) is candidate:
                del self._pending[name]
            activated = Activated(
                read[name].revision, "delta" if read[name].is_delta else "snapshot", len(self.active[name].archives) > MAX_DELTAS
            )
            if candidate.answer is None:
                self._adopt(self.active[name], activated)
            _settle(candidate, activated)
        return None

    async def _activated(self, contents: Mapping[str, Parts]) -> CompileResponse:
        """Compile and activate bundles; return what came of it."""
        try:
            response = await self._prepared(contents)
            if isinstance(response, Failed):
                return response
            contents = {each.name: contents[each.name].as_read(each) for each in response.bundles}
            if isinstance(response, Compiled):
                await self._swap(contents, response)
                await self.history.record(contents, response, self._now_ns())
            else:
                self._counters.count(UNCHANGED)
                self.active = contents
        except AuthzError as error:
            return Failed(error.code, str(error), error.help)
        return response

    async def _prepared(self, contents: Mapping[str, Parts]) -> CompileResponse:
        """Return the compiled policy if nothing speaks against it. Somebody who goes back to an older version does not wait for this."""
        self._preparing = asyncio.create_task(self._compiled(contents, self.wanted))
        try:
            return await self._preparing
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return Failed(ErrorCode.ACTIVATION, "given up: an older version was asked for meanwhile")
        finally:
            self._preparing.cancel()
            self._preparing = None

    async def _compiled(self, contents: Mapping[str, Parts], wanted: Wanted) -> CompileResponse:
        response = await self._compile(contents, wanted, self._digest)
        failed = await self._decide.approve(response) if isinstance(response, Compiled) and self.version is not None else None
        return response if failed is None else failed

    async def _swap(self, contents: Mapping[str, Parts], compiled: Compiled) -> None:
        """Make a policy decide. Raises AuthzError."""
        await self._decide.activate(compiled)
        self.active, self._digest, self.version = contents, compiled.digest, id_of(contents)
        self._counters.count(ACTIVATED)
        log(logger, "info", "policy activated", source=", ".join(sorted(contents)), revision=compiled.revision, version=self.version)

    # Versions

    async def restore(self) -> bool:
        """Activate the newest version on disk that is whole, or the one that is pinned; return whether there was one.

        Does nothing if a policy is active.
        """
        async with self._changing:
            if self.version is not None:
                return False
            pinned = self.history.pinned
            for held in list(self.history.held):
                if pinned is None or held.version.id == pinned:
                    try:
                        await self._restore(held)
                    except AuthzError as error:
                        fields = {"version": held.version.id, "revision": held.version.revision, "error": error.message, "help": error.help}
                        log(logger, "error", "a version on disk cannot be activated", **fields)
                    else:
                        return self.version is not None
            if pinned is not None:
                text = "the pinned version cannot be activated: every check is denied until it is unpinned"
                log(logger, "error", text, version=pinned, help="`authz bundle unpin`")
            return False

    async def _restore(self, held: Held) -> None:
        """Activate a version from disk; where only some of its bundles are on disk, wait for the others. Raises AuthzError."""
        contents = {name: parts for name, parts in (await self.history.contents(held)).items() if name in self.wanted.bundles}
        if contents.keys() == self.wanted.bundles.keys():
            compiled = await self._return_to(replace(held, contents=contents))
            self.history.hold(held.version.id, self.active, compiled)
            text = "serving the last good version until a service answers"
            log(logger, "warn", text, version=self.version, revision=held.version.revision)
        else:
            self._pending = {name: _Candidate(parts, None) for name, parts in contents.items()} | self._pending

    async def go_back(self, id: str | None) -> None:
        """Activate an older version, the one before the active one if `id` is None, and pin it. Raises VersionError and StoreError."""
        if self._preparing is not None:
            self._preparing.cancel()
        async with self._changing:
            held = self._found(id)
            if held.version.id != self.version:
                compiled = await self._return_to(held)
                await self.history.record(self.active, compiled, self._now_ns())
            await self.history.pin(self.version)

    async def pin(self) -> None:
        """Keep the active version active, whatever is downloaded. Raises VersionError."""
        async with self._changing:
            if self.version is None:
                raise VersionError("no version is active yet")
            await self.history.pin(self.version)

    async def unpin(self) -> None:
        """Let newer versions be activated again."""
        async with self._changing:
            await self.history.pin(None)

    def _found(self, id: str | None) -> Held:
        if id is not None:
            found = self.history.find(id)
        else:
            found = next((held for held in self.history.held if held.version.id != self.version), None)
        if found is None:
            what = "there is no older version" if id is None else f"there is no version `{id}`, or more than one"
            raise VersionError(what, help="`authz bundle list` shows the versions")
        return found

    async def _return_to(self, held: Held) -> Compiled:
        """Activate a version. Raises VersionError and StoreError, and then nothing has changed."""
        contents = await self.history.contents(held)
        if contents.keys() != self.wanted.bundles.keys():
            names = ", ".join(sorted(contents))
            raise VersionError(f"version {held.version.id} is made of other bundles than are configured now: {names}")
        compiled = held.compiled
        if compiled is None:
            response = await self._compile(contents, self.wanted, None)
            if isinstance(response, Failed):
                raise VersionError(f"version {held.version.id} cannot be activated: {response.message}", help=response.help)
            assert isinstance(response, Compiled)
            compiled, contents = response, {each.name: contents[each.name].as_read(each) for each in response.bundles}
        await self._swap(contents, compiled)
        for parts in self.active.values():
            self._adopt(parts, Activated(parts.revision))
        return compiled


def _settle(candidate: _Candidate, outcome: Outcome) -> None:
    if candidate.answer is not None and not candidate.answer.done():
        candidate.answer.set_result(outcome)
    candidate.answer = None


def _rejected(failed: Failed) -> Rejected:
    """Return a failure as its downloader is told of it."""
    return Rejected(failed.message, failed.errors, failed.is_final, failed.help, failed.code)
