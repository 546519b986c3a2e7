"""A document under edits by path: what was changed is kept beside the values it changes, and rendered once in the end.

An operation costs no more than its path and the arrays on it, however large the document. Owns what a path means in
objects, sets (whose members are their own keys) and arrays, and OPA's words for paths that lead nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from authz.rego.builtins.json_paths import Path
from authz.rego.numbers import NUMBERS, as_index, index_of
from authz.rego.render import display_text, to_text
from authz.rego.values import Boolean, Null, Object, Set, Value, Written

_GO_TYPES: Final[dict[type, str]] = {
    Null: "ast.Null", Boolean: "ast.Boolean", int: "ast.Number", Decimal: "ast.Number", Written: "ast.Number", str: "ast.String",
}  # fmt: skip


class EditError(Exception):
    """A path leads nowhere, or where nothing can be done; the message is OPA's."""


class EditTree:
    """A value and the edits below it. `value` is None where the whole document was deleted."""

    __slots__ = ("edits", "items", "value")

    def __init__(self, value: Value | None) -> None:
        self.value = value
        self.edits: dict[Value, EditTree | str] = {}
        """Members of an object or set that are not what `value` has; of a deleted one, whether it was `scalar` or `composite`."""
        self.items: list[Value | EditTree] | None = None
        """Members of an array that was edited."""

    def at(self, path: Path) -> EditTree:
        """Return the tree at a path. Raises EditError."""
        tree = self
        for step in path:
            tree = tree._child(step)
        return tree

    def replace(self, value: Value | None) -> None:
        """Make the whole tree another value, or none."""
        self.value, self.items = value, None
        self.edits.clear()

    def insert(self, step: Value, value: Value) -> None:
        """Set a key, add a member, or put an item before a position. Raises EditError."""
        base = self.value
        if base is None:
            raise EditError("deleted node encountered during insert operation")
        if isinstance(base, Object):
            self.edits[step] = EditTree(value)
        elif isinstance(base, Set):
            if step != value:
                raise EditError(f"set key {to_text(step)} does not equal value to be inserted {to_text(value)}")
            self._collapse(step)
            self.edits[step] = EditTree(value)
        elif isinstance(base, tuple):
            items = self._items(base)
            position = _position(len(items), step)
            if not 0 <= position <= len(items):
                raise EditError("index for array insertion out of bounds")
            items.insert(position, value)
        else:
            raise EditError(f"expected composite type, found value: {_with_type(base)}")

    def delete(self, step: Value) -> None:
        """Take a member out. Raises EditError."""
        base = self.value
        if base is None:
            raise EditError("deleted node encountered during delete operation")
        if isinstance(base, tuple):
            items = self._items(base)
            position = _position(len(items), step)
            if not 0 <= position < len(items):
                raise EditError("index for array delete out of bounds")
            del items[position]
        elif isinstance(base, Object | Set):
            self.edits[step] = self._kind_to_delete(base, step)
        else:
            raise EditError(f"expected composite type, found value: {_with_type(base)}")

    def render(self, spend: Callable[[int], None]) -> Value | None:
        """Return the value with its edits; `spend` is told of the members of every collection that has to be made anew."""
        base = self.value
        if isinstance(base, tuple) and self.items is not None:
            spend(len(self.items))
            return tuple(_rendered(item, spend) for item in self.items)
        if not self.edits or not isinstance(base, Object | Set):
            return base
        spend(len(base) + len(self.edits))
        if isinstance(base, Set):
            kept = [_rendered(edit, spend) for edit in self.edits.values() if isinstance(edit, EditTree)]
            return Set((base - self.edits.keys()) | set(kept))
        changed = {key: _rendered(edit, spend) for key, edit in self.edits.items() if isinstance(edit, EditTree)}
        return Object({key: item for key, item in base.items() if key not in self.edits} | changed)

    def _child(self, step: Value) -> EditTree:
        base = self.value
        if base is None:
            raise EditError("nil value encountered where composite value was expected")
        if isinstance(base, tuple):
            return self._item(base, step)
        if not isinstance(base, Object | Set):
            raise EditError(f"expected composite type for path {to_text(step)}, found value: {_with_type(base)}")
        if isinstance(base, Set):
            self._collapse(step)
            base = self.value if isinstance(self.value, Set) else base
        edit = self.edits.get(step)
        if isinstance(edit, str):
            raise EditError(f"cannot unfold the already deleted {edit} node for key {to_text(step)}")
        if edit is None:
            if step not in base:
                shown, kind = (to_text(step), "object") if isinstance(base, Object) else (display_text(step), "set")
                raise EditError(f"path {shown} does not exist in {kind} term {to_text(base)}")
            edit = self.edits[step] = EditTree(base[step] if isinstance(base, Object) else step)
        return edit

    def _item(self, base: tuple[Value, ...], step: Value) -> EditTree:
        items = self._items(base)
        position = _position(len(items), step)
        if not 0 <= position < len(items):
            raise EditError(f"path {position} does not exist in array term {to_text(base)}")
        item = items[position]
        if not isinstance(item, EditTree):
            item = items[position] = EditTree(item)
        return item

    def _items(self, base: tuple[Value, ...]) -> list[Value | EditTree]:
        if self.items is None:
            self.items = list(base)
        return self.items

    def _kind_to_delete(self, base: Object | Set, step: Value) -> str:
        if isinstance(base, Set):
            self._collapse(step)
            base = self.value if isinstance(self.value, Set) else base
        edit = self.edits.get(step)
        if isinstance(edit, str):
            raise EditError(f"cannot delete the already deleted {edit} node for key {to_text(step)}")
        if edit is None and step not in base:
            raise EditError(f"cannot delete child key {to_text(step)} that does not exist")
        found = edit.value if edit is not None else base[step] if isinstance(base, Object) else step
        return "composite" if isinstance(found, tuple | Object | Set) else "scalar"

    def _collapse(self, step: Value) -> None:
        """Render a set before one of its composite members is looked for: an edit below a member may have made it another one."""
        if self.edits and isinstance(step, tuple | Object | Set):
            self.replace(self.render(lambda _: None))


def _rendered(item: Value | EditTree, spend: Callable[[int], None]) -> Value:
    value = item.render(spend) if isinstance(item, EditTree) else item
    assert value is not None  # only the root is ever deleted as a whole
    return value


def _with_type(scalar: Value) -> str:
    return f"{to_text(scalar)} (type: {_GO_TYPES[type(scalar)]})"


def _position(length: int, step: Value) -> int:
    """Return the position that a step names in an array; `-` is the one behind the last."""
    if step == "-":
        return length
    if isinstance(step, str):
        position = index_of(step)
        if position is None:
            raise EditError("invalid string for indexing")
        if step != "0" and step.startswith("0"):
            raise EditError("leading zeros are not allowed in JSON paths")
        return position
    if not isinstance(step, NUMBERS):
        raise EditError("invalid type for indexing")
    position = as_index(step)
    if position is None:
        raise EditError("invalid number type for indexing")
    return position
