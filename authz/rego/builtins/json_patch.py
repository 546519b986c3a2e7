"""`json.patch`: RFC 6902 on Rego values, so also on sets, whose members are their own keys.

Documents are never changed in place: every operation returns a new one that shares what
it did not touch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from authz.rego.builtins.json_paths import Path, parse_path
from authz.rego.builtins.registry import ANY, ARRAY, builtin
from authz.rego.errors import BuiltinError
from authz.rego.numbers import NUMBERS, as_index, parse
from authz.rego.render import to_text
from authz.rego.values import Object, Set, Value

NAME: Final = "json.patch"

MAX_OPERATIONS: Final = 10_000

MAX_COPIED: Final = 1_000_000
"""Values that `copy` may multiply in one call: copying a document into itself doubles it."""


class _Run:
    """The document between two operations; None once it was removed as a whole."""

    def __init__(self, document: Value) -> None:
        self.document: Value | None = document
        self.budget = MAX_COPIED

    def add(self, patch: Object) -> None:
        self._insert(_path(patch, "path"), _attribute(patch, "value"))

    def remove(self, patch: Object) -> None:
        self._delete(_path(patch, "path"))

    def replace(self, patch: Object) -> None:
        path, value = _path(patch, "path"), _attribute(patch, "value")
        self._delete(path)
        self._insert(path, value)

    def move(self, patch: Object) -> None:
        source = _path(patch, "from")
        moved = self._find(source)
        self._delete(source)
        self._insert(_path(patch, "path"), moved)

    def copy(self, patch: Object) -> None:
        copied = self._find(_path(patch, "from"))
        self.budget -= _size(copied, self.budget)
        self._insert(_path(patch, "path"), copied)

    def test(self, patch: Object) -> None:
        path, wanted = _path(patch, "path"), _attribute(patch, "value")
        found = self._find(path)
        if found != wanted:
            raise _failure(f"value from EditTree != patch value.\n\nExpected: {to_text(wanted)}\n\nFound: {to_text(found)}")

    def _find(self, path: Path) -> Value:
        found = self.document
        for step in path:
            found = None if found is None else _child(found, step)
        if found is None:
            raise _failure(f"path {to_text(path)} does not exist")
        return found

    def _insert(self, path: Path, value: Value) -> None:
        if not path:
            self.document = value
            return
        self.document = _changed(self._existing(), path, lambda parent, step: _inserted(parent, step, value))

    def _delete(self, path: Path) -> None:
        self.document = _changed(self._existing(), path, _deleted) if path else None

    def _existing(self) -> Value:
        if self.document is None:
            raise _failure("the document was removed")
        return self.document


_OPERATIONS: Final = {
    "add": _Run.add,
    "remove": _Run.remove,
    "replace": _Run.replace,
    "move": _Run.move,
    "copy": _Run.copy,
    "test": _Run.test,
}


@builtin(NAME, ANY, ARRAY)
def patch(document: Value, patches: tuple[Value, ...]) -> Value:
    """Apply the operations in turn; the first that fails makes the whole call fail."""
    if len(patches) > MAX_OPERATIONS:
        raise _failure(f"more than {MAX_OPERATIONS} operations")
    run = _Run(document)
    for operation in patches:
        if not isinstance(operation, Object):
            raise _failure("must be an array of JSON-Patch objects, but at least one element is not an object")
        kind = _attribute(operation, "op")
        if not isinstance(kind, str):
            raise _failure("attribute 'op' must be a string")
        if kind not in _OPERATIONS:
            raise _failure(f"unrecognized op: '{kind}'")
        _OPERATIONS[kind](run, operation)
    if run.document is None:
        raise _failure("the document was removed")
    return run.document


def _failure(message: str) -> BuiltinError:
    return BuiltinError(f"{NAME}: {message}")


def _attribute(operation: Object, name: str) -> Value:
    value = operation.get(name)
    if value is None:
        raise _failure(f"missing required attribute '{name}'")
    return value


def _path(operation: Object, name: str) -> Path:
    return parse_path(NAME, _attribute(operation, name))


def _changed(parent: Value, path: Path, change: Callable[[Value, Value], Value]) -> Value:
    """Return `parent` with `change(node, step)` in place of the node that holds the path's last step."""
    step, rest = path[0], path[1:]
    if not rest:
        return change(parent, step)
    child = _child(parent, step)
    if child is None:
        raise _failure(f"path {to_text(step)} does not exist in {to_text(parent)}")
    changed = _changed(child, rest, change)
    if isinstance(parent, Object):
        return Object({**parent, step: changed})
    if isinstance(parent, Set):
        return Set((parent - {child}) | {changed})
    items, position = cast("tuple[Value, ...]", parent), _position(cast("tuple[Value, ...]", parent), step)
    return (*items[:position], changed, *items[position + 1 :])


def _child(parent: Value, step: Value) -> Value | None:
    if isinstance(parent, Object):
        return parent.get(step)
    if isinstance(parent, Set):
        return step if step in parent else None
    if isinstance(parent, tuple):
        position = _position(parent, step)
        return parent[position] if 0 <= position < len(parent) else None
    return None


def _inserted(parent: Value, step: Value, value: Value) -> Value:
    if isinstance(parent, Object):
        return Object({**parent, step: value})
    if isinstance(parent, Set):
        if step != value:
            raise _failure(f"set key {to_text(step)} does not equal value to be inserted {to_text(value)}")
        return Set(parent | {value})
    if isinstance(parent, tuple):
        position = _position(parent, step)
        if not 0 <= position <= len(parent):
            raise _failure("index for array insertion out of bounds")
        return (*parent[:position], value, *parent[position:])
    raise _failure(f"expected composite type, found value: {to_text(parent)}")


def _deleted(parent: Value, step: Value) -> Value:
    if isinstance(parent, tuple):
        position = _position(parent, step)
        if not 0 <= position < len(parent):
            raise _failure("index for array delete out of bounds")
        return parent[:position] + parent[position + 1 :]
    if not isinstance(parent, Object | Set):
        raise _failure(f"expected composite type, found value: {to_text(parent)}")
    if step not in parent:
        raise _failure(f"cannot delete child key {to_text(step)} that does not exist")
    if isinstance(parent, Set):
        return Set(parent - {step})
    return Object((key, value) for key, value in parent.items() if key != step)


def _position(items: tuple[Value, ...], step: Value) -> int:
    """Return the position that a step names in an array; `-` is the one behind the last."""
    if step == "-":
        return len(items)
    position = as_index(step) if isinstance(step, NUMBERS) else None
    if isinstance(step, str):
        if step != "0" and step.startswith("0"):
            raise _failure("leading zeros are not allowed in JSON paths")
        position = _read_position(step)
    if position is None:
        raise _failure(f"invalid {'string' if isinstance(step, str) else 'type'} for indexing")
    return position


def _read_position(text: str) -> int | None:
    try:
        return as_index(parse(text))
    except ValueError:
        return None


def _size(value: Value, limit: int) -> int:
    """Return how many values `value` holds; BuiltinError beyond `limit`."""
    size, pending = 0, [value]
    while pending:
        item = pending.pop()
        size += 1
        if isinstance(item, Object):
            pending.extend(item.values())
        elif isinstance(item, tuple | Set):
            pending.extend(item)
        if size + len(pending) > limit:
            raise _failure(f"more than {MAX_COPIED} values copied")
    return size
