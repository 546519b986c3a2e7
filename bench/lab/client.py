"""An mTLS HTTP client that shows everything of an answer.

One connection a request: what a caller presents is what it asked for, never a
resumed session's. Follows no redirect, retries nothing.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.lab.pki import Credential
from bench.lab.ports import LOOPBACK

TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Response:
    """What came back; `headers` in order, names in lower case, repeats kept."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str

    def header(self, name: str) -> str | None:
        """Return the values of a header joined with `,`, or None when it is absent."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ",".join(values) if values else None

    @property
    def echo(self) -> dict[str, Any]:
        """Return what the upstream says it received: `method`, `path`, `headers` (list of pairs), `body`."""
        document: dict[str, Any] = json.loads(self.body)
        return document

    @property
    def upstream_headers(self) -> dict[str, str]:
        """Return the request headers that reached the upstream; a repeated one joined with `,`."""
        joined: dict[str, str] = {}
        for name, value in self.echo["headers"]:
            joined[name] = f"{joined[name]},{value}" if name in joined else value
        return joined


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a caller writes it; `headers` may repeat a name."""

    method: str = "GET"
    path: str = "/"
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    host: str = "localhost"


def tls_context(authority: Path, credential: Credential | None) -> ssl.SSLContext:
    """Return a context that trusts `authority` and presents `credential` (None: no client certificate)."""
    context = ssl.create_default_context(cafile=str(authority))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if credential is not None:
        context.load_cert_chain(credential.certificate, credential.key)
    return context


def send(port: int, request: Request, context: ssl.SSLContext | None) -> Response:
    """Send one request to the loopback port, over TLS if there is a context.

    Raises ssl.SSLError or ConnectionError when the peer refuses the certificate.
    """
    connection = _connection(port, context)
    try:
        connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("host", request.host)
        for name, value in request.headers:
            connection.putheader(name, value)
        if request.body:
            connection.putheader("content-length", str(len(request.body)))
        connection.endheaders(request.body or None)
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
        return Response(answer.status, tuple((name.lower(), value) for name, value in answer.getheaders()), body)
    finally:
        connection.close()


def _connection(port: int, context: ssl.SSLContext | None) -> http.client.HTTPConnection:
    if context is None:
        return http.client.HTTPConnection(LOOPBACK, port, timeout=TIMEOUT_S)
    return http.client.HTTPSConnection(LOOPBACK, port, timeout=TIMEOUT_S, context=context)


def get_json(port: int, path: str) -> tuple[int, Mapping[str, Any]]:
    """Return status and JSON body (`{}` if it is none) of a plain GET; raises OSError when nobody listens."""
    response = send(port, Request(path=path), None)
    try:
        document = json.loads(response.body)
    except ValueError:
        document = {}
    return response.status, document if isinstance(document, dict) else {}
