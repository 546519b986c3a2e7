"""`json.patch`: RFC 6902 on Rego values, so also on sets, whose members are their own keys.

Owns the operations and the bounds on them; how a document is edited is `edit_tree`'s.
"""

from __future__ import annotations

from typing import Final

from authz.rego.builtins.edit_tree import EditError, EditTree
from authz.rego.builtins.json_paths import Path, parse_path
from authz.rego.builtins.registry import ANY, ARRAY, builtin
from authz.rego.errors import BuiltinError
from authz.rego.render import to_text
from authz.rego.values import Object, Set, Value, type_name

NAME: Final = "json.patch"

MAX_OPERATIONS: Final = 10_000

MAX_COPIED: Final = 1_000_000
"""Values that one call may copy or render between operations: copying a document into itself doubles it."""


class _Run:
    """The document between two operations."""

    def __init__(self, document: Value) -> None:
        self.tree = EditTree(document)
        self.budget = MAX_COPIED

    def add(self, patch: Object, path: Path) -> None:
        self._insert(path, _attribute(patch, "value"))

    def remove(self, _patch: Object, path: Path) -> None:
        self._delete(path)

    def replace(self, patch: Object, path: Path) -> None:
        self._delete(path)
        self._insert(path, _attribute(patch, "value"))

    def move(self, patch: Object, path: Path) -> None:
        source = parse_path(NAME, _attribute(patch, "from"))
        moved = self._find(source)
        self._delete(source)
        self._insert(path, moved)

    def copy(self, patch: Object, path: Path) -> None:
        copied = self._find(parse_path(NAME, _attribute(patch, "from")))
        self._spend(_size(copied, self.budget))
        self._insert(path, copied)

    def test(self, patch: Object, path: Path) -> None:
        found, wanted = self._find(path), _attribute(patch, "value")
        if found != wanted:
            raise _failure(f"value from EditTree != patch value.\n\nExpected: {to_text(wanted)}\n\nFound: {to_text(found)}")

    def result(self) -> Value:
        """Return the document as it is now."""
        result = self.tree.render(self._spend)
        if result is None:  # OPA crashes
            raise _failure("the document was removed")
        return result

    def _find(self, path: Path) -> Value:
        found = self.tree.at(path).render(self._spend)
        if found is None:
            raise _failure("cannot insert nil value into EditTree")
        return found

    def _insert(self, path: Path, value: Value) -> None:
        if path:
            self.tree.at(path[:-1]).insert(path[-1], value)
        else:
            self.tree.replace(value)

    def _delete(self, path: Path) -> None:
        if path:
            self.tree.at(path[:-1]).delete(path[-1])
        elif self.tree.value is None:
            raise _failure("deleted node encountered during delete operation")
        else:
            self.tree.replace(None)

    def _spend(self, values: int) -> None:
        self.budget -= values
        if self.budget < 0:
            raise _failure(f"more than {MAX_COPIED} values copied")


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
    try:
        for operation in patches:
            _apply(run, operation)
        run.budget = MAX_COPIED
        return run.result()
    except EditError as error:
        raise _failure(str(error)) from None


def _apply(run: _Run, operation: Value) -> None:
    if not isinstance(operation, Object):
        raise _failure("must be an array of JSON-Patch objects, but at least one element is not an object")
    path, kind = _attribute(operation, "path"), _attribute(operation, "op")
    if not isinstance(kind, str):
        raise _failure(f"attribute 'op' must be a string but found: {type_name(kind)}")
    steps = parse_path(NAME, path)
    if kind not in _OPERATIONS:
        raise _failure(f"unrecognized op: '{kind}'")
    _OPERATIONS[kind](run, operation, steps)


def _failure(message: str) -> BuiltinError:
    return BuiltinError(f"{NAME}: {message}")


def _attribute(operation: Object, name: str) -> Value:
    value = operation.get(name)
    if value is None:
        raise _failure(f"missing required attribute '{name}'")
    return value


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
