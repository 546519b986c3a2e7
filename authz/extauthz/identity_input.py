"""`input.identity` and `input.request`: the two parts of the input document that opa-envoy-plugin does not have.

Owns their shape. Who is calling was decided elsewhere; this module only writes it down.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from authz.identity import Identity, SpiffeId, SpiffeIdError
from authz.rego.values import Object, Value

REMEMBERED_IDENTITIES: Final = 4096


def identity_object(identity: Identity) -> Object:
    """Return `input.identity`.

    `source` is always there; `spiffe_id` and its parts only for a believed peer, `namespace` and `service_account` only for a
    Kubernetes path, `origin` (a SPIFFE ID) only where a trusted proxy vouched for one, `reason` only where something was refused.
    """
    peer = identity.peer
    members: dict[str, str | None] = {"source": identity.source}
    if peer is not None:
        members["spiffe_id"] = peer.text
        members["trust_domain"] = peer.trust_domain
        members["path"] = peer.path
        members["namespace"] = peer.namespace
        members["service_account"] = peer.service_account
    members["origin"] = identity.origin.text if identity.origin else None
    members["reason"] = identity.reason
    # str(): a member of a StrEnum is no Rego string.
    return Object((name, str(text)) for name, text in members.items() if text is not None)


class IdentityObjects:
    """Remembers the object of each identity, by the identity's own identity.

    The resolver hands out one Identity for equal requests, so comparing addresses is enough and hashing is saved. INVARIANT: an
    entry holds its Identity, so no other can come to live at that address.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[int, tuple[Identity, Object]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def of(self, identity: Identity) -> Object:
        """Return `input.identity` for an identity."""
        known = self._known.get(id(identity))
        if known is not None:
            return known[1]
        if len(self._known) >= REMEMBERED_IDENTITIES:
            self._known.clear()
        value = identity_object(identity)
        self._known[id(identity)] = (identity, value)
        return value


@lru_cache(1024)
def destination(principal: str) -> Value | None:
    """Return the destination's SPIFFE ID, or None if the principal is none (a DNS name, a subject, no TLS)."""
    try:
        return SpiffeId.parse(principal).text
    except SpiffeIdError:
        return None
