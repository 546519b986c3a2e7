"""UUIDs: `uuid.parse` takes one apart, `uuid.rfc4122` makes a random one per key and evaluation."""

from __future__ import annotations

import re
import uuid
from typing import Final

from authz.rego.builtins.registry import OBJECT, STRING, EvalContext, builtin
from authz.rego.values import Object, Value

_HEX: Final = "[0-9a-fA-F]"
_DASHED: Final = re.compile(f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}\\Z")
_PLAIN: Final = re.compile(f"{_HEX}{{32}}\\Z")
_URN: Final = "urn:uuid:"
_EPOCH: Final = 0x01B21DD213814000
"""100 ns steps from the UUID epoch (1582-10-15) to Unix's."""

_SIGN: Final = 1 << 63

_VARIANTS: Final = {
    uuid.RESERVED_NCS: "Reserved",
    uuid.RFC_4122: "RFC4122",
    uuid.RESERVED_MICROSOFT: "Microsoft",
    uuid.RESERVED_FUTURE: "Future",
}
_DOMAINS: Final = ("Person", "Group", "Org")
_ADDRESS_KINDS: Final = ("global:unicast", "global:multicast", "local:unicast", "local:multicast")


@builtin("uuid.parse", STRING, result=OBJECT)
def parse(text: str) -> Value | None:
    """Return version and variant and, for versions 1 and 2, what else a UUID says; undefined if it is none."""
    digits = _digits(text)
    if digits is None:
        return None
    parsed = uuid.UUID(hex=digits)
    version = parsed.int >> 76 & 0xF
    fields: dict[Value, Value] = {"version": version, "variant": _VARIANTS[parsed.variant]}
    if version in {1, 2}:
        fields |= _origin(parsed)
    if version == 2:
        domain = parsed.clock_seq_low
        fields |= {"id": parsed.time_low, "domain": _DOMAINS[domain] if domain < len(_DOMAINS) else f"Domain{domain}"}
    return Object(fields)


def _digits(text: str) -> str | None:
    """Return the UUID's text: bare, in braces (any two characters, as in OPA), as a URN, or without dashes."""
    if len(text) == 38:
        text = text[1:37]
    elif text[: len(_URN)].lower() == _URN:
        text = text[len(_URN) :]
    elif _PLAIN.match(text):
        return text
    return text if _DASHED.match(text) else None


def _origin(parsed: uuid.UUID) -> dict[Value, Value]:
    address = parsed.bytes[10:]
    nanoseconds = (parsed.time - _EPOCH) * 100
    return {
        "time": (nanoseconds + _SIGN) % (2 * _SIGN) - _SIGN,  # Go's int64 wraps
        "nodeid": address.hex("-"),
        "macvariables": _ADDRESS_KINDS[address[0] & 3],
        "clocksequence": parsed.clock_seq,
    }


@builtin("uuid.rfc4122", STRING, result=STRING, deterministic=False, needs_context=True)
def random_uuid(context: EvalContext, key: str) -> Value:
    """Return a random UUID (version 4), the same for the same key throughout an evaluation."""
    return context.once(("uuid.rfc4122", key), lambda: str(uuid.uuid4()))
