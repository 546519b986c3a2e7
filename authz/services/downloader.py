"""One bundle, kept up to date: asks for it, hands it on, remembers what was activated.

The ETag sent is that of the last *activation*: what was downloaded and not activated is asked for again. Knows nothing of
what is in an archive but its first bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic, time_ns
from typing import Final, Protocol, TypeAlias

from authz.services.downloads import REQUEST, Activated, BundleState, Download, Outcome, Rejected
from authz.services.errors import Failure, ServiceError
from authz.services.resolution import DownloadSettings
from authz.services.schedule import after_failure_s, after_success_s
from authz.services.transport import GZIP_MAGIC
from authz.telemetry.logs import log

logger = logging.getLogger(__name__)

LONG_POLL_TYPE: Final = "application/vnd.openpolicyagent.bundles"
"""The content type that says: this server holds a request until there is news."""

MAX_FAILED_DELTAS: Final = 3
"""A server whose deltas are refused so often in a row is asked for snapshots only, until `trigger`: each costs a request for nothing."""

_SHOWN_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Part:
    """The part of OPA that a bundle is for: its name, and what it says of a success and of its two failures."""

    name: str
    activated: str
    not_loaded: str
    not_activated: str
    forgets_etag: bool = False


BUNDLE: Final = Part("bundle", "Bundle loaded and activated successfully.", "Bundle load failed", "Bundle activation failed")
DISCOVERY: Final = Part(
    "discovery",
    "Discovery update processed successfully.",
    "Discovery download failed",
    "Discovery reconfiguration error occurred",
    forgets_etag=True,
)
"""After a failure the whole discovery bundle is asked for, as OPA does."""


def origin_of(*place: str) -> str:
    """Return what stands for a place whose parts these are."""
    return hashlib.sha256("\n".join(place).encode("utf-8", "surrogatepass")).hexdigest()


Deliver: TypeAlias = Callable[[Download], Awaitable[Outcome]]
Wait: TypeAlias = Callable[[asyncio.Event, float | None], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a source answered. `content` is None where nothing has changed; an empty `etag` means that none was given."""

    content: bytes | None
    etag: str
    content_type: str = ""
    is_conditional: bool = False


class Source(Protocol):
    """Where a bundle comes from. ETags mean something to one origin only."""

    @property
    def can_hold(self) -> bool:
        """Whether it may hold a request until there is news."""

    @property
    def origin(self) -> str:
        """What stands for the place, over restarts too. Tells no secret that may be in its URL."""

    async def fetch(self, etag: str, wait_s: float | None, *, takes_deltas: bool = True) -> Fetched:
        """Return the bundle, if it is not the one of the ETag; hold for news if asked to. Raises ServiceError."""


async def wait_for(event: asyncio.Event, seconds: float | None) -> None:
    """Wait until the event is set, or for so long, by a clock that is never set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class Downloader:
    """Keeps one bundle up to date while `run` runs. INVARIANT: `_active_etag` and `_active_digest` are those of the last activation."""

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        settings: DownloadSettings,
        source: Source,
        deliver: Deliver,
        on_state: Callable[[BundleState], None] = lambda _: None,
        *,
        part: Part = BUNDLE,
        now_ns: Callable[[], int] = time_ns,
        wait: Wait = wait_for,
    ) -> None:
        """Begin with nothing; what is active already is said by `adopt`."""
        self.settings = settings
        self.state = BundleState(settings.name)
        self._part = part
        self._source = source
        self._deliver = deliver
        self._on_state = on_state
        self._now_ns = now_ns
        self._wait = wait
        self._is_asked = asyncio.Event()
        self._is_settled = asyncio.Event()
        self._is_settled.set()
        self._lock = asyncio.Lock()
        self._active_etag = ""
        self._active_digest = b""
        self._rejected: tuple[bytes, Rejected] | None = None
        self._is_long_polling = settings.long_polling_s is not None and source.can_hold
        self._failures = 0
        self._wants_snapshot = False
        self._refused = self._failed_deltas = 0

    @property
    def origin(self) -> str:
        """What stands for the place that the bundle comes from."""
        return self._source.origin

    def trigger(self) -> None:
        """Have `run` ask now instead of later; what was rejected is tried again. Also for `trigger: manual`."""
        self._rejected = None
        self._failed_deltas = 0
        self._is_settled.clear()
        self._is_asked.set()

    async def settle(self) -> None:
        """Return once what `trigger` asked for has been answered, and activated or not."""
        await self._is_settled.wait()

    def adopt(self, activated: Activated, etag: str, digest: bytes = b"") -> None:
        """Be told that something else became active than was handed on last: something rejected before, or an older version.

        `digest` is the SHA-256 of its archive; without it, the same archive may be handed on once more.
        """
        if etag != self._active_etag:
            self._is_asked.set()  # a long poll that is under way asks about what is not active any more
        self._active_etag, self._active_digest = etag, digest
        self._note_activation(activated)

    async def run(self) -> None:
        """Keep the bundle up to date until cancelled."""
        if self.settings.is_manual:
            await self._pause(None)
        while True:
            delay_s = await self.refresh()
            await self._pause(None if self.settings.is_manual else delay_s)

    async def _pause(self, seconds: float | None) -> None:
        await self._wait(self._is_asked, seconds)
        self._is_asked.clear()

    async def refresh(self) -> float:
        """Ask once; return the wait before the next time. Failures are in the state and the log."""
        async with self._lock:
            begun_s = monotonic()
            self.state = replace(self.state, requested_ns=self._now_ns())
            try:
                is_news = await self._attempt()
            except Exception as raised:  # a defect of ours, too: whatever a server says, it is asked again
                error = raised if isinstance(raised, ServiceError) else _unexpected(raised)
                self._fail(error)
                delay_s = after_failure_s(self.settings, self._failures, error)
            else:
                if is_news is None:
                    return 0.0
                self._failures = 0
                self.state = replace(self.state, error=None, errors=(), code="")
                delay_s = after_success_s(
                    self.settings, is_long_polling=self._is_long_polling, is_news=is_news, took_s=monotonic() - begun_s
                )
            if not self._is_asked.is_set():  # else what was asked for meanwhile comes next
                self._is_settled.set()
            self._on_state(self.state)
            return delay_s

    async def _attempt(self) -> bool | None:
        """Ask, and hand on what is new; return whether it was activated, None if something else is to be asked. Raises ServiceError."""
        wait_s = self.settings.long_polling_s if self._is_long_polling else None
        begun_s = monotonic()
        etag, takes_deltas = self._asked_for()
        fetched = await self._fetch(etag, wait_s, takes_deltas=takes_deltas)
        if fetched is None:
            return None
        now_ns = self._now_ns()
        self.state = replace(self.state, answered_ns=now_ns, stages_ns={REQUEST: round((monotonic() - begun_s) * 1e9)})
        if fetched.content is None:
            if etag == self._active_etag:  # else another version became active while it was asked about this one
                self._active_etag = fetched.etag or etag
            return False
        self._is_long_polling = self.settings.long_polling_s is not None and fetched.content_type == LONG_POLL_TYPE
        self.state = replace(self.state, downloaded_ns=now_ns, size=len(fetched.content))
        return await self._hand_on(fetched, etag, now_ns)

    def _asked_for(self) -> tuple[str, bool]:
        """Return the ETag to ask with, and whether a delta may come.

        What may have been a delta and was refused is followed by a request for a snapshot; if that does not help, for the server goes
        by the ETag alone, by one without an ETag.
        """
        etag = "" if self._refused > 1 else self._active_etag
        return etag, not self._wants_snapshot and not self._refused and self._failed_deltas < MAX_FAILED_DELTAS

    async def _fetch(self, etag: str, wait_s: float | None, *, takes_deltas: bool) -> Fetched | None:
        """Ask the source; None if there was something else to ask meanwhile, which a long poll does not hold up."""
        if wait_s is None:
            return await self._source.fetch(etag, wait_s, takes_deltas=takes_deltas)
        fetching = asyncio.ensure_future(self._source.fetch(etag, wait_s, takes_deltas=takes_deltas))
        asked = asyncio.ensure_future(self._is_asked.wait())
        try:
            await asyncio.wait((fetching, asked), return_when=asyncio.FIRST_COMPLETED)
            return await fetching if fetching.done() else None
        finally:
            for task in (fetching, asked):
                task.cancel()
            await asyncio.gather(fetching, asked, return_exceptions=True)

    async def _hand_on(self, fetched: Fetched, asked_with: str, now_ns: int) -> bool:
        content = fetched.content
        assert content is not None
        if not content.startswith(GZIP_MAGIC):
            start = content[:_SHOWN_BYTES].decode("ascii", "backslashreplace")
            text = f"not a gzip archive (content type `{fetched.content_type}`, starts with `{start}`)"
            raise ServiceError(Failure.NOT_AN_ARCHIVE, text.replace("\n", " "), http_code=200 if fetched.content_type else None)
        digest = await asyncio.to_thread(_digest, content)
        if digest == self._active_digest:  # a server without ETags, one that restarted, or another place
            self._wants_snapshot = self._wants_snapshot or fetched.etag != self._active_etag  # which the active bundle does not go by
            self._active_etag = fetched.etag
            return False
        base_etag = asked_with if fetched.is_conditional else None
        download = Download(self.settings.name, content, digest.hex(), fetched.etag, base_etag, len(content), now_ns, self.origin)
        outcome = await self._outcome(download, digest)
        if isinstance(outcome, Rejected):
            self._refused += 1
            self._failed_deltas += fetched.is_conditional
            self.state = replace(self.state, errors=outcome.errors, code=outcome.code)
            raise ServiceError(Failure.REJECTED, outcome.message, help=outcome.help)
        self._active_etag, self._active_digest, self._rejected = fetched.etag, digest, None
        self._note_activation(outcome)
        log(logger, "info", self._part.activated, name=self.settings.name, plugin=self._part.name, etag=fetched.etag)
        return True

    def _note_activation(self, activated: Activated) -> None:
        if activated.type == "delta":
            self._failed_deltas = 0
        self._refused, self._wants_snapshot = 0, activated.wants_snapshot
        stages_ns = {**self.state.stages_ns, **activated.stages_ns}
        self.state = replace(self.state, revision=activated.revision, type=activated.type, activated_ns=self._now_ns(), stages_ns=stages_ns)

    async def _outcome(self, download: Download, digest: bytes) -> Outcome:
        """Return what becomes of a download; bytes that were rejected for good are not tried again until `trigger`."""
        if self._rejected is not None and self._rejected[0] == digest:
            if download.base_etag is None:
                self._failed_deltas = 0  # what was refused before was this snapshot
            return self._rejected[1]
        try:
            outcome = await self._deliver(download)
        except Exception as error:  # whatever goes wrong there, the downloads go on
            logger.exception("activation failed unexpectedly")
            return Rejected(f"{type(error).__name__}: {error}", is_final=False)
        self._rejected = (digest, outcome) if isinstance(outcome, Rejected) and outcome.is_final else None
        return outcome

    def _fail(self, error: ServiceError) -> None:
        known = self.state.error
        self._failures += 1
        self.state = replace(self.state, error=error)
        if error.failure is not Failure.REJECTED:
            self.state = replace(self.state, errors=(), code="")
        if self.state.answered_ns < self.state.requested_ns:
            self.state = replace(self.state, stages_ns={})
        if self._part.forgets_etag:
            self._active_etag = ""
        if known is None or (known.failure, known.message) != (error.failure, error.message):  # an unchanged error is no news
            phrase = self._part.not_activated if error.failure is Failure.REJECTED else self._part.not_loaded
            fields = {"failure": str(error.failure), "http_code": error.http_code, "error": error.message, "help": error.help}
            log(logger, "error", phrase, name=self.settings.name, plugin=self._part.name, **fields)


def _unexpected(raised: Exception) -> ServiceError:
    logger.error("a download failed unexpectedly", exc_info=raised)
    return ServiceError(Failure.PROTOCOL, f"{type(raised).__name__}: {raised}")


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
