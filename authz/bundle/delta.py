"""Delta bundles: a `patch.json` of operations, and the data that they make of other data.

The rules are OPA's (bundles, delta bundles). Knows no archives and no modules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from authz.bundle.archive import BundleError
from authz.bundle.json_text import DocumentError, parse_json
from authz.bundle.manifest import Manifest
from authz.rego.values import Document

UPSERT: Final = "upsert"
REPLACE: Final = "replace"
REMOVE: Final = "remove"
_KINDS: Final = frozenset({UPSERT, REPLACE, REMOVE})


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of data: `path` are the names below `data`; in an array a name is an index."""

    kind: str
    path: tuple[str, ...]
    value: Document = None


def parse_patch(name: str, text: str, manifest: Manifest) -> tuple[Operation, ...]:
    """Return the operations of a `patch.json`; none make it an ordinary bundle. Raises BundleError."""
    try:
        document = parse_json(text)
    except DocumentError as error:
        raise BundleError(f"{name}:{error.row}:{error.col}: {error.message}" if error.row else f"{name}: {error.message}") from error
    items = document.get("data", []) if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise BundleError(f"{name}: must be an object whose `data` is an array of operations")
    return tuple(_operation(name, index, item, manifest) for index, item in enumerate(items))


def _operation(name: str, index: int, item: Any, manifest: Manifest) -> Operation:
    where = f"{name}: data[{index}]"
    if not isinstance(item, dict) or not isinstance(item.get("path"), str):
        raise BundleError(f"{where}: must be an object with a `path`")
    if item.get("op") not in _KINDS:
        raise BundleError(f"bad patch operation: {item.get('op')}", help=f"it is one of {', '.join(sorted(_KINDS))}")
    joined = item["path"].strip("/")
    path = tuple(unquote(part).replace("~1", "/").replace("~0", "~") for part in joined.split("/"))
    if not joined:
        raise BundleError(f"{where}: the path is empty", help="a delta changes parts of data; send a bundle to replace all of it")
    if not manifest.permits(path):
        raise BundleError(f"manifest roots [{' '.join(manifest.roots)}] do not permit data patch at path '{joined}'")
    if item["op"] != REMOVE and "value" not in item:
        raise BundleError(f"{where}: `{item['op']}` needs a `value`")
    return Operation(item["op"], path, item.get("value"))


def patched(data: Document, operations: Sequence[Operation]) -> Document:
    """Return data with the operations applied, in order; what is not on their paths is shared. Raises BundleError."""
    for operation in operations:
        data = _applied(data, operation, operation.path)
    return data


def _applied(data: Document, operation: Operation, rest: tuple[str, ...]) -> Document:
    step, *below = rest
    if isinstance(data, list):
        return _applied_to_array(data, operation, step, tuple(below))
    if not isinstance(data, dict):
        raise _missing(operation)
    if below:
        if step not in data and operation.kind != UPSERT:
            raise _missing(operation)
        return {**data, step: _applied(data.get(step, {}), operation, tuple(below))}
    if operation.kind != UPSERT and step not in data:
        raise _missing(operation)
    if operation.kind == REMOVE:
        return {key: value for key, value in data.items() if key != step}
    return {**data, step: operation.value}


def _applied_to_array(data: list[Any], operation: Operation, step: str, below: tuple[str, ...]) -> Document:
    if step == "-" and operation.kind == UPSERT and not below:
        return [*data, operation.value]
    if not (step.isascii() and step.isdigit()):
        raise _missing(operation)
    index = int(step) if len(step) < 10 else len(data) + 1
    is_insertion = operation.kind == UPSERT and not below
    if index > len(data) or (index == len(data) and not is_insertion):
        raise _missing(operation)
    if below:
        return [*data[:index], _applied(data[index], operation, below), *data[index + 1 :]]
    if is_insertion:
        return [*data[:index], operation.value, *data[index:]]
    return [*data[:index], *(() if operation.kind == REMOVE else (operation.value,)), *data[index + 1 :]]


def _missing(operation: Operation) -> BundleError:
    return BundleError(
        f"patch {operation.kind} /{'/'.join(operation.path)}: there is nothing at the path",
        help="the delta was made for other data: the server has to send the whole bundle",
    )
