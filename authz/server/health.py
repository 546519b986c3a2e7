"""`grpc.health.v1.Health` (grpc/doc/health-checking.md): what each service says of itself, asked once or watched.

It keeps statuses and wakes watchers. Who decides that a service is healthy is none of its business.
"""

import asyncio
from collections.abc import AsyncIterator
from enum import IntEnum
from typing import Final

from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

from authz.server.rpc import Call, RpcError, Service, Status

CHECK: Final = "/grpc.health.v1.Health/Check"
WATCH: Final = "/grpc.health.v1.Health/Watch"
OVERALL: Final = ""  # the name that asks for the server as a whole


class HealthStatus(IntEnum):
    """HealthCheckResponse.ServingStatus."""

    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


_RESPONSES: Final[dict[HealthStatus, bytes]] = {
    status: health_pb2.HealthCheckResponse(status=int(status)).SerializeToString() for status in HealthStatus
}


class HealthRegistry:
    """The status of every service, and who watches it. Use it from the event loop's thread only."""

    def __init__(self) -> None:
        self._statuses: dict[str, HealthStatus] = {}
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._is_draining = False

    def set(self, service: str, status: HealthStatus) -> None:
        """Give `service` a status and tell its watchers; while draining nothing becomes healthy again."""
        if self._is_draining and status is not HealthStatus.NOT_SERVING:
            return
        self._statuses[service] = status
        for changed in self._watchers.get(service, ()):
            changed.set()

    def get(self, service: str) -> HealthStatus:
        """Return the status of `service`, SERVICE_UNKNOWN if it never had one."""
        return self._statuses.get(service, HealthStatus.SERVICE_UNKNOWN)

    def drain(self) -> None:
        """Make every service NOT_SERVING, and end every watch once it has said so."""
        self._is_draining = True
        for service in self._statuses:
            self._statuses[service] = HealthStatus.NOT_SERVING
        for watchers in self._watchers.values():
            for changed in watchers:
                changed.set()

    def service(self) -> Service:
        """Return the handlers, for a server that drains this registry."""
        return Service(unary={CHECK: self._check}, streams={WATCH: self._watch}, on_drain=(self.drain,))

    def _check(self, request: bytes, _call: Call) -> bytes:
        status = self.get(_service_name(request))
        if status is HealthStatus.SERVICE_UNKNOWN:
            raise RpcError(Status.NOT_FOUND, "unknown service")
        return _RESPONSES[status]

    async def _watch(self, request: bytes, _call: Call) -> AsyncIterator[bytes]:
        service = _service_name(request)
        changed = asyncio.Event()
        self._watchers.setdefault(service, set()).add(changed)
        last: HealthStatus | None = None
        try:
            while True:
                changed.clear()  # before the status is read: no change between the two is lost
                status = self.get(service)
                if status is not last:
                    last = status
                    yield _RESPONSES[status]
                if self._is_draining:
                    return
                await changed.wait()
        finally:
            self._forget(service, changed)

    def _forget(self, service: str, changed: asyncio.Event) -> None:
        watchers = self._watchers[service]
        watchers.discard(changed)
        if not watchers:
            del self._watchers[service]  # names come from callers: none may stay for ever


def _service_name(request: bytes) -> str:
    try:
        return str(health_pb2.HealthCheckRequest.FromString(request).service)
    except DecodeError:
        raise RpcError(Status.INTERNAL, "request is not a HealthCheckRequest") from None
