"""Admin routes for policy bundles: which versions there are, and going back to one. Knows shapes and status codes only.

What changes something is taken from this machine alone, and not from a page in somebody's browser: as JSON, at an address that
is a number or `localhost`.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, Final, Protocol

import msgspec
from aiohttp import web

from authz.control_plane.activator import VersionError
from authz.control_plane.versions import ROUTES, VersionsStatus, VersionStatus
from authz.errors import AuthzError
from authz.refresh.status import RefreshStatus
from authz.server.responses import json_response, source_document, timestamp

_LOCALHOST: Final = "localhost"


class BundleControl(Protocol):
    """Bundles as an operator deals with them. What it cannot do is an AuthzError."""

    def statuses(self) -> Sequence[RefreshStatus]:
        """Return the state of every bundle."""

    def versions(self) -> VersionsStatus:
        """Return the versions, newest first."""

    async def go_back(self, id: str | None) -> None:
        """Activate an older version, the one before the active one if `id` is None, and pin it."""

    async def pin(self, id: str | None) -> None:
        """Keep a version active, the active one if `id` is None."""

    async def unpin(self) -> None:
        """Let newer bundles be activated again."""

    def request(self) -> None:
        """Ask for every bundle now."""


class VersionRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a change: the id of a version, or the beginning of it."""

    version: str | None = None


def add_bundle_routes(app: web.Application, control: BundleControl) -> None:
    """Let an application answer for bundles."""
    routes = _Routes(control)
    app.router.add_get(ROUTES, routes.show)
    for name, handler in (("rollback", routes.roll_back), ("pin", routes.pin), ("unpin", routes.unpin), ("refresh", routes.refresh)):
        app.router.add_post(f"{ROUTES}/{name}", handler)


class _Routes:
    def __init__(self, control: BundleControl) -> None:
        self._control = control

    async def show(self, _request: web.Request) -> web.Response:
        return json_response(self._document())

    async def roll_back(self, request: web.Request) -> web.Response:
        wanted = await _wanted(request)
        return await self._done(self._control.go_back(wanted.version))

    async def pin(self, request: web.Request) -> web.Response:
        wanted = await _wanted(request)
        return await self._done(self._control.pin(wanted.version))

    async def unpin(self, request: web.Request) -> web.Response:
        await _wanted(request)
        return await self._done(self._control.unpin())

    async def refresh(self, request: web.Request) -> web.Response:
        await _wanted(request)
        self._control.request()
        return json_response(self._document())

    async def _done(self, change: Any) -> web.Response:
        try:
            await change
        except VersionError as error:
            return _failed(error, 409)
        except AuthzError as error:
            return _failed(error, 500)
        return json_response(self._document())

    def _document(self) -> dict[str, Any]:
        status = self._control.versions()
        return {
            "bundles": [source_document(each) for each in self._control.statuses()],
            "versions": [_version(each) for each in status.versions],
            "persistence_error": status.persistence_error,
        }


def _version(version: VersionStatus) -> dict[str, Any]:
    return {
        "id": version.id,
        "revision": version.revision,
        "activated_at": timestamp(version.activated_ns),
        "active": version.is_active,
        "pinned": version.is_pinned,
        "stored": version.is_stored,
        "bundles": [msgspec.to_builtins(bundle) for bundle in version.bundles],
    }


async def _wanted(request: web.Request) -> VersionRequest:
    """Return what a request asks for; ends it with 4xx if it may not, or does not say it well."""
    if not _is_local(request):
        raise _refusal(web.HTTPForbidden, "changes are taken from this machine only", "run `authz bundle` beside the sidecar")
    if request.content_type != "application/json":
        raise _refusal(web.HTTPUnsupportedMediaType, "the body must be JSON", "send `Content-Type: application/json`")
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=VersionRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refusal(web.HTTPBadRequest, f"the body cannot be read: {error}", 'send `{"version": "<id>"}`') from error


def _is_local(request: web.Request) -> bool:
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    if not isinstance(peer, tuple):  # a Unix socket: its permissions say who may
        return True
    try:
        host = request.url.host or ""
    except ValueError:  # no host at all
        return False
    return ip_address(str(peer[0]).partition("%")[0]).is_loopback and (host == _LOCALHOST or _is_number(host))


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _refusal(kind: type[web.HTTPError], message: str, help: str) -> web.HTTPError:
    response = json_response({"error": message, "help": help})
    return kind(body=response.body, content_type="application/json")


def _failed(error: AuthzError, status: int) -> web.Response:
    return json_response({"error": error.message, "help": error.help}, status)
