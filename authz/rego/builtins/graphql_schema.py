"""What a GraphQL schema defines, and whether that makes sense: the rules that gqlparser checks.

They are laxer than the specification's: a schema needs no query type, and may extend types
that it does not define. Knows trees, not text, and nothing of queries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NoReturn

from authz.rego.builtins.graphql_parser import Tree, tree
from authz.rego.builtins.graphql_sdl import SchemaParser

_PRELUDE: Final = """
scalar Int scalar Float scalar String scalar Boolean scalar ID
directive @include(if: Boolean!) on FIELD | FRAGMENT_SPREAD | INLINE_FRAGMENT
directive @skip(if: Boolean!) on FIELD | FRAGMENT_SPREAD | INLINE_FRAGMENT
directive @deprecated(reason: String = "No longer supported") on FIELD_DEFINITION | ARGUMENT_DEFINITION | INPUT_FIELD_DEFINITION | ENUM_VALUE
directive @specifiedBy(url: String!) on SCALAR
directive @defer(if: Boolean = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT
directive @oneOf on INPUT_OBJECT
"""  # noqa: E501 - GraphQL's own text
_BUILTINS: Final = SchemaParser(_PRELUDE).document()
_INTROSPECTION: Final = {
    "__Schema": "OBJECT", "__Type": "OBJECT", "__Field": "OBJECT", "__InputValue": "OBJECT", "__EnumValue": "OBJECT",
    "__Directive": "OBJECT", "__TypeKind": "ENUM", "__DirectiveLocation": "ENUM",
}  # fmt: skip

_MERGED: Final = ("Directives", "Interfaces", "Fields", "Types", "EnumValues")
_OUTPUT: Final = ("SCALAR", "OBJECT", "INTERFACE", "UNION", "ENUM")
_INPUT: Final = ("SCALAR", "ENUM", "INPUT_OBJECT")
_ROOTS: Final = {"query": "Query", "mutation": "Mutation", "subscription": "Subscription"}


class SchemaFailure(ValueError):  # noqa: N818 - what OPA calls an error is made of it
    """A schema that makes no sense."""


@dataclass(slots=True)
class Schema:
    """Types and directives by name, extensions merged in; root types by operation. Built-in types are known by kind only."""

    types: dict[str, Tree] = field(default_factory=dict)
    directives: dict[str, Tree] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)
    builtins: frozenset[str] = frozenset()

    def kind(self, name: str) -> str | None:
        """Return the kind of a type, None if it is not defined."""
        return self.types[name]["Kind"] if name in self.types else None

    def possible(self, name: str) -> Iterable[str]:
        """Return the types that a value of an abstract type may have."""
        definition = self.types.get(name, {})
        yield from definition.get("Types", [])
        yield from (other["Name"] for other in self.types.values() if name in other.get("Interfaces", []))


def make_schema(document: Tree) -> Schema:
    """Return what a document defines. Raises SchemaFailure."""
    schema = Schema()
    for definition in _BUILTINS["Definitions"]:
        schema.types[definition["Name"]] = definition
    for name, kind in _INTROSPECTION.items():
        schema.types[name] = tree((0, 0), Kind=kind, Name=name)
    schema.builtins = frozenset(schema.types)
    schema.directives = {definition["Name"]: definition for definition in _BUILTINS["Directives"]}
    _define(schema, document)
    _set_roots(schema, document)
    for name in sorted(schema.types):
        if name not in schema.builtins:
            _check_definition(schema, schema.types[name])
    for name in sorted(schema.directives):
        _check_directive_definition(schema, schema.directives[name])
    return schema


def _fail(place: Tree, message: str) -> NoReturn:
    line, column = place["Position"]
    raise SchemaFailure(f"input:{line}:{column}: {message}" if line else f"input: {message}")


def _define(schema: Schema, document: Tree) -> None:
    for definition in document.get("Definitions", []):
        name = definition["Name"]
        if name in schema.types:
            _fail(definition, f"Cannot redeclare type {name}.")
        schema.types[name] = dict(definition)
    for extension in document.get("Extensions", []):
        _extend(schema, extension)
    standard = frozenset(schema.directives)
    for directive in document.get("Directives", []):
        name = directive["Name"]
        if name in schema.directives and name not in standard:
            _fail(directive, f"Cannot redeclare directive {name}.")
        schema.directives.setdefault(name, directive)


def _extend(schema: Schema, extension: Tree) -> None:
    name, kind = extension["Name"], extension["Kind"]
    base = schema.types.setdefault(name, tree(extension["Position"], Kind=kind, Name=name))
    if base["Kind"] != kind:
        _fail(extension, f"Cannot extend type {name} because the base type is a {base['Kind']}, not {kind}.")
    if name in schema.builtins:
        # OPA lets the types of the language be extended, which has no use; here only to be refused for a wrong directive.
        _check_directives(schema, extension, kind)
        return
    for part in _MERGED:
        if extension.get(part):
            base[part] = [*base.get(part, []), *extension[part]]


def _set_roots(schema: Schema, document: Tree) -> None:
    """Note the root types: those that a schema block names, or those with the usual names if there is none."""
    blocks = document.get("Schema", [])
    if len(blocks) > 1:
        _fail(blocks[1], "Cannot have multiple schema entry points, consider schema extensions instead.")
    if not blocks:
        schema.roots = {operation: name for operation, name in _ROOTS.items() if name in schema.types}
    for block in (*blocks, *document.get("SchemaExtension", [])):
        for root in block.get("OperationTypes", []):
            operation, name = root["Operation"], root["Type"]
            if name not in schema.types:
                _fail(root, f"Schema root {operation} refers to a type {name} that does not exist.")
            if operation in _ROOTS:
                schema.roots[operation] = name
        _check_directives(schema, block, "SCHEMA")
    for operation, name in schema.roots.items():
        if schema.kind(name) != "OBJECT":
            _fail(schema.types[name], f"Schema root {operation} refers to a type {name} that is not an object.")


def _check_definition(schema: Schema, definition: Tree) -> None:
    kind, name = definition["Kind"], definition["Name"]
    for part in definition.get("Fields", []):
        _check_name(part)
        _check_type(schema, part)
        _check_arguments(schema, part, "")
        _check_directives(schema, part, "INPUT_FIELD_DEFINITION" if kind == "INPUT_OBJECT" else "FIELD_DEFINITION")
    for member in definition.get("Types", []):
        if schema.kind(member) is None:
            _fail(definition, f'Undefined type "{member}".')
        if schema.kind(member) != "OBJECT":
            _fail(definition, f'{kind} type "{member}" must be OBJECT.')
    for interface in definition.get("Interfaces", []):
        _check_implements(schema, definition, interface)
    _check_contents(schema, definition)
    _check_once(definition, "Fields", f"Field {name}.{{}} can only be defined once.")
    _check_once(definition, "EnumValues", f"Enum value {name}.{{}} can only be defined once.")
    if len(set(definition.get("Types", []))) < len(definition.get("Types", [])):
        _fail(definition, f"Union type {name} can only include each type once.")
    _check_name(definition)
    _check_directives(schema, definition, kind)


def _check_contents(schema: Schema, definition: Tree) -> None:
    """Check that a type has contents, and that they are of kinds that it may have."""
    kind, name = definition["Kind"], definition["Name"]
    fields = definition.get("Fields", [])
    if kind == "ENUM":
        if not definition.get("EnumValues"):
            _fail(definition, f"ENUM {name}: must define one or more unique enum values.")
        for value in definition["EnumValues"]:
            if value["Name"] in {"true", "false", "null"}:
                _fail(definition, f"ENUM {name}: non-enum value {value['Name']}.")
            _check_directives(schema, value, "ENUM_VALUE")
    elif kind in {"OBJECT", "INTERFACE", "INPUT_OBJECT"}:
        is_input = kind == "INPUT_OBJECT"
        if not fields:
            _fail(definition, f"{kind} {name}: must define one or more {'input ' if is_input else ''}fields.")
        allowed = _INPUT if is_input else _OUTPUT
        for part in fields:
            got = schema.kind(named_type(part["Type"]))
            if got not in allowed:
                subject = f"{got} {part['Name']}" if is_input else f"{kind} {name}"
                _fail(part, f"{subject}: field must be one of {', '.join(allowed)}.")


def _check_once(definition: Tree, part: str, message: str) -> None:
    seen: set[str] = set()
    for item in definition.get(part, []):
        if item["Name"] in seen:
            _fail(item, message.format(item["Name"]))
        seen.add(item["Name"])


def _check_name(named: Tree) -> None:
    if named["Name"].startswith("__"):
        _fail(named, f'Name "{named["Name"]}" must not begin with "__", which is reserved by GraphQL introspection.')


def _check_type(schema: Schema, typed: Tree) -> None:
    if "Type" not in typed:
        _fail(typed, f"Undefined type of {typed['Name']}.")
    name = named_type(typed["Type"])
    if schema.kind(name) is None:
        _fail(typed["Type"], f"Undefined type {name}.")


def named_type(reference: Tree) -> str:
    """Return the name of the type within a type's lists."""
    while not reference["NamedType"] and "Elem" in reference:
        reference = reference["Elem"]
    return str(reference["NamedType"])


def _shown(reference: Tree) -> str:
    inner = reference["NamedType"] or f"[{_shown(reference['Elem'])}]"
    return f"{inner}!" if reference["NonNull"] else inner


def _check_directive_definition(schema: Schema, definition: Tree) -> None:
    _check_name(definition)
    _check_arguments(schema, definition, definition["Name"])


def _check_arguments(schema: Schema, owner: Tree, directive: str) -> None:
    """Check the arguments of a field or, with its name, of a directive."""
    for argument in owner.get("Arguments", []):
        _check_name(argument)
        _check_type(schema, argument)
        kind = schema.kind(named_type(argument["Type"]))
        if kind not in _INPUT:
            shown = _shown(argument["Type"])
            _fail(argument, f"cannot use {shown} as argument {argument['Name']} because {kind} is not a valid input type")
        _check_directives(schema, argument, "ARGUMENT_DEFINITION", directive)


def _check_directives(schema: Schema, owner: Tree, location: str, current: str = "") -> None:
    seen: set[str] = set()
    for directive in owner.get("Directives", []):
        _check_name(directive)
        name = directive["Name"]
        if name == current:
            _fail(directive, f"Directive {name} cannot refer to itself.")
        definition = schema.directives.get(name)
        if definition is None:
            _fail(directive, f"Undefined directive {name}.")
        if location not in definition.get("Locations", []):
            _fail(directive, f"Directive {name} is not applicable on {location}.")
        # OPA counts the directives of fields, arguments and values, but not those of types.
        if name in seen and "Kind" not in owner and not definition.get("IsRepeatable"):
            _fail(directive, f"The directive {name} can only be used once at this location.")
        seen.add(name)
        _check_given(directive, definition)


def _check_given(directive: Tree, definition: Tree) -> None:
    """Check the names of a directive's arguments, and that the required ones are there."""
    name = directive["Name"]
    known = {argument["Name"]: argument for argument in definition.get("Arguments", [])}
    given = {argument["Name"]: argument for argument in directive.get("Arguments", [])}
    for argument in given.values():
        if argument["Name"] not in known:
            _fail(argument, f"Undefined argument {argument['Name']} for directive {name}.")
    for argument in known.values():
        is_required = "Type" in argument and argument["Type"]["NonNull"] and "DefaultValue" not in argument
        if is_required and argument["Name"] not in given:
            _fail(directive, f"Argument {argument['Name']} for directive {name} cannot be null.")


def _check_implements(schema: Schema, definition: Tree, name: str) -> None:
    """Check that a type has what one of its interfaces demands (GraphQL specification, October 2021, 3.6)."""
    interface = schema.types.get(name)
    if interface is None:
        _fail(definition, f'Undefined type "{name}".')
    if interface["Kind"] != "INTERFACE":
        _fail(definition, f'"{name}" is a non interface type {interface["Kind"]}.')
    who = f"For {definition['Name']} to implement {name}"
    fields = {part["Name"]: part for part in definition.get("Fields", [])}
    for required in interface.get("Fields", []):
        found = fields.get(required["Name"])
        if found is None:
            _fail(definition, f"{who} it must have a field called {required['Name']}.")
        if "Type" in required and not _is_covariant(schema, required["Type"], found["Type"]):
            _fail(found, f"{who} the field {required['Name']} must have type {_shown(required['Type'])}.")
        _check_same_arguments(who, required, found)
    mine = definition.get("Interfaces", [])
    for other in interface.get("Interfaces", []):
        if other not in mine:
            if other == definition["Name"]:
                _fail(definition, f"Type {other} cannot implement {name} because it would create a circular reference.")
            _fail(definition, f"Type {definition['Name']} must implement {other} because it is implemented by {name}.")


def _check_same_arguments(who: str, required: Tree, found: Tree) -> None:
    wanted = {argument["Name"]: argument for argument in required.get("Arguments", [])}
    given = {argument["Name"]: argument for argument in found.get("Arguments", [])}
    for name, argument in wanted.items():
        same = f"{who} the field {required['Name']} must have the same arguments but"
        if name not in given:
            _fail(found, f"{same} it is missing {name}.")
        if "Type" in argument and not _is_compatible(argument["Type"], given[name]["Type"]):
            _fail(given[name], f"{same} {name} has the wrong type.")
    for name, argument in given.items():
        if name not in wanted and argument["Type"]["NonNull"] and "DefaultValue" not in argument:
            extra = f"any additional arguments on {found['Name']} must be optional or have a default value but {name} is required."
            _fail(argument, f"{who} {extra}")


def _is_compatible(wanted: Tree, given: Tree) -> bool:
    if wanted["NamedType"] != given["NamedType"] or ("Elem" in wanted) != ("Elem" in given):
        return False
    if "Elem" in wanted and not _is_compatible(wanted["Elem"], given["Elem"]):
        return False
    return bool(wanted["NonNull"] or not given["NonNull"])


def _is_covariant(schema: Schema, required: Tree, actual: Tree) -> bool:
    if required["NonNull"] and not actual["NonNull"]:
        return False
    if required["NamedType"]:
        return required["NamedType"] == actual["NamedType"] or actual["NamedType"] in schema.possible(required["NamedType"])
    return "Elem" in required and "Elem" in actual and _is_covariant(schema, required["Elem"], actual["Elem"])
