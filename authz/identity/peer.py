"""Whom to believe: the one place that turns what Envoy reports into an identity.

Pure and total. The header proves nothing by itself: it counts only as far as the operator's declaration of what
Envoy does with it (`XfccMode`) and Envoy's own `attributes.source.principal` bear it out. This module
reads no clock, no network, no trust bundle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from authz.identity.certificate import CertificateError, parse_certificate
from authz.identity.element import XfccElement, XfccError
from authz.identity.refusal import Refusal
from authz.identity.spiffe import SpiffeId, SpiffeIdError
from authz.identity.xfcc import parse_xfcc

Source = Literal["xfcc", "principal", "none"]


class XfccMode(StrEnum):
    """What the operator says Envoy's `forward_client_cert_details` does; a CheckRequest does not show it."""

    NONE = "none"
    """SANITIZE, or nobody to believe: the header is ignored and the TLS principal alone counts."""
    SANITIZE_SET = "sanitize_set"
    """Envoy replaces the header by exactly one element about the TLS peer."""
    APPEND_FORWARD = "append_forward"
    """Envoy appends its element; everything before it is the sender's."""
    FORWARD_ONLY = "forward_only"
    """Envoy forwards the header of an mTLS peer untouched: a claim of that peer."""
    ALWAYS_FORWARD_ONLY = "always_forward_only"
    """Envoy forwards anybody's header untouched."""
    REPLACED = "replaced"
    """A trusted filter overwrites the header (Istio waypoint); there may be no TLS principal beside it."""


_ONE_ELEMENT: Final = frozenset({XfccMode.SANITIZE_SET, XfccMode.REPLACED})
_FORWARDING: Final = frozenset({XfccMode.FORWARD_ONLY, XfccMode.ALWAYS_FORWARD_ONLY})


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    """The operator's word on who may say who is calling.

    The default is `append_forward` without trusted proxies, because it is right for both of the settings that write the
    header: an element that SANITIZE_SET wrote is the last one too, and with nobody trusted to vouch the elements before the
    last are never looked at. It believes the header only where the TLS principal says the same.

    `trusted_proxies` may vouch for hops before them. Only the origin depends on them, never the peer.
    """

    mode: XfccMode = XfccMode.APPEND_FORWARD
    trusted_proxies: frozenset[SpiffeId] = frozenset()

    @classmethod
    def parse(cls, mode: str, trusted_proxies: Iterable[str] = ()) -> IdentityConfig:
        """Build from configuration texts; raise ValueError for an unknown mode, SpiffeIdError for a bad proxy."""
        return cls(XfccMode(mode), frozenset(SpiffeId.parse(text) for text in trusted_proxies))


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is calling: `peer` is at the other end of Envoy's TLS connection, `origin` the client a trusted proxy vouches for.

    INVARIANT: a `reason` means that something was refused, and then there is neither peer nor origin.
    """

    peer: SpiffeId | None
    origin: SpiffeId | None
    source: Source
    reason: Refusal | None

    @property
    def spiffe_id(self) -> str | None:
        """Return the peer's SPIFFE ID as text."""
        return self.peer.text if self.peer else None

    @property
    def trust_domain(self) -> str | None:
        """Return the peer's trust domain."""
        return self.peer.trust_domain if self.peer else None

    @property
    def path(self) -> str | None:
        """Return the path of the peer's SPIFFE ID."""
        return self.peer.path if self.peer else None

    @property
    def namespace(self) -> str | None:
        """Return the peer's Kubernetes namespace where its path is exactly `/ns/NS/sa/SA`."""
        return self.peer.namespace if self.peer else None

    @property
    def service_account(self) -> str | None:
        """Return the peer's Kubernetes service account where its path is exactly `/ns/NS/sa/SA`."""
        return self.peer.service_account if self.peer else None


NOBODY: Final = Identity(None, None, "none", None)


class _RefusedError(Exception):
    """What was presented may not be believed; never leaves this module."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason)
        self.reason = reason


def identify(config: IdentityConfig, header: str | None, principal: str, certificate: str = "") -> Identity:
    """Decide who is calling; never raises.

    `header` is None where there is none; an empty one is present and malformed. `principal` and `certificate` are Envoy's
    `attributes.source.principal` and `.certificate`, empty where it sent none. A refusal never falls back to the principal.
    """
    try:
        identity = _believe(config, header, principal)
        if certificate:
            _check_certificate(certificate, identity.peer)
    except (_RefusedError, XfccError, CertificateError) as refused:
        return Identity(None, None, "none", refused.reason)
    return identity


def _believe(config: IdentityConfig, header: str | None, principal: str) -> Identity:
    if config.mode is XfccMode.NONE or header is None:
        return _principal_identity(_principal_peer(principal), None)
    elements = parse_xfcc(header)
    if config.mode in _FORWARDING:
        peer = _principal_peer(principal)
        return _principal_identity(peer, _origin(elements, peer, config.trusted_proxies))
    peer = _last_element_peer(config.mode, elements, principal)
    if peer is None:
        return NOBODY
    # Only under APPEND_FORWARD is there an element left to walk to.
    return Identity(peer, _origin(elements[:-1], peer, config.trusted_proxies), "xfcc", None)


def _principal_identity(peer: SpiffeId | None, origin: SpiffeId | None) -> Identity:
    return Identity(peer, origin, "principal", None) if peer else NOBODY


def _principal_peer(principal: str) -> SpiffeId | None:
    """Return the workload that the TLS principal names; a DNS name or a subject names none."""
    return _workload(principal) if principal.startswith("spiffe:") else None


def _workload(text: str) -> SpiffeId:
    try:
        spiffe_id = SpiffeId.parse(text)
    except SpiffeIdError as error:
        raise _RefusedError(Refusal.BAD_SPIFFE_ID) from error
    if not spiffe_id.is_workload:
        raise _RefusedError(Refusal.BAD_SPIFFE_ID)
    return spiffe_id


def _only_workload(element: XfccElement) -> SpiffeId | None:
    if len(element.uri) > 1:
        raise _RefusedError(Refusal.MULTIPLE_URI)
    return _workload(element.uri[0]) if element.uri else None


def _last_element_peer(mode: XfccMode, elements: Sequence[XfccElement], principal: str) -> SpiffeId | None:
    """Return the peer of the last element, which Envoy wrote, checked against the principal, which no certificate can bend.

    A URI SAN that holds `,By=…;URI=spiffe://…` makes Envoy itself write a forged last element; the principal is then the whole
    SAN and differs. A DNS SAN that reads `spiffe://…` becomes the principal, and then the element has no URI.
    """
    if mode in _ONE_ELEMENT and len(elements) > 1:
        raise _RefusedError(Refusal.TOO_MANY_ELEMENTS_FOR_MODE)
    if not principal and mode is not XfccMode.REPLACED:
        raise _RefusedError(Refusal.XFCC_WITHOUT_PRINCIPAL)
    peer = _only_workload(elements[-1])
    if peer is None and principal.startswith("spiffe:"):
        raise _RefusedError(Refusal.PRINCIPAL_MISMATCH)
    if peer is not None and principal and principal != peer.text:
        raise _RefusedError(Refusal.PRINCIPAL_MISMATCH)
    return peer


def _origin(elements: Sequence[XfccElement], voucher: SpiffeId | None, trusted: frozenset[SpiffeId]) -> SpiffeId | None:
    """Walk from the right, one element for each voucher that is trusted; return the client that the last of them names.

    A By that names the voucher is no proof: anybody can write it. It only shows that the element was not meant for another hop.
    """
    remaining = list(elements)
    while voucher in trusted and remaining:
        element = remaining.pop()
        claimed = [name for name in element.by if name.startswith("spiffe:")]
        if claimed and voucher.text not in claimed:
            raise _RefusedError(Refusal.BROKEN_LINK)
        client = _only_workload(element)
        if client is None or client not in trusted or not remaining:
            return client
        voucher = client
    return None


def _check_certificate(encoded: str, peer: SpiffeId | None) -> None:
    """Demand that the peer is all that the certificate's URI SANs say: only they tell a URI SAN from a DNS SAN in the principal."""
    uris = parse_certificate(encoded).uris
    agrees = uris == (peer.text,) if peer else not any(uri.startswith("spiffe:") for uri in uris)
    if not agrees:
        raise _RefusedError(Refusal.CERTIFICATE_MISMATCH)
