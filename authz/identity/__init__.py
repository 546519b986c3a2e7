"""Who is calling: SPIFFE IDs, x-forwarded-client-cert, client certificates. It knows no policy and no wire format but these."""

from authz.identity.certificate import CertConsistency, CertificateError, LeafCertificate, cert_consistency, parse_certificate, x5t_s256
from authz.identity.element import XfccElement, XfccError
from authz.identity.peer import NOBODY, Identity, IdentityConfig, XfccMode, identify
from authz.identity.refusal import Refusal
from authz.identity.resolver import IdentityResolver
from authz.identity.spiffe import SpiffeId, SpiffeIdError, SpiffeIdFault
from authz.identity.xfcc import parse_xfcc

__all__ = [
    "NOBODY",
    "CertConsistency",
    "CertificateError",
    "Identity",
    "IdentityConfig",
    "IdentityResolver",
    "LeafCertificate",
    "Refusal",
    "SpiffeId",
    "SpiffeIdError",
    "SpiffeIdFault",
    "XfccElement",
    "XfccError",
    "XfccMode",
    "cert_consistency",
    "identify",
    "parse_certificate",
    "parse_xfcc",
    "x5t_s256",
]
