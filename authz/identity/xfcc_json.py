"""Reader of the JSON form of x-forwarded-client-cert (Envoy 1.40).

Envoy appends to an array that a sender may have written, without parsing it, so nothing about the
array is taken on trust. This module knows neither the text form nor who may be believed.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn, TypeAlias

from authz.identity.element import MAX_ELEMENTS, MAX_PAIRS, REPEATABLE, SINGLE, XfccElement, XfccError
from authz.identity.refusal import Refusal

Document: TypeAlias = Any

_LISTS: Final = frozenset({*REPEATABLE, "chain"})
_STRINGS: Final = SINGLE - {"chain"}
_TEXT: Final = re.compile(r"[ -~]*+")
_PEM: Final = re.compile(r"[ -~\n]*+")
_PEM_NAMES: Final = frozenset({"cert", "chain"})


def parse_json_form(text: str) -> list[XfccElement]:
    """Read a header value that begins with `[`; raise XfccError.

    The standard library's parser shows every name of an object; faster ones silently keep the last of two equal names.
    """
    try:
        array = json.loads(
            text, object_pairs_hook=_object, parse_constant=_refuse_scalar, parse_int=_refuse_scalar, parse_float=_refuse_scalar
        )
    except (ValueError, RecursionError) as error:
        raise XfccError(Refusal.JSON_FORMAT) from error
    if not array:
        raise XfccError(Refusal.EMPTY_ELEMENT)
    if len(array) > MAX_ELEMENTS:
        raise XfccError(Refusal.TOO_MANY_ELEMENTS)
    return [_element(member) for member in array]


def _refuse_scalar(_: str) -> NoReturn:
    """Refuse numbers where they are read, so that no digits are ever converted."""
    raise XfccError(Refusal.JSON_FORMAT)


def _object(pairs: list[tuple[str, Document]]) -> dict[str, Document]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise XfccError(Refusal.DUPLICATE_KEY)
    return names


def _element(member: Document) -> XfccElement:
    if not isinstance(member, dict):
        raise XfccError(Refusal.JSON_FORMAT)
    if not member:
        raise XfccError(Refusal.EMPTY_ELEMENT)
    lists: dict[str, list[str]] = {}
    singles: dict[str, str] = {}
    for name, value in member.items():
        if name in _LISTS:
            lists[name] = _strings(name, value)
        elif name in _STRINGS:
            singles[name] = _string(name, value)
        else:
            raise XfccError(Refusal.UNKNOWN_KEY)
    # The text form would spend one pair on each of these.
    if len(singles) + sum(map(len, lists.values())) > MAX_PAIRS:
        raise XfccError(Refusal.TOO_MANY_PAIRS)
    return XfccElement.build(lists, singles, lists.get("chain", ()))


def _strings(name: str, value: Document) -> list[str]:
    if not isinstance(value, list):
        raise XfccError(Refusal.JSON_FORMAT)
    return [_string(name, item) for item in value]


def _string(name: str, value: Document) -> str:
    """Check a decoded string: JSON escapes can hide the CR LF that the raw header could not hold."""
    if not isinstance(value, str):
        raise XfccError(Refusal.JSON_FORMAT)
    if not (_PEM if name in _PEM_NAMES else _TEXT).fullmatch(value):
        raise XfccError(Refusal.BAD_CHAR)
    return value
