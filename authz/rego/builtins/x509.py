"""crypto.x509.* and crypto.parse_private_keys: which texts hold certificates, requests and keys, and what is returned of them.

How these are read is `certificate`'s, `certificate_request`'s and `private_keys`' business, chains are `certificate_chain`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeVar

from authz.rego.builtins.asn1_values import Asn1Error
from authz.rego.builtins.certificate import Certificate, parse_certificates
from authz.rego.builtins.certificate_chain import Options, verified_chain
from authz.rego.builtins.certificate_request import request_document
from authz.rego.builtins.der import DerError
from authz.rego.builtins.encoding import decode_base64
from authz.rego.builtins.keys import MAX_KEY_TEXT
from authz.rego.builtins.octets import bytes_of
from authz.rego.builtins.pem import blocks, next_block
from authz.rego.builtins.private_keys import PrivateKey, parse_pkcs1, parse_pkcs8, parse_sec1, private_jwk, private_key_document
from authz.rego.builtins.registry import ARRAY, OBJECT, STRING, EvalContext, builtin
from authz.rego.errors import BuiltinError
from authz.rego.numbers import NUMBERS, as_index
from authz.rego.values import FALSE, NULL, TRUE, Document, Object, Set, Value, from_json, number_text

MAX_CERTIFICATES: Final = 32
"""Certificates that one text may hold: checking a chain costs a signature each."""

_BEGIN: Final = b"-----BEGIN"
_CERTIFICATES: Final = "crypto.x509.parse_certificates"
_VERIFY: Final = "crypto.x509.parse_and_verify_certificates"
_VERIFY_WITH_OPTIONS: Final = "crypto.x509.parse_and_verify_certificates_with_options"
_USAGES: Final = {
    f"KeyUsage{name}": number
    for number, name in enumerate(
        (
            "Any", "ServerAuth", "ClientAuth", "CodeSigning", "EmailProtection", "IPSECEndSystem", "IPSECTunnel", "IPSECUser",
            "TimeStamping", "OCSPSigning", "MicrosoftServerGatedCrypto", "NetscapeServerGatedCrypto", "MicrosoftCommercialCodeSigning",
            "MicrosoftKernelCodeSigning",
        )
    )
}  # fmt: skip

Result = TypeVar("Result")


def guarded(name: str, read: Callable[[], Result]) -> Result:
    """Run `read`, whatever is wrong with its text becoming the built-in's error."""
    try:
        return read()
    except (Asn1Error, DerError, ValueError) as error:
        raise BuiltinError(f"{name}: {error}") from None


def octets_of(text: str) -> bytes:
    if len(text) > MAX_KEY_TEXT:
        raise DerError(f"more than {MAX_KEY_TEXT} characters")
    return bytes_of(text)


def _certificates(text: str) -> list[Certificate]:
    """Return the certificates of a text: PEM, or base64 of DER or of PEM."""
    data = octets_of(text)
    if not data.startswith(_BEGIN):
        data = decode_base64(data)
    if data.startswith(_BEGIN):
        found = blocks(data)
        for block in found:
            if block.kind != "CERTIFICATE":
                raise DerError(f"PEM block type is '{block.kind}', expected CERTIFICATE")
        data = b"".join(block.data for block in found)
    return parse_certificates(data, MAX_CERTIFICATES)


def _shown(certificates: list[Certificate], *, has_uri_strings: bool = True) -> Value:
    documents = [certificate.document for certificate in certificates]
    if not has_uri_strings:
        documents = [{name: member for name, member in document.items() if name != "URIStrings"} for document in documents]
    return from_json(list(documents))


@builtin(_CERTIFICATES, STRING, result=ARRAY)
def certificates_of_text(text: str) -> Value:
    return guarded(_CERTIFICATES, lambda: _shown(_certificates(text)))


@builtin("crypto.x509.parse_certificate_request", STRING, result=OBJECT)
def parse_certificate_request(text: str) -> Value:
    def read() -> Value:
        data = octets_of(text)
        if not data.startswith(b"-----BEGIN CERTIFICATE REQUEST-----"):
            data = decode_base64(data)
        block, _ = next_block(data)
        if block is not None and block.kind != "CERTIFICATE REQUEST":
            raise DerError("invalid PEM-encoded certificate signing request")
        return from_json(request_document(data if block is None else block.data))

    return guarded("crypto.x509.parse_certificate_request", read)


@builtin(_VERIFY, STRING, result=ARRAY, deterministic=False, needs_context=True)
def parse_and_verify_certificates(context: EvalContext, text: str) -> Value:
    """Return [true, chain from leaf to root] if the last certificate chains to the first, the root; else [false, []]."""
    try:
        certificates = _certificates(text)
    except ValueError:
        return (FALSE, ())
    chain = verified_chain(certificates, Options(context.now_ns))
    return (FALSE, ()) if chain is None else (TRUE, _shown(chain))


@builtin(_VERIFY_WITH_OPTIONS, STRING, OBJECT, result=ARRAY, deterministic=False, needs_context=True)
def parse_and_verify_certificates_with_options(context: EvalContext, text: str, options: Object) -> Value:
    """Return the same for a time, a host and key usages that the options name."""
    try:
        certificates = _certificates(text)
    except ValueError:
        return (FALSE, ())
    wanted = guarded(_VERIFY_WITH_OPTIONS, lambda: _options(options, context.now_ns))
    chain = verified_chain(certificates, wanted)
    return (FALSE, ()) if chain is None else (TRUE, _shown(chain, has_uri_strings=False))


def _options(operand: Object, now_ns: int) -> Options:
    options = Options(now_ns)
    for name in operand.ordered():
        value = operand[name]
        if not isinstance(name, str):
            continue
        if name == "DNSName":
            if not isinstance(value, str):
                raise DerError("'DNSName' should be a string")
            options = replace(options, host=value.strip('"'))
        elif name == "CurrentTime":
            options = replace(options, now_ns=_whole(name, value, "a valid int64 number"))
        elif name == "MaxConstraintComparisons":
            _whole(name, value, "a valid number")
        elif name == "KeyUsages":
            options = replace(options, usages=_usages(value))
        else:
            raise DerError("invalid key option")
    return options


def _whole(name: str, value: Value, what: str) -> int:
    if not isinstance(value, NUMBERS):
        raise DerError(f"'{name}' should be a number")
    number = as_index(value) if number_text(value).removeprefix("-").isdecimal() else None
    if number is None:
        raise DerError(f"'{name}' should be {what}")
    return number


def _usages(value: Value) -> tuple[int, ...]:
    if not isinstance(value, tuple | Set):
        raise DerError("'KeyUsages' should be an Array or Set")
    items = value.ordered() if isinstance(value, Set) else value
    names = [item.strip('"') for item in items if isinstance(item, str)]
    unknown = [name for name in names if name not in _USAGES]
    if unknown:
        raise DerError(f"invalid entries for 'KeyUsages' found: [{' '.join(unknown)}]")
    return tuple(_USAGES[name] for name in names)


@builtin("crypto.x509.parse_rsa_private_key", STRING, result=OBJECT)
def parse_rsa_private_key(text: str) -> Value:
    """Return the first key, of any kind, as a private JWK; null where there is none."""

    def read() -> Value:
        data = octets_of(text)
        if not data:
            raise DerError("input PEM data was empty")
        keys = _private_keys(data if data.startswith(_BEGIN) else decode_base64(data))
        return from_json(private_jwk(keys[0])) if keys else NULL

    return guarded("crypto.x509.parse_rsa_private_key", read)


@builtin("crypto.parse_private_keys", STRING, result=ARRAY)
def parse_private_keys(text: str) -> Value:
    """Return every private key of the text's PEM blocks; null for no text at all."""
    if not text:
        return NULL

    def read() -> Value:
        documents: Document = [private_key_document(key) for key in _private_keys(octets_of(text))]
        return from_json(documents)

    return guarded("crypto.parse_private_keys", read)


def _private_keys(data: bytes) -> list[PrivateKey]:
    with suppress(ValueError):
        data = decode_base64(data)
    found = [block for block in blocks(data) if block.kind in _KEY_PARSERS]
    if len(found) > MAX_CERTIFICATES:
        raise DerError(f"more than {MAX_CERTIFICATES} keys")
    return [_KEY_PARSERS[block.kind](block.data) for block in found]


_KEY_PARSERS: Final[dict[str, Callable[[bytes], PrivateKey]]] = {
    "RSA PRIVATE KEY": parse_pkcs1,
    "PRIVATE KEY": parse_pkcs8,
    "EC PRIVATE KEY": parse_sec1,
}
