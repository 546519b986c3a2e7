"""Downloads → the policy that decides: compiled together, tried, activated all or none, remembered; and back again.

One activation at a time. Downloads that come meanwhile are the next one, together: what a control plane published at once is
activated at once. Knows neither services nor clocks nor who decides: those are what it is given.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, TypeAlias

from authz.control_plane.candidates import Candidates, Chosen
from authz.control_plane.compiling import Wanted
from authz.control_plane.contents import Parts, activated, id_of, received
from authz.control_plane.history import Held, History
from authz.errors import AuthzError, ErrorCode
from authz.refresh.messages import Compiled, CompileResponse, Failed
from authz.refresh.refresher import Decide
from authz.services.downloads import Activated, Download, Outcome, Rejected
from authz.telemetry.counters import ACTIVATED, UNCHANGED, ActivationCounters
from authz.telemetry.logs import log

PINNED: Final = "pinned"
"""The code of what is not activated because an operator has pinned a version."""

logger = logging.getLogger(__name__)

Compile: TypeAlias = Callable[[Mapping[str, Parts], Wanted, str | None], Awaitable[CompileResponse]]
"""Compile bundles, unless the digest of all they hold is the one given."""


Adopt: TypeAlias = Callable[[Parts, Activated], None]
"""Hear of a bundle that became active without being what its download was answered with: it had been refused, or is an older one."""


_UNWANTED: Final = Rejected("the bundle is not wanted any more")
_MISSING: Final = Failed(ErrorCode.BUNDLE, "other bundles of the policy are missing")


class VersionError(AuthzError):
    """There is no such version, or it cannot be activated."""

    code = ErrorCode.ACTIVATION


class _GivenUpError(Exception):
    """Somebody asks for another version: they do not wait for what is being prepared, which is begun again after them."""


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
        self._candidates = Candidates()
        self._is_wanted = asyncio.Event()
        self._changing = asyncio.Lock()
        self._preparing: asyncio.Task[CompileResponse] | None = None
        self._impatient = 0

    # What is wanted

    def want(self, wanted: Wanted) -> None:
        """Make the policy of these bundles from now on; those that are not among them any more leave it."""
        before, self.wanted = self.wanted, wanted
        unchanged = {name for name, bundle in wanted.bundles.items() if bundle == before.bundles.get(name)}
        self._candidates.keep(unchanged, _UNWANTED)
        self._is_wanted.set()  # bundles may have to leave the policy, or what there is is all that it waited for

    # Downloads

    async def deliver(self, download: Download) -> Outcome:
        """Return what becomes of a download once that is decided."""
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        if download.name not in self.wanted.bundles:
            return _UNWANTED
        candidate = self._candidates.add(received(self.active.get(download.name), download), answer)
        self._is_wanted.set()
        try:
            return await answer
        except asyncio.CancelledError:  # its downloader is gone: nothing from there is wanted
            self._candidates.remove(candidate)
            raise

    def withdraw(self, name: str) -> None:
        """Be told that the newest of a bundle is what is active: what was refused is not to be taken later."""
        self._candidates.withdraw(name)

    async def run(self) -> None:
        """Activate what is delivered, until cancelled."""
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            async with self._changing:
                try:
                    await self._work()
                except _GivenUpError:
                    log(logger, "info", "activation given up: another version was asked for meanwhile")
                except Exception as error:  # a defect of ours: the downloads go on, and are answered
                    logger.exception("activation failed unexpectedly")
                    self._counters.count(ErrorCode.ACTIVATION)
                    self._candidates.settle_all(Rejected(f"{type(error).__name__}: {error}", is_final=False))

    async def _work(self) -> None:
        if self.history.pinned is not None:
            text = f"version {self.history.pinned} is pinned"
            help = "`authz bundle unpin` lets newer ones be activated"
            self._candidates.settle_all(Rejected(text, help=help, code=PINNED))
            return
        fresh = self._candidates.fresh()
        if not self._is_whole(self._candidates.names):
            return  # an answer is given when the others have come: half of a policy may allow what the other half denies
        if fresh:
            await self._work_on(fresh)
        if self.active.keys() - self.wanted.bundles.keys():
            failed = await self._try({})
            if failed is not None:
                log(logger, "error", "bundles that are not wanted any more still decide", error=failed.message, help=failed.help)

    def _is_whole(self, names: Collection[str]) -> bool:
        """Say whether nothing that is wanted is missing, with these bundles on top of what is active."""
        return self.wanted.bundles.keys() <= self.active.keys() | set(names)

    async def _work_on(self, fresh: Chosen) -> None:
        """Activate downloads; those that were refused before may fit together with them now, or after them."""
        failed = await self._try_any([{**fresh, **more} for more in self._candidates.refused()])
        if failed is not None:
            await self._blame(fresh, failed)
            return
        for more in self._candidates.refused():
            await self._try(more)

    async def _try_any(self, choices: Sequence[Chosen]) -> Failed | None:
        """Activate the first of the choices that can be; return what is wrong with the first if none can."""
        failed: Failed | None = None
        for choice in choices:
            if self._is_whole(choice):
                again = await self._try(choice)
                if again is None:
                    return None
                failed = failed or again
        return failed or _MISSING

    async def _blame(self, fresh: Chosen, failed: Failed) -> None:
        """Refuse the bundle at fault and go on with the others; where none can be told, each has to stand alone."""
        if failed.bundle is not None and failed.bundle in fresh:
            self._candidates.refuse(fresh[failed.bundle], failed)
            rest = {name: candidate for name, candidate in fresh.items() if name != failed.bundle}
            if rest and self._is_whole(rest):
                again = await self._try(rest)
                if again is not None:
                    await self._blame(rest, again)
            return
        for name, candidate in fresh.items():
            is_alone = len(fresh) == 1 or not self._is_whole({name: candidate})
            alone = failed if is_alone else await self._try({name: candidate})
            if alone is not None:
                self._candidates.refuse(candidate, alone)

    async def _try(self, chosen: Chosen) -> Failed | None:
        """Activate what is active with the chosen on top; return what is wrong with that. They are answered if nothing is."""
        candidates = self._candidates.among(chosen)
        wanted = self.wanted.bundles.keys()
        if not candidates and self.active.keys() == wanted:
            return None  # others have come in their place, or they were activated with others
        contents = {**self.active, **{name: candidate.parts for name, candidate in candidates.items()}}
        contents = {name: parts for name, parts in contents.items() if name in wanted}
        if contents.keys() != wanted:
            return _MISSING
        response = await self._activated(contents)
        if isinstance(response, Failed):
            self._counters.count(response.code)
            return response
        read = {each.name: each for each in response.bundles}
        compile_ns = response.compile_ns if isinstance(response, Compiled) else 0
        for name, candidate in candidates.items():
            outcome = activated(self.active[name], read[name], compile_ns)
            if not candidate.is_waited_for:
                self._adopt(self.active[name], outcome)
            self._candidates.accept(candidate, outcome)
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
        """Return the compiled policy if nothing speaks against it. Raises _GivenUpError."""
        if self._impatient:
            raise _GivenUpError
        self._preparing = asyncio.create_task(self._compiled(contents, self.wanted))
        try:
            return await self._preparing
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise _GivenUpError from None
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
            await self._restore_newest()
            pinned = self.history.pinned
            if pinned is not None and self.version is None:
                text = "the pinned version cannot be activated: every check is denied until it is unpinned"
                log(logger, "error", text, version=pinned, help="`authz bundle unpin`")
            return self.version is not None

    async def _restore_newest(self) -> None:
        """Activate the newest version that can be, or the one that is pinned."""
        pinned = self.history.pinned
        for held in list(self.history.held):
            if pinned is None or held.version.id == pinned:
                try:
                    await self._restore(held)
                except AuthzError as error:
                    fields = {"version": held.version.id, "revision": held.version.revision, "error": error.message, "help": error.help}
                    log(logger, "error", "a version on disk cannot be activated", **fields)
                except Exception:  # a defect of ours: an older version may do
                    logger.exception("a version on disk cannot be activated")
                else:
                    return

    async def _restore(self, held: Held) -> None:
        """Activate a version from disk; where only some of its bundles are on disk, wait for the others. Raises AuthzError."""
        contents = {name: parts for name, parts in (await self.history.contents(held)).items() if name in self.wanted.bundles}
        if contents.keys() == self.wanted.bundles.keys():
            compiled = await self._return_to(replace(held, contents=contents))
            self.history.hold(held.version.id, self.active, compiled)
            text = "serving the last good version until a service answers"
            log(logger, "warn", text, version=self.version, revision=held.version.revision)
        else:
            for parts in contents.values():
                if parts.name not in self._candidates.names:
                    self._candidates.add(parts, None)
            self._is_wanted.set()  # they may be all that was waited for

    async def save_again(self) -> None:
        """Have what is remembered on disk after all, if the disk has failed."""
        async with self._changing:
            await self.history.save_again()

    async def remember(self, history: History) -> None:
        """Remember versions there from now on; what is active is the newest of them.

        What was pinned meanwhile stays pinned. If nothing was and something is pinned there, it decides from now on: whoever pinned it
        did not trust what came later.
        """
        async with self._changing:
            older, self.history = self.history, history
            await history.take_over(older)
            if self.version is None or history.pinned in (None, self.version):
                return
            await self._restore_newest()
            if self.version != history.pinned:
                text = "the pinned version cannot be activated: another one decides until it is unpinned"
                log(logger, "error", text, version=history.pinned, active=self.version, help="`authz bundle unpin`")

    async def go_back(self, id: str | None) -> None:
        """Activate an older version, the one before the active one if `id` is None, and pin it. Raises VersionError and StoreError."""
        async with self._changing_at_once():
            held = self._found(id)
            if held.version.id != self.version:
                compiled = await self._return_to(held)
                await self.history.record(self.active, compiled, self._now_ns())
            await self.history.pin(self.version)

    async def pin(self) -> None:
        """Keep the active version active, whatever is downloaded. Raises VersionError."""
        async with self._changing_at_once():
            if self.version is None:
                raise VersionError("no version is active yet")
            await self.history.pin(self.version)

    async def unpin(self) -> None:
        """Let newer versions be activated again."""
        async with self._changing_at_once():
            await self.history.pin(None)

    @asynccontextmanager
    async def _changing_at_once(self) -> AsyncIterator[None]:
        """Change the version without waiting for a compile that is under way: it is begun again afterwards, if it is still wanted."""
        self._impatient += 1
        if self._preparing is not None:
            self._preparing.cancel()
        try:
            async with self._changing:
                yield
        finally:
            self._impatient -= 1
            self._is_wanted.set()

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
