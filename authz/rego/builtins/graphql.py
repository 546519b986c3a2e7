"""The `graphql.*` built-ins: parsing and validating queries and schemas, with the trees and messages of OPA's gqlparser.

Owns operands, results and errors. The grammar is in `graphql_parser` and `graphql_sdl`, the
rules in `graphql_schema` and `graphql_validation`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from authz.rego.builtins.graphql_lexer import TooManyTokensError
from authz.rego.builtins.graphql_parser import QueryParser, SyntaxFailure, Tree
from authz.rego.builtins.graphql_schema import Schema, SchemaFailure, make_schema
from authz.rego.builtins.graphql_sdl import SchemaParser
from authz.rego.builtins.graphql_trees import query_tree, schema_tree, to_value
from authz.rego.builtins.registry import ANY, ARRAY, BOOLEAN, OBJECT, STRING, builtin
from authz.rego.errors import EVAL_TYPE, BuiltinError
from authz.rego.values import EMPTY_OBJECT, FALSE, TRUE, Object, Value, type_name

_SCHEMAS_KEPT: Final = 4
"""Schemas that stay parsed: a policy has few, and each decision would read them again."""


def _validation() -> Any:
    """Return the module that knows `graphql-core`: imported when a policy that validates is linked, for it takes a tenth of a second."""
    return importlib.import_module("authz.rego.builtins.graphql_validation")


@builtin("graphql.parse_query", STRING, result=OBJECT)
def parse_query(text: str) -> Value:
    return _guarded("graphql.parse_query", lambda: to_value(_query(text)))


@builtin("graphql.parse_schema", STRING, result=OBJECT)
def parse_schema(text: str) -> Value:
    return _guarded("graphql.parse_schema", lambda: to_value(_schema_document(text)))


@builtin("graphql.parse", ANY, ANY, result=ARRAY, prepare=_validation)
def parse(query: Value, schema: Value) -> Value:
    for position, operand in enumerate((query, schema), start=1):
        if type(operand) is not str and type(operand) is not Object:
            got = type_name(operand)
            raise BuiltinError(f"graphql.parse: operand {position} must be one of {{string, object}} but got {got}", EVAL_TYPE)
    return _guarded("graphql.parse", lambda: _verified(query, schema))


@builtin("graphql.parse_and_verify", ANY, ANY, result=ARRAY, prepare=_validation)
def parse_and_verify(query: Value, schema: Value) -> Value:
    try:
        return (TRUE, *_verified(query, schema))
    except ValueError:
        return (FALSE, EMPTY_OBJECT, EMPTY_OBJECT)


@builtin("graphql.is_valid", ANY, ANY, result=BOOLEAN, prepare=_validation)
def is_valid(query: Value, schema: Value) -> bool:
    try:
        _check(_query(query), schema)
    except ValueError:
        return False
    return True


@builtin("graphql.schema_is_valid", ANY, result=BOOLEAN)
def schema_is_valid(schema: Value) -> bool:
    try:
        _made_schema(schema)
    except ValueError:
        return False
    return True


def _verified(query: Value, schema: Value) -> tuple[Value, Value]:
    parsed = _query(query)
    document = _schema_document(schema)
    _check(parsed, schema)
    return to_value(parsed), to_value(document)


def _query(query: Value) -> Tree:
    if type(query) is str:
        return QueryParser(query).document()
    if type(query) is Object:
        return query_tree(query)
    raise ValueError("a query is a string or an object")


@lru_cache(_SCHEMAS_KEPT)
def _schema_document(schema: Value) -> Tree:
    """Return the tree of a schema; nobody changes it."""
    if type(schema) is str:
        return SchemaParser(schema).document()
    if type(schema) is Object:
        return schema_tree(schema)
    raise ValueError("a schema is a string or an object")


@lru_cache(_SCHEMAS_KEPT)
def _made_schema(schema: Value) -> Schema:
    return make_schema(_schema_document(schema))


@lru_cache(_SCHEMAS_KEPT)
def _library_schema(schema: Value) -> Any:
    return _validation().library_schema(_made_schema(schema))


def _check(query: Tree, schema: Value) -> None:
    library_schema = _library_schema(schema)
    _validation().check_query(library_schema, query)


def _guarded(name: str, make: Callable[[], Value]) -> Value:
    """Return what `make` does, or raise its failure as OPA words it."""
    try:
        return make()
    except SyntaxFailure as failure:
        line, column = failure.place
        raise BuiltinError(f"{name}: {failure.message} in GraphQL string at location {line}:{column}") from None
    except SchemaFailure as failure:
        raise BuiltinError(f"{name}: Error in gqlparser SchemaDocument to Schema conversion: {failure}") from None
    except (TooManyTokensError, ValueError) as failure:
        raise BuiltinError(f"{name}: {failure}") from None
