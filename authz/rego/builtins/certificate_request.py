"""Certificate signing requests (RFC 2986) as Go's crypto/x509 reads them: what is accepted, its errors, and its JSON.

Owns a request's own fields. Names and keys are read as those of certificates.
"""

from __future__ import annotations

from typing import Any, Final

from authz.rego.builtins.asn1_values import Asn1Error, syntax_error
from authz.rego.builtins.certificate import b64, name_document, signature_number
from authz.rego.builtins.der import DerError, right_aligned
from authz.rego.builtins.general_names import alternative_names
from authz.rego.builtins.go_asn1 import Field, Raw, Slice, Struct, unmarshal
from authz.rego.builtins.public_keys import ALGORITHM_IDENTIFIER, SPKI, AlgorithmIdentifier, read_public_key
from authz.rego.values import Document

_TBS: Final = Struct(
    "tbsCertificateRequest",
    (
        ("version", Field("int")),
        ("subject", Field("raw")),
        ("spki", Field(SPKI)),
        ("attributes", Field(Slice("raw"), tag=0)),
    ),
)
_REQUEST: Final = Struct(
    "certificateRequest",
    (("tbs", Field(_TBS)), ("algorithm", Field(ALGORITHM_IDENTIFIER)), ("signature", Field("bits"))),
)
_NAME_VALUE: Final = Struct("AttributeTypeAndValue", (("type", Field("oid")), ("value", Field("any"))))
_NAME: Final = Slice(Slice(_NAME_VALUE, "RelativeDistinguishedNameSET"), "RDNSequence")
_ATTRIBUTE: Final = Struct(
    "AttributeTypeAndValueSET", (("type", Field("oid")), ("value", Field(Slice(Slice(_NAME_VALUE)), is_set=True)))
)  # fmt: skip
_EXTENSIONS_ATTRIBUTE: Final = Struct("pkcs10Attribute", (("type", Field("oid")), ("values", Field(Slice("raw"), is_set=True))))
_EXTENSIONS: Final = Slice(
    Struct("Extension", (("oid", Field("oid")), ("critical", Field("bool", optional=True, default=0)), ("value", Field("octets"))))
)  # fmt: skip
_EXTENSION_REQUEST: Final = (1, 2, 840, 113549, 1, 9, 14)
_ALTERNATIVE_NAMES: Final = (2, 5, 29, 17)


def request_document(data: bytes) -> Document:
    """Return the JSON of the request that octets are. Raises Asn1Error and DerError."""
    request, rest = unmarshal(data, _REQUEST)
    if rest:
        raise syntax_error("trailing data")
    tbs, algorithm = request["tbs"], _algorithm(request["algorithm"])
    attributes: list[Raw] = tbs["attributes"]
    shown = [_attribute_document(attribute) for attribute in attributes]
    public_key = read_public_key(_algorithm(tbs["spki"]["algorithm"]), *tbs["spki"]["key"])
    subject, rest = unmarshal(tbs["subject"].full, _NAME)
    if rest:
        raise DerError("x509: trailing data after X.509 Subject")
    extensions = _extensions(attributes)
    return {
        **_alternative_names(extensions),
        "Attributes": [one for one in shown if one is not None] or None,
        "Extensions": [
            {"Id": list(one["oid"]), "Critical": bool(one["critical"]), "Value": b64(one["value"])} for one in extensions
        ] or None,
        "ExtraExtensions": None,
        "PublicKey": public_key.document,
        "PublicKeyAlgorithm": public_key.algorithm,
        "Raw": b64(request["raw"]),
        "RawSubject": b64(tbs["subject"].full),
        "RawSubjectPublicKeyInfo": b64(tbs["spki"]["raw"]),
        "RawTBSCertificateRequest": b64(tbs["raw"]),
        "Signature": b64(right_aligned(*request["signature"])),
        "SignatureAlgorithm": signature_number(algorithm),
        "Subject": name_document([(one["type"], one["value"]) for relative in subject for one in relative]),
        "Version": tbs["version"],
    }  # fmt: skip


def _algorithm(fields: dict[str, Any]) -> AlgorithmIdentifier:
    return AlgorithmIdentifier(fields["algorithm"], fields["parameters"].full if fields["parameters"] else b"")


def _attribute_document(attribute: Raw) -> Document:
    """Return the JSON of an attribute whose values are lists of types and values; None for another one."""
    try:
        fields, rest = unmarshal(attribute.full, _ATTRIBUTE)
    except Asn1Error:
        return None
    if rest:
        return None
    values = [[{"Type": list(one["type"]), "Value": one["value"]} for one in group] for group in fields["value"]]
    return {"Type": list(fields["type"]), "Value": values}


def _extensions(attributes: list[Raw]) -> list[dict[str, Any]]:
    """Return the extensions that attributes ask for."""
    found: dict[tuple[int, ...], dict[str, Any]] = {}
    for attribute in attributes:
        try:
            fields, rest = unmarshal(attribute.full, _EXTENSIONS_ATTRIBUTE)
        except Asn1Error:
            continue
        if rest or not fields["values"] or fields["type"] != _EXTENSION_REQUEST:
            continue
        extensions, _ = unmarshal(fields["values"][0].full, _EXTENSIONS)
        for extension in extensions:
            if extension["oid"] in found:
                raise DerError("x509: certificate request contains duplicate requested extensions")
            found[extension["oid"]] = extension
    return list(found.values())


def _alternative_names(extensions: list[dict[str, Any]]) -> dict[str, Document]:
    names: dict[str, Document] = dict.fromkeys(("DNSNames", "EmailAddresses", "IPAddresses", "URIs"))
    for extension in extensions:
        if extension["oid"] == _ALTERNATIVE_NAMES:
            names = alternative_names(extension["value"])
            del names["URIStrings"]
    return names
