"""`patch.json`: operations on base data, read and applied. Knows no bundle and no roots.

A document that is patched is never changed: what changes is copied, once, on the way to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from authz.bundle.directory import is_deeper
from authz.bundle.errors import BundleError
from authz.bundle.json_text import DocumentError, parse_json
from authz.rego.values import MAX_DEPTH, Document

PATCH_NAME: Final = "patch.json"
MAX_OPERATIONS: Final = 1_000_000
END: Final = "-"
"""The step that stands for the place after an array's last item (RFC 6901)."""

_NOT_ESCAPED: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")

Path: TypeAlias = tuple[str, ...]


class Op(StrEnum):
    """What an operation does. UPSERT makes what is missing on the way; an index into an array inserts. The others need their target."""

    UPSERT = "upsert"
    REPLACE = "replace"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Operation:
    """One change. `path` is the steps from the root of data, at least one."""

    op: Op
    path: Path
    value: Document = None

    @property
    def pointer(self) -> str:
        """The path as it is written in a patch."""
        return "".join("/" + _escaped(step) for step in self.path)

    def document(self) -> dict[str, Document]:
        """Return the operation as JSON."""
        document: dict[str, Document] = {"op": str(self.op), "path": self.pointer}
        return document if self.op is Op.REMOVE else document | {"value": self.value}


def parse_patch(text: str) -> tuple[Operation, ...]:
    """Read the operations of a patch file, perhaps none; raises BundleError."""
    try:
        document = parse_json(text)
    except DocumentError as error:
        where = f":{error.row}:{error.col}" if error.row else ""
        raise BundleError(f"{PATCH_NAME}{where}: {error.message}") from error
    items = document.get("data") if isinstance(document, dict) else False
    if items is None:
        return ()
    if not isinstance(items, list):
        raise BundleError(f"{PATCH_NAME}: must be an object whose `data` is an array of operations")
    if len(items) > MAX_OPERATIONS:
        raise BundleError(f"{PATCH_NAME}: more than {MAX_OPERATIONS} operations")
    return tuple(_operation(item, index) for index, item in enumerate(items))


def _operation(item: Any, index: int) -> Operation:
    where = f"{PATCH_NAME}: operation {index}"
    if not isinstance(item, dict) or not isinstance(item.get("path"), str):
        raise BundleError(f"{where} must be an object with `op`, `path` and `value`")
    try:
        op = Op(str(item.get("op")))
    except ValueError as error:
        raise BundleError(f"{where}: bad patch operation: {item.get('op')}", help=f"one of {', '.join(Op)}") from error
    path = parse_pointer(item["path"], where)
    if is_deeper(item.get("value"), MAX_DEPTH - len(path)):
        raise BundleError(f"{where}: nested deeper than {MAX_DEPTH} levels")
    return Operation(op, path, item.get("value"))


def parse_pointer(text: str, where: str) -> Path:
    """Return the steps of a path: a JSON pointer whose steps may also be percent-encoded. Raises BundleError."""
    trimmed = text.strip("/")
    if not trimmed:
        raise BundleError(f"{where}: the path `{text}` is the whole document", help="change what is below the roots, one by one")
    if _NOT_ESCAPED.search(trimmed):
        raise BundleError(f"{where}: `%` in the path `{text}` begins no percent-encoding", help="write `%25` for `%`")
    try:
        steps = [unquote(step, errors="strict") for step in trimmed.split("/")]
    except UnicodeDecodeError as error:
        raise BundleError(f"{where}: the path `{text}` is not valid UTF-8") from error
    if len(steps) > MAX_DEPTH:
        raise BundleError(f"{where}: the path is deeper than {MAX_DEPTH} levels")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1").replace("%", "%25")


def apply_patch(document: Mapping[str, Document], operations: Iterable[Operation]) -> dict[str, Document]:
    """Return the document after the operations, in their order; raises BundleError at the first that cannot be done."""
    patching = _Patching(document)
    for operation in operations:
        patching.apply(operation)
    return patching.document


class _Patching:
    """A document that is being changed. INVARIANT: a container is changed only if it is in `_own`, which keeps it alive."""

    def __init__(self, document: Mapping[str, Document]) -> None:
        self.document = dict(document)
        self._own: dict[int, Any] = {id(self.document): self.document}

    def apply(self, operation: Operation) -> None:
        parent = self._parent(operation)
        last = operation.path[-1]
        if isinstance(parent, dict):
            if operation.op is not Op.UPSERT and last not in parent:
                raise _refused(operation, "there is nothing at this path")
            if operation.op is Op.REMOVE:
                del parent[last]
            else:
                parent[last] = operation.value
            return
        _change_array(parent, last, operation)

    def _parent(self, operation: Operation) -> Any:
        """Return the container of the target, which may be changed."""
        here: Any = self.document
        for step in operation.path[:-1]:
            if isinstance(here, dict) and step not in here and operation.op is Op.UPSERT:
                here[step] = self._owned({})
                here = here[step]
                continue
            key = step if isinstance(here, dict) else _index(here, step, operation)
            if isinstance(here, dict) and step not in here:
                raise _refused(operation, f"there is nothing at `{step}`")
            here[key] = here = self._owned(here[key])
        if not isinstance(here, dict | list):
            raise _refused(operation, "the path leads through a value that is neither object nor array")
        return here

    def _owned(self, value: Any) -> Any:
        if id(value) in self._own or not isinstance(value, dict | list):
            return value
        copy = value.copy()
        self._own[id(copy)] = copy
        return copy


def _index(array: Any, step: str, operation: Operation) -> int:
    if not isinstance(array, list):
        raise _refused(operation, "the path leads through a value that is neither object nor array")
    if not _INDEX.fullmatch(step) or int(step) >= len(array):
        raise _refused(operation, f"`{step}` is no index of the array, which has {len(array)} items")
    return int(step)


def _change_array(array: list[Any], step: str, operation: Operation) -> None:
    if operation.op is Op.UPSERT and step in (END, str(len(array))):
        array.append(operation.value)
        return
    index = _index(array, step, operation)
    if operation.op is Op.REMOVE:
        del array[index]
    elif operation.op is Op.REPLACE:
        array[index] = operation.value
    else:
        array.insert(index, operation.value)


def _refused(operation: Operation, why: str) -> BundleError:
    return BundleError(
        f"cannot {operation.op} `{operation.pointer}`: {why}", help="the patch is not for this state; a snapshot starts anew"
    )
