"""Chains of certificates: whether one leads from a leaf to a root, by the rules of Go's crypto/x509 or stricter ones.

Owns verification (RFC 5280, 6). What this cannot check (name constraints, constraints on policies) fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from authz.rego.builtins.certificate import Certificate
from authz.rego.builtins.net import parse_address

MAX_SIGNATURES: Final = 100
"""Signatures that one search checks, as in Go."""

ANY_USAGE: Final = 0
SERVER_USAGE: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SIGN_CERTIFICATES: Final = 1 << 5
_UNCHECKED: Final = ((2, 5, 29, 30), (2, 5, 29, 33), (2, 5, 29, 36))
"""Name constraints, policy mappings and policy constraints: a certificate that has any is in no chain."""
_ALTERNATIVE_NAMES: Final = (2, 5, 29, 17)
_HASHES: Final[dict[int, hashes.HashAlgorithm]] = {
    **{number: hashes.SHA256() for number in (4, 10, 13)},
    **{number: hashes.SHA384() for number in (5, 11, 14)},
    **{number: hashes.SHA512() for number in (6, 12, 15)},
}
_PSS: Final = (13, 14, 15)
_ED25519: Final = 16
_HOST_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


@dataclass(frozen=True, slots=True)
class Options:
    """What a chain has to be good for: a time in nanoseconds since 1970, a host ("" for any), usages by Go's numbers for them."""

    now_ns: int
    host: str = ""
    usages: tuple[int, ...] = ()


def verified_chain(certificates: list[Certificate], options: Options) -> list[Certificate] | None:
    """Return the chain from the last certificate, the leaf, to the first, the root, by way of the others; None if there is none."""
    if len(certificates) < 2:
        return None
    root, *intermediates, leaf = certificates
    if not _is_valid(leaf, options) or (options.host and not _is_for_host(leaf, options.host)):
        return None
    search = _Search(root, {one.raw: one for one in intermediates}, options)
    chains = iter([[leaf]]) if leaf.raw == root.raw else search.chains([leaf])
    return next((chain for chain in chains if _is_usable(chain, options)), None)


@dataclass(slots=True)
class _Search:
    root: Certificate
    intermediates: dict[bytes, Certificate]
    options: Options
    signatures: int = 0

    def chains(self, chain: list[Certificate]) -> Iterator[list[Certificate]]:
        """Yield the chains that begin with this one, the most plausible issuers first."""
        child = chain[-1]
        if self._issues(self.root, chain, is_root=True):
            yield [*chain, self.root]
        candidates = [one for one in self.intermediates.values() if one.subject == child.issuer]
        for candidate in sorted(candidates, key=lambda one: _mismatch(child, one)):
            if self._issues(candidate, chain, is_root=False):
                yield from self.chains([*chain, candidate])

    def _issues(self, candidate: Certificate, chain: list[Certificate], *, is_root: bool) -> bool:
        """Tell whether a certificate signed the last one of the chain, and may."""
        child = chain[-1]
        if candidate.subject != child.issuer or self.signatures >= MAX_SIGNATURES:
            return False
        self.signatures += 1
        if candidate.public_key.key is None or any(_is_same(candidate, one) for one in chain):
            return False
        fields = candidate.document
        is_authority = fields["IsCA"] if fields["BasicConstraintsValid"] else candidate.version != 3 and is_root
        usage = fields["KeyUsage"]
        if not is_authority or not isinstance(usage, int) or (usage and not usage & _SIGN_CERTIFICATES):
            return False
        limit = fields["MaxPathLen"]
        if fields["BasicConstraintsValid"] and isinstance(limit, int) and 0 <= limit < len(chain) - 1:
            return False
        return _is_signed(child, candidate) and _is_valid(candidate, self.options)


def _mismatch(child: Certificate, candidate: Certificate) -> int:
    """Return how little the key identifiers of a certificate and a possible issuer agree."""
    wanted, found = child.document["AuthorityKeyId"], candidate.document["SubjectKeyId"]
    return 0 if wanted == found else 1 if wanted is None or found is None else 2


def _is_same(left: Certificate, right: Certificate) -> bool:
    """Tell whether two certificates are of one subject, key and alternative names: a chain has only one of these."""
    names = [next((one.value for one in cert.extensions if one.oid == _ALTERNATIVE_NAMES), None) for cert in (left, right)]
    return left.subject == right.subject and left.spki == right.spki and names[0] == names[1]


def _is_valid(certificate: Certificate, options: Options) -> bool:
    is_understood = certificate.document["UnhandledCriticalExtensions"] is None
    return is_understood and _nanoseconds(certificate.not_before) <= options.now_ns <= _nanoseconds(certificate.not_after)


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND * 1000


def _is_signed(child: Certificate, issuer: Certificate) -> bool:
    key, number = issuer.public_key.key, child.signature_algorithm
    hash_ = _HASHES.get(number)
    try:
        if isinstance(key, rsa.RSAPublicKey) and hash_ is not None and number < 7:
            key.verify(child.signature, child.signed, padding.PKCS1v15(), hash_)
        elif isinstance(key, rsa.RSAPublicKey) and hash_ is not None and number in _PSS:
            key.verify(child.signature, child.signed, padding.PSS(padding.MGF1(hash_), padding.PSS.DIGEST_LENGTH), hash_)
        elif isinstance(key, ec.EllipticCurvePublicKey) and hash_ is not None and 10 <= number <= 12:
            key.verify(child.signature, child.signed, ec.ECDSA(hash_))
        elif isinstance(key, Ed25519PublicKey) and number == _ED25519:
            key.verify(child.signature, child.signed)
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_usable(chain: list[Certificate], options: Options) -> bool:
    """Tell whether a chain has what can be checked only, and one of the usages all along."""
    if any(extension.oid in _UNCHECKED for certificate in chain for extension in certificate.extensions):
        return False
    if ANY_USAGE in options.usages:
        return True
    usages = set(options.usages or (SERVER_USAGE,))
    for certificate in chain:
        known, unknown = certificate.document["ExtKeyUsage"], certificate.document["UnknownExtKeyUsage"]
        allowed = known if isinstance(known, list) else []
        if (known is not None or unknown is not None) and ANY_USAGE not in allowed:
            usages.intersection_update(allowed)
    return bool(usages)


def _is_for_host(certificate: Certificate, host: str) -> bool:
    """Tell whether a certificate names a host (RFC 6125), or an address, which may stand in brackets."""
    address = parse_address(host[1:-1] if len(host) >= 3 and host.startswith("[") and host.endswith("]") else host)
    if address is not None:
        addresses = certificate.document["IPAddresses"]
        return isinstance(addresses, list) and address in [ip_address(str(one)) for one in addresses]
    host = _lowered(host)
    names = certificate.document["DNSNames"]
    return isinstance(names, list) and any(_matches(str(name), host) for name in names)


def _matches(name: str, host: str) -> bool:
    if not _is_host(host.removesuffix(".")) or not _is_host(_lowered(name), is_pattern=True):
        return name not in ("", ".") and _lowered(name) == host
    labels, parts = _lowered(name).split("."), host.removesuffix(".").split(".")
    return len(labels) == len(parts) and labels[1:] == parts[1:] and labels[0] in ("*", parts[0])


def _is_host(host: str, *, is_pattern: bool = False) -> bool:
    labels = host.split(".")
    if is_pattern and labels[0] == "*" and len(labels) > 1:
        del labels[0]
    return all(label and not label.startswith("-") and _HOST_CHARACTERS.issuperset(label) for label in labels)


def _lowered(text: str) -> str:
    """Return a text with its ASCII letters in lower case."""
    return "".join(char.lower() if char.isascii() else char for char in text)
