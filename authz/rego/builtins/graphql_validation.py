"""Whether a GraphQL query fits a schema: the rules of `graphql-core`, in gqlparser's words.

Of the rules, those are used that gqlparser has too. Importing the library takes a tenth of
a second, so this module is imported when a policy that validates is linked.
"""

from __future__ import annotations

import re
from typing import Final

from graphql import GraphQLError, GraphQLInputObjectType, GraphQLSchema, build_ast_schema, validate
from graphql.validation import rules, specified_rules

from authz.rego.builtins.graphql_nodes import place_of, query_document, schema_document
from authz.rego.builtins.graphql_parser import SyntaxFailure, Tree
from authz.rego.builtins.graphql_schema import Schema, SchemaFailure

_OTHER_RULES: Final = frozenset(
    {
        "ExecutableDefinitionsRule", "DeferStreamDirectiveOnRootField", "DeferStreamDirectiveOnValidOperationsRule",
        "DeferStreamDirectiveLabel", "StreamDirectiveOnListField",
    }
)  # fmt: skip
_RULES: Final[list[type[rules.ASTValidationRule]]] = [rule for rule in specified_rules if rule.__name__ not in _OTHER_RULES]

_SECOND: Final = re.compile(r"There can be only one|The directive|Fields |Variable .* used in position")
"""Messages about two places, of which gqlparser gives the last."""
_QUOTED: Final = re.compile(r"(?<!\w)'([^']*)'(?!\w)")

_UNKNOWN: Final = r"Field \2 is not defined by type \1"
_REWORDED: Final = (
    (re.compile(r'^Argument "(?:\w+\.)?(\w+)\((\w+):\)" of type'), r'Field "\1" argument "\2" of type'),
    (re.compile(r'^Argument "(@\w+)\((\w+):\)" of type'), r'Directive "\1" argument "\2" of type'),
    (re.compile(r'^Expected value of non-null type (".*") not to be None'), r"Expected value of type \1, found null"),
    (re.compile(r'^Expected value of type (".*") to be an object, found: (.*)$', re.DOTALL), r"Expected value of type \1, found \2"),
    (re.compile(r'^Expected value of type (".*") not to include unknown field (".*?"), found: .*$', re.DOTALL), _UNKNOWN + "."),
    (re.compile(r'^Expected value of type (".*") not to include unknown field (".*?")(.*\?) Found: .*$', re.DOTALL), _UNKNOWN + r"\3"),
)
"""The library's sentences that gqlparser, made after an older edition of the rules, has otherwise."""
_MISUSED: Final = re.compile(r'^(Directive ".*" may not be used on )(.*)\.$')
_MISSING: Final = re.compile(r'^Expected value of type "(\w+)" to include required field "(\w+)"')


def library_schema(schema: Schema) -> GraphQLSchema:
    """Return a schema that passed our rules as the library's. Raises SchemaFailure."""
    try:
        return build_ast_schema(schema_document(schema), assume_valid=True, assume_valid_sdl=True)
    except (GraphQLError, TypeError, ValueError, KeyError, RecursionError) as error:
        raise SchemaFailure(f"input: {error}") from None


def check_query(schema: GraphQLSchema, query: Tree) -> None:
    """Raise SyntaxFailure for the first thing in a query that does not fit the schema."""
    try:
        errors = validate(schema, query_document(query), _RULES, max_errors=1)
    except (GraphQLError, TypeError, ValueError, KeyError, RecursionError) as error:
        raise SyntaxFailure(str(error), query["Position"]) from None
    if errors:
        message = _worded(schema, _QUOTED.sub(r'"\1"', errors[0].message))
        places = [place_of(node) for node in errors[0].nodes or () if node.loc]
        place = places[-1 if _SECOND.match(message) else 0] if places else query["Position"]
        # OPA takes off a full stop, and leaves a line break where there is none.
        raise SyntaxFailure(message.removesuffix(".") if message.endswith(".") else message + "\n", place)


def _worded(schema: GraphQLSchema, message: str) -> str:
    """Return a message of the library as gqlparser has it."""
    for pattern, words in _REWORDED:
        message = pattern.sub(words, message)
    missing = _MISSING.match(message)
    if missing:
        owner, name = missing.groups()
        kind = schema.type_map[owner]
        if isinstance(kind, GraphQLInputObjectType):
            return f'Field "{owner}.{name}" of required type "{kind.fields[name].type}" was not provided.'
    return _MISUSED.sub(lambda match: f"{match[1]}{match[2].upper().replace(' ', '_')}.", message)
