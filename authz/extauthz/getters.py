"""Getters: for one path of the input document, the shortest way to its value in a check request.

Whatever can be decided from the path alone (does the field exist, is it a map, has it presence) is decided here, once,
at activation. A getter returns exactly what stands at its path in the full document, None where that is undefined.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final, TypeAlias

from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.struct_pb2 import Struct

from authz.extauthz.attributes import STRUCT, field_value, is_map, message_value, scalar_value, struct_value
from authz.extauthz.view import VERSION, InputConfig, RequestView
from authz.rego.values import Object, Value

Path: TypeAlias = tuple[str, ...]
Getter: TypeAlias = Callable[[RequestView], Value | None]

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def getter(path: Path, config: InputConfig) -> Getter:
    """Return the getter of a path below `input`."""
    head, rest = path[0], path[1:]
    if any(_SURROGATE.search(step) for step in path):
        return _undefined  # no string that a request can hold
    if head == "attributes":
        return _attributes(rest)
    if head == "request":
        return _request(rest)
    if config.skip_request_body_parse and head in ("parsed_body", "truncated_body"):
        return _undefined
    root = _ROOTS.get(head)
    if root is None:
        return _undefined
    return _below(root, rest)


def _undefined(_view: RequestView) -> None:
    return None


_ROOTS: Final[dict[str, Getter]] = {
    "version": lambda _view: VERSION,
    "parsed_path": lambda view: view.split()[0],
    "parsed_query": lambda view: view.split()[1],
    "parsed_body": lambda view: view.body().parsed,
    "truncated_body": lambda view: view.body().truncated,
    "source_principal": RequestView.source_principal,
    "identity": RequestView.identity,
}

_REQUEST: Final[dict[str, Getter]] = {
    "method": lambda view: view.http.method or None,
    "path": RequestView.path,
    "host": lambda view: view.http.host or None,
    "scheme": lambda view: view.http.scheme or None,
    "destination": RequestView.destination,
}


def _request(steps: Path) -> Getter:
    if not steps:
        return RequestView.request
    return _REQUEST.get(steps[0], _undefined) if len(steps) == 1 else _undefined


def _below(root: Getter, steps: Path) -> Getter:
    """Return what stands `steps` below what `root` gets."""
    if not steps:
        return root
    if len(steps) == 1:
        step = steps[0]  # the common case, without a loop
        return lambda view: value.get(step) if isinstance(value := root(view), Object) else None
    return lambda view: _dig(root(view), steps)


def _dig(value: Value | None, steps: Path) -> Value | None:
    for step in steps:
        if not isinstance(value, Object):
            return None
        value = value.get(step)
    return value


def _attributes(steps: Path) -> Getter:
    """Follow the path through the message types; what they do not have is undefined in every request."""
    if not steps:
        return lambda view: message_value(view.attributes) if view.message.HasField("attributes") else None
    descriptor = AttributeContext.DESCRIPTOR
    names: list[str] = []
    for index, step in enumerate(steps):
        field = next((field for field in descriptor.fields if field.json_name == step), None)
        if field is None:
            return _undefined
        names.append(field.name)
        below = steps[index + 1 :]
        if not below:
            return _field(names, field)
        if field.is_repeated:
            return _map_member(names, field, below) if is_map(field) else _undefined
        if field.message_type is None:
            return _undefined
        descriptor = field.message_type
    raise AssertionError("the loop returns at the last step")


def _reach(names: Sequence[str]) -> Callable[[RequestView], Any]:
    """Return the attribute lookup, in C, that starts from the nearest thing a view holds. An unset message reads as empty."""
    match names:
        case ["request", "http", "headers"]:
            return attrgetter("headers")
        case ["request", "http", *rest]:
            return attrgetter(".".join(("http", *rest)))
        case _:
            return attrgetter(".".join(("attributes", *names)))


def _field(names: Sequence[str], field: FieldDescriptor) -> Getter:
    reach = _reach(names)
    if field.is_repeated:
        return lambda view: field_value(field, value) if (value := reach(view)) else None
    if field.has_presence:
        holder, name = _reach(names[:-1]), field.name
        return lambda view: scalar_value(reach(view)) if holder(view).HasField(name) else None
    if field.type in (FieldDescriptor.TYPE_BOOL, FieldDescriptor.TYPE_BYTES):
        return lambda view: scalar_value(value) if (value := reach(view)) else None
    return lambda view: reach(view) or None


def _map_member(names: Sequence[str], field: FieldDescriptor, steps: Path) -> Getter:
    reach, key, below = _reach(names), steps[0], steps[1:]
    entry = field.message_type
    item_type = entry.fields_by_name["value"].message_type if entry else None
    if item_type is None:
        return _undefined if below else lambda view: reach(view).get(key)
    if item_type.full_name == STRUCT and below:
        return lambda view: _struct_member(reach(view).get(key), below)
    return lambda view: _dig(message_value(item), below) if (item := reach(view).get(key)) is not None else None


def _struct_member(struct: Struct | None, steps: Path) -> Value | None:
    """Return one member, however deep, without building what stands beside it (a verified token's other claims, say)."""
    for step in steps[:-1]:
        item = None if struct is None else struct.fields.get(step)
        struct = item.struct_value if item is not None and item.HasField("struct_value") else None
    item = None if struct is None else struct.fields.get(steps[-1])
    return None if item is None else struct_value(item)
