"""GraphQL trees as the nodes of `graphql-core`, which validates them.

Owns the translation, places included. Importing the library takes a tenth of a second, so
only what validates imports this module, and only when it is needed.
"""

from __future__ import annotations

from typing import Any, Final

from graphql.language import ast
from graphql.language.source import Source
from graphql.language.token_kind import TokenKind

from authz.rego.builtins.graphql_lexer import Place
from authz.rego.builtins.graphql_parser import BLOCK, BOOLEAN, ENUM, FLOAT, INT, LIST, NULL, OBJECT, STRING, VARIABLE, Tree
from authz.rego.builtins.graphql_schema import Schema

_SOURCE: Final = Source("")
_STANDARD: Final = frozenset({"include", "skip", "deprecated", "specifiedBy", "oneOf"})
"""Directives that the library adds by itself."""


def place_of(node: ast.Node) -> Place:
    """Return where a node stands in its text."""
    return (node.loc.start_token.line, node.loc.start_token.column) if node.loc else (0, 0)


def _location(tree: Tree) -> ast.Location:
    line, column = tree["Position"]
    token = ast.Token(TokenKind.NAME, 0, 0, line, column)
    return ast.Location(token, token, _SOURCE)


def _name(tree: Tree, field: str = "Name") -> ast.NameNode:
    return ast.NameNode(value=tree[field], loc=_location(tree))


def _named_type(tree: Tree, name: str) -> ast.NamedTypeNode:
    return ast.NamedTypeNode(name=ast.NameNode(value=name, loc=_location(tree)), loc=_location(tree))


# Queries


def query_document(tree: Tree) -> ast.DocumentNode:
    """Return the document of operations and fragments."""
    fragments = [_fragment(part) for part in tree.get("Fragments", [])]
    operations = [_operation(part) for part in tree.get("Operations", [])]
    return ast.DocumentNode(definitions=(*operations, *fragments))


def _operation(tree: Tree) -> ast.OperationDefinitionNode:
    return ast.OperationDefinitionNode(
        operation=ast.OperationType(tree["Operation"]),
        name=_name(tree) if tree["Name"] else None,
        variable_definitions=_variables(tree.get("VariableDefinitions", [])),
        directives=_directives(tree),
        selection_set=_selections(tree),
        loc=_location(tree),
    )


def _fragment(tree: Tree) -> ast.FragmentDefinitionNode:
    return ast.FragmentDefinitionNode(
        name=_name(tree),
        variable_definitions=_variables(tree.get("VariableDefinition", [])),
        type_condition=_named_type(tree, tree["TypeCondition"]),
        directives=_directives(tree),
        selection_set=_selections(tree),
        loc=_location(tree),
    )


def _variables(trees: list[Tree]) -> tuple[ast.VariableDefinitionNode, ...]:
    return tuple(
        ast.VariableDefinitionNode(
            variable=ast.VariableNode(name=_name(tree, "Variable"), loc=_location(tree)),
            type=_type(tree),
            default_value=_value(tree["DefaultValue"]) if "DefaultValue" in tree else None,
            directives=_directives(tree),
            loc=_location(tree),
        )
        for tree in trees
    )


def _selections(tree: Tree) -> ast.SelectionSetNode:
    selections = tuple(_selection(part) for part in tree.get("SelectionSet", []))
    return ast.SelectionSetNode(selections=selections, loc=_location(tree))


def _selection(tree: Tree) -> ast.SelectionNode:
    if "Alias" in tree:
        return ast.FieldNode(
            alias=_name(tree, "Alias") if tree["Alias"] not in {"", tree["Name"]} else None,
            name=_name(tree),
            arguments=_arguments(tree),
            directives=_directives(tree),
            selection_set=_selections(tree) if tree.get("SelectionSet") else None,
            loc=_location(tree),
        )
    if "TypeCondition" in tree:
        return ast.InlineFragmentNode(
            type_condition=_named_type(tree, tree["TypeCondition"]) if tree["TypeCondition"] else None,
            directives=_directives(tree),
            selection_set=_selections(tree),
            loc=_location(tree),
        )
    return ast.FragmentSpreadNode(name=_name(tree), directives=_directives(tree), loc=_location(tree))


def _directives(tree: Tree) -> Any:
    """Return directives' nodes; like values, constant ones are no classes of their own to the rules."""
    return tuple(
        ast.DirectiveNode(name=_name(part), arguments=_arguments(part), loc=_location(part)) for part in tree.get("Directives", [])
    )


def _arguments(tree: Tree) -> tuple[ast.ArgumentNode, ...]:
    return tuple(
        ast.ArgumentNode(name=_name(part), value=_value(part.get("Value")), loc=_location(part)) for part in tree.get("Arguments", [])
    )


def _type(tree: Tree) -> ast.TypeNode:
    """Return the type of a variable, a field or an argument."""
    if "Type" not in tree:
        raise ValueError(f"{tree.get('Variable') or tree.get('Name')} has no type")
    return _type_reference(tree["Type"])


def _type_reference(tree: Tree) -> ast.TypeNode:
    where = _location(tree)
    inner: ast.NamedTypeNode | ast.ListTypeNode
    if tree["NamedType"] or "Elem" not in tree:
        inner = _named_type(tree, tree["NamedType"])
    else:
        inner = ast.ListTypeNode(type=_type_reference(tree["Elem"]), loc=where)
    return ast.NonNullTypeNode(type=inner, loc=where) if tree["NonNull"] else inner


_LITERALS: Final[dict[int, Any]] = {
    INT: ast.IntValueNode, FLOAT: ast.FloatValueNode, STRING: ast.StringValueNode, BLOCK: ast.StringValueNode, ENUM: ast.EnumValueNode,
}  # fmt: skip


def _value(tree: Tree | None) -> Any:
    """Return a value's node."""
    if tree is None:
        raise ValueError("an argument has no value")
    where, kind, raw = _location(tree), tree["Kind"], tree["Raw"]
    children = tree.get("Children", [])
    if kind == VARIABLE:
        return ast.VariableNode(name=_name(tree, "Raw"), loc=where)
    if kind == BOOLEAN:
        return ast.BooleanValueNode(value=raw == "true", loc=where)
    if kind == NULL:
        return ast.NullValueNode(loc=where)
    if kind == LIST:
        return ast.ListValueNode(values=tuple(_value(child.get("Value")) for child in children), loc=where)
    if kind == OBJECT:
        fields = tuple(ast.ObjectFieldNode(name=_name(child), value=_value(child.get("Value")), loc=where) for child in children)
        return ast.ObjectValueNode(fields=fields, loc=where)
    if kind not in _LITERALS:
        raise ValueError(f"{kind} is no kind of value")
    return _LITERALS[kind](value=raw, loc=where)


# Schemas


def schema_document(schema: Schema) -> ast.DocumentNode:
    """Return the document of everything that a schema defines beyond what GraphQL itself does."""
    roots = tuple(
        ast.OperationTypeDefinitionNode(operation=ast.OperationType(operation), type=_named_type(schema.types[name], name))
        for operation, name in schema.roots.items()
    )
    types = [_definition(definition) for name, definition in schema.types.items() if name not in schema.builtins]
    directives = [_directive_definition(definition) for name, definition in schema.directives.items() if name not in _STANDARD]
    return ast.DocumentNode(definitions=(ast.SchemaDefinitionNode(operation_types=roots), *types, *directives))


def _definition(tree: Tree) -> ast.TypeDefinitionNode:
    common: dict[str, Any] = {"name": _name(tree), "directives": _directives(tree), "loc": _location(tree)}
    interfaces = tuple(_named_type(tree, name) for name in tree.get("Interfaces", []))
    match tree["Kind"]:
        case "SCALAR":
            return ast.ScalarTypeDefinitionNode(**common)
        case "OBJECT":
            return ast.ObjectTypeDefinitionNode(**common, interfaces=interfaces, fields=_fields(tree))
        case "INTERFACE":
            return ast.InterfaceTypeDefinitionNode(**common, interfaces=interfaces, fields=_fields(tree))
        case "UNION":
            return ast.UnionTypeDefinitionNode(**common, types=tuple(_named_type(tree, name) for name in tree.get("Types", [])))
        case "ENUM":
            values = tuple(
                ast.EnumValueDefinitionNode(name=_name(part), directives=_directives(part)) for part in tree.get("EnumValues", [])
            )
            return ast.EnumTypeDefinitionNode(**common, values=values)
        case "INPUT_OBJECT":
            return ast.InputObjectTypeDefinitionNode(**common, fields=_input_values(tree.get("Fields", [])))
        case kind:
            raise ValueError(f"{kind} is no kind of type")


def _fields(tree: Tree) -> tuple[ast.FieldDefinitionNode, ...]:
    return tuple(
        ast.FieldDefinitionNode(
            name=_name(part), arguments=_input_values(part.get("Arguments", [])), type=_type(part), directives=_directives(part)
        )
        for part in tree.get("Fields", [])
    )


def _input_values(trees: list[Tree]) -> tuple[ast.InputValueDefinitionNode, ...]:
    return tuple(
        ast.InputValueDefinitionNode(
            name=_name(tree),
            type=_type(tree),
            default_value=_value(tree["DefaultValue"]) if "DefaultValue" in tree else None,
            directives=_directives(tree),
        )
        for tree in trees
    )


def _directive_definition(tree: Tree) -> ast.DirectiveDefinitionNode:
    return ast.DirectiveDefinitionNode(
        name=_name(tree),
        arguments=_input_values(tree.get("Arguments", [])),
        locations=tuple(ast.NameNode(value=name) for name in tree.get("Locations", [])),
        repeatable=tree.get("IsRepeatable", False),
    )
