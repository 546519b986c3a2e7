"""The extensions of certificates (RFC 5280, 4.2) as Go's crypto/x509 reads them, and their JSON.

Owns what each known extension holds. Names in them are `general_names`'.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from authz.rego.builtins.der import (
    BOOLEAN,
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    Der,
    DerError,
    Oid,
    context,
    oid_of,
)
from authz.rego.builtins.general_names import alternative_names, name_constraints
from authz.rego.builtins.octets import text_of
from authz.rego.values import Document

MAX_POLICY_ARC: Final = 2**128

_EXTENDED_USAGES: Final[dict[Oid, int]] = {
    (2, 5, 29, 37, 0): 0, **{(1, 3, 6, 1, 5, 5, 7, 3, number): number for number in range(1, 10)},
    (1, 3, 6, 1, 4, 1, 311, 10, 3, 3): 10, (2, 16, 840, 1, 113730, 4, 1): 11, (1, 3, 6, 1, 4, 1, 311, 2, 1, 22): 12,
    (1, 3, 6, 1, 4, 1, 311, 61, 1, 1): 13,
}  # fmt: skip
_OCSP: Final = (1, 3, 6, 1, 5, 5, 7, 48, 1)
_CA_ISSUERS: Final = (1, 3, 6, 1, 5, 5, 7, 48, 2)
_LISTS: Final = (
    "DNSNames", "EmailAddresses", "IPAddresses", "URIs", "URIStrings", "ExtKeyUsage", "UnknownExtKeyUsage", "CRLDistributionPoints",
    "OCSPServer", "IssuingCertificateURL", "PolicyIdentifiers", "Policies", "PolicyMappings", "SubjectKeyId", "AuthorityKeyId",
    "UnhandledCriticalExtensions", *(
        f"{side}{kind}" for side in ("Permitted", "Excluded") for kind in ("DNSDomains", "EmailAddresses", "IPRanges", "URIDomains")
    ),
)  # fmt: skip
_NUMBERS: Final = ("KeyUsage", "MaxPathLen", "InhibitAnyPolicy", "InhibitPolicyMapping", "RequireExplicitPolicy")
_FLAGS: Final = (
    "BasicConstraintsValid", "IsCA", "MaxPathLenZero", "PermittedDNSDomainsCritical", "InhibitAnyPolicyZero", "InhibitPolicyMappingZero",
    "RequireExplicitPolicyZero",
)  # fmt: skip

Fields = dict[str, Document]


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension as it stands in the certificate."""

    oid: Oid
    is_critical: bool
    value: bytes

    @classmethod
    def read(cls, der: Der) -> Extension:
        oid = der.oid("x509: malformed extension OID field")
        is_critical = der.boolean("x509: malformed extension critical field") if der.peek(BOOLEAN) else False
        return cls(oid, is_critical, der.octets(OCTET_STRING, "x509: malformed extension value field"))

    def document(self) -> Document:
        return {"Id": list(self.oid), "Critical": self.is_critical, "Value": _b64(self.value)}


def empty_fields() -> Fields:
    """Return the JSON members that extensions decide, of a certificate without any."""
    return {**dict.fromkeys(_LISTS), **dict.fromkeys(_NUMBERS, 0), **dict.fromkeys(_FLAGS, False)}


def extension_fields(extensions: tuple[Extension, ...]) -> Fields:
    """Return the JSON members that extensions decide. Raises DerError."""
    fields = empty_fields()
    unhandled: list[Document] = []
    for extension in extensions:
        read = _READERS.get(extension.oid)
        found = None if read is None else read(extension)
        fields |= found or {}
        if extension.is_critical and (found is None or not _is_handled(extension.oid, found)):
            unhandled.append(list(extension.oid))
    fields["UnhandledCriticalExtensions"] = unhandled or None
    fields.pop("", None)
    return fields


def _is_handled(oid: Oid, found: Fields) -> bool:
    """Tell whether all of a critical extension was understood: alternative names of other kinds only, and such constraints, are not."""
    if oid == _ALTERNATIVE_NAMES:
        return any(found[member] for member in ("DNSNames", "EmailAddresses", "IPAddresses", "URIs"))
    return "" not in found


def _key_usage(extension: Extension) -> Fields:
    data, unused = Der(extension.value).bits("x509: invalid key usage")
    length = len(data) * 8 - unused
    return {"KeyUsage": sum(1 << bit for bit in range(min(9, length)) if data[bit // 8] >> (7 - bit % 8) & 1)}


def _basic_constraints(extension: Extension) -> Fields:
    message = "x509: invalid basic constraints"
    der = Der(extension.value).value(SEQUENCE, message)
    is_ca = der.boolean(message) if der.peek(BOOLEAN) else False
    has_length = der.peek(INTEGER)
    length = der.int64(message) if has_length else -1
    if has_length and length < 0:
        raise DerError(message)
    return {"BasicConstraintsValid": True, "IsCA": is_ca, "MaxPathLen": length, "MaxPathLenZero": length == 0}


def _alternative_names(extension: Extension) -> Fields:
    return alternative_names(extension.value)


def _distribution_points(extension: Extension) -> Fields:
    message = "x509: invalid CRL distribution point"
    points = Der(extension.value).value(SEQUENCE, "x509: invalid CRL distribution points")
    uris: list[Document] = []
    while points:
        name = points.value(SEQUENCE, message).optional(context(0, constructed=True), message)
        if name is None:
            continue
        names = name.value(context(0, constructed=True), message)
        while names.peek(context(6)):
            uris.append(text_of(names.octets(context(6), message)))
    return {"CRLDistributionPoints": uris or None}


def _authority_key(extension: Extension) -> Fields:
    if extension.is_critical:
        raise DerError("x509: authority key identifier incorrectly marked critical")
    message = "x509: invalid authority key identifier"
    der = Der(extension.value).value(SEQUENCE, message)
    return {"AuthorityKeyId": _b64(der.octets(context(0), message)) if der.peek(context(0)) else None}


def _policy_constraints(extension: Extension) -> Fields:
    message = "x509: invalid policy constraints extension"
    der = Der(extension.value).value(SEQUENCE, message)
    fields: Fields = {}
    for number, name in enumerate(("RequireExplicitPolicy", "InhibitPolicyMapping")):
        if der.peek(context(number)):
            limit = der.int64(message, context(number))
            fields |= {name: limit, f"{name}Zero": limit == 0}
    return fields


def _extended_usages(extension: Extension) -> Fields:
    message = "x509: invalid extended key usages"
    der = Der(extension.value).value(SEQUENCE, message)
    known: list[Document] = []
    unknown: list[Document] = []
    while der:
        oid = der.oid(message)
        if oid in _EXTENDED_USAGES:
            known.append(_EXTENDED_USAGES[oid])
        else:
            unknown.append(list(oid))
    return {"ExtKeyUsage": known or None, "UnknownExtKeyUsage": unknown or None}


def _subject_key(extension: Extension) -> Fields:
    if extension.is_critical:
        raise DerError("x509: subject key identifier incorrectly marked critical")
    return {"SubjectKeyId": _b64(Der(extension.value).octets(OCTET_STRING, "x509: invalid subject key identifier"))}


def _policies(extension: Extension) -> Fields:
    message = "x509: invalid certificate policies"
    der = Der(extension.value).value(SEQUENCE, message)
    contents: dict[bytes, Oid] = {}
    while der:
        content = der.value(SEQUENCE, message).octets(OBJECT_IDENTIFIER, message)
        policy = oid_of(content, MAX_POLICY_ARC)
        if policy is None or content in contents:
            raise DerError(message)
        contents[content] = policy
    identifiers: list[Document] = [list(policy) for content, policy in contents.items() if oid_of(content) is not None]
    return {"Policies": [_dotted(policy) for policy in contents.values()] or None, "PolicyIdentifiers": identifiers}


def _policy_mappings(extension: Extension) -> Fields:
    message = "x509: invalid policy mappings extension"
    der = Der(extension.value).value(SEQUENCE, message)
    mappings: list[Document] = []
    while der:
        pair = der.value(SEQUENCE, message)
        issuer, subject = (oid_of(pair.octets(OBJECT_IDENTIFIER, message), MAX_POLICY_ARC) or () for _ in range(2))
        mappings.append({"IssuerDomainPolicy": _dotted(issuer), "SubjectDomainPolicy": _dotted(subject)})
    return {"PolicyMappings": mappings or None}


def _inhibit_any_policy(extension: Extension) -> Fields:
    limit = Der(extension.value).int64("x509: invalid inhibit any policy extension")
    return {"InhibitAnyPolicy": limit, "InhibitAnyPolicyZero": limit == 0}


def _authority_access(extension: Extension) -> Fields:
    if extension.is_critical:
        raise DerError("x509: authority info access incorrectly marked critical")
    message = "x509: invalid authority info access"
    der = Der(extension.value).value(SEQUENCE, message)
    uris: dict[Oid, list[Document]] = {_OCSP: [], _CA_ISSUERS: []}
    while der:
        access = der.value(SEQUENCE, message)
        method = access.oid(message)
        if access.peek(context(6)):
            uris.setdefault(method, []).append(text_of(access.octets(context(6), message)))
    return {"OCSPServer": uris[_OCSP] or None, "IssuingCertificateURL": uris[_CA_ISSUERS] or None}


def _name_constraints(extension: Extension) -> Fields:
    return name_constraints(extension.value) | {"PermittedDNSDomainsCritical": extension.is_critical}


_ALTERNATIVE_NAMES: Final = (2, 5, 29, 17)
_READERS: Final[dict[Oid, Callable[[Extension], Fields]]] = {
    (2, 5, 29, 14): _subject_key,
    (2, 5, 29, 15): _key_usage,
    _ALTERNATIVE_NAMES: _alternative_names,
    (2, 5, 29, 19): _basic_constraints,
    (2, 5, 29, 30): _name_constraints,
    (2, 5, 29, 31): _distribution_points,
    (2, 5, 29, 32): _policies,
    (2, 5, 29, 33): _policy_mappings,
    (2, 5, 29, 35): _authority_key,
    (2, 5, 29, 36): _policy_constraints,
    (2, 5, 29, 37): _extended_usages,
    (2, 5, 29, 54): _inhibit_any_policy,
    (1, 3, 6, 1, 5, 5, 7, 1, 1): _authority_access,
}


def _dotted(oid: Oid) -> str:
    return ".".join(map(str, oid))


def _b64(data: bytes) -> str:
    return b64encode(data).decode()
