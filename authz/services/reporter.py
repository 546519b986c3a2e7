"""Reports of the state on their way to a service and to the console: as it is when one is sent, and nothing waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Final, TypeAlias

from authz.services.client import ServiceClient
from authz.services.errors import ServiceError
from authz.services.resolution import StatusTarget
from authz.services.status import Status, status_document
from authz.telemetry.documents import json_bytes
from authz.telemetry.logs import log
from authz.telemetry.repeats import RepeatFilter

logger = logging.getLogger(__name__)

CONSOLE_TYPE: Final = "openpolicyagent.org/status"
_HEADERS: Final = {"Content-Type": "application/json"}

Document: TypeAlias = dict[str, Any]


class StatusReporter:
    """Sends the state whenever it was told of news, while `run` runs. A report that fails is not repeated: the next one says it all."""

    def __init__(self, target: StatusTarget, client: ServiceClient | None, status: Callable[[], Awaitable[Status]]) -> None:
        """Report what `status` returns; it is asked once for each report, however much has changed since the last one."""
        self._target = target
        self._client = client
        self._status = status
        self._is_wanted = asyncio.Event()
        self._repeats = RepeatFilter()
        self.sent = 0
        self.failed = 0

    def update(self) -> None:
        """Have the state reported, for it has changed. Never waits."""
        if not self._target.is_manual:
            self._is_wanted.set()

    def trigger(self) -> None:
        """Have the state reported: how reports with `trigger: manual` are sent."""
        self._is_wanted.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            try:
                await self._report()
            except Exception:  # a defect of ours must not end the reports that come after it
                self.failed += 1
                logger.exception("a status report failed unexpectedly")

    async def _report(self) -> None:
        document = status_document(await self._status())
        if self._target.console:
            log(logger, "info", "Status Log", type=CONSOLE_TYPE, **document)
        if self._client is not None:
            await self._send(self._client, document)

    async def _send(self, client: ServiceClient, document: Document) -> None:
        try:
            await client.post(self._target.path, json_bytes(document), _HEADERS)
            self.sent += 1
        except ServiceError as error:
            self.failed += 1
            held_back = self._repeats.admit(error.message, monotonic())
            if held_back is not None:
                fields = {"failure": str(error.failure), "http_code": error.http_code, "error": error.message}
                log(logger, "warn", "status report not sent", repeated=held_back, **fields)
