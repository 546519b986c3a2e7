"""Check requests as real Envoy sends them, built with a codec that is not ours.

`envoy-data-plane` (betterproto2) writes them, `authz` reads them with upb: a
mistake in either shows as a disagreement. Knows no policy.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # the wheel was generated for an older pydantic
    from envoy_data_plane.envoy.config.core import v3 as core
    from envoy_data_plane.envoy.service.auth import v3 as auth

PROXY_ID: Final = "spiffe://corp.example.com/ns/payment/sa/processor"
CALLER_ID: Final = "spiffe://corp.example.com/ns/payment/sa/frontend"
_HASH: Final = "f7cd7641261092f6eef09d2320bd8b09253f7ed7c0fa074ba4b16a7bae6ed84c"
_MOMENT: Final = datetime.datetime(2026, 11, 22, 12, 0, tzinfo=datetime.UTC)


def xfcc(caller: str, proxy: str = PROXY_ID) -> str:
    """Return the element that Envoy 1.40 writes for this caller with subject, uri and dns switched on."""
    return f'By={proxy};Hash={_HASH};Subject="CN=frontend,O=Example Corp";URI={caller}'


@dataclass(frozen=True, slots=True)
class Check:
    """A check request in the words of its caller; `principal` empty: no client certificate was presented."""

    method: str = "GET"
    path: str = "/v1/transactions/status"
    principal: str = CALLER_ID
    destination: str = PROXY_ID
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    host: str = "payments.corp.example.com"
    certificate: str = ""
    """The caller's leaf as Envoy sends it with `include_peer_certificate`: URL-encoded PEM."""

    def encode(self) -> bytes:
        """Return the protobuf bytes of the CheckRequest."""
        return bytes(auth.CheckRequest(attributes=self._attributes()))

    def _attributes(self) -> auth.AttributeContext:
        return auth.AttributeContext(
            source=auth.AttributeContextPeer(address=_address("10.12.4.17", 48712), principal=self.principal, certificate=self.certificate),
            destination=auth.AttributeContextPeer(address=_address("10.12.9.3", 8443), principal=self.destination),
            request=auth.AttributeContextRequest(time=_MOMENT, http=self._http()),
            metadata_context=core.Metadata(),
            route_metadata_context=core.Metadata(),
        )

    def _http(self) -> auth.AttributeContextHttpRequest:
        pseudo = {":authority": self.host, ":method": self.method, ":path": self.path, ":scheme": "https"}
        return auth.AttributeContextHttpRequest(
            id="10743225310923478034",
            method=self.method,
            path=self.path,
            host=self.host,
            scheme="https",
            protocol="HTTP/2",
            headers={**pseudo, **self.headers},
            body=self.body,
            size=len(self.body),
        )


def _address(host: str, port: int) -> core.Address:
    return core.Address(socket_address=core.SocketAddress(address=host, port_value=port))


# Names and lengths as a browser behind one gateway produces them: about 1.4 KB encoded.
REALISTIC_HEADERS: Final[Mapping[str, str]] = {
    "accept": "application/json, text/plain, */*",
    "accept-encoding": "gzip, deflate, br, zstd",
    "accept-language": "en-GB,en;q=0.9,de;q=0.8",
    "cookie": "session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; consent=necessary",
    "referer": "https://shop.corp.example.com/orders/7d3f1c/summary",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "x-request-id": "b907bdd9-ae8e-44cc-9f80-f83a16621486",
    "x-forwarded-for": "203.0.113.9,10.12.4.17",
    "x-forwarded-proto": "https",
    "x-envoy-external-address": "203.0.113.9",
    "if-none-match": 'W/"5d41402abc4b2a76b9719d911017c592"',
    "sec-fetch-site": "same-origin",
    "sec-fetch-mode": "cors",
    "x-tenant": "acme-retail-emea",
}


def realistic(check: Check) -> Check:
    """Return the check with the headers of a browser's request and the element that Envoy writes for its caller."""
    element = {"x-forwarded-client-cert": xfcc(check.principal, check.destination)} if check.principal else {}
    return replace(check, headers={**REALISTIC_HEADERS, **element, **check.headers})
