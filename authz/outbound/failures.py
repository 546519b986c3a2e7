"""What the HTTP library says went wrong, in OPA's words. Sends nothing and decides nothing."""

from __future__ import annotations

import os
import ssl
from typing import Final

import aiohttp
from yarl import URL

from authz.outbound import urls
from authz.outbound.addresses import ForbiddenAddressError
from authz.outbound.errors import SendError
from authz.outbound.hop import Hop

_AWAITING: Final = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
_READING: Final = "context deadline exceeded (Client.Timeout or context cancellation while reading body)"


def on_the_way(error: Exception, hop: Hop) -> SendError:
    """Return the failure for what ended a request before its answer's headers were there."""
    return SendError("refused" if _is_forbidden(error) else "network", f"{_where(hop)}: {reason(error, hop.url)}", is_network=True)


def in_redirect(error: SendError, hop: Hop) -> SendError:
    """Return the failure of a request that was led to where it may not ask."""
    return SendError(error.outcome, f"{_where(hop)}: {error.message}", is_network=True)


def too_many_redirects(most: int, hop: Hop) -> SendError:
    """Return the failure of a request that was led on and on."""
    return SendError("refused", f"{_where(hop)}: stopped after {most} redirects", is_network=True)


def _where(hop: Hop) -> str:
    return f"{urls.op(hop.method)} {urls.shown(hop.written)}"


def while_reading(error: Exception) -> SendError:
    """Return the failure for what ended an answer's body."""
    known = {aiohttp.ClientPayloadError: "unexpected EOF", aiohttp.ServerDisconnectedError: "unexpected EOF"}
    return SendError("network", known.get(type(error), str(error) or type(error).__name__))


def too_late(method: str, url: str, *, is_reading: bool, raises: bool) -> SendError:
    """Return the failure of a request that took longer than it may. OPA has another text for a policy that asked for an error."""
    if is_reading:
        return SendError("timeout", _READING)
    op = urls.op(method)
    if raises:
        return SendError("timeout", f"{op} {urls.without_password(url)}: request timed out", is_network=True)
    return SendError("timeout", f"{op} {urls.shown(url)}: {_AWAITING}", is_network=True)


def _is_forbidden(error: Exception) -> bool:
    return isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ForbiddenAddressError)


def reason(error: Exception, url: URL) -> str:
    """Return what ended a request to a URL before its answer's headers were there."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"tls: failed to verify certificate: x509: {getattr(error.certificate_error, 'verify_message', error.certificate_error)}"
        case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return f"tls: {_ssl_reason(error)}"
        case aiohttp.ClientConnectorDNSError() if isinstance(error.os_error, ForbiddenAddressError):
            return f"dial tcp: {error.os_error}"
        case aiohttp.ClientConnectorDNSError():
            return f"dial tcp: lookup {url.raw_host}: no such host"
        case aiohttp.ClientConnectorError():
            return f"dial tcp {url.host_port_subcomponent}: connect: {_os_reason(error.os_error)}"
        case aiohttp.ServerDisconnectedError():
            return "EOF"
        case aiohttp.ClientResponseError():
            said = error.message.partition("\n")[0].rstrip(":")  # below it, the server's own bytes
            return f"net/http: HTTP/1.x transport connection broken: {said}"
        case OSError():
            return _os_reason(error)
    return str(error) or type(error).__name__


def _ssl_reason(error: Exception) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    reason = getattr(cause, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else str(cause)


def _os_reason(error: OSError) -> str:
    return (os.strerror(error.errno) if error.errno else str(error)).lower()
