"""One policy source's refreshes: compile, activate, remember how it went; all or nothing.

It is told when to try. It knows neither files nor processes nor the PDP: those are the two functions it is given.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from authz.errors import AuthzError, ErrorCode
from authz.refresh.messages import Compiled, CompileResponse, Failed, Unchanged
from authz.refresh.status import RefreshError, RefreshStatus
from authz.telemetry.counters import ACTIVATED, UNCHANGED, ActivationCounters
from authz.telemetry.logs import log

logger = logging.getLogger(__name__)

Compile: TypeAlias = Callable[[str | None], Awaitable[CompileResponse]]
"""Given the active revision, return the policy as it now stands."""

FIRST_RETRY_S: Final = 15.0
LONGEST_RETRY_S: Final = 600.0
"""A failed attempt is repeated unasked, each time later: what failed may have been memory, a process or a disk, and then
no edit comes to say that it is over. A policy that is wrong costs a compile in ten minutes."""

Activate: TypeAlias = Callable[[Compiled], Awaitable[None]]
"""Decide with a policy; raises AuthzError and changes nothing if that is not possible."""

Approve: TypeAlias = Callable[[Compiled], Awaitable[Failed | None]]
"""Say what speaks against a policy that compiles, before it decides in the place of another one. Raises AuthzError."""


async def approved(_compiled: Compiled) -> None:
    """Have nothing against any policy."""


@dataclass(frozen=True, slots=True)
class Decide:
    """Whoever decides with policies, for those who bring them."""

    activate: Activate
    approve: Approve = approved


class Refresher:
    """Refreshes one source; one attempt at a time, and another one after it if asked meanwhile."""

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        name: str,
        compile: Compile,
        decide: Decide,
        counters: ActivationCounters,
        now_ns: Callable[[], int],
        *,
        first_retry_s: float = FIRST_RETRY_S,
    ) -> None:
        self.status = RefreshStatus(name)
        self._compile = compile
        self._decide = decide
        self._counters = counters
        self._now_ns = now_ns
        self._is_wanted = asyncio.Event()
        self._first_retry_s = first_retry_s

    def request(self) -> None:
        """Ask `run` for an attempt; several requests before it begins are one."""
        self._is_wanted.set()

    async def run(self) -> None:
        """Refresh whenever asked, and by itself after a failure, until cancelled."""
        retry_s = self._first_retry_s
        while True:
            is_asked = await self._wait(None if self.status.error is None else retry_s)
            retry_s = self._first_retry_s if is_asked else min(2 * retry_s, LONGEST_RETRY_S)
            known = self.status.error
            status = await self.refresh()
            if status.error is not None and status.error is not known:  # an unchanged error is no news
                self._log_failure(status.error)

    async def _wait(self, longest_s: float | None) -> bool:
        """Wait until an attempt is asked for, or for so long; return whether it was asked for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await self._is_wanted.wait()
        is_asked = self._is_wanted.is_set()
        self._is_wanted.clear()
        return is_asked

    async def refresh(self) -> RefreshStatus:
        """Try once. Whatever goes wrong is in the status returned, not logged; the old snapshot then serves on."""
        try:
            response = await self._compile(self.status.digest)
            if isinstance(response, Compiled):
                response = (await self._refusal(response)) or response
            if isinstance(response, Compiled):
                await self._decide.activate(response)
        except AuthzError as error:
            response = Failed(ErrorCode.ACTIVATION, str(error), error.help)
        except Exception as error:  # one of the two places that catch everything: a refresh never ends the service
            logger.exception("policy refresh failed unexpectedly")
            response = Failed(ErrorCode.ACTIVATION, f"{type(error).__name__}: {error}")
        self._record(response)
        return self.status

    async def _refusal(self, compiled: Compiled) -> Failed | None:
        """Return what speaks against a policy; the first one has nothing to be compared with."""
        return None if self.status.revision is None else await self._decide.approve(compiled)

    def _record(self, response: CompileResponse) -> None:
        now_ns = self._now_ns()
        match response:
            case Compiled():
                self._counters.count(ACTIVATED)
                self._succeed(now_ns, replace(self.status, revision=response.revision, digest=response.digest, activated_ns=now_ns))
                log(logger, "info", "policy activated", source=self.status.name, revision=response.revision)
            case Unchanged():
                self._counters.count(UNCHANGED)
                if self.status.error is not None:
                    log(logger, "info", "policy is as it was activated again", source=self.status.name, revision=response.revision)
                self._succeed(now_ns, self.status)
            case Failed():
                self._counters.count(response.code)
                self._fail(now_ns, response)

    def _succeed(self, now_ns: int, status: RefreshStatus) -> None:
        self.status = replace(status, attempted_ns=now_ns, succeeded_ns=now_ns, error=None)

    def _fail(self, now_ns: int, failure: Failed) -> None:
        error = self.status.error
        if error is None or (error.code, error.message) != (failure.code, failure.message):
            error = RefreshError(failure.code, failure.message, now_ns, failure.help)
        self.status = replace(self.status, attempted_ns=now_ns, error=error)

    def _log_failure(self, error: RefreshError) -> None:
        consequence = "the old one serves on" if self.status.revision else "every check is denied"
        log(
            logger,
            "error",
            f"policy not activated, {consequence}",
            source=self.status.name,
            code=error.code,
            active_revision=self.status.revision,
            error=error.message,
            help=error.help,
        )
