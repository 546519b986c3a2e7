"""Rego source text to syntax tree: modules, queries and terms.

The grammar is in `parse_imports`, `parse_rules`, `parse_body`, `parse_collections`
and `parse_terms`, each built on the next. Knows no scoping: names are as written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from authz.rego import nodes
from authz.rego.annotations import attach, read_annotations
from authz.rego.cursor import Failure
from authz.rego.parse_imports import HeaderParser
from authz.rego.tokens import Kind

T = TypeVar("T")


def parse_module(file: str, source: str, rego_version: int = 1, grammar: type[HeaderParser] = HeaderParser) -> nodes.Module:
    """Parse one file. Raises CompileError (rego_parse_error) and nothing else."""
    parser = grammar(file, source, rego_version)
    try:
        return attach(module_of(parser), read_annotations(parser), parser)
    except Failure as failure:
        raise parser.error([failure]) from None


def parse_package(file: str, source: str, rego_version: int) -> tuple[str, ...]:
    """Return the package of a file, whatever follows it. Raises CompileError, which `parse_module` then does, too."""
    parser = HeaderParser(file, source, rego_version)
    try:
        return parser.package()[0]
    except Failure as failure:
        raise parser.error([failure]) from None


def parse_query(source: str, rego_version: int = 1, file: str = "query", grammar: type[HeaderParser] = HeaderParser) -> nodes.Body:
    """Parse a query: the literals of a body, at least one. Raises CompileError."""
    parser = grammar(file, source, rego_version)
    try:
        start = parser.begin_statement()
        query = parser.query()
        parser.check_height(query, start)
    except Failure as failure:
        raise parser.error([failure]) from None
    parser.faults.check()
    return query


def parse_header(package: str | None, imports: Iterable[str], rego_version: int = 1) -> nodes.Module:
    """Parse what a query is to stand below: the path of a package and imports, each without its keyword. Raises CompileError."""
    found: list[nodes.Import] = []
    path: tuple[str, ...] = ()
    if package is not None:
        path, _ = _statement("package", package, rego_version, HeaderParser.package)
    for item in imports:
        found.append(_statement("import", item, rego_version, HeaderParser.import_))
    return nodes.Module("query", path, tuple(found), (), rego_version)


def _statement(keyword: str, text: str, rego_version: int, rule: Callable[[HeaderParser], T]) -> T:
    parser = HeaderParser(keyword, f"{keyword} {text}", rego_version)
    try:
        parsed = rule(parser)
        parser.expect(Kind.EOF, f"expected one {keyword}")
    except Failure as failure:
        raise parser.error([failure]) from None
    return parsed


def parse_term(source: str) -> nodes.Term:
    """Parse one term, ground or not. Raises CompileError."""
    parser = HeaderParser("term", source, 1)
    try:
        start = parser.begin_statement()
        term = parser.infix()
        parser.expect(Kind.EOF, "expected one term")
        parser.check_height(term, start)
    except Failure as failure:
        raise parser.error([failure]) from None
    parser.faults.check()
    return term


def module_of(parser: HeaderParser) -> nodes.Module:
    """Parse a module up to the end; METADATA comments are left out. Raises Failure and CompileError."""
    if parser.at(Kind.EOF):
        parser.fail("empty module")
    package, package_location = parser.package()
    imports: list[nodes.Import] = []
    rules: list[nodes.Rule] = []
    while not parser.at(Kind.EOF):
        kind = parser.token.kind
        if kind is Kind.IMPORT and not parser.is_keyword_as_name():
            imports.append(parser.import_())
        elif kind is Kind.PACKAGE and not parser.is_keyword_as_name():
            parser.fail("unexpected package", help="a module has one package")
        else:
            start = parser.begin_statement()
            statement = parser.rules()
            parser.check_height(tuple(statement), start)
            rules.extend(statement)
    version = 1 if parser.imports_rego_v1 else parser.rego_version
    if version == 1 and parser.v1_failures:
        raise parser.error(parser.v1_failures)
    parser.faults.check()
    return nodes.Module(parser.file, package, tuple(imports), tuple(rules), version, (), package_location)
