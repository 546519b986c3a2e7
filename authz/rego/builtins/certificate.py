"""X.509 certificates (RFC 5280) as Go's crypto/x509 reads them: what is accepted, its errors, and its JSON.

Owns the certificate's own fields. Its extensions are `certificate_extensions`', its key `public_keys`'. Verifies nothing.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from authz.rego.builtins.asn1_values import Asn1Error, string_of
from authz.rego.builtins.certificate_extensions import Extension, empty_fields, extension_fields
from authz.rego.builtins.der import GENERALIZED_TIME, SEQUENCE, SET, UTC_TIME, Der, DerError, Oid, context, right_aligned
from authz.rego.builtins.go_asn1 import Field, Struct, unmarshal
from authz.rego.builtins.public_keys import ALGORITHM_IDENTIFIER, AlgorithmIdentifier, PublicKey, read_algorithm, read_public_key
from authz.rego.values import Document

_RSA_PSS: Final = (1, 2, 840, 113549, 1, 1, 10)
_ED25519: Final = (1, 3, 101, 112)
_SIGNATURES: Final[dict[Oid, int]] = {
    (1, 2, 840, 113549, 1, 1, 4): 2, (1, 2, 840, 113549, 1, 1, 5): 3, (1, 3, 14, 3, 2, 29): 3, (1, 2, 840, 113549, 1, 1, 11): 4,
    (1, 2, 840, 113549, 1, 1, 12): 5, (1, 2, 840, 113549, 1, 1, 13): 6, (1, 2, 840, 10040, 4, 3): 7, (2, 16, 840, 1, 101, 3, 4, 3, 2): 8,
    (1, 2, 840, 10045, 4, 1): 9, (1, 2, 840, 10045, 4, 3, 2): 10, (1, 2, 840, 10045, 4, 3, 3): 11, (1, 2, 840, 10045, 4, 3, 4): 12,
    _ED25519: 16,
}  # fmt: skip
"""Go's numbers for signature algorithms."""
_PSS_HASHES: Final[dict[tuple[Oid, int], int]] = {
    ((2, 16, 840, 1, 101, 3, 4, 2, 1), 32): 13,
    ((2, 16, 840, 1, 101, 3, 4, 2, 2), 48): 14,
    ((2, 16, 840, 1, 101, 3, 4, 2, 3), 64): 15,
}
_MGF1: Final = (1, 2, 840, 113549, 1, 1, 8)
_PSS: Final = Struct(
    "pssParameters",
    (
        ("hash", Field(ALGORITHM_IDENTIFIER, explicit=True, tag=0)),
        ("mgf", Field(ALGORITHM_IDENTIFIER, explicit=True, tag=1)),
        ("salt", Field("int", explicit=True, tag=2)),
        ("trailer", Field("int", optional=True, explicit=True, tag=3, default=1)),
    ),
)
_NAME_LISTS: Final = {
    6: "Country", 7: "Locality", 8: "Province", 9: "StreetAddress", 10: "Organization", 11: "OrganizationalUnit", 17: "PostalCode",
}  # fmt: skip
_NAME_TEXTS: Final = {3: "CommonName", 5: "SerialNumber"}
_STRING_NAMES: Final = {0x0C: "UTF-8 string", 0x12: "NumericString", 0x13: "PrintableString", 0x16: "IA5String", 0x1E: "BMPString"}


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate: its JSON, and what of it verification needs beside that."""

    raw: bytes
    signed: bytes
    signature: bytes
    signature_algorithm: int
    version: int
    issuer: bytes
    subject: bytes
    not_before: datetime
    not_after: datetime
    spki: bytes
    public_key: PublicKey
    extensions: tuple[Extension, ...]
    document: dict[str, Document]


def parse_certificate(data: bytes) -> Certificate:
    """Return the certificate that octets are. Raises DerError."""
    certificate = _read(data)
    if len(certificate.raw) != len(data):
        raise DerError("x509: trailing data")
    return certificate


def parse_certificates(data: bytes, most: int) -> list[Certificate]:
    """Return the certificates that octets are, one after the other; `most` is how many there may be. Raises DerError."""
    certificates: list[Certificate] = []
    at = 0
    while at < len(data):
        if len(certificates) == most:
            raise DerError(f"more than {most} certificates")
        certificates.append(_read(data[at:]))
        at += len(certificates[-1].raw)
    return certificates


def _read(data: bytes) -> Certificate:
    raw = Der(data).element(SEQUENCE, "x509: malformed certificate")
    outer = Der(raw).value(SEQUENCE, "x509: malformed certificate")
    signed = outer.element(SEQUENCE, "x509: malformed tbs certificate")
    tbs = Der(signed).value(SEQUENCE, "x509: malformed tbs certificate")
    version = _version(tbs)
    serial = tbs.integer("x509: malformed serial number")
    if serial < 0:
        raise DerError("x509: negative serial number")
    algorithm = _signature_algorithm(tbs, outer)
    issuer = tbs.element(SEQUENCE, "x509: malformed issuer")
    issuer_name = name_document(_read_name(issuer))
    validity = tbs.value(SEQUENCE, "x509: malformed validity")
    not_before, not_after = _time(validity), _time(validity)
    subject = tbs.element(SEQUENCE, "x509: malformed issuer")
    subject_name = name_document(_read_name(subject))
    spki = tbs.element(SEQUENCE, "x509: malformed spki")
    public_key = _public_key(spki)
    extensions = _extensions(tbs, version)
    fields = extension_fields(extensions) if extensions is not None else empty_fields()
    signature = right_aligned(*outer.bits("x509: malformed signature"))
    document: dict[str, Document] = {
        **fields,
        "Extensions": [extension.document() for extension in extensions or ()] or None,
        "ExtraExtensions": None,
        "Issuer": issuer_name,
        "NotAfter": _time_text(not_after),
        "NotBefore": _time_text(not_before),
        "PublicKey": public_key.document,
        "PublicKeyAlgorithm": public_key.algorithm,
        "Raw": b64(raw),
        "RawIssuer": b64(issuer),
        "RawSubject": b64(subject),
        "RawSubjectPublicKeyInfo": b64(spki),
        "RawTBSCertificate": b64(signed),
        "SerialNumber": serial,
        "Signature": b64(signature),
        "SignatureAlgorithm": algorithm,
        "Subject": subject_name,
        "Version": version,
    }
    return Certificate(
        raw, signed, signature, algorithm, version, issuer, subject, not_before, not_after, spki, public_key, extensions or (), document
    )  # fmt: skip


def _version(tbs: Der) -> int:
    field = tbs.optional(context(0, constructed=True), "x509: malformed version")
    version = 0 if field is None else field.int64("x509: malformed version")
    if version < 0 or field:
        raise DerError("x509: malformed version")
    if version > 2:
        raise DerError("x509: invalid version")
    return version + 1


def _signature_algorithm(tbs: Der, outer: Der) -> int:
    inner = tbs.value(SEQUENCE, "x509: malformed signature algorithm identifier")
    if outer.octets(SEQUENCE, "x509: malformed algorithm identifier") != inner.data:
        raise DerError("x509: inner and outer signature algorithm identifiers don't match")
    return signature_number(read_algorithm(inner))


def signature_number(algorithm: AlgorithmIdentifier) -> int:
    """Return Go's number for a signature algorithm, 0 if it knows none."""
    if algorithm.oid == _RSA_PSS:
        return _pss_number(algorithm.parameters)
    if algorithm.oid == _ED25519 and algorithm.parameters:
        return 0
    return _SIGNATURES.get(algorithm.oid, 0)


def _pss_number(parameters: bytes) -> int:
    """Return the number for RSASSA-PSS whose parts are of one hash and one length; 0 for other parameters."""
    try:
        fields, _ = unmarshal(parameters, _PSS)
        hash_, mgf = fields["hash"], fields["mgf"]
        inner, _ = unmarshal(mgf["parameters"].full if mgf["parameters"] else b"", ALGORITHM_IDENTIFIER)
    except Asn1Error:
        return 0
    nulls = [one["parameters"].full for one in (hash_, inner) if one["parameters"]]
    if any(null != b"\x05\x00" for null in nulls) or mgf["algorithm"] != _MGF1 or fields["trailer"] != 1:
        return 0
    return _PSS_HASHES.get((hash_["algorithm"], fields["salt"]), 0) if inner["algorithm"] == hash_["algorithm"] else 0


def _read_name(raw: bytes) -> list[tuple[Oid, Document]]:
    sequence = Der(raw).value(SEQUENCE, "x509: invalid RDNSequence")
    names: list[tuple[Oid, Document]] = []
    while sequence:
        relative = sequence.value(SET, "x509: invalid RDNSequence")
        while relative:
            attribute = relative.value(SEQUENCE, "x509: invalid RDNSequence: invalid attribute")
            oid = attribute.oid("x509: invalid RDNSequence: invalid attribute type")
            tag, content, _ = attribute.any_element("x509: invalid RDNSequence: invalid attribute value")
            text = string_of(tag, content)
            if text is None:
                reason = f"invalid {_STRING_NAMES[tag]}" if tag in _STRING_NAMES else f"unsupported string type: {tag}"
                raise DerError(f"x509: invalid RDNSequence: invalid attribute value: {reason}")
            names.append((oid, text))
    return names


def name_document(names: list[tuple[Oid, Document]]) -> Document:
    """Return the JSON of a Go `pkix.Name`."""
    lists: dict[str, list[Document]] = {member: [] for member in _NAME_LISTS.values()}
    texts: dict[str, Document] = dict.fromkeys(_NAME_TEXTS.values(), "")
    for oid, value in names:
        kind = oid[3] if len(oid) == 4 and oid[:3] == (2, 5, 4) and isinstance(value, str) else 0
        if kind in _NAME_LISTS:
            lists[_NAME_LISTS[kind]].append(value)
        elif kind in _NAME_TEXTS:
            texts[_NAME_TEXTS[kind]] = value
    shown: list[Document] = [{"Type": list(oid), "Value": value} for oid, value in names]
    return {member: values or None for member, values in lists.items()} | texts | {"Names": shown or None, "ExtraNames": None}


def _time(der: Der) -> datetime:
    if der.peek(UTC_TIME):
        return der.time(UTC_TIME, "x509: malformed UTCTime")
    if der.peek(GENERALIZED_TIME):
        return der.time(GENERALIZED_TIME, "x509: malformed GeneralizedTime")
    raise DerError("x509: unsupported time format")


def _time_text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _public_key(raw: bytes) -> PublicKey:
    spki = Der(raw).value(SEQUENCE, "x509: malformed spki")
    algorithm = read_algorithm(spki.value(SEQUENCE, "x509: malformed public key algorithm identifier"))
    return read_public_key(algorithm, *spki.bits("x509: malformed subjectPublicKey"))


def _extensions(tbs: Der, version: int) -> tuple[Extension, ...] | None:
    if version > 1:
        tbs.optional(context(1), "x509: malformed issuerUniqueID")
        tbs.optional(context(2), "x509: malformed subjectUniqueID")
    field = tbs.optional(context(3, constructed=True), "x509: malformed extensions") if version == 3 else None
    if field is None:
        return None
    sequence = field.value(SEQUENCE, "x509: malformed extensions")
    found: dict[Oid, Extension] = {}
    while sequence:
        extension = Extension.read(sequence.value(SEQUENCE, "x509: malformed extension"))
        if extension.oid in found:
            oid = ".".join(map(str, extension.oid))
            raise DerError(f'x509: certificate contains duplicate extension with OID "{oid}"')
        found[extension.oid] = extension
    return tuple(found.values())


def b64(data: bytes) -> str:
    return b64encode(data).decode()
