"""A running sidecar's admin routes, asked by a command. Knows how to reach one; not what is asked.

The standard library's client: a command that goes back to an older policy should not have to import much first.
"""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any, Final

from authz.errors import AuthzError, ErrorCode
from authz.server.address import Address, UnixAddress, parse_address

TIMEOUT_S: Final = 60.0
"""Going back to a version may have to compile it."""

_NOT_FOUND: Final = 404


class AdminError(AuthzError):
    """The sidecar cannot be asked, or refuses."""

    code = ErrorCode.ACTIVATION


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, address: UnixAddress) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = f"\0{address.path[1:]}" if address.is_abstract else address.path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(admin_addr: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Return the JSON that a sidecar answers. Raises AdminError, and AddressError for an address that is none."""
    address = parse_address(admin_addr)
    connection = _connection(address)
    content = None if body is None else json.dumps(body)
    try:
        connection.request(method, path, content, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return _answer(response.status, response.read(), path)
    except TimeoutError as error:
        raise AdminError(f"the sidecar at {address} did not answer within {TIMEOUT_S:g} s") from error
    except (http.client.HTTPException, OSError) as error:
        advice = "is it running? `--admin-addr` names what its `admin_addr` is"
        raise AdminError(f"no sidecar answers at {address}: {error}", help=advice) from error
    finally:
        connection.close()


def _connection(address: Address) -> http.client.HTTPConnection:
    if isinstance(address, UnixAddress):
        return _UnixConnection(address)
    return http.client.HTTPConnection(address.host or "localhost", address.port, timeout=TIMEOUT_S)


def _answer(status: int, content: bytes, path: str) -> Any:
    if status == _NOT_FOUND:
        raise AdminError(f"the sidecar has no `{path}`: its policies do not come from bundles", help="`bundles` in its configuration")
    try:
        document = json.loads(content)
    except ValueError as error:
        raise AdminError(f"what answers is no sidecar: status {status}, not JSON") from error
    if status >= http.client.BAD_REQUEST:
        refused = document if isinstance(document, dict) else {}
        raise AdminError(str(refused.get("error", f"status {status}")), help=refused.get("help"))
    return document
