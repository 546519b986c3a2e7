"""Admin HTTP: what an operator and an orchestrator may ask. What changes something is in `bundle_routes`.

Knows shapes and status codes of its answers; where the facts come from is behind `AdminView`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, Final, Protocol, Self

from aiohttp import web

from authz.refresh.status import RefreshStatus
from authz.server.address import Address, UnixAddress, bind
from authz.server.bundle_routes import BundleControl, add_bundle_routes
from authz.server.responses import json_response, source_document
from authz.telemetry import metrics
from authz.telemetry.logs import log

logger = logging.getLogger(__name__)

SHUTDOWN_S: Final = 1.0
"""How long an open scrape may delay the end of the process."""

MAX_REQUEST_BYTES: Final = 1024
"""No body says more than the id of a version."""


class AdminView(Protocol):
    """What the admin server is told by the process it belongs to."""

    async def render_metrics(self) -> bytes:
        """Return all metrics in Prometheus' text format."""

    def is_ready(self) -> bool:
        """Whether a policy is active and new checks are taken."""

    def sources(self) -> Sequence[RefreshStatus]:
        """Return the state of every policy source."""

    async def active_policy(self) -> dict[str, Any]:
        """Describe the active policy; `revision` is None without one."""

    async def report(self) -> dict[str, Any] | None:
        """Return the status report as it is now, None where none is sent anywhere."""


def admin_app(view: AdminView, bundles: BundleControl | None = None) -> web.Application:
    """Return the aiohttp application of the admin routes, with those for bundles if policies come from there."""
    routes = _Routes(view)
    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    app.router.add_get("/metrics", routes.metrics)
    app.router.add_get("/health", routes.health)
    app.router.add_get("/ready", routes.ready)
    app.router.add_get("/v1/policy/active", routes.active_policy)
    app.router.add_get("/v1/status", routes.status)
    if bundles is not None:
        add_bundle_routes(app, bundles)
    return app


class _Routes:
    def __init__(self, view: AdminView) -> None:
        self._view = view

    async def metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=await self._view.render_metrics(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def health(self, request: web.Request) -> web.Response:
        """Answer as OPA's `/health`: 200 `{}`, or 500 with an error (OPA docs, REST API, health)."""
        if _asks(request, "bundles", "bundle"):
            failing = [status for status in self._view.sources() if not status.is_ok]
            if failing:
                return json_response(
                    {"error": "one or more bundles are not activated", "sources": [source_document(status) for status in failing]}, 500
                )
        if _asks(request, "plugins") and not self._view.is_ready():
            return json_response({"error": "one or more plugins are not up"}, 500)
        return json_response({})

    async def ready(self, _request: web.Request) -> web.Response:
        is_ready = self._view.is_ready()
        return json_response({"ready": is_ready}, 200 if is_ready else 503)

    async def active_policy(self, _request: web.Request) -> web.Response:
        return json_response({**await self._view.active_policy(), "sources": [source_document(status) for status in self._view.sources()]})

    async def status(self, _request: web.Request) -> web.Response:
        """Answer as OPA's `/v1/status`."""
        report = await self._view.report()
        if report is None:
            return json_response({"code": "internal_error", "message": "status plugin not enabled"}, 500)
        return json_response({"result": report})


def _asks(request: web.Request, *names: str) -> bool:
    """Whether one of the query parameters is there and not `=false`: OPA takes both `?bundles` and `?bundles=true`."""
    return any(request.query.get(name, "false").lower() != "false" for name in names)


class AdminServer:
    """The admin routes on one address."""

    def __init__(self, runner: web.AppRunner, address: Address) -> None:
        self.address = address
        self._runner = runner

    @classmethod
    async def start(cls, view: AdminView, address: Address, bundles: BundleControl | None = None) -> Self:
        """Start serving; AddressError when the address is unusable."""
        bound = bind(address)
        runner = web.AppRunner(admin_app(view, bundles), access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        await web.SockSite(runner, bound.socket).start()
        if not is_loopback(bound.address):
            log(
                logger,
                "warn",
                "admin address is not loopback: metrics and policy status are open to the network",
                address=str(bound.address),
            )
        return cls(runner, bound.address)

    async def stop(self) -> None:
        """Stop serving; open requests have SHUTDOWN_S."""
        await self._runner.cleanup()


def is_loopback(address: Address) -> bool:
    """Whether only this machine can reach the address."""
    if isinstance(address, UnixAddress):
        return True
    try:
        return ip_address(address.host.partition("%")[0]).is_loopback
    except ValueError:  # a name, or every interface
        return address.host == "localhost"
