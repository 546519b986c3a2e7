"""Names of subjects (RFC 5280, 4.2.1.6) and the constraints of authorities on them (4.2.1.10), as Go's crypto/x509 reads them.

Owns which texts are domain names, mailboxes and URIs there. What constraints mean for a chain is not looked at.
"""

from __future__ import annotations

import re
from base64 import b64encode
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from authz.rego.builtins.der import SEQUENCE, Der, DerError, context
from authz.rego.builtins.go_url import Url, UrlError, parse_url
from authz.rego.builtins.net import parse_address
from authz.rego.builtins.octets import text_of
from authz.rego.render import quote
from authz.rego.values import Document

_EMAIL: Final = context(1)
_DNS: Final = context(2)
_URI: Final = context(6)
_IP: Final = context(7)
_MALFORMED: Final = {_EMAIL: "rfc822Name", _DNS: "dNSName", _URI: "uniformResourceIdentifier"}
_LABELS: Final = re.compile(r"[!-\-/-~]+(?:\.[!-\-/-~]+)*")
_QUOTED_LOCAL: Final = re.compile(rb'"(?:[\x01-\x08\x0b\x0c\x0e-\x21\x23-\x5b\x5d-\x7f]|\\[\x01-\x09\x0b\x0c\x0e-\x7f])*"')
_LOCAL: Final = re.compile(rb"(?:[0-9A-Za-z!#$%&'*+\-/=?^_`{|}~.]|\\[\x00-\xff])+", re.DOTALL)
_MASKS: Final = frozenset("1" * ones + "0" * (size - ones) for size in (32, 128) for ones in range(size + 1))

Fields = dict[str, Document]


def alternative_names(value: bytes) -> Fields:
    """Return the JSON members of a subjectAltName. Raises DerError."""
    names = Der(value).value(SEQUENCE, "x509: invalid subject alternative names")
    texts: dict[int, list[Document]] = {_EMAIL: [], _DNS: []}
    addresses: list[Document] = []
    uris: list[Url] = []
    while names:
        tag, content, _ = names.any_element("x509: invalid subject alternative name")
        if tag in _MALFORMED and not content.isascii():
            raise DerError(f"x509: SAN {_MALFORMED[tag]} is malformed")
        if tag in texts:
            texts[tag].append(content.decode())
        elif tag == _URI:
            uris.append(_uri(content.decode()))
        elif tag == _IP:
            addresses.append(_address(content))
    return {
        "DNSNames": texts[_DNS] or None,
        "EmailAddresses": texts[_EMAIL] or None,
        "IPAddresses": addresses or None,
        "URIs": [_url_document(uri) for uri in uris] or None,
        "URIStrings": [text_of(str(uri).encode("latin-1")) for uri in uris] or None,
    }


def _uri(text: str) -> Url:
    try:
        uri = parse_url(text)
    except UrlError as error:
        raise DerError(f"x509: cannot parse URI {quote(text)}: {error}") from None
    if uri.host and not is_domain_name(uri.host):
        raise DerError(f"x509: cannot parse URI {quote(text)}: invalid domain")
    return uri


def _url_document(url: Url) -> Document:
    texts = {
        "Scheme": url.scheme, "Opaque": url.opaque, "Host": url.host, "Path": url.path, "RawPath": url.raw_path, "RawQuery": url.query,
        "Fragment": url.fragment, "RawFragment": url.raw_fragment,
    }  # fmt: skip
    flags: Fields = {"User": None if url.user is None else {}, "ForceQuery": url.has_empty_query, "OmitHost": url.omits_host}
    return flags | {name: text_of(text.encode("latin-1")) for name, text in texts.items()}


def _address(octets: bytes) -> str:
    if len(octets) == 4:
        return str(IPv4Address(octets))
    if len(octets) != 16:
        raise DerError(f"x509: cannot parse IP address of length {len(octets)}")
    address = IPv6Address(octets)
    return str(address.ipv4_mapped or address)


def is_domain_name(name: str, *, is_constraint: bool = False) -> bool:
    """Tell whether Go takes a text for a domain name; the empty one is one, and a constraint may begin with a period."""
    labels = name[1:] if is_constraint and name.startswith(".") else name
    return not name or _LABELS.fullmatch(labels) is not None


def _is_mailbox(text: str) -> bool:
    data = text.encode()
    local = _QUOTED_LOCAL.match(data) if data.startswith(b'"') else _LOCAL.match(data)
    if local is None or data[local.end() : local.end() + 1] != b"@":
        return False
    part = re.sub(rb"\\(.)", rb"\1", local[0], flags=re.DOTALL)
    if not data.startswith(b'"') and (part.startswith(b".") or part.endswith(b".") or b".." in part):
        return False
    domain = text[local.end() + 1 :]
    return not domain or _LABELS.fullmatch(domain) is not None


def name_constraints(value: bytes) -> Fields:
    """Return the JSON members of nameConstraints; the member "" says that there are some of other kinds. Raises DerError."""
    message = "x509: invalid NameConstraints extension"
    outer = Der(value)
    top = outer.value(SEQUENCE, message)
    permitted = top.optional(context(0, constructed=True), message)
    excluded = top.optional(context(1, constructed=True), message)
    if outer or top:
        raise DerError(message)
    if not permitted and not excluded:
        raise DerError("x509: empty name constraints extension")
    return _subtrees("Permitted", permitted or Der(b"")) | _subtrees("Excluded", excluded or Der(b""))


def _subtrees(side: str, der: Der) -> Fields:
    message = "x509: invalid NameConstraints extension"
    found: dict[int, list[Document]] = {_DNS: [], _EMAIL: [], _URI: [], _IP: []}
    fields: Fields = {}
    while der:
        tag, content, _ = der.value(SEQUENCE, message).any_element(message)
        if tag == _IP:
            found[_IP].append(_network(content))
        elif tag in found:
            found[tag].append(_constraint(tag, content))
        else:
            fields[""] = True
    kinds = {_DNS: "DNSDomains", _EMAIL: "EmailAddresses", _URI: "URIDomains", _IP: "IPRanges"}
    return fields | {f"{side}{kinds[tag]}": names or None for tag, names in found.items()}


def _constraint(tag: int, content: bytes) -> str:
    text = text_of(content)
    if not content.isascii():
        raise DerError(f"x509: invalid constraint value: x509: {quote(text)} cannot be encoded as an IA5String")
    if tag == _EMAIL:
        if not (_is_mailbox(text) if "@" in text else is_domain_name(text, is_constraint=True)):
            raise DerError(f"x509: failed to parse rfc822Name constraint {quote(text)}")
        return text
    kind = "dnsName" if tag == _DNS else "URI"
    if tag == _URI and parse_address(text) is not None:
        raise DerError(f"x509: failed to parse URI constraint {quote(text)}: cannot be IP address")
    if not is_domain_name(text, is_constraint=True):
        raise DerError(f"x509: failed to parse {kind} constraint {quote(text)}")
    return text


def _network(octets: bytes) -> Document:
    if len(octets) not in (8, 32):
        raise DerError(f"x509: IP constraint contained value of length {len(octets)}")
    address, mask = octets[: len(octets) // 2], octets[len(octets) // 2 :]
    if f"{int.from_bytes(mask, 'big'):0{len(mask) * 8}b}" not in _MASKS:
        raise DerError(f"x509: IP constraint contained invalid mask {mask.hex()}")
    return {"IP": _address(address), "Mask": b64encode(mask).decode()}
