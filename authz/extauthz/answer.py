"""From a policy's decision to the response that Envoy gets.

Owns the decision's schema: opa-envoy-plugin's keys, types, order of checks and wording. It knows no requests and no cache of decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final, NamedTuple, ParamSpec, TypeVar

from google.protobuf.struct_pb2 import Struct

from authz.extauthz import outgoing
from authz.extauthz.errors import BadDecisionError, quote
from authz.extauthz.response import FORBIDDEN, Changes, Pairs, Refusal, allow, deny
from authz.rego.values import FALSE, TRUE, Boolean, Null, Object, Set, Value, Written, to_json

P = ParamSpec("P")
T = TypeVar("T")

# What both Go's net/http and Envoy's StatusCode know, without 100: after a 1xx a client waits for an answer that never comes.
HTTP_STATUSES: Final = frozenset(
    {*range(200, 209), 226, *range(300, 306), 307, 308, *range(400, 418), *range(421, 425), 426, 428, 429, 431, *range(500, 509), 510, 511}
)

# A client takes what follows their header fields for the next response (RFC 9110, 15.3.5, 15.3.6, 15.4.5); Envoy sends it all the same.
WITHOUT_BODY: Final = frozenset({204, 205, 304})

MEMO_ENTRIES: Final = 256
MEMO_RESPONSE_BYTES: Final = 4096

_GO_TYPES: Final[dict[type, str]] = {
    Null: "<nil>",
    Boolean: "bool",
    int: "json.Number",
    Decimal: "json.Number",
    Written: "json.Number",
    str: "string",
    tuple: "[]interface {}",
    Set: "[]interface {}",
    Object: "map[string]interface {}",
}


class Answer(NamedTuple):
    """An encoded CheckResponse and what it says."""

    response: bytes
    allowed: bool


ALLOWED: Final = Answer(allow(), True)
DENIED: Final = Answer(deny(), False)


class Answers:
    """Turns decisions into answers and remembers the small ones, since most policies make few different decisions.

    Equal values mean equal answers, so what is remembered is never wrong, only bounded.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[Value, Answer] = {TRUE: ALLOWED, FALSE: DENIED}

    def __len__(self) -> int:
        return len(self._known)

    def encode(self, decision: Value) -> Answer:
        """Return the answer that a decision asks for; raise BadDecisionError."""
        answer = self._known.get(decision)
        if answer is None:
            answer = encode_answer(decision)
            if len(answer.response) <= MEMO_RESPONSE_BYTES:
                self._remember(decision, answer)
        return answer

    def _remember(self, decision: Value, answer: Answer) -> None:
        if len(self._known) >= MEMO_ENTRIES:
            # Starting over keeps what recurs, and costs less than keeping count of it.
            self._known = {TRUE: ALLOWED, FALSE: DENIED}
        self._known[decision] = answer


def encode_answer(decision: Value) -> Answer:
    """Return the answer that a decision asks for; raise BadDecisionError.

    Keys of the branch that is not taken are not looked at: a bad `body` on an allow is fine. Unknown keys are ignored.
    """
    if isinstance(decision, Boolean):
        return ALLOWED if decision.truth else DENIED
    if not isinstance(decision, Object):
        raise BadDecisionError(f"failed to get response status: illegal value for policy evaluation result: {go_type(decision)}")
    allowed = _stage("failed to get response status", _allowed, decision)
    headers = _stage("failed to get response headers", _headers, decision, "headers")
    metadata = _stage("failed to get dynamic metadata", _metadata, decision)
    if allowed:
        return Answer(allow(_changes(decision, headers), metadata), True)
    return Answer(deny(_refusal(decision, headers), metadata), False)


def _changes(decision: Object, headers: Pairs) -> Changes:
    removed = _stage("failed to get request headers to remove", _names, decision, "request_headers_to_remove", outgoing.check_removal)
    added = _stage("failed to get response headers to send to client", _headers, decision, "response_headers_to_add")
    dropped = _stage(
        "failed to get request query parameters to remove", _names, decision, "query_parameters_to_remove", outgoing.check_parameter_name
    )
    parameters = _stage("failed to get request query parameters to set", _parameters, decision)
    return Changes(headers, removed, added, dropped, parameters)


def _refusal(decision: Object, headers: Pairs) -> Refusal:
    body = _stage("failed to get response body", _body, decision)
    status = _stage("failed to get response http status", _http_status, decision)
    return Refusal(status, headers, "" if status in WITHOUT_BODY else body)


def _stage(prefix: str, read: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Read one key; what is wrong with it is told with OPA's prefix."""
    try:
        return read(*args, **kwargs)
    except BadDecisionError as error:
        raise BadDecisionError(f"{prefix}: {error.message}") from error


def go_type(value: Value) -> str:
    """Return what OPA calls the type of a value in its error texts."""
    return _GO_TYPES[type(value)]


def _type_error(expected: str, value: Value) -> BadDecisionError:
    return BadDecisionError(f"type assertion error, expected {expected} but got '{go_type(value)}'")


def _allowed(decision: Object) -> bool:
    value = decision.get("allowed")
    if value is None:
        raise BadDecisionError('unable to determine evaluation result due to missing "allowed" key')
    if not isinstance(value, Boolean):
        raise _type_error("allowed to be of type 'boolean'", value)
    return value.truth


def _items(value: Value) -> tuple[Value, ...] | None:
    """Return the members of an array or, in order, of a set, which is an array to whoever reads JSON."""
    if isinstance(value, tuple):
        return value
    return value.ordered() if isinstance(value, Set) else None


def _headers(decision: Object, key: str) -> Pairs:
    """Read an object of headers or an array of such objects; several values of one header stay in order."""
    value = decision.get(key)
    if value is None:
        return ()
    pairs: list[tuple[str, str]] = []
    items = _items(value)
    for item in (value,) if items is None else items:
        if not isinstance(item, Object):
            raise _type_error("headers to be of type 'object'", item)
        pairs.extend(outgoing.check_header(name, text) for name, text in _header_values(item))
    return outgoing.check_total(tuple(pairs))


def _header_values(headers: Object) -> Iterator[tuple[str, str]]:
    for key in headers.ordered():
        name, value = outgoing.key_text(key), headers[key]
        if isinstance(value, str):
            yield name, value
            continue
        items = _items(value)
        if items is None:
            raise BadDecisionError(f"type assertion error for header '{name}'")
        for item in items:
            if not isinstance(item, str):
                raise BadDecisionError(f"invalid value type {go_type(item)} for header '{name}'")
            yield name, item


def _names(decision: Object, key: str, check: Callable[[str], str]) -> tuple[str, ...]:
    value = decision.get(key)
    if value is None:
        return ()
    items = _items(value)
    if items is None:
        raise _type_error(f"{key} to be of type '[]string'", value)
    names: list[str] = []
    for item in items:
        if not isinstance(item, str):
            raise _type_error(f"{key} value to be of type 'string'", item)
        names.append(check(item))
    outgoing.check_total(tuple((name, "") for name in names))
    return tuple(names)


def _parameters(decision: Object) -> Pairs:
    value = decision.get("query_parameters_to_set")
    if value is None:
        return ()
    if not isinstance(value, Object):
        raise _type_error("query_parameters_to_set to be a map", value)
    pairs = (outgoing.encode_parameter(name, text) for name, text in _parameter_values(value))
    return outgoing.check_total(tuple(pairs))


def _parameter_values(parameters: Object) -> Iterator[tuple[str, str]]:
    for key in parameters.ordered():
        name, value = outgoing.key_text(key), parameters[key]
        if isinstance(value, str):
            yield name, value
            continue
        items = _items(value)
        if items is None:
            raise _type_error("value to be string or array", value)
        for item in items:
            if not isinstance(item, str):
                raise BadDecisionError(f"type assertion error: expected array element to be string but got '{go_type(item)}'")
            yield name, item


def _metadata(decision: Object) -> Struct | None:
    value = decision.get("dynamic_metadata")
    if value is None:
        return None
    if not isinstance(value, Object):
        raise _type_error("dynamic_metadata to be of type 'object'", value)
    return outgoing.metadata_struct(value)


def _body(decision: Object) -> str:
    value = decision.get("body")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _type_error("body to be of type 'string'", value)
    return outgoing.check_body(value)


def _http_status(decision: Object) -> int:
    value = decision.get("http_status")
    if value is None:
        return FORBIDDEN
    if not isinstance(value, int | Decimal):
        raise _type_error("http_status to be of type 'number'", value)
    number = to_json(value)
    if not isinstance(number, int):
        raise BadDecisionError(
            f"error converting JSON number to int: strconv.ParseInt: parsing {quote(str(number).encode())}: invalid syntax"
        )
    if number not in HTTP_STATUSES:
        raise BadDecisionError(f"invalid HTTP status code {number}")
    return number
