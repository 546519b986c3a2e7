"""GraphQL trees and Rego values: what `graphql.parse_query` gives can be handed back as an operand.

Owns which fields a tree of each shape has and their types, as gqlparser's structs have
them. Knows neither text nor what a tree means.
"""

from __future__ import annotations

from typing import Any, Final

from authz.rego.builtins.graphql_parser import MAX_NESTING, MAX_QUERY, Tree
from authz.rego.numbers import NUMBERS, as_int
from authz.rego.values import Boolean, Object, Set, Value, boolean, from_json

_NO_PLACE: Final = (0, 0)
_MAX_DEPTH: Final = 3 * MAX_NESTING

Shape = dict[str, Any]
"""Fields with their types: `str`, `bool`, `int`, the name of a shape, or a list with one of these in it."""

_DESCRIBED: Final[Shape] = {"Description": str, "Name": str, "Directives": ["Directive"]}
_COMMENTED: Final[Shape] = {"BeforeDescriptionComment": "Comments", "AfterDescriptionComment": "Comments"}
_SHAPES: Final[dict[str, Shape]] = {
    "Query": {"Operations": ["Operation"], "Fragments": ["Fragment"]},
    "Operation": {
        "Operation": str, "Name": str, "VariableDefinitions": ["Variable"], "Directives": ["Directive"],
        "SelectionSet": ["Selection"], "Comment": "Comments",
    },
    "Fragment": {
        "Name": str, "VariableDefinition": ["Variable"], "TypeCondition": str, "Directives": ["Directive"],
        "SelectionSet": ["Selection"], "Comment": "Comments",
    },
    "Variable": {
        "Variable": str, "Type": "Type", "DefaultValue": "Value", "Directives": ["Directive"], "Used": bool, "Comment": "Comments",
    },
    "Field": {
        "Alias": str, "Name": str, "Arguments": ["Argument"], "Directives": ["Directive"], "SelectionSet": ["Selection"],
        "Comment": "Comments",
    },
    "Spread": {"Name": str, "Directives": ["Directive"], "Comment": "Comments"},
    "InlineFragment": {"TypeCondition": str, "Directives": ["Directive"], "SelectionSet": ["Selection"], "Comment": "Comments"},
    "Argument": {"Name": str, "Value": "Value", "Comment": "Comments"},
    "Directive": {"Name": str, "Arguments": ["Argument"], "Location": str},
    "Value": {"Raw": str, "Children": ["Argument"], "Kind": int, "Comment": "Comments", "ExpectedTypeHasDefault": bool},
    "Type": {"NamedType": str, "Elem": "Type", "NonNull": bool},
    "Schema": {
        "Schema": ["Roots"], "SchemaExtension": ["Roots"], "Directives": ["DirectiveDefinition"], "Definitions": ["Definition"],
        "Extensions": ["Definition"], "Comment": "Comments",
    },
    "Roots": {
        "Description": str, "Directives": ["Directive"], "OperationTypes": ["Root"], **_COMMENTED, "EndOfDefinitionComment": "Comments",
    },
    "Root": {"Operation": str, "Type": str, "Comment": "Comments"},
    "Definition": {
        "Kind": str, **_DESCRIBED, "Interfaces": [str], "Fields": ["FieldDefinition"], "Types": [str], "EnumValues": ["EnumValue"],
        "BuiltIn": bool, **_COMMENTED, "EndOfDefinitionComment": "Comments",
    },
    "FieldDefinition": {**_DESCRIBED, "Arguments": ["InputValue"], "DefaultValue": "Value", "Type": "Type", **_COMMENTED},
    "InputValue": {**_DESCRIBED, "DefaultValue": "Value", "Type": "Type", **_COMMENTED},
    "EnumValue": {**_DESCRIBED, **_COMMENTED},
    "DirectiveDefinition": {
        "Description": str, "Name": str, "Arguments": ["InputValue"], "Locations": [str], "IsRepeatable": bool, **_COMMENTED,
    },
    "Comments": {"List": ["CommentLine"]},
    "CommentLine": {"Value": str},
}  # fmt: skip


def to_value(tree: Tree) -> Value:
    """Return what a policy sees of a tree: everything but places."""
    return from_json(_visible(tree))


def _visible(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _visible(value) for name, value in part.items() if name != "Position" and value != []}
    return [_visible(item) for item in part] if isinstance(part, list) else part


def query_tree(document: Object) -> Tree:
    """Return the tree of a query that a policy hands in. Raises ValueError for what is none."""
    tree = _tree(document, "Query", 0)
    if _size(tree) > MAX_QUERY:
        raise ValueError(f"query has more than {MAX_QUERY} parts")
    _name_spreads(tree, {str(fragment["Name"]) for fragment in tree["Fragments"]})
    return tree


def schema_tree(document: Object) -> Tree:
    """Return the tree of a schema that a policy hands in. Raises ValueError for what is none."""
    return _tree(document, "Schema", 0)


def _tree(document: Value, shape: str, depth: int) -> Tree:
    if type(document) is not Object:
        raise ValueError(f"json: cannot unmarshal {_json_name(document)} into a GraphQL {shape.lower()}")
    if depth > _MAX_DEPTH:
        raise ValueError(f"document is nested deeper than {MAX_NESTING} levels")
    if shape == "Selection":
        shape = "Field" if "Alias" in document else "InlineFragment" if "TypeCondition" in document else "Spread"
        if shape == "Spread" and ("Arguments" in document or "SelectionSet" in document):
            shape = "Field"
    made: Tree = {"Position": _NO_PLACE}
    for name, kind in _SHAPES[shape].items():
        part = _part(document.get(name), kind, name, depth + 1)
        if part is not None:
            made[name] = part
    return made


def _size(part: Any) -> int:
    """Return the number of trees in a tree."""
    if isinstance(part, dict):
        return 1 + sum(map(_size, part.values()))
    return sum(map(_size, part)) if isinstance(part, list) else 0


_SCALARS: Final[dict[type, Any]] = {str: "", bool: False, int: 0}


def _part(value: Value | None, kind: Any, name: str, depth: int) -> Any:
    """Return a field's value of the kind that its shape says; what is absent or null is empty."""
    is_absent = value is None or _json_name(value) == "null"
    if isinstance(kind, list):
        if not is_absent and type(value) is not tuple and type(value) is not Set:
            raise _mismatch(value, name)
        items = () if is_absent else value.ordered() if isinstance(value, Set) else value
        parts = [_part(item, kind[0], name, depth) for item in items]  # type: ignore[union-attr]
        if None in parts:
            raise _mismatch(None, name)
        return parts
    if isinstance(kind, str):
        return None if value is None or is_absent else _tree(value, kind, depth)
    return _SCALARS[kind] if value is None or is_absent else _scalar(value, kind, name)


def _scalar(value: Value, kind: type, name: str) -> Any:
    if kind is str and type(value) is str:
        return value
    if kind is bool and isinstance(value, Boolean):
        return bool(value)
    number = as_int(value) if kind is int and isinstance(value, NUMBERS) else None
    if number is None:
        raise _mismatch(value, name)
    return number


def _mismatch(value: Value | None, name: str) -> ValueError:
    return ValueError(f"json: cannot unmarshal {_json_name(value)} into a GraphQL document's field {name}")


def _json_name(value: Value | None) -> str:
    names = {str: "string", tuple: "array", Set: "array", Object: "object", type(boolean(True)): "bool"}
    return names.get(type(value), "number" if isinstance(value, NUMBERS) else "null")


def _name_spreads(tree: Tree, fragments: set[str]) -> None:
    """Take `{"Name": x}` for a field where no fragment has the name: a tree made by hand may leave the alias out."""
    for selection in tree.get("SelectionSet", []):
        if "Alias" not in selection and "TypeCondition" not in selection and selection["Name"] not in fragments:
            selection["Alias"] = selection["Name"]
        _name_spreads(selection, fragments)
    for name in ("Operations", "Fragments"):
        for definition in tree.get(name, []):
            _name_spreads(definition, fragments)
