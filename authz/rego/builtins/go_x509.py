"""Certificates, requests and keys in the shape that Go's crypto packages have as JSON.

Owns the members' names and numbers (`x509.Certificate`, `pkix.Name`, `url.URL` ...).
Parses and verifies nothing.
"""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, SignatureAlgorithmOID

from authz.rego.values import Document

_NAME_LISTS: Final = {
    "2.5.4.6": "Country", "2.5.4.10": "Organization", "2.5.4.11": "OrganizationalUnit", "2.5.4.7": "Locality",
    "2.5.4.8": "Province", "2.5.4.9": "StreetAddress", "2.5.4.17": "PostalCode",
}  # fmt: skip
_NAME_TEXTS: Final = {"2.5.4.3": "CommonName", "2.5.4.5": "SerialNumber"}
_SIGNATURES: Final = {
    SignatureAlgorithmOID.RSA_WITH_MD5: 2, SignatureAlgorithmOID.RSA_WITH_SHA1: 3, SignatureAlgorithmOID.RSA_WITH_SHA256: 4,
    SignatureAlgorithmOID.RSA_WITH_SHA384: 5, SignatureAlgorithmOID.RSA_WITH_SHA512: 6, SignatureAlgorithmOID.DSA_WITH_SHA1: 7,
    SignatureAlgorithmOID.DSA_WITH_SHA256: 8, SignatureAlgorithmOID.ECDSA_WITH_SHA1: 9, SignatureAlgorithmOID.ECDSA_WITH_SHA256: 10,
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: 11, SignatureAlgorithmOID.ECDSA_WITH_SHA512: 12, SignatureAlgorithmOID.ED25519: 16,
}  # fmt: skip
_PSS: Final = {"sha256": 13, "sha384": 14, "sha512": 15}
_KEY_USAGES: Final = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
)  # fmt: skip
_EXTENDED_USAGES: Final = {
    "2.5.29.37.0": 0, **{f"1.3.6.1.5.5.7.3.{number}": number for number in range(1, 10)}, "1.3.6.1.4.1.311.10.3.3": 10,
    "2.16.840.1.113730.4.1": 11, "1.3.6.1.4.1.311.2.1.22": 12, "1.3.6.1.4.1.311.61.1.1": 13,
}  # fmt: skip
_ABSENT: Final = (
    "ExcludedDNSDomains", "ExcludedEmailAddresses", "ExcludedIPRanges", "ExcludedURIDomains", "PermittedDNSDomains",
    "PermittedEmailAddresses", "PermittedIPRanges", "PermittedURIDomains", "PolicyMappings", "ExtraExtensions",
)  # fmt: skip
_CONSTRAINED: Final = ((x509.DNSName, "DNSDomains"), (x509.RFC822Name, "EmailAddresses"), (x509.UniformResourceIdentifier, "URIDomains"))

Extension = TypeVar("Extension", bound=x509.ExtensionType)


def certificate_document(certificate: x509.Certificate) -> Document:
    """Return the JSON of a Go `x509.Certificate`, with OPA's `URIStrings`. Raises ValueError for malformed extensions."""
    extensions = certificate.extensions
    return {
        **dict.fromkeys(_ABSENT),
        **_zeroes(),
        **_signed(certificate),
        **_alternative_names(extensions),
        **_usages(extensions),
        **_authority(extensions),
        **_name_constraints(extensions),
        **_basic_constraints(extensions),
        "Issuer": name_document(certificate.issuer),
        "NotAfter": _time(certificate.not_valid_after_utc),
        "NotBefore": _time(certificate.not_valid_before_utc),
        "RawIssuer": _b64(certificate.issuer.public_bytes()),
        "RawTBSCertificate": _b64(certificate.tbs_certificate_bytes),
        "SerialNumber": certificate.serial_number,
        "Version": certificate.version.value + 1,
    }


def request_document(request: x509.CertificateSigningRequest) -> Document:
    """Return the JSON of a Go `x509.CertificateRequest`."""
    names = _alternative_names(request.extensions)
    del names["URIStrings"]
    return {
        **_signed(request),
        **names,
        "Attributes": None,
        "ExtraExtensions": None,
        "RawTBSCertificateRequest": _b64(request.tbs_certrequest_bytes),
        "Version": 0,
    }


def _zeroes() -> dict[str, Document]:
    """Return the policy constraints, which Go reads but hardly any certificate has."""
    names = ("InhibitAnyPolicy", "InhibitPolicyMapping", "RequireExplicitPolicy")
    zeroes: dict[str, Document] = dict.fromkeys(names, 0) | {f"{name}Zero": False for name in names}
    return zeroes | {"PermittedDNSDomainsCritical": False, "UnhandledCriticalExtensions": None}


def _signed(signed: x509.Certificate | x509.CertificateSigningRequest) -> dict[str, Document]:
    key = signed.public_key()
    algorithm = _SIGNATURES.get(signed.signature_algorithm_oid, 0)
    if signed.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS and signed.signature_hash_algorithm:
        algorithm = _PSS.get(signed.signature_hash_algorithm.name, 0)
    extensions = [
        {"Id": _oid(extension.oid), "Critical": extension.critical, "Value": _b64(extension.value.public_bytes())}
        for extension in signed.extensions
    ]
    return {
        "Extensions": extensions or None,
        "PublicKey": public_key_document(key),
        "PublicKeyAlgorithm": 1 if isinstance(key, rsa.RSAPublicKey) else 3 if isinstance(key, ec.EllipticCurvePublicKey) else 4,
        "Raw": _b64(signed.public_bytes(Encoding.DER)),
        "RawSubject": _b64(signed.subject.public_bytes()),
        "RawSubjectPublicKeyInfo": _b64(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
        "Signature": _b64(signed.signature),
        "SignatureAlgorithm": algorithm,
        "Subject": name_document(signed.subject),
    }


def name_document(name: x509.Name) -> Document:
    """Return the JSON of a Go `pkix.Name`."""
    lists: dict[str, list[Document]] = {member: [] for member in _NAME_LISTS.values()}
    texts = dict.fromkeys(_NAME_TEXTS.values(), "")
    names: list[Document] = []
    for attribute in name:
        oid, value = attribute.oid.dotted_string, attribute.value
        text = value if isinstance(value, str) else _b64(value)
        names.append({"Type": _oid(attribute.oid), "Value": text})
        if oid in _NAME_LISTS:
            lists[_NAME_LISTS[oid]].append(text)
        elif oid in _NAME_TEXTS:
            texts[_NAME_TEXTS[oid]] = text
    return {member: values or None for member, values in lists.items()} | texts | {"Names": names or None, "ExtraNames": None}


def public_key_document(key: object) -> Document:
    """Return the JSON of a Go public key; null for a kind that Go does not know."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"N": numbers.n, "E": numbers.e}
    if isinstance(key, ec.EllipticCurvePublicKey):
        point = key.public_numbers()
        return {"Curve": {}, "X": point.x, "Y": point.y}
    return _b64(key.public_bytes_raw()) if isinstance(key, Ed25519PublicKey) else None


def private_key_document(key: object) -> Document:
    """Return the JSON of a Go private key. Raises ValueError for a kind that Go's parser does not know."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        derived = {"Dp": numbers.dmp1, "Dq": numbers.dmq1, "Qinv": numbers.iqmp, "CRTValues": []}
        return {**public_key_document(key.public_key()), "D": numbers.d, "Primes": [numbers.p, numbers.q], "Precomputed": derived}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {**public_key_document(key.public_key()), "D": key.private_numbers().private_value}
    if isinstance(key, Ed25519PrivateKey):
        return _b64(key.private_bytes_raw() + key.public_key().public_bytes_raw())
    raise ValueError("x509: unknown private key type")


def private_jwk(key: object) -> Document:
    """Return the key as a private JWK (RFC 7518, 6; RFC 8037). Raises ValueError for another kind."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        public = numbers.public_numbers
        members = {"n": public.n, "e": public.e, "d": numbers.d, "p": numbers.p, "q": numbers.q}
        members |= {"dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
        return {"kty": "RSA"} | {name: _base64url(number, 0) for name, number in members.items()}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point, size = key.public_key().public_numbers(), (key.curve.key_size + 7) // 8
        coordinates = {"x": point.x, "y": point.y, "d": key.private_numbers().private_value}
        return {"kty": "EC", "crv": f"P-{key.curve.key_size}"} | {name: _base64url(number, size) for name, number in coordinates.items()}
    if isinstance(key, Ed25519PrivateKey):
        halves = {"d": key.private_bytes_raw(), "x": key.public_key().public_bytes_raw()}
        return {"kty": "OKP", "crv": "Ed25519"} | {name: _base64url(int.from_bytes(half, "big"), 32) for name, half in halves.items()}
    raise ValueError("x509: unknown private key type")


def _base64url(number: int, size: int) -> str:
    return urlsafe_b64encode(number.to_bytes(size or (number.bit_length() + 7) // 8, "big")).decode().rstrip("=")


def _alternative_names(extensions: x509.Extensions) -> dict[str, Document]:
    names = _value(extensions, x509.SubjectAlternativeName)
    general: Iterable[x509.GeneralName] = names or ()
    texts = {
        kind: [name.value for name in general if isinstance(name, kind)] or None
        for kind in (x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier)
    }
    addresses = [str(name.value) for name in general if isinstance(name, x509.IPAddress)]
    uris = texts[x509.UniformResourceIdentifier]
    return {
        "DNSNames": texts[x509.DNSName],
        "EmailAddresses": texts[x509.RFC822Name],
        "IPAddresses": addresses or None,
        "URIs": [_url(uri) for uri in uris] if uris else None,
        "URIStrings": uris,
    }


def _url(text: str) -> Document:
    parts = urlsplit(text)
    return {
        "Scheme": parts.scheme, "Opaque": "" if parts.netloc or parts.path.startswith("/") else parts.path,
        "User": {} if "@" in parts.netloc else None, "Host": parts.netloc.rpartition("@")[2],
        "Path": unquote(parts.path) if parts.netloc or parts.path.startswith("/") else "",
        "RawPath": "", "ForceQuery": False, "RawQuery": parts.query, "Fragment": parts.fragment, "RawFragment": "", "OmitHost": False,
    }  # fmt: skip


def _usages(extensions: x509.Extensions) -> dict[str, Document]:
    usage, extended = _value(extensions, x509.KeyUsage), _value(extensions, x509.ExtendedKeyUsage)
    bits = sum(1 << bit for bit, name in enumerate(_KEY_USAGES) if usage and getattr(usage, name))
    if usage and usage.key_agreement:
        bits |= usage.encipher_only << 7 | usage.decipher_only << 8
    oids = list(extended or ())
    known = [_EXTENDED_USAGES[oid.dotted_string] for oid in oids if oid.dotted_string in _EXTENDED_USAGES]
    unknown = [_oid(oid) for oid in oids if oid.dotted_string not in _EXTENDED_USAGES]
    return {"KeyUsage": bits, "ExtKeyUsage": known or None, "UnknownExtKeyUsage": unknown or None}


def _authority(extensions: x509.Extensions) -> dict[str, Document]:
    key_id, authority = _value(extensions, x509.SubjectKeyIdentifier), _value(extensions, x509.AuthorityKeyIdentifier)
    access = list(_value(extensions, x509.AuthorityInformationAccess) or ())
    points = _value(extensions, x509.CRLDistributionPoints)
    policies = [policy.policy_identifier for policy in _value(extensions, x509.CertificatePolicies) or ()]
    return {
        "SubjectKeyId": _b64(key_id.digest) if key_id else None,
        "AuthorityKeyId": _b64(authority.key_identifier) if authority and authority.key_identifier else None,
        "OCSPServer": [_uri(one.access_location) for one in access if one.access_method == AuthorityInformationAccessOID.OCSP] or None,
        "IssuingCertificateURL": [
            _uri(one.access_location) for one in access if one.access_method == AuthorityInformationAccessOID.CA_ISSUERS
        ]
        or None,
        "CRLDistributionPoints": [_uri(name) for point in points or () for name in point.full_name or ()] or None,
        "PolicyIdentifiers": [_oid(policy) for policy in policies] or None,
        "Policies": [policy.dotted_string for policy in policies] or None,
    }


def _uri(name: x509.GeneralName) -> Document:
    return name.value if isinstance(name, x509.UniformResourceIdentifier) else ""


def _name_constraints(extensions: x509.Extensions) -> dict[str, Document]:
    constraints = _value(extensions, x509.NameConstraints)
    if constraints is None:
        return {}
    result: dict[str, Document] = {"PermittedDNSDomainsCritical": extensions.get_extension_for_class(x509.NameConstraints).critical}
    for side, names in (("Permitted", constraints.permitted_subtrees), ("Excluded", constraints.excluded_subtrees)):
        for kind, member in _CONSTRAINED:
            result[side + member] = [name.value for name in names or () if isinstance(name, kind)] or None
        networks = [name.value for name in names or () if isinstance(name, x509.IPAddress)]
        result[f"{side}IPRanges"] = [_range(network) for network in networks if isinstance(network, (IPv4Network, IPv6Network))] or None
    return result


def _range(network: IPv4Network | IPv6Network) -> Document:
    return {"IP": str(network.network_address), "Mask": _b64(network.netmask.packed)}


def _basic_constraints(extensions: x509.Extensions) -> dict[str, Document]:
    basic = _value(extensions, x509.BasicConstraints)
    length = 0 if basic is None else -1 if basic.path_length is None else basic.path_length
    return {
        "BasicConstraintsValid": basic is not None,
        "IsCA": basic is not None and basic.ca,
        "MaxPathLen": length,
        "MaxPathLenZero": basic is not None and length == 0,
    }


def _value(extensions: x509.Extensions, kind: type[Extension]) -> Extension | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _oid(oid: x509.ObjectIdentifier) -> Document:
    return [int(arc) for arc in oid.dotted_string.split(".")]


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _b64(data: bytes) -> str:
    return b64encode(data).decode()
